//! A servo that goes away.

use super::*;

fn seconds(seconds: f64) -> Option<Seconds> {
    Some(Seconds::new(seconds).unwrap())
}

/// How long each command and each rest may be silent.
#[test]
fn silence_is_judged_by_what_the_servo_was_told() {
    let slow = StudyOptions {
        control: Control {
            warmup: seconds(100.0),
            duration: seconds(200.0),
            delay: seconds(60.0),
            past: seconds(60.0),
            ..Control::default()
        },
        adjust_control: Control {
            settlement: seconds(300.0),
            ..Control::default()
        },
        ..plan(3)
    };
    let quick = StudyOptions {
        control: Control {
            duration: seconds(10.0),
            ..Control::default()
        },
        ..plan(3)
    };
    // Least seconds after which it is lost while measuring, and while adjusting.
    for (plan, measuring, adjusting) in [
        (slow.clone(), 540, 450),
        (quick, 180, 180),
        (
            StudyOptions {
                lost_after: 900,
                ..slow
            },
            900,
            900,
        ),
    ] {
        for (operation, patience) in [
            (Operation::Adjust, adjusting),
            (Operation::Measure, measuring),
        ] {
            let mut play = Play::new(plan.clone());
            play.reach_first_trial();
            if operation == Operation::Measure {
                play.turn(Operation::Adjust, Outcome::Adjusted);
            }
            assert_eq!(play.next()["cmd"], operation.to_string());
            play.pass(100);
            assert_eq!(play.progress(operation), StatusReply::ok());
            play.pass(patience - 1);
            assert_eq!(
                play.shown(1).state,
                TrialState::Running,
                "{operation} {patience}"
            );
            play.pass(1);
            assert_eq!(
                play.shown(1).state,
                TrialState::Lost,
                "{operation} {patience}"
            );
            let servo = play.machine.state().core.servo.clone().unwrap();
            assert!(servo.lost && !servo.connected);
            assert_eq!(play.machine.summary("a/b").trials.lost, 1);
        }
    }
}

#[test]
fn a_sleeping_servo_may_miss_two_wakings() {
    let mut play = Play::new(StudyOptions {
        idle_sleep: 100,
        ..plan(1)
    });
    play.reach_first_trial();
    play.trial();
    play.turn(Operation::Adjust, Outcome::Adjusted);
    assert_eq!(play.next()["cmd"], "SLEEP");
    let lost = |play: &Play| play.machine.state().core.servo.as_ref().unwrap().lost;
    play.pass(299);
    assert!(!lost(&play));
    play.pass(1);
    assert!(lost(&play));
    play.next();
    assert!(!lost(&play), "it has spoken");
    // One that said goodbye is away, not lost.
    play.goodbye("SIGTERM");
    play.pass(10_000);
    assert!(!lost(&play));
}

#[test]
fn a_lost_trial_is_made_once_more_from_the_last_good_settings() {
    for away in ["silence", "SIGTERM"] {
        let mut play = Play::new(plan(4));
        play.reach_first_trial();
        let good = play.trial();
        let second = play.turn(Operation::Adjust, Outcome::Adjusted)["param"]["state"].clone();
        for round in 0..2 {
            assert_eq!(play.next()["cmd"], "MEASURE");
            match away {
                "silence" => play.pass(181),
                reason => play.goodbye(reason),
            }
            let trial = 2 + round;
            assert_eq!(play.shown(trial).state, TrialState::Lost, "{away}");
            play.hello();
            assert_eq!(
                play.turn(Operation::Adjust, Outcome::Adjusted)["param"]["state"],
                good,
                "{away}"
            );
            assert_eq!(play.shown(trial).status.as_deref(), Some("lost"));
            // The greeting is followed by a look at what is in force.
            play.turn(
                Operation::Describe,
                Outcome::Described(described(Some(&good))),
            );
            let next = play.turn(Operation::Adjust, Outcome::Adjusted);
            assert_eq!(
                next["param"]["state"] == second,
                round == 0,
                "{away}: once more, and only once"
            );
        }
        let state = play.machine.state();
        assert_eq!(state.trials[2].again_of, Some(2));
        assert_eq!(state.trials[3].again_of, None);
        // The first loss costs nothing, the second is one of the four trials.
        play.turn(Operation::Measure, measured(100.0));
        play.trial();
        assert_eq!(play.machine.word(), "restoring", "{away}");
    }
}

#[test]
fn a_late_report_still_counts() {
    for away in ["silence", "SIGTERM"] {
        for hello in [false, true] {
            let mut play = Play::new(plan(4));
            play.reach_first_trial();
            play.turn(Operation::Adjust, Outcome::Adjusted);
            let measure = play.next();
            match away {
                "silence" => play.pass(1000),
                reason => play.goodbye(reason),
            }
            assert_eq!(play.shown(1).state, TrialState::Lost);
            // One that kept a journal goes on where it was.
            if hello {
                play.hello();
            }
            assert_eq!(play.progress(Operation::Measure), StatusReply::ok());
            assert_eq!(play.shown(1).state, TrialState::Running, "{away}");
            let report = Input::Final {
                operation: Operation::Measure,
                uid: measure["cmd_uid"].as_str().map(str::to_owned),
                outcome: measured(123.0),
            };
            assert_eq!(play.send(report), Reply::Status(StatusReply::ok()));
            assert_eq!(play.shown(1).score, Some(123.0), "{away}");
        }
    }
}

#[test]
fn a_servo_that_only_starts_again_keeps_what_it_has_in_hand() {
    for reason in ["restart", "restarting"] {
        let mut play = Play::new(plan(3));
        play.reach_first_trial();
        play.turn(Operation::Adjust, Outcome::Adjusted);
        let measure = play.next();
        play.goodbye(reason);
        play.hello();
        assert_eq!(play.next(), measure, "{reason}");
    }
}

/// Between two commands nothing is in hand, but the trial's settings are in
/// force.
#[test]
fn a_goodbye_between_applying_and_measuring_leads_back() {
    let mut play = Play::new(plan(3));
    play.reach_first_trial();
    play.turn(Operation::Adjust, Outcome::Adjusted);
    play.goodbye("exit");
    assert_eq!(play.shown(1).state, TrialState::Lost);
    play.hello();
    assert_eq!(play.next()["param"]["state"], found());
    // Before anything was applied there is nothing to go back from.
    let mut play = Play::new(plan(3));
    play.reach_first_trial();
    play.goodbye("exit");
    assert_eq!(play.shown(1).state, TrialState::Running);
}

#[test]
fn a_service_that_was_down_gives_the_servo_its_time_again() {
    let mut play = Play::new(plan(3));
    play.reach_first_trial();
    play.turn(Operation::Adjust, Outcome::Adjusted);
    play.next();
    play.machine = Machine::restore(play.machine.state().clone());
    play.pass(100_000);
    assert_eq!(
        play.shown(1).state,
        TrialState::Running,
        "nobody could have been heard"
    );
    play.pass(181);
    assert_eq!(play.shown(1).state, TrialState::Lost);
    // A clock that is put back makes nobody lost, and nobody immortal.
    let mut play = Play::new(plan(3));
    play.now = 10_000_000_000;
    play.reach_first_trial();
    play.now = 1000;
    play.pass(1);
    play.pass(179);
    let lost = |play: &Play| play.machine.state().core.servo.as_ref().unwrap().lost;
    assert!(!lost(&play));
    play.pass(2);
    assert!(lost(&play));
}
