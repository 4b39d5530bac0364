//! An application that is changed while the servo is away.

use super::*;

/// Brings a study to its second trial and lets the servo greet anew there.
fn greeted_anew(measuring: bool) -> (Play, Value) {
    let mut play = Play::new(plan(5));
    play.reach_first_trial();
    play.trial();
    let state = play.turn(Operation::Adjust, Outcome::Adjusted)["param"]["state"].clone();
    if measuring {
        play.next();
        play.hello();
        assert_eq!(
            play.next()["cmd"],
            "MEASURE",
            "what was in hand comes first"
        );
        play.last(Operation::Measure, measured(throughput(&state)));
    } else {
        play.hello();
    }
    (play, state)
}

#[test]
fn a_servo_that_comes_back_is_asked_what_is_in_force() {
    for measuring in [false, true] {
        let (mut play, state) = greeted_anew(measuring);
        play.turn(
            Operation::Describe,
            Outcome::Described(described(Some(&state))),
        );
        let next = if measuring { "ADJUST" } else { "MEASURE" };
        assert_eq!(play.next()["cmd"], next, "nothing has changed");
        assert_eq!(play.machine.state().core.study, 1);
    }
}

#[test]
fn what_was_changed_behind_its_back_stops_the_study_until_the_operator_resumes() {
    let (mut play, state) = greeted_anew(false);
    let mut meddled = state.clone();
    meddled["application"]["components"]["web"]["settings"]["gc"]["value"] = json!("serial");
    let cpu = &mut meddled["application"]["components"]["web"]["settings"]["cpu"]["value"];
    *cpu = json!(cpu.as_u64().unwrap() % 8 + 1);
    play.turn(
        Operation::Describe,
        Outcome::Described(described(Some(&meddled))),
    );
    for _ in 0..3 {
        let rest = play.next();
        assert_eq!(rest["cmd"], "SLEEP");
        let reason = rest["param"]["data"]["reason"].as_str().unwrap();
        assert!(reason.contains("web/cpu is"), "{reason}");
    }
    let summary = play.machine.summary("a/b");
    assert_eq!(summary.state, "paused");
    let drift = summary.paused.unwrap().drift;
    assert_eq!(
        drift[0].expected,
        state["application"]["components"]["web"]["settings"]["cpu"]["value"]
    );
    // Also after a crash, and after a greeting.
    play.machine = Machine::restore(play.machine.state().clone());
    play.hello();
    assert_eq!(play.next()["cmd"], "SLEEP");
    assert_eq!(reply(play.send(Input::Resume)), StatusReply::ok());
    assert_eq!(reply(play.send(Input::Resume)).status.as_str(), "invalid");
    // The greeting asks once more; nothing is known to be in force, so there
    // is nothing to differ from.
    play.turn(
        Operation::Describe,
        Outcome::Described(described(Some(&meddled))),
    );
    let again = play.next();
    assert_eq!(
        (&again["cmd"], &again["param"]["state"]),
        (&json!("ADJUST"), &state)
    );
}

#[test]
fn a_value_that_is_not_told_is_no_difference() {
    let (mut play, _) = greeted_anew(false);
    play.turn(Operation::Describe, Outcome::Described(described(None)));
    assert_eq!(play.next()["cmd"], "MEASURE");
}

#[test]
fn before_anything_was_changed_what_is_there_now_is_where_it_begins() {
    let mut play = Play::new(plan(3));
    play.hello();
    play.turn(Operation::Describe, Outcome::Described(descriptor()));
    play.hello();
    let mut other = found();
    other["application"]["components"]["web"]["settings"]["cpu"]["value"] = json!(5);
    play.turn(
        Operation::Describe,
        Outcome::Described(described(Some(&other))),
    );
    assert_eq!(play.machine.word(), "paused");
    play.send(Input::Resume);
    play.turn(
        Operation::Describe,
        Outcome::Described(described(Some(&other))),
    );
    play.turn(Operation::Measure, measured(500.0));
    assert_eq!(
        play.machine
            .summary("a/b")
            .baseline
            .unwrap()
            .settings
            .to_state(),
        other
    );
}

