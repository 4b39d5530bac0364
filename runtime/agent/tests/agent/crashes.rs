//! A crash at each point of each operation, and what becomes of it.

pub mod world;

use std::time::Duration;

use self::world::*;
use serde_json::{Value, json};

fn commands() -> Vec<Value> {
    let state =
        json!({"application": {"components": {"web": {"settings": {"cpu": {"value": 1.5}}}}}});
    vec![
        json!({"cmd": "DESCRIBE", "param": {}}),
        json!({"cmd": "ADJUST", "param": {"state": state, "control": {}}}),
        json!({"cmd": "MEASURE", "param": {"metrics": ["throughput"], "control": {}}}),
        json!({"cmd": "DESCRIBE", "param": {}}),
    ]
}

/// Points at which an adjustment is half done as far as the journal knows.
const HALF_DONE: [&str; 6] = [
    "ADJUST: after began",
    "adjust: in its first step",
    "ADJUST: before paused",
    "ADJUST: after resumed",
    "adjust: in its second step",
    "ADJUST: before ended",
];

/// Points at which the service has the report and the servo does not know.
const UNCERTAIN: [&str; 2] = ["report: answer on its way", ": before delivered"];

/// What holds whatever happened: each command got one report, no step of an
/// adjustment ran twice, each state came back as it was left, no wait was cut
/// short, and none began anew.
fn check(world: &World, case: &str) {
    let accepted = world.service.accepted.lock().unwrap();
    let numbers: Vec<usize> = accepted.iter().map(|(number, _)| *number).collect();
    let all: Vec<usize> = (0..world.service.commands.len()).collect();
    assert_eq!(numbers, all, "{case}");

    for (driver, wait, left) in [
        (&world.measure, MEASURE_WAIT, MEASURE_STATE),
        (&world.adjust, ADJUST_WAIT, ADJUST_STATE),
    ] {
        let steps = driver.steps.lock().unwrap();
        let Some(second) = steps.iter().position(|(_, state)| state.is_some()) else {
            continue;
        };
        let (paused, at) = (steps[second - 1].0, steps[second].0);
        let due = paused + f64::from(u32::try_from(wait).unwrap());
        let start = world.starts.iter().copied().filter(|start| *start <= at);
        let start = start.fold(0.0, f64::max);
        assert_eq!(at, due.max(start), "{case}: {steps:?}, {:?}", world.starts);
        for (_, state) in &steps[second..] {
            assert_eq!(state.as_deref(), Some(left), "{case}");
        }
    }
    let adjusted = world.adjust.steps.lock().unwrap();
    let firsts = adjusted.iter().filter(|(_, state)| state.is_none()).count();
    assert!(firsts <= 1, "{case}: {adjusted:?}");
    assert!(adjusted.len() - firsts <= 1, "{case}: {adjusted:?}");

    // What was said about a command never went back.
    let progress = world.service.progress.lock().unwrap();
    for pair in progress.windows(2) {
        let back = pair[0].0 == pair[1].0 && pair[1].1 < pair[0].1;
        assert!(!back, "{case}: {progress:?}");
    }
}

/// Every point, with and without ids, with a downtime shorter and longer than
/// the waits.
#[tokio::test(start_paused = true)]
async fn a_crash_at_each_point() {
    for (ids, downtime) in [(true, 30), (false, 30), (true, 500)] {
        let (points, _) = World::new(&commands(), ids).run(vec![]).await;
        assert!(points.len() > 50, "{points:?}");
        for point in HALF_DONE {
            assert!(points.iter().any(|name| name == point), "{point}");
        }
        for (number, point) in points.iter().enumerate() {
            let case = format!("{number} {point}, ids {ids}, downtime {downtime}");
            let mut world = World::new(&commands(), ids);
            world.downtime = Duration::from_secs(downtime);
            let (_, happened) = world.run(vec![Crash::Nth(number)]).await;
            assert_eq!(happened, 1, "{case}");
            check(&world, &case);

            let accepted = world.service.accepted.lock().unwrap();
            let adjustment = &accepted[1].1;
            if HALF_DONE.contains(&point.as_str()) {
                assert_eq!(adjustment["status"], "failed", "{case}");
                assert_eq!(adjustment["reason"], "unknown", "{case}");
            } else {
                assert_eq!(adjustment["status"], "ok", "{case}: {adjustment}");
            }
            for other in [0, 2, 3] {
                assert_eq!(accepted[other].1["status"], "ok", "{case}");
            }

            // Twice only where the servo cannot know, and then never taken twice.
            let uncertain = UNCERTAIN.iter().any(|end| point.ends_with(end));
            let again = usize::from(uncertain);
            let (with, without) = if ids { (again, 0) } else { (0, again) };
            let service = &world.service;
            assert_eq!(service.repeated.lock().unwrap().len(), with, "{case}");
            assert_eq!(service.unexpected.lock().unwrap().len(), without, "{case}");
        }
    }
}

