//! The memory of a servo that has nothing to do, and of one in the middle of a
//! measurement that waits: one, a thousand and ten thousand in one process.
//!
//! Each figure is taken in a process of its own, this program started anew,
//! because memory that was used once is not given back and would be counted to
//! the figure after it. What the servos talk to is here, in the parent: an
//! application to describe and a Prometheus to ask. The service is a script
//! inside the process, since ten thousand sockets to one server would measure
//! that server; what a real way to the service costs has a row of its own.
//!
//! A servo that was only made is smaller than one that has worked, so each has
//! described its application first, by a request of the driver `http`, and one
//! that waits has sent its queries.

mod child;
mod server;

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::describe::python;
use crate::house::House;
use crate::table::Table;
use server::Server;

pub(crate) use child::{resident_kib, run};

/// The argument that makes this program one of the measured processes.
pub(crate) const CHILD: &str = "--resident";

/// What the whole has to fit into (design, section 11).
const BAR: (u64, u64) = (10_000, 1 << 30);

/// What the servos of a process are doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Sleeping until they ask the service again.
    Sleep,
    /// Waiting between two steps of a measurement.
    Wait,
    /// As `Wait`, with the journal in files.
    WaitJournal,
    /// There are no servos, only ways to the service that were used once.
    Transport,
}

const ALL: [(Doing, &str); 4] = [
    (Doing::Sleep, "sleep"),
    (Doing::Wait, "wait"),
    (Doing::WaitJournal, "wait-journal"),
    (Doing::Transport, "transport"),
];

/// What a process says of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resident {
    pub(crate) bytes: u64,
    descriptors: u64,
}

/// As the original waits: an interpreter with what it imports for its work.
const ORIGINAL: &str = r#"
import argparse, json, os, signal, subprocess, sys, threading, time, urllib.request
print(open("/proc/self/status").read().split("VmRSS:")[1].split()[0], 0)
"#;

pub(crate) fn figures(house: &House, table: &mut Table) {
    // Built and compiled here, so that the children find everything ready.
    for name in ["prom", "http"] {
        drop(house.load(name));
    }
    let server = Server::start();
    let take = |doing, count| resident(doing, count, server.address());
    let empty = take(Doing::Sleep, 0);
    let original = python().map(|python| said(Command::new(python).args(["-c", ORIGINAL])));
    let each = |of: Resident, count: u64| of.bytes.saturating_sub(empty.bytes) / count;
    let mut singles = Vec::new();
    for (doing, name) in [
        (Doing::Sleep, "between polls"),
        (Doing::Wait, "in a measurement that waits"),
    ] {
        for count in [1, 1_000, 10_000] {
            let found = take(doing, count);
            let bar = (count == BAR.0).then_some(BAR.1);
            let figure = format!("resident: {count} servos {name}");
            table.memory(
                figure,
                found.bytes,
                "the same without servos",
                empty.bytes,
                bar,
            );
            if count > 1 {
                let one = each(found, count);
                println!(
                    "note: {count} {name}: {} KiB and {:.2} descriptors each",
                    one / 1024,
                    found.descriptors.saturating_sub(empty.descriptors) as f64 / count as f64
                );
                singles.push((format!("resident: one more of {count} {name}"), one));
            }
        }
    }
    let original = original.map_or(empty.bytes, |original| original.bytes);
    for (figure, one) in singles {
        table.memory(figure, one, "a Python that waits", original, None);
    }
    let waits = each(take(Doing::Wait, 1_000), 1_000);
    for (figure, doing) in [
        (
            "resident: the same with a journal in files",
            Doing::WaitJournal,
        ),
        (
            "resident: one HTTP transport to the service",
            Doing::Transport,
        ),
    ] {
        let found = take(doing, 1_000);
        println!(
            "note: 1000 {doing:?}: {:.2} descriptors each",
            found.descriptors.saturating_sub(empty.descriptors) as f64 / 1_000.0
        );
        let baseline = "one of 1000 that wait";
        table.memory(figure, each(found, 1_000), baseline, waits, None);
    }
}

fn resident(doing: Doing, count: u64, server: SocketAddr) -> Resident {
    let (_, name) = ALL.iter().find(|(one, _)| *one == doing).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([CHILD, name])
        .args([count.to_string(), server.to_string()]);
    said(&mut command)
}

pub(crate) fn said(command: &mut Command) -> Resident {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text.split_whitespace().map(|word| word.parse().unwrap());
    let mut number = || -> u64 { numbers.next().unwrap() };
    Resident {
        bytes: number() * 1024,
        descriptors: number(),
    }
}
