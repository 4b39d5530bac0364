//! One line of the journal, and what all lines together say.
//!
//! A line is one JSON object whose first member is a checksum over the rest of
//! the line, byte for byte, so that no parser stands between what was written
//! and what is checked. Records are numbered: a lost or doubled line shows.
//! The checksum finds damage, not forgery; against that stands the folder's
//! mode.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use servo_protocol::Envelope;
use sha2::{Digest, Sha256};

use super::{DriverId, Recovered, Undoing};
use crate::driver::{CallId, Pause};
use crate::journal::recovered::{
    BegunCall, CallInHand, PauseInHand, Standing, UndoInHand, UnsentReport,
};

/// Version of the format. A file of another one is refused, not guessed at.
pub(super) const VERSION: u32 = 1;

/// Digits of the checksum: 64 bits, since nothing but chance is to be found.
const SUM_DIGITS: usize = 16;

const SUM_OPEN: &[u8] = b"{\"sum\":\"";
const SUM_CLOSE: &[u8] = b"\",";

/// Milliseconds since 1970 by the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Moment(pub(super) u64);

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Moment {
    /// Since an earlier moment; nothing, when that one is later.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    fn minus(self, time: Duration) -> Self {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its number; one more than that of the line before.
    pub(super) n: u64,
    /// When it was written.
    pub(super) at: Moment,
    #[serde(flatten)]
    pub(super) what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub(super) enum What {
    /// Always the first line, and nowhere else.
    Journal {
        version: u32,
        app: String,
    },
    /// `attempt`: how often the command has been taken up from its beginning.
    Accepted {
        call: String,
        command: Value,
        attempt: u32,
    },
    Began {
        call: String,
        driver: DriverId,
        request: Value,
    },
    Paused(Paused),
    /// `attempt`: how often this step has been begun.
    Resumed {
        call: String,
        attempt: u32,
    },
    /// `attempt`: how often this driver or another has been asked in a row.
    Recovering {
        call: String,
        driver: DriverId,
        attempt: u32,
    },
    Undoing {
        call: String,
        undo: Undoing,
    },
    UndoPaused(Paused),
    UndoResumed {
        call: String,
    },
    Ended {
        call: String,
        event: Envelope,
    },
    Delivered {
        call: String,
    },
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Paused {
    pub(super) call: String,
    /// Milliseconds, rounded up.
    pub(super) wait: u64,
    pub(super) state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) progress: Option<f64>,
}

impl Paused {
    pub(super) fn new(call: &CallId, pause: &Pause) -> Self {
        let nanos = pause.wait.as_nanos();
        Self {
            call: call.to_string(),
            wait: u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX),
            state: pause.state.clone(),
            progress: pause.progress.filter(|percent| percent.is_finite()),
        }
    }
}

fn sum(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest
        .iter()
        .take(SUM_DIGITS / 2)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Record {
    /// The record as a line.
    pub(super) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let json = serde_json::to_vec(self)?;
        let rest = json.get(1..).unwrap_or_default();
        let mut line = Vec::with_capacity(rest.len() + 32);
        line.extend_from_slice(SUM_OPEN);
        line.extend_from_slice(sum(rest).as_bytes());
        line.extend_from_slice(SUM_CLOSE);
        line.extend_from_slice(rest);
        line.push(b'\n');
        Ok(line)
    }

    /// Reads a line, given without its end.
    pub(super) fn decode(line: &[u8]) -> Result<Self, String> {
        let (stated, rest) = line
            .strip_prefix(SUM_OPEN)
            .and_then(|line| line.split_at_checked(SUM_DIGITS))
            .and_then(|(stated, line)| Some((stated, line.strip_prefix(SUM_CLOSE)?)))
            .ok_or("it is no record of a journal")?;
        if stated != sum(rest).as_bytes() {
            return Err("its checksum does not fit".to_owned());
        }
        let json = [b"{", rest].concat();
        serde_json::from_slice(&json).map_err(|error| {
            format!("it cannot be understood ({error}); was it written by another version?")
        })
    }
}

/// What is in hand.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum State {
    #[default]
    Nothing,
    Call(Box<Call>),
    Report {
        call: String,
        event: Envelope,
    },
}

