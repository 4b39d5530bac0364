use serde_json::json;
use servo_protocol::{Failure, Status, StatusReply};

use super::play::{Play, descriptor, failed, measured, plan, throughput};
use super::*;

fn found() -> Value {
    json!({"application": {"components": {"web": {"settings": {"cpu": {"value": 2}, "gc": {"value": "serial"}}}}}})
}

#[test]
fn a_whole_study_ends_on_the_best_settings() {
    let mut play = Play::new(plan(6));
    play.reach_first_trial();
    let states: Vec<Value> = (0..6).map(|_| play.trial()).collect();
    let best = states
        .iter()
        .max_by(|a, b| throughput(a).total_cmp(&throughput(b)))
        .unwrap();
    let restore = play.turn(Operation::Adjust, Outcome::Adjusted);
    assert_eq!(&restore["param"]["state"], best);
    let sleep = play.next();
    assert_eq!(sleep["cmd"], "SLEEP");
    assert_eq!(sleep["param"]["duration"], 60);
    let summary = play.machine.summary("acme/shop");
    assert_eq!(summary.state, "done");
    assert_eq!(
        summary.trials,
        TrialCounts {
            planned: 6,
            scored: 6,
            failed: 0,
            running: 0,
            lost: 0
        }
    );
    let expected = throughput(best) / 200.0 - 1.0;
    assert!((summary.improvement.unwrap() - expected).abs() < 1e-9);
    assert_eq!(summary.settings.unwrap().to_state(), *best);
}

#[test]
fn nothing_better_means_back_to_what_was_found() {
    let mut play = Play::new(plan(2));
    play.hello();
    play.turn(Operation::Describe, Outcome::Described(descriptor()));
    play.turn(Operation::Measure, measured(1e6));
    play.trial();
    play.trial();
    assert_eq!(
        play.turn(Operation::Adjust, Outcome::Adjusted)["param"]["state"],
        found()
    );
    let summary = play.machine.summary("a/b");
    assert_eq!(summary.state, "done");
    assert!(summary.improvement.unwrap() < 0.0);
}

#[test]
fn less_is_better_when_so_planned() {
    let mut play = Play::new(StudyOptions {
        maximize: false,
        ..plan(4)
    });
    play.hello();
    play.turn(Operation::Describe, Outcome::Described(descriptor()));
    play.turn(Operation::Measure, measured(500.0));
    let states: Vec<Value> = (0..4).map(|_| play.trial()).collect();
    let best = states
        .iter()
        .min_by(|a, b| throughput(a).total_cmp(&throughput(b)))
        .unwrap();
    assert_eq!(
        &play.turn(Operation::Adjust, Outcome::Adjusted)["param"]["state"],
        best
    );
}

#[test]
fn the_baseline_is_measured_without_a_change_as_often_as_planned() {
    let mut play = Play::new(StudyOptions {
        baseline_repeats: 3,
        ..plan(3)
    });
    play.hello();
    play.turn(Operation::Describe, Outcome::Described(descriptor()));
    for score in [100.0, 200.0, 600.0] {
        play.turn(Operation::Measure, measured(score));
    }
    assert_eq!(play.machine.summary("a/b").baseline.unwrap().score, 300.0);
    assert_eq!(play.next()["cmd"], "ADJUST");
}

#[test]
fn the_same_command_comes_until_its_report() {
    let mut play = Play::new(plan(3));
    play.hello();
    let first = play.next();
    assert_eq!(play.next(), first);
    play.send(Input::Goodbye {
        reason: "SIGTERM".into(),
    });
    play.hello();
    assert_eq!(play.next(), first);
    play.last(Operation::Describe, Outcome::Described(descriptor()));
    assert_ne!(play.next()["cmd_uid"], first["cmd_uid"]);
}

#[test]
fn a_command_that_brings_no_report_is_given_up() {
    let mut play = Play::new(plan(3));
    play.reach_first_trial();
    play.turn(Operation::Adjust, Outcome::Adjusted);
    let measure = play.next();
    for _ in 1..MAX_DELIVERIES {
        assert_eq!(play.next(), measure);
    }
    // The way back, and the late report changes nothing any more.
    let back = play.next();
    assert_eq!(back["param"]["state"], found());
    let late = Input::Final {
        operation: Operation::Measure,
        uid: measure["cmd_uid"].as_str().map(str::to_owned),
        outcome: measured(9999.0),
    };
    assert_eq!(play.send(late), Reply::Status(StatusReply::ok()));
    let trial = &play.machine.state().trials[0];
    assert_eq!(
        (
            trial.state,
            trial.status.as_deref(),
            trial.reason.as_deref()
        ),
        (TrialState::Failed, Some("nodata"), Some("no-report"))
    );
}

