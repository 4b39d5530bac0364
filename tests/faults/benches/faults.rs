//! A thousand seeds, and what they met.
//!
//! Prints a table of how the studies ended and what happened to them, so that
//! a storm that has become too mild, or one that nothing survives, is seen. A
//! run that is not as it must be is told with its seed, and fails the whole.
#![allow(clippy::print_stdout, reason = "it is what a benchmark is for")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use servo_faults::{play, seeds};

fn main() -> ExitCode {
    let seeds = seeds(1000);
    let began = Instant::now();
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    let (mut faults, mut lives, mut commands, mut scored, mut broken) = (0, 0, 0, 0, 0);
    for seed in &seeds {
        let outcome = play(*seed);
        *ends.entry(outcome.summary.state.clone()).or_default() += 1;
        faults += outcome.faults;
        lives += outcome.lives;
        commands += outcome.commands;
        scored += outcome.summary.trials.scored;
        if !outcome.wrong.is_empty() {
            broken += 1;
            println!("seed {seed}:");
            for wrong in &outcome.wrong {
                println!("  {wrong}");
            }
        }
    }
    println!("runs                      {}", seeds.len());
    for (state, number) in &ends {
        println!("  studies ended {state:<10} {number}");
    }
    println!("commands                  {commands}");
    println!("trials with a score       {scored}");
    println!("messages with a fault     {faults}");
    println!("starts of the servo       {lives}");
    println!("runs not as they must be  {broken}");
    println!("time                      {:.1?}", began.elapsed());
    if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
