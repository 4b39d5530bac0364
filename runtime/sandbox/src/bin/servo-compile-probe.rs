//! A program that compiles, as `servo` does, for the tests of this crate; and
//! one that locks itself up as a compiling process does and then tries what
//! such a process must not be able to do. It belongs to no installation.
#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Command, ExitCode};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};
use servo_sandbox::compile_child;

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let without = words.first().and_then(|word| word.strip_prefix("without="));
    if let Some(lock) = without {
        refuse(lock);
        words.remove(0);
    }
    let arguments = words.iter().map(Into::into);
    if let Some(code) = compile_child::answer_if_asked_by(arguments) {
        return code;
    }
    let [act, memory, cpu] = words.as_slice() else {
        eprintln!("what to try, bytes of memory, seconds of computing time");
        return ExitCode::from(2);
    };
    let (Ok(memory), Ok(cpu)) = (memory.parse(), cpu.parse()) else {
        return ExitCode::from(2);
    };
    if let Err(problem) = compile_child::lock(memory, cpu) {
        eprintln!("{problem}");
        return ExitCode::from(3);
    }
    println!("locked");
    attempt(act);
    // Nothing stopped it.
    println!("did it");
    ExitCode::SUCCESS
}

/// Does one thing, if it can. What it gives does not matter: the test looks at
/// how the process ended.
fn attempt(act: &str) {
    match act {
        "nothing" => {}
        "connect" => drop(TcpStream::connect("127.0.0.1:9")),
        "datagram" => drop(UdpSocket::bind("127.0.0.1:0")),
        "read-file" => drop(File::open("/etc/hostname")),
        "write-file" => drop(File::create("/tmp/servo-compile-probe")),
        "program" => drop(Command::new("/bin/true").status()),
        "thread" => drop(std::thread::Builder::new().spawn(|| ()).map(|t| t.join())),
        "kill-parent" => {
            if let Some(parent) = rustix::process::getppid() {
                let _ = rustix::process::kill_process(parent, rustix::process::Signal::CONT);
            }
        }
        // Stands for any descriptor but the one it is to read.
        "read-other" => drop(rustix::io::read(std::io::stderr().as_fd(), &mut [0_u8; 1])),
        "memory" => {
            let much = vec![1_u8; 2 << 30];
            std::hint::black_box(&much);
        }
        "spin" => loop {
            std::hint::spin_loop();
        },
        other => eprintln!("unknown: {other}"),
    }
}

/// Has the kernel refuse a system call from here on, as the one of another
/// machine might.
fn refuse(lock: &str) {
    let call = match lock {
        "prctl" => libc::SYS_prctl,
        "prlimit" => libc::SYS_prlimit64,
        "seccomp" => libc::SYS_seccomp,
        other => {
            eprintln!("unknown: {other}");
            return;
        }
    };
    // Asking for a limit is no setting of it: the third argument says which.
    let sets = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0);
    let rules = match sets.and_then(|sets| SeccompRule::new(vec![sets])) {
        Ok(rule) if lock == "prlimit" => vec![rule],
        _ => Vec::new(),
    };
    let refused = SeccompFilter::new(
        BTreeMap::from([(call, rules)]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        // Unknown here is unknown to the locks, too.
        TargetArch::try_from(std::env::consts::ARCH).unwrap_or(TargetArch::x86_64),
    );
    let set = refused
        .and_then(BpfProgram::try_from)
        .map_err(|error| error.to_string())
        .and_then(|program| apply_filter(&program).map_err(|error| error.to_string()));
    if let Err(error) = set {
        eprintln!("cannot refuse it: {error}");
    }
}