#[test]
fn a_command_that_is_worked_on_and_asked_for_again_is_given_up_sooner() {
    for killed in [false, true] {
        let mut play = Play::new(plan(3));
        play.reach_first_trial();
        play.turn(Operation::Adjust, Outcome::Adjusted);
        let measure = play.next();
        for round in 1..=MAX_DROPPED {
            play.progress(Operation::Measure);
            if killed {
                play.hello();
            }
            let next = play.next();
            let given_up = round == MAX_DROPPED && !killed;
            assert_eq!(next != measure, given_up, "{killed} {round}");
        }
        let reason = play.machine.state().trials[0].reason.clone();
        assert_eq!(reason.is_some(), !killed);
    }
}

#[test]
fn a_repeated_report_is_answered_and_not_counted() {
    for uid in [false, true] {
        let mut play = Play::new(StudyOptions {
            baseline_repeats: 2,
            ..plan(3)
        });
        play.hello();
        play.turn(Operation::Describe, Outcome::Described(descriptor()));
        let command = play.next();
        let report = Input::Final {
            operation: Operation::Measure,
            uid: uid.then(|| command["cmd_uid"].as_str().unwrap().to_owned()),
            outcome: measured(100.0),
        };
        for _ in 0..3 {
            assert_eq!(play.send(report.clone()), Reply::Status(StatusReply::ok()));
        }
        assert_eq!(
            play.machine.state().study.as_ref().unwrap().scores,
            vec![100.0],
            "uid: {uid}"
        );
    }
}

#[test]
fn what_is_out_of_step_is_told_so_and_changes_nothing() {
    let mut play = Play::new(plan(3));
    play.reach_first_trial();
    play.next();
    let before = play.machine.state().clone();
    let wrong = Some("u-99".to_owned());
    let table = [
        (
            Input::Final {
                operation: Operation::Measure,
                uid: None,
                outcome: measured(1.0),
            },
            "unexpected-event",
        ),
        (
            Input::Final {
                operation: Operation::Adjust,
                uid: wrong.clone(),
                outcome: Outcome::Adjusted,
            },
            "invalid",
        ),
        (
            Input::Final {
                operation: Operation::Adjust,
                uid: Some("x-1".into()),
                outcome: Outcome::Adjusted,
            },
            "invalid",
        ),
        (
            Input::Progress {
                operation: Operation::Measure,
                uid: None,
                percent: None,
                message: None,
            },
            "unexpected-event",
        ),
        (
            Input::Progress {
                operation: Operation::Adjust,
                uid: wrong,
                percent: None,
                message: None,
            },
            "invalid",
        ),
    ];
    for (input, expected) in table {
        let Reply::Status(status) = play.send(input.clone()) else {
            panic!()
        };
        assert_eq!(status.status.as_str(), expected, "{input:?}");
        assert_eq!(play.machine.state(), &before, "{input:?}");
    }
}

#[test]
fn a_failed_trial_goes_back_to_the_last_good_settings() {
    let nan = {
        let metrics = json!({"metrics": {"throughput": {"value": null}, "errors": {"value": 0}}});
        Outcome::Measured(serde_json::from_value(metrics).unwrap())
    };
    let table = [
        (
            Some(failed("rejected", Some("unstable"))),
            None,
            "rejected",
            "unstable",
            "it broke",
        ),
        (
            None,
            Some(failed("aborted", Some("slo-violation"))),
            "aborted",
            "slo-violation",
            "it broke",
        ),
        (
            None,
            Some(failed("some-word", None)),
            "some-word",
            "",
            "it broke",
        ),
        (
            None,
            Some(nan),
            "failed",
            "invalid-measurement",
            "the metric `throughput` has no finite number",
        ),
    ];
    for (adjust, measure, status, reason, message) in table {
        let mut play = Play::new(plan(4));
        play.reach_first_trial();
        let good = play.trial();
        match (adjust, measure) {
            (Some(outcome), _) => drop(play.turn(Operation::Adjust, outcome)),
            (None, outcome) => {
                play.turn(Operation::Adjust, Outcome::Adjusted);
                play.turn(Operation::Measure, outcome.unwrap());
            }
        }
        let trial = play.machine.state().trials[1].clone();
        assert_eq!(trial.state, TrialState::Failed);
        assert_eq!(trial.score, None);
        assert_eq!(trial.status.as_deref(), Some(status));
        assert_eq!(trial.reason.as_deref().unwrap_or(""), reason);
        assert!(trial.message.as_deref().unwrap().contains(message));
        assert_eq!(
            play.turn(Operation::Adjust, Outcome::Adjusted)["param"]["state"],
            good,
            "{status}"
        );
        assert_eq!(play.next()["cmd"], "ADJUST");
        assert_eq!(play.machine.state().trials.len(), 3);
    }
}

