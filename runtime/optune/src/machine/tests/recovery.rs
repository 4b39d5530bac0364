//! What fails, what is stopped, and the return to good settings.

use super::*;

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
