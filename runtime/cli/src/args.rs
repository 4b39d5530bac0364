//! The command line: every verb with a short help and an example.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct DemoArgs {
    #[command(subcommand)]
    pub(crate) part: Option<DemoPart>,
    /// Settings to try after the baseline.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) trials: u32,
    /// Print one JSON object as the last line of standard output.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the address of the page with the live plot, and stay until Ctrl-C.
    #[arg(long)]
    pub(crate) open_page: bool,
    /// Length of one measurement in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(crate) seconds: u32,
    /// A folder with ready `ab.wasm` and `http.wasm`; nothing is built then.
    #[arg(long, value_name = "DIR")]
    pub(crate) drivers: Option<PathBuf>,
    /// Seed of every random choice.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// A part of the demo alone.
#[derive(Debug, Subcommand)]
pub(crate) enum DemoPart {
    /// Only the sample application, until Ctrl-C: something to write a driver for.
    #[command(after_help = "Example: servo demo app --listen 127.0.0.1:9000 --visitors 10")]
    App(DemoAppArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DemoAppArgs {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    pub(crate) listen: SocketAddr,
    /// Visitors that ask for quotes all the time; 0 leaves it idle.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=200))]
    pub(crate) visitors: u32,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Id of the application at the service.
    pub(crate) app_id: String,
    /// The operator's file: the drivers, their configuration and their grants.
    #[arg(short, long, value_name = "FILE", default_value = "servo.yaml")]
    pub(crate) config: PathBuf,
    /// Where to send events, used as it is; overrides `optune.url` of the file.
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Account at the service.
    #[arg(long, env = "OPTUNE_ACCOUNT")]
    pub(crate) account: Option<String>,
    /// File that holds the token.
    #[arg(long, value_name = "FILE")]
    pub(crate) auth_token: Option<PathBuf>,
    /// Send no token.
    #[arg(long, alias = "noauth", conflicts_with = "auth_token")]
    pub(crate) no_auth: bool,
    /// How the agent names itself to the service.
    #[arg(
        short,
        long,
        value_name = "NAME",
        default_value = "github.com/opsani/servo"
    )]
    pub(crate) agent: String,
}

#[derive(Debug, Args)]
pub(crate) struct OptuneArgs {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Database file; without it everything is forgotten at the end.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    /// Ask for no token. Only on a loopback address.
    #[arg(long)]
    pub(crate) no_auth: bool,
    /// File with the token that servos must send.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "no_auth",
        required_unless_present = "no_auth"
    )]
    pub(crate) token_file: Option<PathBuf>,
    /// The account that the token is for.
    #[arg(long, value_name = "NAME", default_value = "local")]
    pub(crate) account: String,
    /// Settings to try after the baseline.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) trials: u32,
    /// What to optimize: a formula over the metrics, such as `throughput / p95`;
    /// without it the servo's own (`OPTUNE_PERF`), or the only metric there is.
    #[arg(long, value_name = "FORMULA")]
    pub(crate) objective: Option<String>,
    /// Look for the lowest score instead of the highest.
    #[arg(long)]
    pub(crate) minimize: bool,
    /// Length of one measurement in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub(crate) duration: f64,
    /// Seconds to wait before each measurement.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    pub(crate) warmup: f64,
    /// Parameters for a load generator: one JSON object.
    #[arg(long, value_name = "JSON")]
    pub(crate) load: Option<String>,
    /// Seed of every random choice.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// End when the study is done instead of staying for more.
    #[arg(long)]
    pub(crate) exit_when_done: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DriverCommand {
    /// Write a new driver project that builds and passes its own test.
    #[command(after_help = "Example: servo driver new checkout --kind measure")]
    New(NewArgs),
    /// Build drivers to components.
    #[command(after_help = "Example: servo driver build drivers/ab drivers/http --install")]
    Build(BuildArgs),
    /// Call one driver once.
    #[command(
        after_help = "Example: servo driver run rate.wasm measure --duration 5 --config servo.yaml\n\
                      \x20     or: servo driver run rate.wasm measure --duration 5 \\\n\
                      \x20         --set endpoint=http://127.0.0.1:9000 \\\n\
                      \x20         --allow-private 'GET http://127.0.0.1:9000/stats'"
    )]
    Run(DriverRunArgs),
    /// Show what a driver is and asks for, without running it.
    #[command(after_help = "Example: servo driver inspect ab.wasm")]
    Inspect(InspectArgs),
    /// Check that a driver keeps the contract.
    #[command(after_help = "Example: servo driver test http.wasm --config servo.yaml")]
    Test(DriverTestArgs),
    /// Print the contract between drivers and the host.
    #[command(after_help = "Example: servo driver wit > servo-driver.wit")]
    Wit,
}

