//! Whatever a servo does, in whatever order, the promises hold.

use proptest::prelude::*;
use serde_json::json;
use servo_protocol::Command as Wire;

use super::*;
use crate::options::AppKey;
use crate::store::Store;

#[derive(Debug, Clone)]
enum Act {
    Hello,
    Next,
    /// A report on the command in hand.
    Report(Kind),
    /// The last report once more.
    Repeat,
    /// A report of a kind that may not be due.
    Wrong(u8),
    Progress,
    Goodbye(&'static str),
    /// Nothing for longer than anything may take.
    Silence,
    /// Somebody changes the application while nobody looks.
    Meddle,
    Resume,
    Stop,
    /// The service is killed and started again.
    Crash,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Ok,
    Failed,
    Passing,
    NotANumber,
}

fn act() -> impl Strategy<Value = Act> {
    let kind = prop_oneof![6 => Just(Kind::Ok), 2 => Just(Kind::Failed), 1 => Just(Kind::Passing), 1 => Just(Kind::NotANumber)];
    prop_oneof![
        1 => Just(Act::Hello),
        8 => Just(Act::Next),
        8 => kind.prop_map(Act::Report),
        1 => Just(Act::Repeat),
        1 => (0..3_u8).prop_map(Act::Wrong),
        1 => Just(Act::Progress),
        1 => prop_oneof![Just("SIGTERM"), Just("restart")].prop_map(Act::Goodbye),
        1 => Just(Act::Silence),
        1 => prop::bool::weighted(0.2).prop_map(|meddle| if meddle { Act::Meddle } else { Act::Next }),
        1 => Just(Act::Resume),
        1 => prop::bool::weighted(0.1).prop_map(|stop| if stop { Act::Stop } else { Act::Next }),
        1 => Just(Act::Crash),
    ]
}

/// A servo with an imaginary application, a machine, and its store.
struct World {
    machine: Machine,
    store: Store,
    app: AppKey,
    /// What the application runs with; none when an ADJUST broke off.
    in_force: Option<Value>,
    hand: Option<Value>,
    last: Option<Input>,
    uids: bool,
    measured: bool,
    /// The way back failed for good.
    lost: bool,
    now: u64,
    /// Somebody else has changed the application, and nobody saw it so far.
    meddled: bool,
}

/// The state without what every word of a servo changes.
fn quiet(state: &Snapshot) -> Snapshot {
    let mut state = state.clone();
    state.core.servo = None;
    state
}

impl World {
    fn new(uids: bool, verify: u32) -> Self {
        let machine = Machine::new(
            "u".into(),
            StudyOptions {
                baseline_repeats: 2,
                max_failed_in_a_row: 4,
                verify,
                ..plan(6)
            },
        );
        let mut store = Store::open(None).unwrap();
        let app = AppKey::new("a", "b").unwrap();
        store.create(&app, machine.state()).unwrap();
        let found = json!({"application": {"components": {"web": {"settings": {"cpu": {"value": 2}, "gc": {"value": "serial"}}}}}});
        Self {
            machine,
            store,
            app,
            in_force: Some(found),
            hand: None,
            last: None,
            uids,
            measured: false,
            lost: false,
            now: 7,
            meddled: false,
        }
    }

    fn send(&mut self, input: Input) -> Reply {
        let reaction = self.machine.handle(input, None, self.now);
        self.store
            .commit(&self.app, None, &reaction.writes)
            .unwrap();
        // What is on disk is the whole truth.
        let stored = self.store.load().unwrap().remove(0).1;
        assert_eq!(&stored, self.machine.state());
        reaction.reply
    }

    fn next(&mut self) {
        let Reply::Command(answer) = self.send(Input::WhatsNext) else {
            panic!("no command")
        };
        let command =
            Wire::parse(&answer).expect("every answer is a command that a servo understands");
        if answer["cmd"] == "SLEEP" {
            assert!(answer["param"]["duration"].as_u64().unwrap() >= 1);
            assert!(self.machine.state().outstanding.is_none());
            return;
        }
        assert_eq!(
            command.cmd_uid.as_deref(),
            self.machine
                .state()
                .outstanding
                .as_ref()
                .map(|each| each.uid.as_str())
        );
        if let Some(known) = &self.hand
            && known["cmd_uid"] == answer["cmd_uid"]
        {
            assert_eq!(known, &answer, "one id, two commands");
        }
        if answer["cmd"] == "ADJUST" {
            assert!(self.measured, "changed before the baseline was measured");
            let settings =
                &answer["param"]["state"]["application"]["components"]["web"]["settings"];
            assert!((1.0..=8.0).contains(&settings["cpu"]["value"].as_f64().unwrap()));
        }
        self.hand = Some(answer);
    }

