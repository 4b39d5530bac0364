//! Requests as an attacker writes them, on the raw interfaces: the SDK refuses
//! to send most of these, and the host must not rely on that.

mod streamed;
mod whole;

use std::time::Duration;

use servo_driver::Failure;

use super::note;
use crate::{Findings, RawRequest, Through};

/// Bytes of a body that are shown.
const SHOWN: usize = 2_000;

/// An answer, by the way its request was sent.
enum Answer {
    Streamed(streamed::Answer),
    Whole(whole::Answer),
}

impl Answer {
    fn status(&self) -> u16 {
        match self {
            Self::Streamed(answer) => answer.status,
            Self::Whole(answer) => answer.status,
        }
    }

    fn headers(&self) -> &[(String, String)] {
        match self {
            Self::Streamed(answer) => &answer.headers,
            Self::Whole(answer) => &answer.headers,
        }
    }

    /// Reads to the end, with a pause before each piece.
    fn drain(&self, pause: Duration, mut each: impl FnMut(&[u8])) -> Result<(), String> {
        match self {
            Self::Streamed(answer) => answer.drain(pause, each),
            Self::Whole(answer) => {
                each(&answer.body);
                Ok(())
            }
        }
    }
}

/// Sends and waits for what there is of the answer: its head, or all of it.
fn send(request: &RawRequest, through: Through) -> Result<Answer, String> {
    match through {
        Through::WasiHttp => streamed::send(request).map(Answer::Streamed),
        Through::Fetch => whole::send(request).map(Answer::Whole),
    }
}

pub(super) fn requests(requests: &[RawRequest], through: Through) -> Findings {
    let numbered = requests.iter().enumerate();
    numbered
        .flat_map(|(index, request)| note(index.to_string(), told(request, through)))
        .collect()
}

/// What came of one request, in words.
pub(super) fn told(request: &RawRequest, through: Through) -> String {
    let answer = match send(request, through) {
        Ok(answer) => answer,
        Err(problem) => return problem,
    };
    let mut told = format!("status {}", answer.status());
    for (name, value) in answer.headers() {
        told += &format!("\n{name}: {value}");
    }
    let mut bytes = Vec::new();
    let end = answer.drain(Duration::ZERO, |piece| {
        let room = SHOWN.saturating_sub(bytes.len()).min(piece.len());
        bytes.extend_from_slice(&piece[..room]);
    });
    told += &format!("\n\n{}", String::from_utf8_lossy(&bytes));
    if let Err(problem) = end {
        told += &format!("\nbroken: {problem}");
    }
    told
}

/// Reads one answer to its end and counts.
pub(super) fn count(request: &RawRequest, through: Through, pause: Duration) -> Findings {
    let mut bytes = 0_u64;
    let end = send(request, through).and_then(|answer| {
        answer.drain(pause, |piece| bytes += piece.len() as u64)?;
        Ok(answer.status())
    });
    let mut found = note("bytes", bytes);
    found.extend(note("end", format!("{end:?}")));
    found
}

/// Sends them all and reads none; what came of each.
pub(super) fn hold(requests: &[RawRequest], through: Through) -> Findings {
    let held = requests.iter().map(|request| send(request, through));
    let (answers, problems): (Vec<_>, Vec<_>) = held.partition(Result::is_ok);
    let mut found = note("held", answers.len());
    let problems: Vec<_> = problems.into_iter().filter_map(Result::err).collect();
    found.extend(note("refused", problems.len()));
    found.extend(note(
        "problem",
        problems.first().cloned().unwrap_or_default(),
    ));
    found
}

/// Goes where redirects point, as a careless client does.
pub(super) fn follow(first: &RawRequest, through: Through, hops: u32) -> Result<Findings, Failure> {
    let mut request = first.clone();
    let mut found = vec![];
    for hop in 0..=hops {
        match send(&request, through) {
            Err(problem) => {
                found.extend(note(hop.to_string(), problem));
                return Ok(found);
            }
            Ok(answer) => {
                found.extend(note(hop.to_string(), format!("status {}", answer.status())));
                let location = answer.headers().iter().find(|(name, _)| name == "location");
                let Some((_, location)) = location else {
                    return Ok(found);
                };
                let (scheme, rest) = location
                    .split_once(':')
                    .ok_or_else(|| Failure::failed("a relative redirect"))?;
                let rest = rest.trim_start_matches("//");
                let at = rest.find('/').unwrap_or(rest.len());
                request.scheme = Some(scheme.to_owned());
                request.authority = Some(rest[..at].to_owned());
                request.path = Some(rest[at..].to_owned());
            }
        }
    }
    Ok(found)
}

/// Asks again whenever it was not answered well.
pub(super) fn storm(request: &RawRequest, through: Through, times: u32) -> Findings {
    let (mut answered, mut refused, mut last) = (0, 0, String::new());
    for _ in 0..times {
        match send(request, through) {
            Ok(_) => answered += 1,
            Err(problem) => {
                refused += 1;
                last = problem;
            }
        }
    }
    let mut found = note("answered", answered);
    found.extend(note("refused", refused));
    found.extend(note("last", last));
    found
}
