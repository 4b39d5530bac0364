//! The command line: every verb with a short help and an example.

mod check;
mod config;
mod demo;
mod driver;
mod limits;
mod operation;
mod optune;
mod run;

use clap::{Parser, Subcommand};

pub(crate) use self::check::CheckArgs;
pub(crate) use self::config::ConfigCommand;
pub(crate) use self::demo::{DemoAppArgs, DemoArgs, DemoPart};
pub(crate) use self::driver::{
    BuildArgs, DriverCall, DriverCommand, DriverRunArgs, DriverTestArgs, GrantArgs, InspectArgs,
    Kind, NewArgs,
};
pub(crate) use self::limits::LimitsArgs;
pub(crate) use self::operation::{AdjustArgs, MeasureArgs, MeasureOptions, OperatorArgs};
pub(crate) use self::optune::OptuneArgs;
pub(crate) use self::run::{RunArgs, SiteArgs};

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
        infer_long_args = true,
        after_help = "Example: servo run shop --config servo.yaml --auth-token ./token\n\n\
                      Signals: SIGTERM and SIGINT end it, and a second one at once; SIGUSR1 lets it finish\n\
                      the command in hand; SIGHUP reloads files and drivers, and loses nothing.\n\
                      Environment: OPTUNE_PERF is the formula for the service; SERVO_RETRY_DELAY_SEC is the\n\
                      wait before a failed request is repeated (20); OPTUNE_IO_TIMEOUT ends a driver that\n\
                      shows no sign of life for so many seconds; OPTUNE_VERBOSE_STDERR (all, minimal, none)\n\
                      is how much of a failed program's stderr is reported."
    )]
    Run(RunArgs),
    /// Check files and drivers, and say what each driver may touch.
    #[command(after_help = "Example: servo check shop --config servo.yaml\n\n\
                      Exit codes: 0 all is well, 1 a driver is wrong, 2 the configuration is wrong.")]
    Check(CheckArgs),
    /// Measure once with the configured driver, without a service.
    #[command(
        after_help = "Example: servo measure --duration 10 --metric throughput\n\n\
                      It prints what the service would be sent. Ctrl-C cancels it in good order."
    )]
    Measure(MeasureArgs),
    /// Change settings once with the configured driver, without a service.
    #[command(after_help = "Example: servo adjust app.workers=4 app.batch=8\n\n\
                      Values that the driver does not describe are refused before it is asked to adjust.")]
    Adjust(AdjustArgs),
    /// Show every limit of a driver's calls: its default, its range and why.
    #[command(after_help = "Example: servo limits cpu memory\n\n\
                      Those with a range are set in `grants.limits` of a driver; the others hold for all.\n\
                      Each is counted as `servo_limit_hits_total{limit=\"...\"}` when it bites.")]
    Limits(LimitsArgs),
    /// About the operator's file.
    #[command(
        subcommand,
        after_help = "Example: servo config schema > servo.schema.json"
    )]
    Config(ConfigCommand),
    /// Run the local optimization service.
    #[command(
        after_help = "Example: servo optune --listen 127.0.0.1:8080 --data optune-data --no-auth"
    )]
    Optune(OptuneArgs),
    /// Write, build, inspect, test and run drivers.
    #[command(
        subcommand,
        after_help = "Example: servo driver new checkout --kind measure"
    )]
    Driver(DriverCommand),
}
