//! The seeds that are always played.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is the report"
)]

use std::fmt::Write as _;

use servo_faults::{Outcome, play, seeds};

fn failure(seed: u64, outcome: &Outcome) -> String {
    let mut text = format!(
        "seed {seed} failed; again, alone: SERVO_FAULT_SEED={seed} cargo test -p servo-faults\n"
    );
    for wrong in &outcome.wrong {
        let _ = writeln!(text, "  {wrong}");
    }
    text
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn whatever_happens() {
    let seeds = seeds(50);
    let mut failed = String::new();
    let before = open_files();
    for seed in &seeds {
        let outcome = play(*seed);
        if seeds.len() == 1 {
            eprintln!("{}", outcome.log);
        }
        if !outcome.wrong.is_empty() {
            failed.push_str(&failure(*seed, &outcome));
        }
    }
    assert_eq!(open_files(), before, "open files");
    assert!(failed.is_empty(), "{failed}");
}
