//! The limits that no operator sets: each with its value, its reason, and the
//! place that enforces it.
//!
//! They hold for every call of every driver. What is here is either a property
//! of the engine's pool, which is made once for all, or so far above what
//! drivers need that a setting would only be one more thing to get wrong.
//!
//! # What a call can make the host hold
//!
//! Beside its linear memory, the most that one step can make the host keep is
//! the sum of [`worst_case`]: each handle the heaviest there is, all bodies
//! full, all output kept.

use std::time::Duration;

use servo_egress::{HOST_REQUESTS, STREAM_BYTES};
use servo_policy::{Budget, ByteSize};

use crate::compiler::compile_limits;
use crate::engine::{
    FIBER_STACK, GUEST_STACK, MAX_CORE_INSTANCES, MAX_MEMORIES, MAX_MEMORY_BYTES, MAX_TABLES, TICK,
};
use crate::{MAX_KEY_BYTES, MAX_STORE_BYTES};

/// Steps that run at the same time, unless an embedder says otherwise. Each
/// may hold its memory; twice the sixty-four tenants that may spin at once.
pub(crate) const STEPS_AT_ONCE: u32 = 128;

/// Bytes of one request for random numbers: seeds and ids need tens.
pub(crate) const RANDOM: u64 = 16 << 10;

/// Bytes of one header map that a guest makes, counting the structures around
/// the text, which are a hundred bytes a field. Servers take 8 KiB of text.
pub(crate) const FIELDS: usize = 24 << 10;

/// Bytes of a body that is sent, per piece; as much again waits.
pub(crate) const BODY_CHUNK: usize = 16 << 10;

/// Bytes a guest may print in one write.
pub(crate) const PRINT: usize = 64 << 10;

/// Bytes of a text about progress. It is one line for a person.
pub(crate) const PROGRESS_TEXT: usize = 1_000;

/// Entries of a folder that a guest is shown.
pub(crate) const FOLDER_ENTRIES: usize = 10_000;

/// Files and folders that a step may have open. Each is a descriptor of the
/// process, of which there are a thousand where nobody has raised that.
pub(crate) const OPEN_FILES: usize = 64;

/// Resolution of the clocks that guests see.
pub(crate) const CLOCK: Duration = Duration::from_micros(1);

/// One fixed limit, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedLimit {
    /// Its name, and the label of its counter.
    pub key: &'static str,
    /// Whether it is counted when it bites. What only shapes how the host works
    /// does not bite.
    pub counted: bool,
    /// What it is.
    pub value: String,
    /// Why it is so.
    pub reason: &'static str,
}

/// Those that end, refuse or cut something of a call.
const COUNTED: [&str; 6] = [
    "host_requests",
    "stack",
    "scratch",
    "state_store",
    "folder_entries",
    "open_files",
];

