//! The best settings against those found, measured again.

use serde_json::json;
use servo_protocol::StatusReply;

use super::*;

fn found() -> Value {
    json!({"application": {"components": {"web": {"settings": {"cpu": {"value": 2}, "gc": {"value": "serial"}}}}}})
}

/// Plays a study of three trials to where it verifies.
fn verifying(rounds: u32) -> (Play, Value) {
    let mut play = Play::new(StudyOptions {
        verify: rounds,
        ..plan(3)
    });
    play.reach_first_trial();
    let states: Vec<Value> = (0..3).map(|_| play.trial()).collect();
    assert_eq!(play.machine.word(), "verifying");
    let best = states
        .into_iter()
        .max_by(|a, b| throughput(a).total_cmp(&throughput(b)))
        .unwrap();
    (play, best)
}

#[test]
fn the_best_are_kept_only_when_they_win_again() {
    // Scores of those found and of the best, in turn, and who is restored.
    for (scores, kept) in [
        (vec![200.0, 300.0], true),
        (vec![200.0, 199.0], false),
        (vec![200.0, 300.0, 400.0, 310.0], true),
        (vec![200.0, 300.0, 400.0, 290.0], false),
    ] {
        let (mut play, best) = verifying(scores.len() as u32 / 2);
        for (at, score) in scores.iter().enumerate() {
            let expected = if at % 2 == 0 { found() } else { best.clone() };
            let adjust = play.turn(Operation::Adjust, Outcome::Adjusted);
            assert_eq!(adjust["param"]["state"], expected);
            // A crash at any step changes nothing.
            play.machine = Machine::restore(play.machine.state().clone());
            play.turn(Operation::Measure, measured(*score));
        }
        let restore = play.turn(Operation::Adjust, Outcome::Adjusted);
        let expected = if kept { best } else { found() };
        assert_eq!(restore["param"]["state"], expected, "{scores:?}");
        let summary = play.machine.summary("a/b");
        assert_eq!(summary.state, "done");
        assert_eq!(summary.reason.unwrap().contains("did not hold"), !kept);
        let verified = summary.verified.unwrap();
        assert_eq!(verified.found.len() + verified.best.len(), scores.len());
        assert_eq!(verified.best[0], scores[1]);
    }
}

#[test]
fn a_verification_that_fails_restores_what_was_found() {
    for step in 0..4 {
        let (mut play, _) = verifying(1);
        for at in 0..4 {
            let (operation, good) = if at % 2 == 0 {
                (Operation::Adjust, Outcome::Adjusted)
            } else {
                (Operation::Measure, measured(250.0))
            };
            let bad = at == step;
            play.turn(operation, if bad { failed("aborted", None) } else { good });
            if bad {
                break;
            }
        }
        let restore = play.turn(Operation::Adjust, Outcome::Adjusted);
        assert_eq!(restore["param"]["state"], found(), "{step}");
        assert_eq!(play.machine.word(), "done");
    }
}

#[test]
fn a_stop_ends_a_verification_with_the_best() {
    let (mut play, best) = verifying(5);
    play.turn(Operation::Adjust, Outcome::Adjusted);
    play.next();
    play.send(Input::Stop {
        reason: "enough".into(),
    });
    assert_eq!(
        play.progress(Operation::Measure),
        StatusReply::cancel("enough")
    );
    play.last(Operation::Measure, failed("cancelled", None));
    assert_eq!(play.next()["param"]["state"], best);
}
