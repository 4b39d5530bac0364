//! `servo demo`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

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
