//! A study from its start to its end.

use super::*;

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
    // The best is what was measured best, and says which that is.
    assert_eq!(summary.best, summary.baseline);
    assert_eq!(summary.improvement, Some(0.0));
    assert_eq!(summary.in_force, InForce::Found);
    assert_eq!(summary.settings.unwrap().to_state(), found());
}

/// At every moment it is said which settings are in force, or that nobody knows.
#[test]
fn which_settings_are_in_force_is_told_throughout() {
    let mut play = Play::new(plan(3));
    let told = |play: &Play| {
        let summary = play.machine.summary("a/b");
        assert_eq!(
            summary.settings.is_none(),
            summary.in_force == InForce::Unknown
        );
        summary.in_force
    };
    assert_eq!(told(&play), InForce::Unknown);
    play.reach_first_trial();
    assert_eq!(told(&play), InForce::Found);
    let adjust = play.work();
    assert_eq!(told(&play), InForce::Unknown, "it is being changed");
    play.last(Operation::Adjust, Outcome::Adjusted);
    assert_eq!(told(&play), InForce::Trial(1));
    let score = throughput(&adjust["param"]["state"]);
    play.turn(Operation::Measure, measured(score));
    play.turn(Operation::Adjust, failed("failed", None));
    assert_eq!(told(&play), InForce::Unknown);
    play.turn(Operation::Adjust, Outcome::Adjusted);
    assert_eq!(told(&play), InForce::Trial(1), "back to the last good ones");
}

/// Two metrics and no objective: the reason says which formula is wanted, with
/// a line to copy, to whoever asks.
#[test]
fn field_17_two_metrics_and_no_objective_fail_with_a_line_to_copy() {
    for (metrics, formula) in [
        (json!({"a rate": {}, "p95": {}}), "m[\"a rate\"]"),
        (json!({"p95": {}, "a rate": {}}), "p95"),
        (json!({"x'y": {}, "$(id)": {}, "p95": {}}), "p95"),
    ] {
        let mut play = Play::new(plan(3));
        play.hello();
        let mut descriptor = descriptor();
        descriptor["measurement"]["metrics"] = metrics;
        descriptor["optimization"] = Value::Null;
        play.turn(Operation::Describe, Outcome::Described(descriptor));
        let summary = play.machine.summary("a/b");
        let reason = summary.reason.unwrap();
        assert_eq!(summary.state, "failed");
        assert!(
            reason.contains(&format!("--objective '{formula}'")),
            "{reason}"
        );
        assert!(
            reason.contains(&format!("OPTUNE_PERF='{formula}'")),
            "{reason}"
        );
        // The servo is told as well, with the state, so that its log can say it.
        let sleep = play.next();
        assert_eq!(sleep["cmd"], "SLEEP");
        assert_eq!(
            sleep["param"]["data"],
            json!({"reason": reason, "state": "failed"})
        );
        // And the formula is one that would do.
        let spec = crate::objective::ObjectiveSpec::Formula(formula.to_owned());
        crate::objective::Objective::choose(&spec, None, &["a rate", "p95"]).unwrap();
    }
}

/// A backend that keeps settings as 32-bit floats is no drift.
#[test]
fn field_01_a_32_bit_float_is_no_drift() {
    let described = |value: f64| {
        json!({
            "application": {"components": {"web": {"settings": {
                "ratio": {"min": 0, "max": 1, "step": 0.1, "value": value},
                "free": {"min": 0, "max": 1, "value": value},
                "kind": {"type": "enum", "values": [0.4, 0.8], "value": value},
            }}}},
            "measurement": {"metrics": {"perf": {}}},
        })
    };
    for (found, paused) in [(0.400_000_005_960_464_5, false), (0.8, true)] {
        let mut play = Play::new(plan(3));
        play.hello();
        play.turn(Operation::Describe, Outcome::Described(described(0.4)));
        play.hello();
        play.turn(Operation::Describe, Outcome::Described(described(found)));
        let state = play.machine.summary("a/b").state;
        assert_eq!(state == "paused", paused, "{found}");
    }
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