#[test]
fn a_paused_study_can_be_stopped() {
    let (mut play, _) = greeted_anew(false);
    play.turn(Operation::Describe, Outcome::Described(descriptor()));
    assert_eq!(play.machine.word(), "paused");
    play.send(Input::Stop {
        reason: "enough".into(),
    });
    let best = play
        .machine
        .summary("a/b")
        .best
        .unwrap()
        .settings
        .to_state();
    assert_eq!(
        play.turn(Operation::Adjust, Outcome::Adjusted)["param"]["state"],
        best
    );
    assert_eq!(play.machine.word(), "stopped");
}

#[test]
fn a_look_that_fails_is_taken_again_and_then_left() {
    let (mut play, _) = greeted_anew(false);
    for _ in 0..MAX_TRIES {
        play.turn(Operation::Describe, failed("failed", None));
    }
    assert_eq!(play.work()["cmd"], "MEASURE");
    // A description that cannot be used needs somebody to mend it.
    let (mut play, state) = greeted_anew(false);
    let mut bad = described(Some(&state));
    bad["application"]["components"]["web"]["settings"]["cpu"]["min"] = json!("x");
    play.turn(Operation::Describe, Outcome::Described(bad));
    assert_eq!(play.machine.word(), "paused");
    play.send(Input::Resume);
    play.turn(
        Operation::Describe,
        Outcome::Described(described(Some(&state))),
    );
    assert_eq!(play.next()["cmd"], "MEASURE");
}

#[test]
fn other_ranges_begin_a_new_version_with_the_trials_that_still_fit() {
    let mut play = Play::new(plan(6));
    play.reach_first_trial();
    for _ in 0..3 {
        play.trial();
    }
    let before = play.machine.state().clone();
    let in_force = before.trials[2].settings.to_state();
    play.hello();
    let mut narrower = described(Some(&in_force));
    narrower["application"]["components"]["web"]["settings"]["cpu"]["max"] = json!(5);
    play.turn(Operation::Describe, Outcome::Described(narrower));
    let state = play.machine.state();
    assert_eq!(state.core.study, 2);
    let fitting: Vec<u32> = before
        .trials
        .iter()
        .filter(|trial| trial.settings.get("web", "cpu").unwrap().as_u64() <= Some(5))
        .filter(|trial| trial.state == TrialState::Scored)
        .map(|trial| trial.number)
        .collect();
    let imported: Vec<u32> = state
        .trials
        .iter()
        .filter_map(|trial| trial.imported)
        .map(|from| from.trial)
        .collect();
    assert_eq!(imported, fitting);
    assert!(imported.len() < 3, "the seed gives a trial outside");
    // What was found is still allowed and was measured by the same objective.
    assert_eq!(play.machine.summary("a/b").baseline.unwrap().score, 200.0);
    let written = play
        .writes
        .iter()
        .any(|write| matches!(write, Write::Renewed { number: 2, .. }));
    assert!(written);
    // First back to where it was good, then on within the new range.
    play.turn(Operation::Adjust, Outcome::Adjusted);
    let mut made = imported.len();
    while play.machine.word() == "exploring" {
        let state = play.trial();
        made += 1;
        assert!(
            state["application"]["components"]["web"]["settings"]["cpu"]["value"]
                .as_u64()
                .unwrap()
                <= 5
        );
    }
    assert_eq!(made, 6, "the imported ones are among the planned ones");
}

