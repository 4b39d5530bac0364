//! A limit without a test, and a test of a limit that is gone, fail here.
//!
//! The sources of the tests are read: each key of the table of limits has a
//! test that is named here, exists, and names the key.

use std::collections::BTreeSet;

use servo_policy::Budget;
use servo_sandbox::fixed_limits;
use servo_tests::components::tree;

const KEPT: &str = "tests/tests/end_to_end/limits/kept.rs";
const RECORDS: &str = "tests/tests/end_to_end/limits/records.rs";
const EGRESS: &str = "runtime/egress/tests/egress/audit.rs";
const OF_BYTES: &str = "every_limit_of_bytes_and_of_silence_is_counted_by_its_key";

/// Key, file, test.
const TESTS: &[(&str, &str, &str)] = &[
    ("memory", KEPT, "b1_memory_is_counted_and_recorded"),
    ("cpu", KEPT, "a1_cpu_is_counted_and_recorded"),
    ("wall", KEPT, "a5_wall_is_counted_and_recorded"),
    ("undo_wall", KEPT, "a5_undo_wall_is_counted_and_recorded"),
    ("step_wall", KEPT, "a5_step_wall_is_counted_and_recorded"),
    (
        "cancel_grace",
        KEPT,
        "i4_cancel_grace_is_counted_and_recorded",
    ),
    (
        "table_elements",
        "runtime/sandbox/tests/engine/by_hand.rs",
        "b4_table_elements_are_counted_and_recorded",
    ),
    ("handles", KEPT, "b6_handles_are_counted_and_recorded"),
    (
        "hostcall_bytes",
        KEPT,
        "b8_hostcall_bytes_are_counted_and_recorded",
    ),
    (
        "log_lines",
        KEPT,
        "g2_log_lines_are_counted_and_recorded_once",
    ),
    (
        "log_bytes",
        KEPT,
        "g2_log_bytes_are_counted_and_recorded_once",
    ),
    (
        "output_bytes",
        KEPT,
        "g1_output_bytes_are_counted_and_recorded_once",
    ),
    (
        "result_bytes",
        KEPT,
        "b8_result_bytes_are_counted_and_recorded",
    ),
    (
        "state_bytes",
        KEPT,
        "b8_state_bytes_are_counted_and_recorded",
    ),
    ("audit_records", RECORDS, "g5_records_of_a_call_are_limited"),
    ("steps", KEPT, "a4_steps_are_counted_and_recorded"),
    (
        "disk_bytes",
        RECORDS,
        "f4_a_folder_that_is_full_is_recorded_and_counted",
    ),
    (
        "disk_entries",
        RECORDS,
        "f4_a_folder_that_is_full_is_recorded_and_counted",
    ),
    ("requests", EGRESS, OF_BYTES),
    ("concurrent_requests", EGRESS, OF_BYTES),
    (
        "request_rate",
        "runtime/egress/tests/egress/limits.rs",
        "c24_a_retry_storm_is_slowed_then_told_when_to_come_back",
    ),
    ("request_bytes", EGRESS, OF_BYTES),
    ("response_bytes", EGRESS, OF_BYTES),
    ("request_time", EGRESS, OF_BYTES),
    (
        "connect_time",
        EGRESS,
        "a_connection_that_takes_too_long_is_counted_unless_the_guest_wished_it",
    ),
    ("idle_time", EGRESS, OF_BYTES),
    // Those that no operator sets.
    (
        "host_requests",
        "runtime/egress/tests/egress/traffic.rs",
        "the_process_has_so_many_places_and_the_next_one_waits",
    ),
    (
        "stack",
        "runtime/sandbox/tests/engine/by_hand.rs",
        "b5_recursion_is_counted_and_recorded",
    ),
    (
        "scratch",
        RECORDS,
        "f4_a_folder_that_is_full_is_recorded_and_counted",
    ),
    (
        "open_files",
        "runtime/sandbox/src/disk.rs",
        "f5_open_files_are_limited",
    ),
    (
        "folder_entries",
        "runtime/sandbox/src/disk/listing.rs",
        "f8_folder_entries_are_read_by_the_page_and_cut",
    ),
    ("state_store", RECORDS, "what_a_driver_keeps_is_recorded"),
];

/// The text of a test, from its name to the end of its body.
fn text_of(file: &str, test: &str) -> String {
    let source = std::fs::read_to_string(tree().join(file)).unwrap();
    let from = source
        .find(&format!("fn {test}("))
        .unwrap_or_else(|| panic!("{file} has no test {test}"));
    let margin = source[..from].rfind('\n').map_or(0, |line| line + 1);
    let indent: String = source[margin..].chars().take_while(|c| *c == ' ').collect();
    let body = &source[from..];
    let end = body.find(&format!("\n{indent}}}\n")).unwrap_or(body.len());
    body[..end].to_owned()
}

#[test]
fn every_limit_has_a_test_that_names_it() {
    let fixed = fixed_limits();
    let counted = fixed.iter().filter(|row| row.counted).map(|row| row.key);
    // Those of the compiler are the business of its own suite.
    let counted = counted.filter(|key| !key.starts_with("compile_"));
    let keys: BTreeSet<&str> = Budget::describe()
        .iter()
        .map(|row| row.key)
        .chain(counted)
        .collect();
    let tested: BTreeSet<&str> = TESTS.iter().map(|(key, ..)| *key).collect();
    assert_eq!(keys, tested, "limits and the tests of limits differ");
    for (key, file, test) in TESTS {
        assert!(
            text_of(file, test).contains(key),
            "{test} does not name {key}"
        );
    }
}
