//! Logs on standard error. Standard output belongs to results.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging. `RUST_LOG` wins over the number of `-v`. A command that
/// shows what happens in a way of its own is `quiet`: it logs what went wrong.
pub(crate) fn start(verbose: u8, quiet: bool) {
    let default = match verbose {
        0 if quiet => "warn",
        0 => "warn,servo=info,servo::audit=warn",
        1 => "info,servo=debug",
        _ => "debug,hyper=info,h2=info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .compact()
        .init();
}
