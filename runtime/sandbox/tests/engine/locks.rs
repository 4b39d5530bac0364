//! What a compiling process cannot do, seen from outside: a program locks
//! itself up as one, tries, and does not live to say that it could.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

const MEMORY: u64 = 256 << 20;

/// In the empty environment that a compiling process has.
fn attempt(acts: &[&str], memory: u64, cpu: u64) -> Output {
    Command::new(env!("CARGO_BIN_EXE_servo-compile-probe"))
        .args(acts)
        .args([memory.to_string(), cpu.to_string()])
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_locked_process_can_still_end() {
    let output = attempt(&["nothing"], MEMORY, 10);
    assert_eq!(text(&output.stdout), "locked\ndid it\n");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn h4_whatever_compiling_does_not_need_ends_the_process() {
    for act in [
        "connect",
        "datagram",
        "read-file",
        "write-file",
        "program",
        "thread",
        "kill-parent",
        "read-other",
    ] {
        let output = attempt(&[act], MEMORY, 10);
        assert_eq!(text(&output.stdout), "locked\n", "{act}");
        assert_eq!(
            output.status.signal(),
            Some(libc::SIGSYS),
            "{act}: {output:?}"
        );
    }
    assert!(!std::path::Path::new("/tmp/servo-compile-probe").exists());
}

#[test]
fn h3_memory_over_the_limit_is_not_given() {
    let output = attempt(&["memory"], MEMORY, 10);
    assert_eq!(text(&output.stdout), "locked\n");
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    assert!(text(&output.stderr).starts_with("memory allocation of"));
}

#[test]
fn h3_computing_time_over_the_limit_ends_the_process() {
    let output = attempt(&["spin"], MEMORY, 1);
    assert_eq!(text(&output.stdout), "locked\n");
    assert_eq!(output.status.signal(), Some(libc::SIGXCPU), "{output:?}");
}

#[test]
fn a_lock_that_cannot_be_set_ends_the_process_and_is_named() {
    for (without, lock) in [
        ("prctl", "parent-death signal"),
        ("prlimit", "limit of core files"),
        ("seccomp", "seccomp filter"),
    ] {
        let output = attempt(&[&format!("without={without}"), "nothing"], MEMORY, 10);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert_eq!(text(&output.stdout), "");
        assert!(text(&output.stderr).starts_with(lock), "{output:?}");
    }
}