// Values without a text of their own keep `--help` to one line an option.

/// Which kind of driver.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    Measure,
    Adjust,
}

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// Name of the driver and of its folder.
    pub(crate) name: String,
    /// Whether it measures an application or adjusts one.
    #[arg(long, value_enum)]
    pub(crate) kind: Kind,
    /// Where to create the folder.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// Driver projects, or folders of them.
    #[arg(default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
    /// Install the missing compiler parts: the rustup target, or the Debian
    /// packages where that cannot be had.
    #[arg(long)]
    pub(crate) install: bool,
    /// Where to put the components; by default target/drivers of each project.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// One JSON object a driver on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The driver's component.
    pub(crate) artifact: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// An operator's file, to fill in what it asks for from the configuration there.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Configuration and grants for one call.
#[derive(Debug, Args)]
pub(crate) struct GrantArgs {
    /// An operator's file: the configuration and grants of `drivers.measure` or
    /// `drivers.adjust` there, whichever the driver is.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One entry of the driver's configuration; the value may be JSON.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// An HTTP rule to grant, such as 'GET https://shop.example/metrics'.
    #[arg(long, value_name = "RULE")]
    pub(crate) allow: Vec<String>,
    /// The same, also for loopback and private addresses.
    #[arg(long, value_name = "RULE")]
    pub(crate) allow_private: Vec<String>,
    /// A folder to show to the driver; read-only unless `:write` follows.
    #[arg(long, value_name = "NAME=PATH[:write]")]
    pub(crate) folder: Vec<String>,
    /// A limit that differs from its default, such as memory=128MiB.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) limit: Vec<String>,
    /// Id of the application, as the driver is told it.
    #[arg(long, value_name = "ID", default_value = "app")]
    pub(crate) app: String,
    /// Where the driver keeps its state between runs; without it, it keeps none.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DriverRunArgs {
    /// The driver's component.
    pub(crate) artifact: PathBuf,
    /// What to call.
    #[arg(value_enum)]
    pub(crate) call: DriverCall,
    /// For `adjust`: the settings, each COMPONENT.SETTING=VALUE.
    pub(crate) settings: Vec<String>,
    #[command(flatten)]
    pub(crate) grants: GrantArgs,
    /// For `measure`: a metric wanted; all of them when none is named.
    #[arg(long = "metric", value_name = "NAME")]
    pub(crate) metrics: Vec<String>,
    /// Seconds to measure.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) duration: Option<f64>,
    /// Seconds to wait before measuring.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) warmup: Option<f64>,
    /// The whole `control` object as JSON; the two above are laid over it.
    #[arg(long, value_name = "JSON")]
    pub(crate) control: Option<String>,
}

/// What to call of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DriverCall {
    Describe,
    Measure,
    Adjust,
}

#[derive(Debug, Args)]
pub(crate) struct DriverTestArgs {
    /// The driver's component.
    pub(crate) artifact: PathBuf,
    #[command(flatten)]
    pub(crate) grants: GrantArgs,
    /// Only checks that change nothing: describe, but never adjust or measure.
    #[arg(long)]
    pub(crate) read_only: bool,
    /// The `control` object of every call as JSON; as short as may be by default.
    #[arg(long, value_name = "JSON")]
    pub(crate) control: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
