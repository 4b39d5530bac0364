//! A failed adjustment that says which settings are in force.

use super::*;

/// A failed adjustment after which these settings are in force.
fn failed_with(cpu: u32, gc: &str) -> Outcome {
    let Outcome::Failed(mut failure) = failed("failed", Some("unstable")) else {
        unreachable!()
    };
    let state = json!({"application": {"components": {"web": {"settings": {
        "cpu": {"value": cpu}, "gc": {"value": gc}}}}}});
    failure.state = Some(serde_json::from_value(state).unwrap());
    Outcome::Failed(failure)
}

#[test]
fn a_driver_that_went_back_by_itself_saves_the_way_back() {
    let mut play = Play::new(plan(3));
    play.reach_first_trial();
    // What was found, and scored as the baseline.
    play.turn(Operation::Adjust, failed_with(2, "serial"));
    let next = play.turn(Operation::Adjust, Outcome::Adjusted);
    let second = play.machine.state().trials[1].settings.to_state();
    assert_eq!(next["param"]["state"], second, "the next trial at once");
}

#[test]
fn a_driver_that_says_nothing_or_something_else_is_taken_back() {
    for outcome in [failed("failed", None), failed_with(4, "serial")] {
        let mut play = Play::new(plan(3));
        play.reach_first_trial();
        play.turn(Operation::Adjust, outcome);
        let back = play.work();
        let found = play
            .machine
            .state()
            .study
            .as_ref()
            .unwrap()
            .found
            .to_state();
        assert_eq!(back["param"]["state"], found);
    }
}
