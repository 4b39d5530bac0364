use serde_json::json;

use super::*;

fn settings(value: Value) -> SettingsMap {
    let Value::Object(map) = value else {
        panic!("no object: {value}");
    };
    map
}

fn trial(number: u32, workers: u32, outcome: Outcome) -> Trial {
    Trial {
        number,
        settings: settings(json!({"workers": workers, "cache": 256 * (workers - 2)})),
        outcome,
    }
}

fn report() -> JobReport {
    let trials = vec![
        trial(0, 2, Outcome::Performance(150.0)),
        trial(
            1,
            16,
            Outcome::Failed("the service said\u{1b}[2J no".into()),
        ),
        trial(2, 6, Outcome::Performance(1350.04)),
        trial(3, 10, Outcome::Performance(120.0)),
        trial(4, 7, Outcome::Performance(1350.04)),
    ];
    let touched = vec![
        Touched {
            driver: "measure ab 1.0.0".into(),
            rules: vec![RuleUse {
                rule: "GET http://127.0.0.1:9000/quote".into(),
                requests: 61_234,
                sent: 0,
                received: 2_143_190,
            }],
            refused: vec![
                Refusal {
                    what: "GET http://169.254.169.254/latest/meta-data/".into(),
                    count: 1,
                },
                Refusal {
                    what: "POST http://127.0.0.1:9000/settings".into(),
                    count: 12,
                },
            ],
        },
        Touched {
            driver: "adjust http 1.0.0".into(),
            rules: vec![RuleUse {
                rule: "GET,PUT http://127.0.0.1:9000/settings".into(),
                requests: 10,
                sent: 210,
                received: 1024,
            }],
            refused: vec![],
        },
        Touched {
            driver: "measure none 0.1.0".into(),
            rules: vec![],
            refused: vec![],
        },
    ];
    JobReport::new("requests/s", trials, touched)
}

#[test]
fn the_text_on_a_pipe() {
    let expected = "\
trial  workers  cache  requests/s    change
-----  -------  -----  ----------  --------
    0        2      0       150.0  baseline
    1       16   3584      failed         -
    2        6   1024      1350.0  +800.0 %
    3       10   2048       120.0   -20.0 %
    4        7   1280      1350.0  +800.0 %

trial 1 failed: the service said\\u{1b}[2J no

trials       4
baseline     150.0 requests/s
best         1350.0 requests/s
improvement  +800.0 %
settings     workers=6 cache=1024

What the drivers touched

driver              rule                                    requests   sent  received
------------------  --------------------------------------  --------  -----  --------
measure ab 1.0.0    GET http://127.0.0.1:9000/quote            61234    0 B   2.0 MiB
adjust http 1.0.0   GET,PUT http://127.0.0.1:9000/settings        10  210 B   1.0 KiB
measure none 0.1.0  (no rules)                                     0    0 B       0 B

refused to measure ab 1.0.0 once: GET http://169.254.169.254/latest/meta-data/
refused to measure ab 1.0.0 12 times: POST http://127.0.0.1:9000/settings
";
    let text = report().text(Style::Plain);
    assert_eq!(text, expected);
    assert!(text.is_ascii());
}

#[test]
fn the_text_on_a_terminal_differs_by_its_lines_only() {
    let plain = report().text(Style::Plain);
    let terminal = report().text(Style::Terminal);
    let head = terminal.lines().nth(1).unwrap();
    assert_eq!(head, "─────  ───────  ─────  ──────────  ────────");
    let ascii = terminal.replace('─', "-");
    assert_eq!(ascii, plain);
}

#[test]
fn nothing_refused_is_said() {
    let mut report = report();
    report.touched.remove(0);
    assert!(
        report
            .text(Style::Plain)
            .ends_with("0 B\n\nrefused: nothing\n")
    );
}

#[test]
fn a_trial_in_one_line() {
    for (trial, baseline, expected) in [
        (
            trial(0, 2, Outcome::Performance(150.0)),
            None,
            "trial  0/20  workers=2 cache=0  150.0 requests/s  baseline",
        ),
        (
            trial(12, 6, Outcome::Performance(1350.04)),
            Some(150.0),
            "trial 12/20  workers=6 cache=1024  1350.0 requests/s  +800.0 %",
        ),
        (
            trial(3, 6, Outcome::Performance(75.0)),
            Some(0.0),
            "trial  3/20  workers=6 cache=1024  75.0 requests/s  -",
        ),
        (
            trial(4, 6, Outcome::Failed("refused".into())),
            Some(150.0),
            "trial  4/20  workers=6 cache=1024  failed: refused",
        ),
        (
            Trial {
                number: 5,
                settings: settings(json!({"web": {"mode": "fast\n"}, "db": {"pool": 4}})),
                outcome: Outcome::Performance(1.0),
            },
            None,
            "trial  5/20  web.mode=fast\\n db.pool=4  1.0 requests/s  -",
        ),
    ] {
        assert_eq!(trial.line(20, "requests/s", baseline), expected);
    }
}

#[test]
fn the_json_object() {
    let text = serde_json::to_string(&report().summary()).unwrap();
    assert_eq!(
        text,
        r#"{"trials":4,"baseline":150.0,"best":1350.04,"improvement":8.000266666666667,"settings":{"workers":6,"cache":1024}}"#
    );
}

#[test]
fn a_report_survives_json() {
    let report = report();
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<JobReport>(&text).unwrap(), report);
}

#[test]
fn without_a_measurement_there_is_no_improvement() {
    let failed = || Outcome::Failed("no".into());
    for (trials, json) in [
        (
            vec![],
            json!({"trials": 0, "baseline": null, "best": null, "improvement": null, "settings": {}}),
        ),
        (
            vec![trial(0, 2, failed())],
            json!({"trials": 0, "baseline": null, "best": null, "improvement": null,
                "settings": {"workers": 2, "cache": 0}}),
        ),
        (
            vec![
                trial(0, 2, failed()),
                trial(1, 3, Outcome::Performance(5.0)),
            ],
            json!({"trials": 1, "baseline": null, "best": 5.0, "improvement": null,
                "settings": {"workers": 3, "cache": 256}}),
        ),
        (
            vec![
                trial(0, 2, Outcome::Performance(0.0)),
                trial(1, 3, Outcome::Performance(5.0)),
            ],
            json!({"trials": 1, "baseline": 0.0, "best": 5.0, "improvement": null,
                "settings": {"workers": 3, "cache": 256}}),
        ),
    ] {
        let summary = JobReport::new("x", trials, vec![]).summary();
        assert_eq!(serde_json::to_value(summary).unwrap(), json);
    }
}

#[test]
fn what_a_driver_says_cannot_break_the_lines() {
    let long = "x".repeat(10_000) + "\r\n";
    let trials = vec![trial(0, 2, Outcome::Failed(long))];
    let text = JobReport::new("\u{202e}x", trials, vec![]).text(Style::Plain);
    assert!(text.is_ascii());
    assert!(text.lines().all(|line| line.len() < 130), "{text}");
    assert!(!text.contains('\r'));
}
