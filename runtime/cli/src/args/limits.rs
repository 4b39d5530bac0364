//! `servo limits`.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct LimitsArgs {
    /// Only these; without any, all.
    pub(crate) keys: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