/// A command that is being carried out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    call: String,
    accepted: Moment,
    command: Value,
    /// How often it has been taken up from where it stands.
    attempts: u32,
    began: Option<(Moment, DriverId, Value)>,
    pause: Option<(Moment, Paused)>,
    /// When the step after the pause was begun.
    resumed: Option<Moment>,
    /// When a driver was asked what became of it, after it was cut short.
    recovering: Option<Moment>,
    undo: Option<Undo>,
}

/// A call that is being undone.
#[derive(Debug, Clone, PartialEq)]
struct Undo {
    began: Moment,
    what: Undoing,
    pause: Option<(Moment, Paused)>,
    /// When the step after the pause was begun.
    resumed: Option<Moment>,
}

/// A pause, for the servo.
fn in_hand((at, pause): &(Moment, Paused), over: bool, now: Moment) -> PauseInHand {
    let wait = Duration::from_millis(pause.wait);
    let left = match over {
        true => Duration::ZERO,
        false => wait.saturating_sub(now.since(*at)),
    };
    PauseInHand {
        state: pause.state.clone(),
        left,
        waited: wait.saturating_sub(left),
        progress: pause.progress,
    }
}

impl State {
    /// The number to write with a command or a later step that is taken up now.
    pub(super) fn next_attempt(&self, of: &CallId) -> u32 {
        match self {
            Self::Call(call) if call.call == of.as_str() => call.attempts.saturating_add(1),
            _ => 1,
        }
    }

    /// The same with a driver that is asked what became of a call.
    pub(super) fn next_recovery(&self, of: &CallId) -> u32 {
        match self {
            Self::Call(call) if call.call == of.as_str() && call.recovering.is_some() => {
                call.attempts.saturating_add(1)
            }
            _ => 1,
        }
    }

