//! `servo driver …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::MeasureOptions;

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
    /// A file with a ceiling that no grant and no setting may exceed.
    #[arg(long, value_name = "FILE", env = "SERVO_CEILING")]
    pub(crate) ceiling: Option<PathBuf>,
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
    /// For `adjust`: change nothing, whatever the driver does, and print what it
    /// would have changed.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) grants: GrantArgs,
    #[command(flatten)]
    pub(crate) how: MeasureOptions,
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
