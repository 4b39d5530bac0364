//! The command line: every verb with a short help and an example.

mod demo;
mod driver;
mod optune;
mod run;

use clap::{Parser, Subcommand};

pub(crate) use self::demo::{DemoAppArgs, DemoArgs, DemoPart};
pub(crate) use self::driver::{
    BuildArgs, DriverCall, DriverCommand, DriverRunArgs, DriverTestArgs, GrantArgs, InspectArgs,
    Kind, NewArgs,
};
pub(crate) use self::optune::OptuneArgs;
pub(crate) use self::run::RunArgs;

/// Continuous optimization with sandboxed drivers.
#[derive(Debug, Parser)]
#[command(
    name = "servo",
    version,
    about = "Tunes an application through drivers that can touch only what you grant",
    after_help = "Start here: `servo demo` tunes a sample application on this machine.\n\
                  Exit codes: 0 done, 1 it ran and failed, 2 wrong usage or configuration."
)]
pub(crate) struct Cli {
    /// Say more on standard error; twice says everything.
    #[arg(short, long, global = true, display_order = 900, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tune a sample application from start to end, here and now.
    #[command(after_help = "Example: servo demo --trials 8")]
    Demo(DemoArgs),
    /// Run the agent for one application.
    #[command(
        after_help = "Example: servo run shop --config servo.yaml --auth-token ./token\n\n\
                      It runs until SIGTERM or SIGINT; SIGUSR1 lets it finish the command in hand."
    )]
    Run(RunArgs),
    /// Run the local optimization service.
    #[command(
        after_help = "Example: servo optune --listen 127.0.0.1:8080 --data optune.db --no-auth"
    )]
    Optune(OptuneArgs),
    /// Write, build, inspect, test and run drivers.
    #[command(
        subcommand,
        after_help = "Example: servo driver new checkout --kind measure"
    )]
    Driver(DriverCommand),
}
