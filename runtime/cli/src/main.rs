//! The binary `servo`: arguments in, exit codes out.
//!
//! What a verb does is in the crate it belongs to; here its arguments become
//! that crate's types, and its errors become one message. Results go to
//! standard output and everything else to standard error, so that output can
//! be piped while a person watches.

#![forbid(unsafe_code)]
mod args;
mod commands;
mod exit;
mod logging;
mod output;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};

fn main() -> ExitCode {
    // Before anything else: such a process has no terminal, no log and no tasks.
    if let Some(code) = servo_sandbox::compile_child::answer_if_asked() {
        return code;
    }
    let cli = Cli::parse();
    let share = match &cli.command {
        Command::Demo(_) => logging::Detail::Warnings,
        Command::Check(_) => logging::Detail::Errors,
        _ => logging::Detail::Activity,
    };
    logging::start(cli.verbose, share);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        // While guests compute, a poll lasts a tick; networks and timers are to
        // be looked at after each, not after 61.
        .event_interval(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return exit::report(Err(exit::Failed::ran(format_args!(
                "cannot start: {error}"
            ))));
        }
    };
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Demo(args) => commands::demo::run(args).await,
            Command::Run(args) => commands::run::run(args).await,
            Command::Check(args) => commands::check::run(args).await,
            Command::Measure(args) => commands::measure::run(args).await,
            Command::Adjust(args) => commands::adjust::run(args).await,
            Command::Limits(args) => commands::limits::run(&args),
            Command::Config(command) => commands::config::run(&command),
            Command::Optune(args) => commands::optune::run(args).await,
            Command::Driver(command) => commands::driver::run(command).await,
        }
    });
    // A task that hangs must not keep a finished command from ending.
    runtime.shutdown_background();
    exit::report(outcome)
}
