//! Being told to stop, in the middle of whatever goes on: protocol section 11.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::*;
use serde_json::json;
use servo_agent::{CancelSupport, Pacing, StopReason};

/// SIGTERM in the middle of a call: five seconds of grace, the report, GOODBYE.
#[tokio::test(start_paused = true)]
async fn sigterm_during_a_call() {
    let cases = [
        (
            "no support",
            CancelSupport::None,
            Act::Forever,
            vec!["2 MEASUREMENT", "2 GOODBYE"],
        ),
        (
            "does not stop",
            CancelSupport::Report,
            Act::Forever,
            vec!["7 MEASUREMENT", "7 GOODBYE"],
        ),
        (
            "in a pause",
            CancelSupport::None,
            Act::wait(100, "s", 1.0),
            vec!["2 MEASUREMENT", "2 GOODBYE"],
        ),
    ];
    for (case, support, act, expected) in cases {
        let driver = measures(support, vec![act]);
        let stop = Reply::Stop(StopReason::Sigterm, Box::new(ok(json!({"status": "ok"}))));
        let script = vec![
            measure(),
            (To::Progress, ok(json!({"status": "ok"}))),
            (To::Progress, after(1.0, stop)),
        ];
        let run = Run::new(script).measure(&driver);
        let run = run.with(|config| {
            config.pacing = Pacing {
                gap: Duration::from_secs(1),
                heartbeat: Duration::from_secs(1),
            }
        });
        let (reason, log) = run.go().await;
        assert_eq!(reason, StopReason::Sigterm, "{case}");
        let lines: Vec<_> = log
            .lines()
            .into_iter()
            .filter(|line| !line.contains('%'))
            .skip(2)
            .collect();
        assert_eq!(lines, expected, "{case}");
        let report = log.report("MEASUREMENT");
        assert_eq!(
            (&report["status"], &report["reason"]),
            (&json!("cancelled"), &json!("stopping")),
            "{case}"
        );
        assert_eq!(driver.running.load(Ordering::SeqCst), 0, "{case}");
    }
}

/// Stops, and the requests after them.
#[tokio::test(start_paused = true)]
async fn cases_36_to_38_stops() {
    let sleeps = |stop: fn(StopReason, Box<Reply>) -> Reply, reason| {
        let sleep = ok(json!({"cmd": "SLEEP", "param": {"duration": 100}}));
        vec![(To::Command, stop(reason, Box::new(sleep)))]
    };
    let finals = |reply: Reply| {
        let stop = Reply::StopAfterTurn(StopReason::Exit, Box::new(status(500)));
        vec![measure(), (To::Final, stop), (To::Final, reply)]
    };
    let cases = vec![
        (
            "37: SIGUSR1 during SLEEP",
            sleeps(Reply::StopAfterTurn, StopReason::Exit),
            "exit",
            vec!["0 HELLO", "0 WHATS_NEXT", "0 GOODBYE"],
        ),
        (
            "38: SIGHUP",
            sleeps(Reply::StopAfterTurn, StopReason::Restart),
            "restart",
            vec!["0 HELLO", "0 WHATS_NEXT", "0 GOODBYE"],
        ),
        (
            "SIGINT",
            sleeps(Reply::Stop, StopReason::Sigint),
            "SIGINT",
            vec!["0 HELLO", "0 WHATS_NEXT", "0 GOODBYE"],
        ),
        (
            "a report that failed gets one more attempt",
            finals(ok(json!({"status": "ok"}))),
            "exit",
            vec![
                "0 HELLO",
                "0 WHATS_NEXT",
                "0 MEASUREMENT",
                "0 MEASUREMENT",
                "0 GOODBYE",
            ],
        ),
        (
            "and no second one",
            finals(status(500)),
            "exit",
            vec![
                "0 HELLO",
                "0 WHATS_NEXT",
                "0 MEASUREMENT",
                "0 MEASUREMENT",
                "0 GOODBYE",
            ],
        ),
        (
            "a final report that hangs is left after five seconds",
            vec![
                measure(),
                (
                    To::Final,
                    Reply::Stop(StopReason::Sigterm, Box::new(after(600.0, Reply::Gone))),
                ),
            ],
            "SIGTERM",
            vec!["0 HELLO", "0 WHATS_NEXT", "0 MEASUREMENT", "5 GOODBYE"],
        ),
        (
            "a GOODBYE that hangs is left after ten seconds",
            vec![(To::Goodbye, after(600.0, Reply::Gone))],
            "SIGTERM",
            vec!["0 HELLO", "0 WHATS_NEXT", "0 GOODBYE"],
        ),
        (
            "never greeted: nothing to say farewell to",
            vec![(
                To::Hello,
                Reply::StopAfterTurn(StopReason::Exit, Box::new(status(500))),
            )],
            "exit",
            vec!["0 HELLO"],
        ),
    ];
    for (case, script, expected, lines) in cases {
        let (reason, log) = Run::new(script).go().await;
        assert_eq!(reason.as_str(), expected, "{case}");
        assert_eq!(log.lines(), lines, "{case}");
        for goodbye in log.params("GOODBYE") {
            assert_eq!(goodbye["reason"], expected, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sigusr1_lets_the_running_command_end() {
    let act = Act::report(1.0, "busy", 50.0, Act::done(measurement()));
    let driver = measures(CancelSupport::None, vec![act]);
    let stop = Reply::StopAfterTurn(StopReason::Exit, Box::new(ok(json!({"status": "ok"}))));
    let run = Run::new(vec![measure(), (To::Progress, stop)]).measure(&driver);
    let (reason, log) = run.go().await;
    assert_eq!(reason, StopReason::Exit);
    assert_eq!(log.report("MEASUREMENT")["status"], "ok");
    assert_eq!(log.lines().last().unwrap(), "50 GOODBYE");
}