    /// What is in hand after a record.
    pub(super) fn apply(&mut self, at: Moment, what: What) -> Result<(), &'static str> {
        match what {
            What::Journal { .. } => return Err("it is a second beginning"),
            What::Accepted {
                call,
                command,
                attempt,
            } => {
                *self = Self::Call(Box::new(Call {
                    call,
                    accepted: at,
                    command,
                    attempts: attempt,
                    began: None,
                    pause: None,
                    resumed: None,
                    recovering: None,
                    undo: None,
                }));
            }
            What::Began {
                call,
                driver,
                request,
            } => {
                let now = self.call_mut(&call)?;
                now.began = Some((at, driver, request));
            }
            What::Paused(pause) => {
                let now = self.call_mut(&pause.call)?;
                if now.began.is_none() {
                    return Err("it is a pause before the first step");
                }
                now.attempts = 0;
                now.pause = Some((at, pause));
                now.resumed = None;
                now.recovering = None;
            }
            What::Resumed { call, attempt } => {
                let now = self.call_mut(&call)?;
                if now.pause.is_none() {
                    return Err("it is a later step without a pause before it");
                }
                now.attempts = attempt;
                now.resumed = Some(at);
            }
            What::Recovering {
                call,
                driver,
                attempt,
            } => {
                let now = self.call_mut(&call)?;
                let Some((_, theirs, _)) = &mut now.began else {
                    return Err("it is a recovery before the first step");
                };
                *theirs = driver;
                now.attempts = attempt;
                now.recovering = Some(at);
            }
            What::Undoing { call, undo } => {
                let now = self.call_mut(&call)?;
                if now.began.is_none() {
                    return Err("it is an undo before the first step");
                }
                now.undo = Some(Undo {
                    began: at,
                    what: undo,
                    pause: None,
                    resumed: None,
                });
            }
            What::UndoPaused(pause) => {
                let undo = self.undo_mut(&pause.call)?;
                undo.pause = Some((at, pause));
                undo.resumed = None;
            }
            What::UndoResumed { call } => self.undo_mut(&call)?.resumed = Some(at),
            What::Ended { call, event } => *self = Self::Report { call, event },
            What::Delivered { .. } => *self = Self::Nothing,
        }
        Ok(())
    }

    fn call_mut(&mut self, id: &str) -> Result<&mut Call, &'static str> {
        match self {
            Self::Call(call) if call.call == id => Ok(call),
            _ => Err("it is about a call that was not in hand"),
        }
    }

    fn undo_mut(&mut self, id: &str) -> Result<&mut Undo, &'static str> {
        let undo = self.call_mut(id)?.undo.as_mut();
        undo.ok_or("it is about an undo that had not begun")
    }

    /// The fewest records that say the same.
    pub(super) fn records(&self) -> Vec<(Moment, What)> {
        let call = match self {
            Self::Nothing => return Vec::new(),
            Self::Report { call, event } => {
                let (call, event) = (call.clone(), event.clone());
                return vec![(Moment(0), What::Ended { call, event })];
            }
            Self::Call(call) => call,
        };
        let id = || call.call.clone();
        let accepted = What::Accepted {
            call: id(),
            command: call.command.clone(),
            attempt: call.attempts,
        };
        let mut records = vec![(call.accepted, accepted)];
        if let Some((at, driver, request)) = call.began.clone() {
            let began = What::Began {
                call: id(),
                driver,
                request,
            };
            records.push((at, began));
        }
        if let Some((at, pause)) = call.pause.clone() {
            records.push((at, What::Paused(pause)));
        }
        if let Some(at) = call.resumed {
            let attempt = call.attempts;
            records.push((
                at,
                What::Resumed {
                    call: id(),
                    attempt,
                },
            ));
        }
        if let (Some(at), Some((_, driver, _))) = (call.recovering, &call.began) {
            let (driver, attempt) = (driver.clone(), call.attempts);
            records.push((
                at,
                What::Recovering {
                    call: id(),
                    driver,
                    attempt,
                },
            ));
        }
        if let Some(undo) = &call.undo {
            let undoing = What::Undoing {
                call: id(),
                undo: undo.what.clone(),
            };
            records.push((undo.began, undoing));
            if let Some((at, pause)) = undo.pause.clone() {
                records.push((at, What::UndoPaused(pause)));
            }
            if let Some(at) = undo.resumed {
                records.push((at, What::UndoResumed { call: id() }));
            }
        }
        records
    }

    /// Moves everything into the past: the clock went back by this much.
    pub(super) fn shift(&mut self, back: Duration) {
        let Self::Call(call) = self else { return };
        let moments = [
            Some(&mut call.accepted),
            call.began.as_mut().map(|(at, ..)| at),
            call.pause.as_mut().map(|(at, _)| at),
            call.resumed.as_mut(),
            call.recovering.as_mut(),
        ];
        let undo = call.undo.iter_mut().flat_map(|undo| {
            let pause = undo.pause.as_mut().map(|(at, _)| at);
            [Some(&mut undo.began), pause, undo.resumed.as_mut()]
        });
        for moment in moments.into_iter().chain(undo).flatten() {
            *moment = moment.minus(back);
        }
    }

    /// The same for the servo.
    pub(super) fn recovered(&self, now: Moment) -> Recovered {
        let call = match self {
            Self::Nothing => return Recovered::Nothing,
            Self::Report { call, event } => {
                return Recovered::Report(UnsentReport {
                    call: CallId::new(call),
                    event: event.clone(),
                });
            }
            Self::Call(call) => call,
        };
        let standing = match &call.began {
            None => Standing::Accepted,
            Some((_, driver, request)) => {
                let over = call.resumed.is_some() || call.recovering.is_some();
                Standing::Begun(Box::new(BegunCall {
                    driver: driver.clone(),
                    request: request.clone(),
                    pause: call.pause.as_ref().map(|pause| in_hand(pause, over, now)),
                    running: over || call.pause.is_none(),
                    recovering: call.recovering.is_some(),
                    undo: call.undo.as_ref().map(|undo| UndoInHand {
                        what: undo.what.clone(),
                        elapsed: now.since(undo.began),
                        pause: undo
                            .pause
                            .as_ref()
                            .map(|pause| in_hand(pause, undo.resumed.is_some(), now)),
                        running: undo.pause.is_none() || undo.resumed.is_some(),
                    }),
                }))
            }
        };
        Recovered::Call(CallInHand {
            call: CallId::new(&call.call),
            command: call.command.clone(),
            attempts: call.attempts,
            elapsed: now.since(call.accepted),
            standing,
        })
    }
}