/// Every limit that no operator sets.
pub fn fixed_limits() -> Vec<FixedLimit> {
    let size = |bytes: u64| ByteSize(bytes).to_string();
    let bytes = |bytes: usize| size(bytes as u64);
    let limit = |key, value, reason| FixedLimit {
        key,
        counted: COUNTED.contains(&key),
        value,
        reason,
    };
    let mut limits = vec![
        limit(
            "steps_at_once",
            STEPS_AT_ONCE.to_string(),
            "steps of all drivers that run at the same time; further ones wait, in their call's time",
        ),
        limit(
            "host_requests",
            HOST_REQUESTS.to_string(),
            "requests of all drivers in flight at once; further ones wait, in their own time",
        ),
        limit(
            "tick",
            format!("{} ms", TICK.as_millis()),
            "how long a guest that computes keeps a worker before the next tenant has its turn",
        ),
        limit(
            "stack",
            bytes(GUEST_STACK),
            "a guest's stack; recursion of a program that is right stays far below",
        ),
        limit(
            "host_stack",
            bytes(FIBER_STACK - GUEST_STACK),
            "what host functions have of a step's stack; overflowing it would end the process",
        ),
        limit(
            "most_memory",
            bytes(MAX_MEMORY_BYTES),
            "the most that `memory` may be; the pool reserves address space for it",
        ),
        limit(
            "memories",
            MAX_MEMORIES.to_string(),
            "memories of a component: one, and one for an adapter",
        ),
        limit(
            "tables",
            MAX_TABLES.to_string(),
            "tables of a component: the program's, the shims', a few spare",
        ),
        limit(
            "instances",
            MAX_CORE_INSTANCES.to_string(),
            "core instances of a component: program, shim and fix-up are three",
        ),
        limit(
            "random_bytes",
            size(RANDOM),
            "one request for random numbers; seeds and ids need tens of bytes",
        ),
        limit(
            "fields_bytes",
            bytes(FIELDS),
            "one set of header fields of a request; servers take 8 KiB of text",
        ),
        limit(
            "body_chunk",
            bytes(BODY_CHUNK),
            "one piece of a body that is sent; as much again waits",
        ),
        limit(
            "print",
            bytes(PRINT),
            "one write to standard output; the size of a usual pipe",
        ),
        limit(
            "progress_text",
            bytes(PROGRESS_TEXT),
            "a message about progress; it is one line for a person",
        ),
        limit(
            "folder_entries",
            FOLDER_ENTRIES.to_string(),
            "entries of one folder that a guest is shown; the rest it does not see",
        ),
        limit(
            "open_files",
            OPEN_FILES.to_string(),
            "files and folders a step has open; each is one of the descriptors of the process",
        ),
        limit(
            "clock",
            format!("{} us", CLOCK.as_micros()),
            "resolution of clocks; load generators measure with it, finer is of use to spies only",
        ),
        limit(
            "scratch",
            "as `grants.scratch` says".to_owned(),
            "bytes of the folder that is gone after the step; none unless it is granted",
        ),
        limit(
            "state_store",
            bytes(MAX_STORE_BYTES),
            "what a driver keeps between calls: what it set, and no data",
        ),
        limit(
            "state_key",
            bytes(MAX_KEY_BYTES),
            "a key of that store; keys are names",
        ),
    ];
    limits.extend(compile_limits().map(|it| FixedLimit {
        key: it.key,
        counted: it.key != "compile_concurrency",
        value: it.value,
        reason: it.reason,
    }));
    limits
}

/// The most bytes that the host keeps for one step with this budget, beside the
/// guest's memories, tables and stack.
pub fn worst_case(budget: &Budget) -> u64 {
    let handles = u64::from(budget.handles);
    let at_once = u64::from(budget.concurrent_requests);
    let fields = FIELDS as u64;
    [
        // Every handle the heaviest: a set of fields that is full.
        handles.saturating_mul(fields),
        // Bodies under way: a piece and the one that waits, in either direction.
        at_once.saturating_mul((2 * BODY_CHUNK + STREAM_BYTES) as u64),
        // What one call of a host function copies, and what it makes of it.
        budget.hostcall_bytes.saturating_mul(2),
        // One whole response that is collected; the guest waits for it.
        budget.response_bytes.min(budget.memory.bytes()),
        budget.output_bytes,
        budget.log_bytes,
        budget.result_bytes,
        budget.state_bytes,
        RANDOM,
    ]
    .into_iter()
    .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_of_limits_are_unique_and_each_has_a_reason() {
        let fixed = fixed_limits();
        let mut names: BTreeSet<&str> = fixed.iter().map(|it| it.key).collect();
        assert_eq!(names.len(), fixed.len());
        for row in Budget::describe() {
            assert!(names.insert(row.key), "{} is there twice", row.key);
            assert!(row.reason.len() > 20, "{}: {}", row.key, row.reason);
        }
        assert!(fixed.iter().all(|it| it.reason.len() > 20));
    }

    #[test]
    fn b6_what_a_step_can_make_the_host_keep_is_less_than_its_memory() {
        let most = worst_case(&Budget::default());
        assert!(most < Budget::default().memory.bytes(), "{most}");
    }
}
