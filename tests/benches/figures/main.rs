//! The figures the project is held to, as ratios taken in one run.
//!
//! `cargo bench` prints criterion's report of the short functions, then one
//! table. Criterion gives no percentiles and measures one thing after another;
//! on a machine that does other work meanwhile, such figures cannot be divided
//! by each other. The table's are taken in turns with their baselines.
//!
//! `cargo bench -- WORD` does only what has WORD in its name: `describe`,
//! `requests`, `decide`, `load`, `kill`, `canary`, `start`, `memory`, `stream`, `size` or `build`. With
//! `SERVO_BENCH_COLD=1` the drivers are also built from nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a benchmark that cannot go on has nothing else to say"
)]

mod builds;
mod canary;
mod describe;
mod house;
mod limits;
mod memory;
mod raw;
mod requests;
mod samples;
mod start;
mod stream;
mod table;

use std::process::Command;
use std::time::Duration;

use criterion::Criterion;
use servo_tests::components;

use house::House;
use table::Table;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [first, rest @ ..] = words.as_slice()
        && first == memory::CHILD
    {
        memory::run(rest);
        return;
    }
    if let [first, rest @ ..] = words.as_slice()
        && first == stream::CHILD
    {
        stream::run(rest);
        return;
    }
    let wanted = |name: &str| {
        let mut filters = words
            .iter()
            .filter(|word| !word.starts_with('-'))
            .peekable();
        filters.peek().is_none() || filters.any(|word| name.contains(word.as_str()))
    };
    // Without this cargo only wants to know that the program starts.
    let measuring = words.iter().any(|word| word == "--bench")
        && !words
            .iter()
            .any(|word| word == "--list" || word == "--test");

    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    if !measuring {
        limits::criterion(&mut criterion);
        return;
    }

    println!("note: building the components of the drivers, where anything changed");
    let house = House::new();
    let _ = House::component("hostile");
    if wanted("describe") {
        describe::criterion(&mut criterion, &house);
    }
    if wanted("decide") {
        limits::criterion(&mut criterion);
    }
    criterion.final_summary();

    let mut table = Table::default();
    let mut figure = |name: &str, take: &dyn Fn(&mut Table)| {
        if wanted(name) {
            println!("note: {name}");
            take(&mut table);
        }
    };
    figure("describe", &|table| describe::figures(&house, table));
    figure("requests", &|table| requests::figures(&house, table));
    figure("decide", &|table| limits::decide(table));
    figure("load", &|table| limits::load(&house, table));
    figure("kill", &|table| limits::kill(&house, table));
    figure("canary", &|table| canary::figures(table));
    figure("start", &|table| {
        binary();
        start::figures(table);
    });
    figure("memory", &|table| memory::figures(&house, table));
    figure("stream", &|table| stream::figures(table));
    figure("size", &|table| builds::sizes(table));
    figure("build", &|table| builds::times(table));
    if !table.is_empty() {
        println!("\n{table}\n{}", machine());
    }
}

/// Builds `servo` itself: cargo makes no binaries of other packages for a
/// benchmark.
fn binary() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--workspace", "--bins", "--quiet"])
        .current_dir(components::tree())
        .status();
    assert!(status.unwrap().success(), "cargo build failed, see above");
}

/// What the figures were taken on, and what else it was doing.
fn machine() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    format!(
        "{} processors; load (1, 5, 15 minutes): {}. Each figure and its baseline were taken in \
         turns; a p99 needs 200 samples.\nOther work on the machine delays whole processes and \
         every p99 more than a median of microseconds.",
        std::thread::available_parallelism().map_or(0, usize::from),
        load.join(" ")
    )
}
