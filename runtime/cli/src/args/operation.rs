//! `servo measure` and `servo adjust`: one operation without a service.

use clap::Args;
use servo_host::AppId;

use super::SiteArgs;

/// How to measure; also for `servo driver run`.
#[derive(Debug, Args)]
pub(crate) struct MeasureOptions {
    /// A metric wanted; all of them when none is named.
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

/// Which servo does it.
#[derive(Debug, Args)]
pub(crate) struct OperatorArgs {
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    /// Id of the application, as the driver is told it; `optune.app` of the
    /// file by default.
    #[arg(long, value_name = "ID")]
    pub(crate) app: Option<AppId>,
}

#[derive(Debug, Args)]
pub(crate) struct MeasureArgs {
    #[command(flatten)]
    pub(crate) operator: OperatorArgs,
    #[command(flatten)]
    pub(crate) how: MeasureOptions,
}

#[derive(Debug, Args)]
pub(crate) struct AdjustArgs {
    /// The settings to bring into force. The component may be left out where
    /// only one component has a setting of that name.
    #[arg(required = true, value_name = "COMPONENT.SETTING=VALUE")]
    pub(crate) settings: Vec<String>,
    #[command(flatten)]
    pub(crate) operator: OperatorArgs,
    /// The `control` object as JSON.
    #[arg(long, value_name = "JSON")]
    pub(crate) control: Option<String>,
    /// Change nothing, whatever the driver does, and print what it would have
    /// changed.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
