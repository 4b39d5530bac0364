//! `--dry-run`: an adjustment in which nothing is changed.
//!
//! The sandbox sees to that, and lists what the driver tried. Standard output
//! holds one JSON object, as without it, with the list as a further member; a
//! driver that gave up because something was held back has told all there is
//! to tell, and has not failed.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use servo_host::{Hosted, Sandboxed};
use servo_protocol::{Failure, Reason};

use crate::exit::Failed;
use crate::output;

/// The driver for a dry run.
pub(crate) fn of(driver: &Hosted) -> Result<Hosted, Failed> {
    match driver {
        Hosted::Sandboxed(driver) => Ok(Hosted::Sandboxed(Arc::new(driver.as_dry_run()))),
        Hosted::Native(..) => Err(Failed::usage(
            "--dry-run: the driver is an ordinary program, and nothing keeps it from changing \
             what it wants to; only a component can be run dry",
        )),
    }
}

/// The outcome with what was held back, which is told to a person, too.
pub(crate) fn told(outcome: Result<Value, Failure>, driver: &Sandboxed) -> Result<Value, Failure> {
    let attempts = driver.attempts();
    for attempt in &attempts.listed {
        let times = match attempt.times {
            1 => String::new(),
            times => format!(", {times} times"),
        };
        output::note(format_args!(
            "not done: {}: {} ({} bytes{times})",
            attempt.capability, attempt.what, attempt.bytes
        ));
    }
    if attempts.more > 0 {
        output::note(format_args!("not done: {} more", attempts.more));
    }
    let mut answer = match outcome {
        Ok(Value::Object(answer)) => answer,
        Err(failure) if failure.reason == Some(Reason::from(servo_sandbox::DRY_RUN)) => {
            let mut answer = Map::new();
            answer.insert("stopped".to_owned(), json!(failure.message));
            answer
        }
        other => return other,
    };
    let listed = attempts.listed.iter().map(|attempt| {
        json!({
            "capability": attempt.capability.as_str(),
            "what": attempt.what,
            "times": attempt.times,
            "bytes": attempt.bytes,
        })
    });
    let list = json!({ "not_done": listed.collect::<Vec<_>>(), "more": attempts.more });
    answer.insert("dry_run".to_owned(), list);
    Ok(Value::Object(answer))
}
