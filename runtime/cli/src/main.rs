//! The binary `servo`: arguments in, exit codes out.
//!
//! What a verb does is in the crate it belongs to; here its arguments become
//! that crate's types, and its errors become one message. Results go to
//! standard output and everything else to standard error, so that output can
//! be piped while a person watches.

#![forbid(unsafe_code)]
// A command line program prints; everything else in the workspace may not.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod commands;
mod exit;
mod logging;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.verbose, matches!(cli.command, Command::Demo(_)));
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("servo: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Demo(args) => commands::demo::run(args).await,
            Command::Run(args) => commands::run::run(args).await,
            Command::Optune(args) => commands::optune::run(args).await,
            Command::Driver(command) => commands::driver::run(command).await,
        }
    });
    // A task that hangs must not keep a finished command from ending.
    runtime.shutdown_background();
    exit::report(outcome)
}
