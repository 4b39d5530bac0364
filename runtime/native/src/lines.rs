//! Newline-delimited JSON from a driver's stdout (protocol section 13.3).
//!
//! Progress lines are handed on as they come, of the responses the last one is
//! kept, as text: a driver that writes a million responses costs one line of
//! memory. What a line is gets decided without building it in memory.

use std::time::Duration;

use servo_agent::{ProgressReport, ProgressSink};
use thiserror::Error;

use crate::kind::{Kind, Members};
use crate::message::quote;

/// Why a driver's output cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum LineError {
    #[error("the driver wrote a line that is not JSON ({problem}): {line}")]
    NotJson { line: String, problem: String },
    #[error("the driver wrote a line that is no JSON object: {0}")]
    NotAnObject(String),
    #[error("the driver wrote a line longer than {limit} bytes: {line}")]
    TooLong { limit: usize, line: String },
}

/// Reads the output of one call.
pub(crate) struct Lines<'a> {
    limit: usize,
    partial: Vec<u8>,
    response: Option<Response>,
    progress: Option<Progress<'a>>,
}

/// The line that counts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) text: Vec<u8>,
    /// It holds numbers that JSON has no words for; they stand as null.
    pub(crate) not_finite: bool,
}

/// Where progress goes.
pub(crate) struct Progress<'a> {
    pub(crate) sink: &'a ProgressSink,
    /// Only `progress` and `message` travel on (section 7.2).
    pub(crate) compat: bool,
}

impl<'a> Lines<'a> {
    /// Without `progress`, progress lines are ignored.
    pub(crate) fn new(limit: usize, progress: Option<Progress<'a>>) -> Self {
        Self {
            limit,
            partial: Vec::new(),
            response: None,
            progress,
        }
    }

    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> Result<(), LineError> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            self.room_for(line)?;
            if self.partial.is_empty() {
                self.line(line)?;
            } else {
                self.partial.extend_from_slice(line);
                let whole = std::mem::take(&mut self.partial);
                self.line(&whole)?;
            }
        }
        self.room_for(bytes)?;
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    /// The output has ended; a last line needs no newline.
    pub(crate) fn end(mut self) -> Result<Option<Response>, LineError> {
        let last = std::mem::take(&mut self.partial);
        self.line(&last)?;
        Ok(self.response)
    }

    fn room_for(&self, more: &[u8]) -> Result<(), LineError> {
        if self.partial.len() + more.len() <= self.limit {
            return Ok(());
        }
        let mut start = self.partial.clone();
        start.extend_from_slice(more);
        Err(LineError::TooLong {
            limit: self.limit,
            line: quote(&start),
        })
    }

    fn line(&mut self, line: &[u8]) -> Result<(), LineError> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        tracing::trace!(target: "servo::driver", "stdout: {}", quote(line));
        let (kind, text, not_finite) = read(line)?;
        match kind {
            Kind::Other => return Err(LineError::NotAnObject(quote(line))),
            Kind::Response => {
                self.response = Some(Response {
                    text: text.unwrap_or_else(|| line.to_vec()),
                    not_finite,
                });
            }
            Kind::Progress(members) => {
                if let Some(progress) = &self.progress {
                    progress.report(*members);
                }
            }
        }
        Ok(())
    }
}

/// What a line is, and its text where that had to be changed to be JSON.
fn read(line: &[u8]) -> Result<(Kind, Option<Vec<u8>>, bool), LineError> {
    let not_json = |problem: String| LineError::NotJson {
        line: quote(line),
        problem,
    };
    // What is not looked at would pass unchecked otherwise.
    let text = std::str::from_utf8(line).map_err(|error| not_json(error.to_string()))?;
    let problem = match serde_json::from_str::<Kind>(text) {
        Ok(kind) => return Ok((kind, None, false)),
        Err(problem) => problem,
    };
    if let Some(text) = without_words(line)
        && let Ok(kind) = serde_json::from_slice::<Kind>(&text)
    {
        return Ok((kind, Some(text), true));
    }
    Err(not_json(problem.to_string()))
}

/// Puts null where the line says `NaN`, `Infinity` or `-Infinity`, as
/// interpreters do that write numbers JSON has no words for (section 22.2,
/// item 19). None: it says nothing of the kind.
pub(crate) fn without_words(line: &[u8]) -> Option<Vec<u8>> {
    const WORDS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
    let mut text = Vec::with_capacity(line.len());
    let mut rest = line;
    let mut found = false;
    let mut quoted = false;
    while let Some((first, tail)) = rest.split_first() {
        let word = WORDS.iter().find(|word| !quoted && rest.starts_with(word));
        if let Some(word) = word {
            text.extend_from_slice(b"null");
            rest = rest.get(word.len()..).unwrap_or_default();
            found = true;
            continue;
        }
        text.push(*first);
        rest = tail;
        match first {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                if let Some((escaped, tail)) = rest.split_first() {
                    text.push(*escaped);
                    rest = tail;
                }
            }
            _ => {}
        }
    }
    found.then_some(text)
}

