//! `servo run`: the options of the original, and ours.

use std::path::PathBuf;

use clap::Args;

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
