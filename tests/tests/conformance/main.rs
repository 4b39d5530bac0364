//! The conformance cases of the protocol (section 23), by number.
//!
//! One table: the number, what the protocol says, and how it is played. Scenes
//! of seconds and minutes run on a clock that stands still between two events;
//! cases about addresses and headers, programs as drivers, signals and exit
//! codes run in real time over real sockets, with real programs, and with the
//! built binary. Where the protocol tells the original and ours apart, both are
//! played, the original's manner with everything that `--compat` switches.
//!
//! The service of these cases shares no code with the one of this repository
//! and reads bare JSON: what both misread alike would never be found.
#![allow(
    unreachable_pub,
    reason = "a suite in several files has no interface to keep"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic in a test is the report"
)]

mod acting;
mod cases;
mod expect;
mod loopback;
mod stage;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cases::{cancel, drivers, environment, native, process, requests};

/// How many cases the protocol has.
const CASES: u8 = 45;

/// One line of the table.
struct Case {
    number: u8,
    script: &'static str,
    expected: &'static str,
}

/// Which clock a case runs by.
#[derive(Clone, Copy)]
enum Clock {
    /// It goes on by itself.
    Real,
    /// It stands still while anything can be done.
    Paused,
}

/// Plays a case; a failure says its number and what the protocol says.
fn play(case: &Case, clock: Clock, played: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all();
    if let Clock::Paused = clock {
        builder.start_paused(true);
    }
    let runtime = builder.build().unwrap();
    let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(played)));
    if let Err(panic) = ended {
        panic!(
            "case {}: {}\nexpected: {}\n{}",
            case.number,
            case.script,
            case.expected,
            words(panic.as_ref())
        );
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it panicked")
}

macro_rules! table {
    ($($test:ident: $number:literal, $script:literal, $expected:literal, $($clock:ident $play:path),+;)*) => {
        const TABLE: &[Case] = &[
            $(Case { number: $number, script: $script, expected: $expected },)*
        ];
        $(
            #[test]
            fn $test() {
                let case = TABLE.iter().find(|case| case.number == $number).unwrap();
                $(play(case, Clock::$clock, $play());)+
            }
        )*
    };
}

