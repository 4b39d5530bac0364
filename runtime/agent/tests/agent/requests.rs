//! Failed requests and the waits after them: protocol sections 5.4 to 6, the
//! cases numbered as in section 23.

use crate::support::*;
use serde_json::{Value, json};
use servo_agent::StopReason;

/// Requests and waits: script, then `seconds EVENT` of every request.
#[tokio::test(start_paused = true)]
async fn requests_and_waits() {
    let sleep = |param: Value| cmd("SLEEP", param);
    let oops = || Reply::Http(200, "oops".to_owned());
    let unexpected =
        || ok(json!({"status": "unexpected-event", "reason": "a MEASUREMENT was due"}));
    let superseded = Reply::Http(410, json!({"detail": "unexpected servo_uid"}).to_string());
    type Case = (&'static str, Vec<(To, Reply)>, Vec<&'static str>);
    let cases: Vec<Case> = vec![
        (
            "4: HELLO answered 503, 503, 200",
            vec![(To::Hello, status(503)), (To::Hello, status(503))],
            vec![
                "0 HELLO",
                "20 HELLO",
                "40 HELLO",
                "40 WHATS_NEXT",
                "40 GOODBYE",
            ],
        ),
        (
            "5: WHATS_NEXT answered 500, 500, command",
            vec![(To::Command, status(500)), (To::Command, status(500))],
            vec![
                "0 HELLO",
                "0 WHATS_NEXT",
                "1 WHATS_NEXT",
                "21 WHATS_NEXT",
                "21 GOODBYE",
            ],
        ),
        (
            "6: WHATS_NEXT answered with something that is not JSON, or no object",
            vec![(To::Command, oops()), (To::Command, ok(json!(["SLEEP"])))],
            vec![
                "0 HELLO",
                "0 WHATS_NEXT",
                "1 WHATS_NEXT",
                "21 WHATS_NEXT",
                "21 GOODBYE",
            ],
        ),
        (
            "a broken connection counts as a failure",
            vec![(To::Hello, Reply::Gone), (To::Command, Reply::Gone)],
            vec![
                "0 HELLO",
                "20 HELLO",
                "20 WHATS_NEXT",
                "21 WHATS_NEXT",
                "21 GOODBYE",
            ],
        ),
        (
            "a redirect is no answer",
            vec![(To::Command, Reply::Http(302, String::new()))],
            vec!["0 HELLO", "0 WHATS_NEXT", "1 WHATS_NEXT", "1 GOODBYE"],
        ),
        (
            "refusals are repeated ever more slowly",
            (0..5).map(|_| (To::Hello, status(401))).collect(),
            vec![
                "0 HELLO",
                "20 HELLO",
                "60 HELLO",
                "140 HELLO",
                "300 HELLO",
                "600 HELLO",
                "600 WHATS_NEXT",
                "600 GOODBYE",
            ],
        ),
        (
            "a busy service says when to come back",
            vec![(To::Command, Reply::Busy(90))],
            vec!["0 HELLO", "0 WHATS_NEXT", "90 WHATS_NEXT", "90 GOODBYE"],
        ),
        (
            "19.1: a superseded deployment keeps still for an hour",
            vec![(To::Command, superseded)],
            vec!["0 HELLO", "0 WHATS_NEXT", "3600 WHATS_NEXT", "3600 GOODBYE"],
        ),
        (
            "32: SLEEP 3",
            vec![
                sleep(json!({"duration": 3})),
                sleep(json!({"duration": "1m"})),
            ],
            vec![
                "0 HELLO",
                "0 WHATS_NEXT",
                "3 WHATS_NEXT",
                "63 WHATS_NEXT",
                "63 GOODBYE",
            ],
        ),
        (
            "33: SLEEP without a usable duration",
            vec![
                sleep(json!({"duration": "x"})),
                sleep(Value::Null),
                sleep(json!({"duration": -5})),
            ],
            vec![
                "0 HELLO",
                "0 WHATS_NEXT",
                "120 WHATS_NEXT",
                "240 WHATS_NEXT",
                "360 WHATS_NEXT",
                "360 GOODBYE",
            ],
        ),
        (
            "34: answers that are not understood, ever more slowly, until one is",
            vec![
                cmd("DANCE", json!({})),
                (To::Command, ok(json!({"status": "ok"}))),
                (To::Command, ok(json!({"cmd": "MEASURE"}))),
                cmd("MEASURE", json!({"control": null})),
                sleep(json!({"duration": 5})),
                cmd("DANCE", json!({})),
            ],
            vec![
                "0 HELLO",
                "0 WHATS_NEXT",
                "1 WHATS_NEXT",
                "3 WHATS_NEXT",
                "7 WHATS_NEXT",
                "15 WHATS_NEXT",
                "20 WHATS_NEXT",
                "21 WHATS_NEXT",
                "21 GOODBYE",
            ],
        ),
        (
            "35: SIGTERM while idle",
            vec![],
            vec!["0 HELLO", "0 WHATS_NEXT", "0 GOODBYE"],
        ),
        (
            "36: GOODBYE answered 500 four times",
            (0..4).map(|_| (To::Goodbye, status(500))).collect(),
            vec![
                "0 HELLO",
                "0 WHATS_NEXT",
                "0 GOODBYE",
                "2.5 GOODBYE",
                "5 GOODBYE",
                "7.5 GOODBYE",
            ],
        ),
        (
            "out of step: greets again, after a wait that grows",
            vec![(To::Command, unexpected()), (To::Command, unexpected())],
            vec![
                "0 HELLO",
                "0 WHATS_NEXT",
                "1 HELLO",
                "1 WHATS_NEXT",
                "3 HELLO",
                "3 WHATS_NEXT",
                "3 GOODBYE",
            ],
        ),
        (
            "no driver: the command fails, the loop goes on",
            vec![measure(), (To::Final, unexpected())],
            vec![
                "0 HELLO",
                "0 WHATS_NEXT",
                "0 MEASUREMENT",
                "1 HELLO",
                "1 WHATS_NEXT",
                "1 GOODBYE",
            ],
        ),
        (
            "final reports are repeated for ever, an unreadable 2xx counts as delivered",
            vec![
                measure(),
                (To::Final, status(500)),
                (To::Final, Reply::Gone),
                (To::Final, Reply::Http(302, String::new())),
                (To::Final, oops()),
            ],
            vec![
                "0 HELLO",
                "0 WHATS_NEXT",
                "0 MEASUREMENT",
                "20 MEASUREMENT",
                "40 MEASUREMENT",
                "60 MEASUREMENT",
                "60 WHATS_NEXT",
                "60 GOODBYE",
            ],
        ),
    ];
    for (case, script, lines) in cases {
        let (reason, log) = Run::new(script).go().await;
        assert_eq!(log.lines(), lines, "{case}");
        assert_eq!(reason, StopReason::Sigterm, "{case}");
    }
}