/// A second crash at each point of what comes after the first.
#[tokio::test(start_paused = true)]
async fn two_crashes() {
    let commands = &commands()[1..3];
    let (points, _) = World::new(commands, true).run(vec![]).await;
    for (first, point) in points.iter().enumerate() {
        for second in 0.. {
            let mut world = World::new(commands, true);
            let crashes = vec![Crash::Nth(first), Crash::Nth(second)];
            let (_, happened) = world.run(crashes).await;
            let case = format!("{first} {point} then {second}");
            check(&world, &case);
            let measurement = &world.service.accepted.lock().unwrap()[1].1;
            assert_eq!(measurement["status"], "ok", "{case}");
            if happened < 2 {
                break;
            }
        }
    }
}

/// What takes the servo with it every time is not begun for ever.
#[tokio::test(start_paused = true)]
async fn a_step_that_ends_the_servo_is_given_up() {
    let cases = [
        ("measure: in its first step", 2, 3),
        ("measure: in its second step", 2, 4),
        ("measure: describing", 0, 0),
    ];
    for (point, command, steps) in cases {
        let mut world = World::new(&commands(), true);
        let (_, happened) = world.run(vec![Crash::At(point); 3]).await;
        assert_eq!(happened, 3, "{point}");
        check(&world, point);
        let accepted = world.service.accepted.lock().unwrap();
        let report = &accepted[command].1;
        assert_eq!(report["status"], "failed", "{point}");
        assert_eq!(report["reason"], "unknown", "{point}");
        let message = report["message"].as_str().unwrap();
        assert!(message.contains("ended 3 times"), "{message}");
        if steps > 0 {
            assert_eq!(world.measure.steps.lock().unwrap().len(), steps, "{point}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_not_handed_to_another_driver() {
    for (point, command) in [("MEASURE: after paused", 2), ("ADJUST: after paused", 1)] {
        let mut world = World::new(&commands(), true);
        world.crash_once(Crash::At(point)).await;
        world.exchange_drivers();
        world.run(vec![]).await;
        let driver = if command == 2 {
            &world.measure
        } else {
            &world.adjust
        };
        assert!(driver.steps.lock().unwrap().is_empty(), "{point}");
        let accepted = world.service.accepted.lock().unwrap();
        assert_eq!(accepted.len(), 4, "{point}");
        let report = &accepted[command].1;
        assert_eq!(report["status"], "failed", "{point}");
        assert_eq!(report["reason"], "version-mismatch", "{point}");
        let message = report["message"].as_str().unwrap();
        for digest in ["sha256:01", "sha256:02"] {
            assert!(message.contains(digest), "{message}");
        }
    }
}

/// Seconds by which the wall clock jumps with the crash in the middle of the
/// wait, downtime, and when the second step runs.
#[tokio::test(start_paused = true)]
async fn clocks_that_jump() {
    let cases = [
        (0, 10, 100.0),
        // The whole wait again, and no more.
        (-100_000, 10, 160.0),
        // Waiting is over as far as anybody can tell.
        (1000, 10, 60.0),
    ];
    let commands = &commands()[2..3];
    for (jump, downtime, second) in cases {
        let mut world = World::new(commands, true);
        (world.jump, world.downtime) = (jump, Duration::from_secs(downtime));
        world.run(vec![Crash::At("in the middle of a wait")]).await;
        let steps = world.measure.steps.lock().unwrap();
        let expected = [(0.0, None), (second, Some(MEASURE_STATE.to_owned()))];
        assert_eq!(*steps, expected, "{jump}");
    }
}

/// The limit of a call goes on while the servo is gone.
#[tokio::test(start_paused = true)]
async fn a_call_that_was_gone_too_long() {
    let mut world = World::new(&commands(), true);
    world.downtime = Duration::from_secs(5000);
    world.run(vec![Crash::At("MEASURE: after paused")]).await;
    let accepted = world.service.accepted.lock().unwrap();
    let report = &accepted[2].1;
    assert_eq!(
        (&report["status"], &report["reason"]),
        (&json!("failed"), &json!("timeout"))
    );
    assert_eq!(world.measure.steps.lock().unwrap().len(), 1);
}

/// The same points with a driver that recovers: what was half done is taken up,
/// and ends well; nothing is ever begun twice.
#[tokio::test(start_paused = true)]
async fn a_crash_at_each_point_of_an_adjustment_that_can_be_taken_up() {
    let commands = &commands()[1..2];
    let (points, _) = World::new(commands, true).recovering().run(vec![]).await;
    for (number, point) in points.iter().enumerate() {
        let mut world = World::new(commands, true).recovering();
        world.run(vec![Crash::Nth(number)]).await;
        let report = &world.service.accepted.lock().unwrap()[0].1;
        assert_eq!(report["status"], "ok", "{point}: {report}");
        let taken_up = world.adjust.taken_up.lock().unwrap();
        let half_done = HALF_DONE.contains(&point.as_str());
        assert_eq!(taken_up.len(), usize::from(half_done), "{point}");
        assert!(taken_up.iter().all(|each| each.in_step), "{point}");
        let steps = world.adjust.steps.lock().unwrap();
        let firsts = steps.iter().filter(|(_, state)| state.is_none()).count();
        assert!(firsts <= 1 && steps.len() <= 2, "{point}: {steps:?}");
    }
}

/// A driver that takes the servo with it each time it is asked is asked three
/// times.
#[tokio::test(start_paused = true)]
async fn a_driver_is_asked_three_times_what_became_of_an_adjustment() {
    let mut world = World::new(&commands()[1..2], true).recovering();
    let again = Crash::At("adjust: taking it up");
    let crashes = vec![
        Crash::At("adjust: in its first step"),
        again.clone(),
        again.clone(),
        again.clone(),
        again,
    ];
    let (_, happened) = world.run(crashes).await;
    assert_eq!(happened, 4);
    assert_eq!(world.adjust.taken_up.lock().unwrap().len(), 3);
    let report = &world.service.accepted.lock().unwrap()[0].1;
    assert_eq!(
        (&report["status"], &report["reason"]),
        (&json!("failed"), &json!("unknown"))
    );
    assert!(
        report["message"]
            .as_str()
            .unwrap()
            .contains("ended 3 times"),
        "{report}"
    );
}

/// What another version of it left waiting, a driver that recovers is told of.
#[tokio::test(start_paused = true)]
async fn a_pause_of_an_older_driver_is_taken_up_by_one_that_recovers() {
    let mut world = World::new(&commands()[1..2], true).recovering();
    world.crash_once(Crash::At("ADJUST: after paused")).await;
    world.exchange_drivers();
    world.run(vec![]).await;
    let taken_up = world.adjust.taken_up.lock().unwrap();
    let [only] = taken_up.as_slice() else {
        panic!("{taken_up:?}");
    };
    assert_eq!(
        (only.state.as_deref(), only.in_step),
        (Some(ADJUST_STATE), false)
    );
    assert!(world.adjust.steps.lock().unwrap().is_empty());
    assert_eq!(world.service.accepted.lock().unwrap()[0].1["status"], "ok");
}

/// Points at which an undo is half done as far as the journal knows.
const HALF_UNDONE: [&str; 5] = [
    "ADJUST: after undoing",
    "adjust: undoing",
    "ADJUST: before undo paused",
    "ADJUST: after undo resumed",
    "ADJUST: before ended",
];

/// A crash at each point of an adjustment that is cancelled in its wait and
/// undone in two steps: no step of the undo runs twice, one that waits goes on,
/// and what is in force is told where it is known.
#[tokio::test(start_paused = true)]
async fn a_crash_at_each_point_of_an_undo() {
    let commands = &commands()[1..2];
    let (points, _) = World::new(commands, true).cancelling().run(vec![]).await;
    for point in HALF_UNDONE {
        assert!(
            points.iter().any(|name| name == point),
            "{point}: {points:?}"
        );
    }
    for (number, point) in points.iter().enumerate() {
        let mut world = World::new(commands, true).cancelling();
        world.run(vec![Crash::Nth(number)]).await;
        let report = &world.service.accepted.lock().unwrap()[0].1;
        let undone = world.adjust.undone.lock().unwrap();
        let firsts = undone.iter().filter(|(_, own)| own.is_none()).count();
        assert!(firsts <= 1 && undone.len() <= 2, "{point}: {undone:?}");
        assert!(
            undone.iter().all(|(state, _)| state == ADJUST_STATE),
            "{point}"
        );
        let message = report["message"].as_str().unwrap();
        let unknown = message.contains("state of the application is unknown");
        if HALF_UNDONE.contains(&point.as_str()) {
            assert_eq!(report["status"], "cancelled", "{point}: {report}");
            assert!(
                unknown && report.get("state").is_none(),
                "{point}: {report}"
            );
        } else if unknown {
            assert!(HALF_DONE.contains(&point.as_str()), "{point}: {report}");
            assert_eq!(report["status"], "failed", "{point}: {report}");
        } else {
            assert_eq!(report["status"], "cancelled", "{point}: {report}");
            let state = &report["state"]["application"]["components"]["web"]["settings"];
            assert_eq!(state["cpu"]["value"], 1.0, "{point}: {report}");
            assert_eq!(undone[1].1.as_deref(), Some(UNDO_STATE), "{point}");
        }
    }
}
