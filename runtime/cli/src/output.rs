//! The one way to standard output and standard error.
//!
//! `println!` panics when the other end of a pipe is gone, and `servo … | head`
//! is nothing to panic about. A reader who has enough ends the command without
//! a word; what is said on standard error is said to whoever still listens.
//!
//! Everything passes `servo_text` once more on its way out. Whoever prints what a
//! driver, a backend or a file said wraps it in [`shown`] where it enters a line;
//! this is the guard for what was forgotten, so that no terminal ever obeys it.

pub(crate) use servo_text::shown;

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use crate::exit::{Failed, Outcome};

/// Prints a line of the result.
pub(crate) fn line(text: impl Display) -> Outcome {
    print(servo_text::lines(&text.to_string()))
}

/// Prints a result for programs: in one line, unless `pretty`.
pub(crate) fn json(value: &impl Serialize, pretty: bool) -> Outcome {
    let text = if pretty {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    print(servo_text::json(&text.map_err(Failed::ran)?))
}

fn print(text: impl Display) -> Outcome {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failed::Unread),
        Err(error) => Err(Failed::ran(format_args!(
            "cannot write to standard output: {error}"
        ))),
    }
}

/// Says something to the person at the terminal.
pub(crate) fn note(text: impl Display) {
    // Nobody is left to be told of a failure.
    let text = text.to_string();
    let _ = writeln!(io::stderr().lock(), "{}", servo_text::lines(&text));
}