#[test]
fn other_settings_begin_anew_and_keep_the_way_back() {
    let mut play = Play::new(plan(3));
    play.reach_first_trial();
    let in_force = play.trial();
    play.hello();
    let mut more = described(Some(&in_force));
    more["application"]["components"]["web"]["settings"]["mem"] =
        json!({"min": 1, "max": 4, "step": 1, "value": 2});
    play.turn(Operation::Describe, Outcome::Described(more));
    assert_eq!(
        play.machine.state().trials,
        vec![],
        "none has the new setting"
    );
    let mut start = found();
    start["application"]["components"]["web"]["settings"]["mem"] = json!({"value": 2});
    assert_eq!(
        play.turn(Operation::Adjust, Outcome::Adjusted)["param"]["state"],
        start
    );
    // The baseline has a setting that was never measured.
    play.turn(Operation::Measure, measured(200.0));
    assert_eq!(
        play.machine
            .summary("a/b")
            .baseline
            .unwrap()
            .settings
            .to_state(),
        start
    );
    assert_eq!(play.next()["cmd"], "ADJUST");
}

#[test]
fn another_objective_imports_nothing() {
    let mut play = Play::new(plan(3));
    play.reach_first_trial();
    let in_force = play.trial();
    play.hello();
    let mut other = described(Some(&in_force));
    other["application"]["components"]["web"]["settings"]["cpu"]["max"] = json!(9);
    other["optimization"]["perf"] = json!("0 - errors");
    play.turn(Operation::Describe, Outcome::Described(other));
    let state = play.machine.state();
    assert_eq!(
        (state.trials.len(), state.study.as_ref().unwrap().baseline),
        (0, None)
    );
    play.turn(Operation::Adjust, Outcome::Adjusted);
    assert_eq!(play.next()["cmd"], "MEASURE");
}

#[test]
fn an_ended_study_can_be_followed_by_another() {
    let mut play = Play::new(plan(2));
    play.reach_first_trial();
    let early = play.send(Input::Renew(Box::new(plan(1))));
    assert_eq!(reply(early).status.as_str(), "invalid");
    play.trial();
    play.trial();
    let best = play.turn(Operation::Adjust, Outcome::Adjusted)["param"]["state"].clone();
    assert_eq!(play.next()["cmd"], "SLEEP");
    assert_eq!(
        reply(play.send(Input::Renew(Box::new(plan(1))))),
        StatusReply::ok()
    );
    play.turn(
        Operation::Describe,
        Outcome::Described(described(Some(&best))),
    );
    play.turn(Operation::Measure, measured(throughput(&best)));
    let summary = play.machine.summary("a/b");
    assert_eq!((summary.study, summary.trials.planned), (2, 1));
    assert_eq!(summary.baseline.unwrap().settings.to_state(), best);
    play.trial();
    assert_eq!(play.machine.word(), "restoring");
}

#[test]
fn another_environment_is_waited_for() {
    let plan = StudyOptions {
        control: Control {
            environment: Some(json!({"mode": "test"})),
            ..Control::default()
        },
        ..plan(3)
    };
    let mut play = Play::new(plan);
    play.hello();
    let describe = play.next();
    assert_eq!(describe["param"]["control"]["environment"]["mode"], "test");
    play.last(Operation::Describe, failed("environment-mismatch", None));
    assert_eq!(play.next()["param"]["duration"], 30);
    play.turn(Operation::Describe, Outcome::Described(descriptor()));
    let measure = play.next();
    assert_eq!(measure["param"]["control"]["environment"]["mode"], "test");
}

#[test]
fn drift_while_verifying_applies_again_before_it_measures() {
    let mut play = Play::new(StudyOptions {
        verify: 1,
        ..plan(2)
    });
    play.reach_first_trial();
    play.trial();
    play.trial();
    let applied = play.turn(Operation::Adjust, Outcome::Adjusted);
    play.hello();
    let mut other = found();
    other["application"]["components"]["web"]["settings"]["cpu"]["value"] = json!(7);
    play.turn(
        Operation::Describe,
        Outcome::Described(described(Some(&other))),
    );
    assert_eq!(play.machine.word(), "paused");
    play.send(Input::Resume);
    assert_eq!(play.next()["param"]["state"], applied["param"]["state"]);
}