    fn report(&mut self, kind: Kind) {
        let Some(command) = self.hand.clone() else {
            return;
        };
        let operation = self.operation(&command);
        let outcome = match (operation, kind) {
            (_, Kind::Failed) => failed("failed", None),
            (_, Kind::Passing) => failed("transient-failure", None),
            (Operation::Describe, _) => Outcome::Described(described(self.in_force.as_ref())),
            (Operation::Adjust, _) => Outcome::Adjusted,
            (Operation::Measure, Kind::NotANumber) => failed("nodata", None),
            (Operation::Measure, Kind::Ok) => {
                measured(self.in_force.as_ref().map_or(1.0, throughput))
            }
        };
        let good = !matches!(outcome, Outcome::Failed(_));
        let was = self
            .machine
            .state()
            .outstanding
            .as_ref()
            .is_some_and(|each| json!(each.uid) == command["cmd_uid"]);
        if was && operation == Operation::Adjust {
            self.in_force = good.then(|| command["param"]["state"].clone());
        }
        self.measured |= was && operation == Operation::Measure && good;
        let uid = self
            .uids
            .then(|| command["cmd_uid"].as_str().unwrap().to_owned());
        let input = Input::Final {
            operation,
            uid,
            outcome,
        };
        self.last = Some(input.clone());
        self.send(input);
        self.hand = None;
        self.lost |= self.machine.state().core.applied.is_none()
            && matches!(self.machine.state().core.phase, Phase::Ended { .. })
            && self.machine.state().core.touched;
    }

    fn operation(&self, command: &Value) -> Operation {
        match command["cmd"].as_str() {
            Some("DESCRIBE") => Operation::Describe,
            Some("MEASURE") => Operation::Measure,
            _ => Operation::Adjust,
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Hello => drop(self.send(Input::Hello { agent: "x".into() })),
            Act::Next => self.next(),
            Act::Report(kind) => self.report(*kind),
            Act::Repeat => {
                // A servo repeats a report before it does anything else.
                if let (Some(input), None) = (self.last.clone(), &self.machine.state().outstanding)
                {
                    let before = quiet(self.machine.state());
                    self.send(input);
                    let after = quiet(self.machine.state());
                    assert_eq!(after, before, "a repetition was counted");
                }
            }
            Act::Wrong(kind) => {
                let operation = [Operation::Describe, Operation::Measure, Operation::Adjust]
                    [usize::from(*kind)];
                let before = quiet(self.machine.state());
                self.send(Input::Final {
                    operation,
                    uid: Some("u-0".into()),
                    outcome: Outcome::Adjusted,
                });
                assert_eq!(quiet(self.machine.state()), before);
            }
            Act::Progress => {
                let Some(command) = &self.hand else { return };
                let operation = self.operation(command);
                self.send(Input::Progress {
                    operation,
                    uid: None,
                    percent: None,
                    message: None,
                });
            }
            Act::Goodbye(reason) => drop(self.send(Input::Goodbye {
                reason: (*reason).into(),
            })),
            Act::Silence => {
                self.now += 1_000_000;
                self.send(Input::Tick);
                assert!(!self.machine.is_due(self.now), "a tick left something over");
            }
            // Where the servo is there the change comes under the study; no
            // servo sees that.
            Act::Meddle => {
                let idle = self.machine.state().outstanding.is_none();
                if let (true, Some(state)) = (idle, &mut self.in_force) {
                    let cpu = &mut state["application"]["components"]["web"]["settings"]["cpu"];
                    *cpu = json!({ "value": if cpu["value"] == 3 { 4 } else { 3 } });
                    self.send(Input::Hello { agent: "x".into() });
                    self.meddled = true;
                }
            }
            Act::Resume => drop(self.send(Input::Resume)),
            Act::Stop => drop(self.send(Input::Stop {
                reason: "enough".into(),
            })),
            Act::Crash => self.machine = Machine::restore(self.store.load().unwrap().remove(0).1),
        }
        let state = self.machine.state();
        // Six, and each lost one once more.
        assert!(
            state
                .trials
                .iter()
                .filter(|trial| !trial.is_made_again())
                .count()
                <= 6
        );
        let pause = state.core.paused.as_ref();
        assert!(
            self.meddled || pause.is_none(),
            "drift where nobody meddled: {pause:?}"
        );
        assert_eq!(
            state
                .trials
                .iter()
                .filter(|trial| trial.state == TrialState::Running)
                .count()
                > 0,
            matches!(
                state.core.phase,
                Phase::Adjusting { .. } | Phase::Measuring { .. }
            )
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_play_ends_well(acts in prop::collection::vec(act(), 0..80), uids in any::<bool>(), verify in 0..3_u32) {
        let mut world = World::new(uids, verify);
        for act in &acts {
            world.act(act);
        }
        // From here on a servo that does as it is told.
        for _ in 0..200 {
            if matches!(world.machine.state().core.phase, Phase::Ended { .. }) {
                break;
            }
            world.act(&Act::Resume);
            world.next();
            world.report(Kind::Ok);
        }
        let summary = world.machine.summary("a/b");
        prop_assert_eq!(summary.paused.as_ref(), None);
        prop_assert!(summary.ended(), "{:?}", world.machine);
        // Meddled with after the last look, it is no longer the study's.
        if summary.settings.is_some() && world.machine.state().core.touched && !world.meddled {
            let held = !summary.reason.as_ref().is_some_and(|reason| reason.contains("did not hold"));
            let best = summary.best.filter(|_| held && summary.improvement.is_some_and(|share| share > 0.0));
            let expected = best.or(summary.baseline).unwrap().settings.to_state();
            prop_assert!(world.in_force == Some(expected.clone()) || world.machine.word() == "failed" && world.in_force.is_some(),
                "{:?} in place of {expected}", world.in_force);
        }
        if world.lost {
            prop_assert!(summary.reason.unwrap().contains("check the application"));
        }
    }
}
