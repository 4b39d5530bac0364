//! The one way to standard output and standard error.
//!
//! `println!` panics when the other end of a pipe is gone, and `servo … | head`
//! is nothing to panic about. A reader who has enough ends the command without
//! a word; what is said on standard error is said to whoever still listens.

use std::fmt::Display;
use std::io::{self, Write};

use crate::exit::{Failed, Outcome};

/// Prints a line of the result.
pub(crate) fn line(text: impl Display) -> Outcome {
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
    let _ = writeln!(io::stderr().lock(), "{text}");
}
