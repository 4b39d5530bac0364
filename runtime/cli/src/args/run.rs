//! `servo run`: the options of the original, and ours.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use servo_agent::DEFAULT_AGENT;
use servo_host::AppId;

/// Which folder a servo works with.
#[derive(Debug, Clone, Args)]
pub(crate) struct SiteArgs {
    /// The operator's file: the drivers, their configuration and their grants;
    /// servo.yaml by default.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A file with a ceiling that no grant and no setting may exceed, beside the
    /// one that the operator's file may have.
    #[arg(long, value_name = "FILE", env = "SERVO_CEILING")]
    pub(crate) ceiling: Option<PathBuf>,
    /// Let ./measure, ./adjust and ./environment be ordinary programs, which
    /// can do whatever servo can.
    #[arg(long)]
    pub(crate) allow_native_drivers: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// Id of the application at the service.
    pub(crate) app_id: AppId,
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    /// Where to send events, used as it is; overrides `optune.url` of the file.
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Account at the service.
    #[arg(long, value_name = "NAME", env = "OPTUNE_ACCOUNT")]
    pub(crate) account: Option<String>,
    /// File that holds the token; /run/secrets/optune_auth_token by default.
    #[arg(long, value_name = "FILE")]
    pub(crate) auth_token: Option<PathBuf>,
    /// Send no token.
    #[arg(long, alias = "noauth", conflicts_with = "auth_token")]
    pub(crate) no_auth: bool,
    /// How the agent names itself to the service.
    #[arg(short, long, value_name = "NAME", default_value = DEFAULT_AGENT)]
    pub(crate) agent: String,
    /// Id of this deployment, sent with every event.
    #[arg(long, value_name = "ID", env = "SERVO_UID")]
    pub(crate) servo_uid: Option<String>,
    /// Wait for a line on standard input before the greeting and before each
    /// report; sleep never.
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Wait so long before the greeting and before each report.
    #[arg(
        short,
        long,
        value_name = "SECONDS",
        value_parser = seconds,
        default_value = "0",
        hide_default_value = true,
        allow_negative_numbers = true
    )]
    pub(crate) delay: Duration,
    /// Serve counters of decisions and limits at http://ADDRESS/metrics, in the
    /// Prometheus text format.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Behave on the wire as the original did where its faults could be seen.
    #[arg(long)]
    pub(crate) compat: bool,
}

/// Seconds of a person's choice: fractions are, less than nothing is not.
fn seconds(text: &str) -> Result<Duration, String> {
    text.trim()
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "write seconds, such as 2 or 0.5".to_owned())
}
