//! `servo check`.

use clap::Args;
use servo_host::AppId;

use super::SiteArgs;

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Id of the application, as the drivers are told it; `optune.app` of the
    /// file by default.
    pub(crate) app_id: Option<AppId>,
    #[command(flatten)]
    pub(crate) site: SiteArgs,
    /// Load everything, but call no driver: nothing leaves this machine.
    #[arg(long)]
    pub(crate) offline: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}