table! {
    case_01_url_as_given: 1, "start with --url U --no-auth app",
        "first request HELLO with agent; no Authorization; path of U unchanged",
        Real requests::case_01;
    case_02_token: 2, "token file with content \"  t0k\\n\\n\"",
        "Authorization: Bearer t0k on every request",
        Real requests::case_02;
    case_03_default_url: 3, "default URL, account acme, app shop",
        "path /accounts/acme/applications/shop/servo",
        Real requests::case_03;
    case_04_hello_repeated: 4, "HELLO answered 503, 503, 200",
        "three HELLO, waits 20 and 20, then WHATS_NEXT",
        Paused requests::case_04;
    case_05_whats_next_repeated: 5, "WHATS_NEXT answered 500, 500, command",
        "waits 1 then 20",
        Paused requests::case_05;
    case_06_no_json: 6, "WHATS_NEXT answered 200 with body `oops`",
        "retried like a failure",
        Paused requests::case_06;
    case_07_describe: 7, "DESCRIBE",
        "DESCRIPTION with status ok; application from adjust, metrics from measure; no monitoring",
        Real native::case_07;
    case_08_perf: 8, "DESCRIBE, OPTUNE_PERF=a/b",
        "descriptor.optimization.perf = a/b",
        Paused drivers::case_08;
    case_09_perf_alias: 9, "DESCRIBE, measure describes only `requests throughput`",
        "compat: perf added with the same descriptor; ours: only with the switch",
        Paused drivers::case_09;
    case_10_query_fails: 10, "DESCRIBE, adjust answers {\"status\":\"failed\",\"message\":\"x\"}",
        "DESCRIPTION failed; measure driver not run",
        Paused drivers::case_10;
    case_11_progress_and_result: 11, "MEASURE, driver sends progress 10 with message and stage, then result",
        "reports: progress 0 (starting), progress 10 with message; final with metrics and annotations",
        Paused drivers::case_11;
    case_12_no_annotations: 12, "MEASURE, driver result without annotations or with {}",
        "final has no annotations",
        Paused drivers::case_12;
    case_13_aborted: 13, "MEASURE, driver {\"status\":\"aborted\",\"reason\":\"slo-violation\",\"message\":\"m\"}",
        "final aborted, slo-violation, message contains m",
        Paused drivers::case_13;
    case_14_nothing: 14, "MEASURE, driver prints nothing, exit 0",
        "final nodata",
        Real native::case_14;
    case_15_no_status: 15, "MEASURE, driver answers without status",
        "compat: undefined; ours: failed, no-status",
        Real native::case_15;
    case_16_no_metrics: 16, "MEASURE, {\"status\":\"ok\"} without metrics",
        "failed",
        Paused drivers::case_16;
    case_17_stderr: 17, "MEASURE, driver exits 1, stderr `trace`, no output",
        "message ends with a part headed stderr: holding trace; with OPTUNE_VERBOSE_STDERR=none not",
        Real native::case_17;
    case_18_long_stderr: 18, "MEASURE, stderr of 3 MiB and exit 1",
        "message at most 2 MiB plus our own prefix",
        Real native::case_18;
    case_19_bad_lines: 19, "MEASURE, stdout line `5` or `{bad`",
        "failed; driver gone afterwards",
        Real native::case_19;
    case_20_adjust: 20, "ADJUST with state and control",
        "driver stdin = state members plus control; final state equals the requested state",
        Real native::case_20;
    case_21_no_control: 21, "ADJUST without control",
        "driver sees \"control\": {}",
        Real native::case_21;
    case_22_no_state: 22, "ADJUST without state",
        "final failed",
        Paused drivers::case_22;
    case_23_own_state: 23, "ADJUST, driver returns its own state",
        "compat: requested state; ours: the driver's",
        Paused drivers::case_23;
    case_24_cancel_before_start: 24, "progress 0 answered {\"status\":\"cancel\",\"reason\":\"r\"}",
        "driver never started; final compat failed, ours cancelled; text contains r",
        Paused cancel::case_24;
    case_25_cancel_supported: 25, "second progress answered cancel, driver with cancel support",
        "driver told to cancel once or more; exactly one final report",
        Paused cancel::case_25;
    case_26_cancel_unsupported: 26, "same, without cancel support",
        "driver killed; compat nodata, ours cancelled",
        Paused cancel::case_26;
    case_27_progress_lost_once: 27, "progress answered 500 once",
        "one retry after the wait, then goes on",
        Paused cancel::case_27;
    case_28_progress_lost_twice: 28, "progress answered 500 twice",
        "compat: final failed; ours: operation continues",
        Paused cancel::case_28;
    case_29_no_plugin: 29, "MEASURE with control.environment, no plugin",
        "final environment-mismatch; no driver run",
        Paused environment::case_29;
    case_30_plugin_ok: 30, "same, plugin answers ok",
        "normal measurement; plugin saw the full param",
        Real environment::case_30;
    case_31_mismatch: 31, "ADJUST with environment mismatch",
        "event ADJUSTMENT; DESCRIBE gives event DESCRIPTION",
        Paused environment::case_31;
    case_32_sleep: 32, "SLEEP {\"duration\":3}",
        "next WHATS_NEXT after 3 s; nothing in between",
        Paused requests::case_32;
    case_33_sleep_by_default: 33, "SLEEP {\"duration\":\"x\"} or null param",
        "120 s",
        Paused requests::case_33;
    case_34_no_command: 34, "{\"cmd\":\"DANCE\",\"param\":{}}, {\"status\":\"ok\"}, {\"cmd\":\"MEASURE\"}",
        "no event; WHATS_NEXT again; ours waits at least 1 s",
        Paused requests::case_34;
    case_35_sigterm: 35, "SIGTERM while idle",
        "GOODBYE SIGTERM, exit 0",
        Real process::case_35;
    case_36_goodbye_fails: 36, "SIGTERM, GOODBYE answered 500 four times",
        "four attempts, exit 0",
        Real process::case_36, Paused process::case_36_waits;
    case_37_sigusr1: 37, "SIGUSR1 during SLEEP",
        "compat: after the sleep GOODBYE exit; ours: at once; exit 0",
        Real process::case_37, Paused process::case_37_waits;
    case_38_sighup: 38, "SIGHUP",
        "GOODBYE restart, then HELLO",
        Real process::case_38;
    case_39_silence: 39, "driver sends OPTUNE_IO_TIMEOUT=1 worth of silence",
        "final failed after about 1 s; driver gone",
        Real native::case_39;
    case_40_cmd_uid: 40, "cmd_uid in the command",
        "ours echoes it in every progress and in the final report",
        Paused drivers::case_40;
    case_41_series: 41, "measurement with values, two instances",
        "passed through unchanged",
        Paused drivers::case_41;
    case_42_nan: 42, "measurement with NaN",
        "never NaN on the wire",
        Real native::case_42;
    case_43_exit_codes: 43, "no account, no URL / missing token file / bad OPTUNE_PERF / unknown option",
        "exit codes 1 (ours 2) / 1 / 1 / 2",
        Real process::case_43;
    case_44_interactive: 44, "--interactive: newline on stdin",
        "HELLO only after the first newline; SLEEP not slept",
        Real process::case_44, Paused process::case_44_prompts;
    case_45_delay: 45, "--delay 2",
        "about 2 s before HELLO and before each report",
        Paused process::case_45;
}

#[test]
fn all_cases_are_there_once_and_in_order() {
    let numbers: Vec<u8> = TABLE.iter().map(|case| case.number).collect();
    let all: Vec<u8> = (1..=CASES).collect();
    assert_eq!(numbers, all);
}
