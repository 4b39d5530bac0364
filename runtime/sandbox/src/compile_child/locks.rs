//! What a compiling process takes from itself before it reads a byte.
//!
//! None of it can be given back: limits are lowered for good, no program that
//! it might start has more rights, and the filter of system calls cannot be
//! taken off. Each lock is set here or the process ends.

use std::collections::BTreeMap;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getpid, getrlimit, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter_all_threads,
};

/// The descriptors it has: standard input, output and error.
const DESCRIPTORS: u64 = 3;

/// Sets limits of memory (bytes) and computing time (seconds), and what else
/// the kernel has for a process that wants nothing.
pub(super) fn limit(memory: u64, cpu: u64) -> Result<(), String> {
    let failed = |lock: &'static str| move |error: rustix::io::Errno| format!("{lock}: {error}");
    // Its parent is gone: nobody reads the answer.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed("parent-death signal"))?;
    // Other processes of the user cannot look into it or take it over.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed("undumpable"))?;
    // A core would put a tenant's driver on the disk.
    lower(Resource::Core, 0, 0).map_err(failed("limit of core files"))?;
    lower(Resource::Fsize, 0, 0).map_err(failed("limit of written files"))?;
    lower(Resource::Nofile, DESCRIPTORS, DESCRIPTORS).map_err(failed("limit of open files"))?;
    // The signal at the lower one is told apart from others; nobody handles it.
    lower(Resource::Cpu, cpu, cpu.saturating_add(1)).map_err(failed("limit of computing time"))?;
    lower(Resource::As, memory, memory).map_err(failed("limit of memory"))
}

/// Lowers a limit, and looks whether it holds. One that is lower already stays.
fn lower(resource: Resource, soft: u64, hard: u64) -> rustix::io::Result<()> {
    let least = |now: Option<u64>, wanted: u64| Some(now.map_or(wanted, |now| now.min(wanted)));
    let now = getrlimit(resource);
    let wanted = Rlimit {
        current: least(now.current, soft),
        maximum: least(now.maximum, hard),
    };
    setrlimit(resource, wanted)?;
    if getrlimit(resource) == wanted {
        Ok(())
    } else {
        Err(rustix::io::Errno::PERM)
    }
}

/// Leaves the system calls that compiling needs; any other one ends the process.
/// No program started from here could have more rights, either: a filter needs
/// that promise, so setting it is part of setting the filter.
pub(super) fn filter_system_calls() -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("seccomp filter: {error}");
    let program = program().map_err(|error| failed(&error))?;
    apply_filter_all_threads(&program).map_err(|error| failed(&error))
}

fn program() -> Result<BpfProgram, seccompiler::BackendError> {
    let filter = SeccompFilter::new(
        allowed()?,
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        TargetArch::try_from(std::env::consts::ARCH)?,
    )?;
    filter.try_into()
}

/// What is allowed. An empty list of rules means: with any arguments.
///
/// Descriptors other than the three pipes may have been inherited from whoever
/// started the parent. Nothing is allowed to read, write or map them.
fn allowed() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    let descriptor = |number: u64| number_is(0, number).and_then(|is| SeccompRule::new(vec![is]));
    let own = u64::from(getpid().as_raw_pid().unsigned_abs());
    let anonymous = number_is(4, u64::from(u32::MAX))?;
    let anonymous = SeccompRule::new(vec![anonymous, not_executable()?])?;
    let to_itself = SeccompRule::new(vec![number_is(0, own)?])?;
    let mut allowed = BTreeMap::from([
        (libc::SYS_read, vec![descriptor(0)?]),
        (libc::SYS_write, vec![descriptor(1)?, descriptor(2)?]),
        // Memory, but none that is a file and none that can be executed: code
        // is made here, not run.
        (libc::SYS_mmap, vec![anonymous]),
        (
            libc::SYS_mprotect,
            vec![SeccompRule::new(vec![not_executable()?])?],
        ),
        // Giving up: the standard library sends itself the signal.
        (libc::SYS_tgkill, vec![to_itself]),
    ]);
    let with_any_arguments = [
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_close,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    allowed.extend(with_any_arguments.map(|call| (call, Vec::new())));
    Ok(allowed)
}

fn number_is(argument: u8, number: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    let (length, is) = (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq);
    SeccompCondition::new(argument, length, is, number)
}

/// Of `mmap` and `mprotect`, where the third argument says what memory is for.
fn not_executable() -> Result<SeccompCondition, seccompiler::BackendError> {
    let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
    let masked = SeccompCmpOp::MaskedEq(executable);
    SeccompCondition::new(2, SeccompCmpArgLen::Dword, masked, 0)
}