#[test]
fn a_passing_failure_is_forgiven_twice() {
    let mut play = Play::new(plan(3));
    play.reach_first_trial();
    let first = play.turn(Operation::Adjust, failed("transient-failure", None));
    let second = play.turn(Operation::Adjust, failed("failed", Some("stopping")));
    assert_eq!(first["param"], second["param"]);
    assert_ne!(first["cmd_uid"], second["cmd_uid"]);
    play.turn(Operation::Adjust, failed("transient-failure", None));
    assert_eq!(play.machine.state().trials[0].state, TrialState::Failed);
}

#[test]
fn a_study_whose_trials_all_fail_is_ended_and_undone() {
    let mut play = Play::new(StudyOptions {
        max_failed_in_a_row: 3,
        ..plan(20)
    });
    play.reach_first_trial();
    for _ in 0..3 {
        play.turn(Operation::Adjust, failed("failed", None));
        assert_eq!(
            play.turn(Operation::Adjust, Outcome::Adjusted)["param"]["state"],
            found()
        );
    }
    assert_eq!(
        play.turn(Operation::Adjust, Outcome::Adjusted)["param"]["state"],
        found()
    );
    let summary = play.machine.summary("a/b");
    assert_eq!(
        (summary.state.as_str(), summary.trials.failed),
        ("failed", 3)
    );
}

#[test]
fn the_way_back_is_tried_again_and_then_the_beginning_is_restored() {
    // What the settings are to blame for does not pass; all else may.
    for (status, tries) in [("rejected", MAX_TRIES), ("failed", MAX_RETURNS)] {
        let mut play = Play::new(plan(5));
        play.reach_first_trial();
        play.trial();
        play.turn(Operation::Adjust, failed("failed", None));
        for _ in 0..tries {
            play.turn(Operation::Adjust, failed(status, None));
        }
        for _ in 0..tries {
            assert_eq!(
                play.turn(Operation::Adjust, failed(status, None))["param"]["state"],
                found()
            );
        }
        let summary = play.machine.summary("a/b");
        assert_eq!(summary.state, "failed");
        assert!(summary.reason.unwrap().contains("check the application"));
        assert_eq!(summary.settings, None, "nobody knows what is in force");
    }
}

#[test]
fn a_stop_cancels_and_restores() {
    let mut play = Play::new(plan(9));
    play.reach_first_trial();
    let best = play.trial();
    assert!(
        throughput(&best) > 200.0,
        "the seed gives a first trial better than the baseline"
    );
    play.turn(Operation::Adjust, Outcome::Adjusted);
    play.next();
    assert_eq!(play.progress(Operation::Measure), StatusReply::ok());
    play.send(Input::Stop {
        reason: "operator".into(),
    });
    assert_eq!(
        play.progress(Operation::Measure),
        StatusReply::cancel("operator")
    );
    play.last(Operation::Measure, failed("cancelled", None));
    let restore = play.next();
    assert_eq!(restore["param"]["state"], best);
    assert_eq!(
        play.progress(Operation::Adjust),
        StatusReply::ok(),
        "the way back is never cancelled"
    );
    play.last(Operation::Adjust, Outcome::Adjusted);
    assert_eq!(play.next()["cmd"], "SLEEP");
    let summary = play.machine.summary("a/b");
    assert_eq!(
        (summary.state.as_str(), summary.reason.as_deref()),
        ("stopped", Some("operator"))
    );
}

