//! `servo optune`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct OptuneArgs {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Folder of the database, made when there is none; without it everything
    /// is forgotten at the end.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Begin another study wherever one has ended.
    #[arg(long)]
    pub(crate) new_study: bool,
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
    /// Measure the best settings against those found, N times in turn, before
    /// they are kept.
    #[arg(long, value_name = "N", num_args = 0..=1, default_value_t = 0, default_missing_value = "1", value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) verify: u32,
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
    /// Seconds until the data of a measurement is complete where it is read.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    pub(crate) delay: f64,
    /// Seconds to watch the application after each change.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    pub(crate) settlement: f64,
    /// Parameters for a load generator: one JSON object.
    #[arg(long, value_name = "JSON")]
    pub(crate) load: Option<String>,
    /// Anything else for the drivers, such as `slo`: one JSON object.
    #[arg(long, value_name = "JSON")]
    pub(crate) userdata: Option<String>,
    /// The environment that every command asks for: one JSON object.
    #[arg(long, value_name = "JSON")]
    pub(crate) environment: Option<String>,
    /// Measurements of the settings found at the start.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) baseline: u32,
    /// Seed of every random choice.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// End when the study is done instead of staying for more.
    #[arg(long)]
    pub(crate) exit_when_done: bool,
}
