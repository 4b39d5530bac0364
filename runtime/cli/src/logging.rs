//! Logs on standard error. Standard output belongs to results.
//!
//! Each event is one line, whatever stands in it: messages and fields quote
//! drivers, the service and backends, so every one of them is shown as any text
//! from outside is. Here it cannot be forgotten by whoever logs.

use std::fmt::Debug;
use std::io::IsTerminal;

use servo_text::shown;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{self, Writer};

/// How much a command logs unless it is asked for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What it does: the log is all that it shows.
    Activity,
    /// What went wrong: it shows in a way of its own what it does.
    Warnings,
    /// What broke: it shows in a way of its own what is wrong, too.
    Errors,
}

/// Starts logging. `RUST_LOG` wins over the number of `-v`.
pub(crate) fn start(verbose: u8, share: Detail) {
    let default = match (verbose, share) {
        (0, Detail::Activity) => "warn,servo=info,servo::audit=warn",
        (0, Detail::Warnings) => "warn",
        (0, Detail::Errors) => "error",
        (1, _) => "info,servo=debug",
        _ => "debug,hyper=info,h2=info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A log that nobody reads any more is no reason to panic.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .compact()
        .fmt_fields(format::debug_fn(field).delimited(" "))
        .init();
}

/// Writes one field of an event.
fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let text = format!("{value:?}");
    match field.name() {
        "message" => write!(writer, "{}", shown(&text)),
        name => write!(writer, "{name}={}", shown(&text)),
    }
}