impl Progress<'_> {
    fn report(&self, members: Members) {
        let mut report = ProgressReport {
            percent: members.progress.number(),
            message: members.message.text(),
            ..ProgressReport::default()
        };
        if !self.compat {
            report.log = members.log.texts();
            report.stage = members.stage.text();
            report.stage_percent = members.stageprogress.number();
            report.time_remaining = members
                .time_remain
                .number()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        }
        // Whether the call is still wanted is watched elsewhere.
        let _verdict = self.sink.report(report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::sync::CancellationToken;

    fn read_all(pieces: &[&[u8]], limit: usize) -> Result<Option<String>, LineError> {
        let mut lines = Lines::new(limit, None);
        for piece in pieces {
            lines.take(piece)?;
        }
        let response = lines.end()?;
        Ok(response.map(|it| String::from_utf8(it.text).unwrap()))
    }

    #[test]
    fn the_last_response_counts_however_the_bytes_arrive() {
        for (pieces, response) in [
            (vec![&b""[..]], None),
            (vec![b"\n \r\n\t\n"], None),
            (vec![b"{\"a\":1}\n"], Some("{\"a\":1}")),
            (vec![b"  {\"a\":1}\r\n"], Some("{\"a\":1}")),
            (vec![b"{\"a\":1}"], Some("{\"a\":1}")),
            (vec![b"{\"a\"", b":1}", b"\n\n"], Some("{\"a\":1}")),
            (vec![b"{\"a\":1}\n{\"b\":2}\n"], Some("{\"b\":2}")),
            (
                vec![b"{\"a\":1}\n{\"progress\":2,\"status\":\"ok\"}\n"],
                Some("{\"a\":1}"),
            ),
            (vec![b"{\"progress\":null}"], None),
            (
                vec![b"{\"a\":NaN,\"b\":\"NaN\"}"],
                Some("{\"a\":null,\"b\":\"NaN\"}"),
            ),
        ] {
            assert_eq!(
                read_all(&pieces, 100).unwrap().as_deref(),
                response,
                "{pieces:?}"
            );
        }
    }

    #[test]
    fn lines_that_end_a_call_stand_in_the_error() {
        for (pieces, part) in [
            (vec![&b"{bad\n"[..]], "not JSON"),
            (vec![b"{\"a\":1} x\n"], "not JSON"),
            (vec![b"{\"a\":1}{\"a\":1}\n"], "not JSON"),
            (vec![b"{\n\"a\":1}\n"], "not JSON"),
            (vec![b"{\"a\":\"\xff\"}\n"], "not JSON"),
            (vec![b"{\"a\":+NaN}\n"], "not JSON"),
            (vec![b"5\n"], "no JSON object: 5"),
            (vec![b"null"], "no JSON object: null"),
            (vec![b"true\n"], "no JSON object: true"),
            (vec![b"1.5\n"], "no JSON object: 1.5"),
            (vec![b"-3\n"], "no JSON object: -3"),
            (vec![b"NaN\n"], "no JSON object: NaN"),
            (vec![b"\"progress\"\n"], "no JSON object: \"progress\""),
            (vec![b"[\"progress\"]\n"], "no JSON object: [\"progress\"]"),
            (
                vec![b"{\"a\":", b"\"12345678901234567890\"}\n"],
                "longer than 20 bytes",
            ),
            (
                vec![b"{\"a\":\"123456789", b"01234567890"],
                "longer than 20 bytes",
            ),
        ] {
            let error = read_all(&pieces, 20).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn progress_members_that_travel() {
        let all = r#"{"progress":40,"message":"m","stage":"s","stageprogress":7,"time_remain":90,"msg_index":3,"log":[1,"x",[]]}"#;
        let report = |percent,
                      message: Option<&str>,
                      stage: Option<&str>,
                      stage_percent,
                      left: Option<_>| ProgressReport {
            log: left.map(|_| "x".to_owned()).into_iter().collect(),
            percent,
            message: message.map(str::to_owned),
            stage: stage.map(str::to_owned),
            stage_percent,
            time_remaining: left,
        };
        let ninety = Some(Duration::from_secs(90));
        for (line, compat, wanted) in [
            (
                all,
                false,
                report(Some(40.0), Some("m"), Some("s"), Some(7.0), ninety),
            ),
            (all, true, report(Some(40.0), Some("m"), None, None, None)),
            (
                r#"{"progress":null,"message":null}"#,
                false,
                report(None, None, None, None, None),
            ),
            (
                r#"{"progress":NaN,"message":"m"}"#,
                false,
                report(None, Some("m"), None, None, None),
            ),
            (
                r#"{"progress":"7","message":{"a":[1]},"stage":3,"time_remain":-1,"log":7}"#,
                false,
                report(None, None, None, None, None),
            ),
            (
                r#"{"progress":1.5,"progress":2}"#,
                false,
                report(Some(2.0), None, None, None, None),
            ),
        ] {
            let (sink, watched) = ProgressSink::new(CancellationToken::new());
            let progress = Progress {
                sink: &sink,
                compat,
            };
            let mut lines = Lines::new(1000, Some(progress));
            lines.take(line.as_bytes()).unwrap();
            assert_eq!(lines.end(), Ok(None));
            assert_eq!(*watched.borrow(), wanted, "{line}");
        }
    }

    #[test]
    fn a_million_responses_take_the_room_of_one() {
        let mut lines = Lines::new(1000, None);
        for _ in 0..100_000 {
            lines.take(b"{\"a\":\"0123456789\"}\n{\"b").unwrap();
            lines.take(b"\":1}\n").unwrap();
        }
        assert!(lines.partial.capacity() < 5000);
        assert_eq!(lines.end().unwrap().unwrap().text, b"{\"b\":1}");
    }
}