#[test]
fn a_stop_does_not_wait_for_a_servo_that_comes_back_without_a_report() {
    for hello in [false, true] {
        let mut play = Play::new(plan(9));
        play.reach_first_trial();
        play.turn(Operation::Adjust, Outcome::Adjusted);
        assert_eq!(play.next()["cmd"], "MEASURE");
        play.send(Input::Stop {
            reason: "operator".into(),
        });
        if hello {
            play.hello();
        }
        assert_eq!(play.next()["param"]["state"], found());
        play.last(Operation::Adjust, Outcome::Adjusted);
        assert_eq!(play.machine.word(), "stopped");
    }
}

#[test]
fn a_stop_before_any_change_changes_nothing() {
    let mut play = Play::new(plan(9));
    play.reach_first_trial();
    play.send(Input::Stop {
        reason: "operator".into(),
    });
    assert_eq!(play.next()["cmd"], "SLEEP");
    assert_eq!(play.machine.word(), "stopped");
}

#[test]
fn a_description_that_fails_is_asked_for_again_after_a_rest() {
    let mut play = Play::new(plan(3));
    play.hello();
    for rest in [2, 4] {
        play.turn(Operation::Describe, failed("failed", None));
        assert_eq!(play.next()["param"]["duration"], rest);
    }
    play.turn(Operation::Describe, failed("failed", None));
    assert_eq!(play.next()["cmd"], "SLEEP");
    assert_eq!(play.machine.word(), "failed");
    play.hello();
    assert_eq!(play.next()["cmd"], "DESCRIBE", "a new servo may do better");
}

#[test]
fn a_description_that_cannot_be_used_ends_the_study_with_a_reason() {
    let mut unknown = descriptor();
    unknown["application"]["components"]["web"]["settings"]["cpu"]["value"] = Value::Null;
    let mut formula = descriptor();
    formula["optimization"]["perf"] = json!("speed / 2");
    for (descriptor, expected) in [
        (unknown, "web/cpu: the present value is unknown"),
        (
            formula,
            "`speed`, but the metrics are `throughput`, `errors`",
        ),
    ] {
        let mut play = Play::new(plan(3));
        play.hello();
        play.turn(Operation::Describe, Outcome::Described(descriptor));
        let reason = play.machine.summary("a/b").reason.unwrap();
        assert!(reason.contains(expected), "{reason}");
        assert!(play.next()["param"]["duration"].is_u64());
    }
}

#[test]
fn a_small_space_is_tried_whole_and_then_the_study_ends() {
    let mut small = descriptor();
    small["application"]["components"]["web"]["settings"]["cpu"]["max"] = json!(2);
    let mut play = Play::new(plan(50));
    play.hello();
    play.turn(Operation::Describe, Outcome::Described(small));
    play.turn(Operation::Measure, measured(200.0));
    for _ in 0..3 {
        play.trial();
    }
    play.turn(Operation::Adjust, Outcome::Adjusted);
    let summary = play.machine.summary("a/b");
    assert_eq!(
        summary.reason.as_deref(),
        Some("every combination of settings was tried")
    );
    assert_eq!(summary.trials.scored, 3, "the fourth point is the baseline");
}

#[test]
fn another_deployment_takes_over_by_greeting() {
    let mut machine = Machine::new("u".into(), plan(3));
    let hello = Input::Hello { agent: "x".into() };
    machine.handle(hello.clone(), Some("one"), 0);
    assert_eq!(
        machine.handle(Input::WhatsNext, Some("two"), 0).reply,
        Reply::Superseded
    );
    assert!(matches!(
        machine.handle(Input::WhatsNext, None, 0).reply,
        Reply::Command(_)
    ));
    machine.handle(hello, Some("two"), 0);
    assert_eq!(
        machine.handle(Input::WhatsNext, Some("one"), 0).reply,
        Reply::Superseded
    );
    assert!(matches!(
        machine.handle(Input::WhatsNext, Some("two"), 0).reply,
        Reply::Command(_)
    ));
}

#[test]
fn a_long_failure_message_keeps_head_and_tail() {
    let mut play = Play::new(plan(3));
    play.reach_first_trial();
    let message = format!("HEAD{}TAIL", "\u{e9}".repeat(1_500_000));
    let failure = Failure {
        status: Status::Failed,
        reason: None,
        message: Some(message),
        state: None,
    };
    play.turn(Operation::Adjust, Outcome::Failed(failure));
    let kept = play.machine.state().trials[0].message.clone().unwrap();
    assert!(kept.starts_with("HEAD") && kept.ends_with("TAIL") && kept.len() < 17_000);
}
