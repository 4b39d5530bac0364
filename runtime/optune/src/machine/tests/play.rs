//! A machine and a servo that does as it is told, for the tests.

use serde_json::json;
use servo_protocol::{Failure, Measurement, Reason, Status, StatusReply};

use super::*;

/// A machine and a servo that plays by the rules.
pub(super) struct Play {
    pub(super) machine: Machine,
    pub(super) writes: Vec<Write>,
    /// What time it is, in milliseconds.
    pub(super) now: u64,
}

pub(super) fn descriptor() -> Value {
    json!({
        "application": {"components": {"web": {"settings": {
            "cpu": {"min": 1, "max": 8, "step": 1, "value": 2},
            "gc": {"type": "enum", "values": ["serial", "parallel"], "value": "serial"},
        }}}},
        "measurement": {"metrics": {"throughput": {"unit": "rps"}, "errors": {}}},
        "optimization": {"perf": "throughput / (1 + errors)"},
    })
}

/// The same, with other values in force; none are known where an adjustment
/// broke off.
pub(super) fn described(state: Option<&Value>) -> Value {
    let mut descriptor = descriptor();
    for setting in ["cpu", "gc"] {
        let at = format!("/application/components/web/settings/{setting}/value");
        let value = state.and_then(|state| state.pointer(&at)).cloned();
        if let Some(slot) = descriptor.pointer_mut(&at) {
            *slot = value.unwrap_or(Value::Null);
        }
    }
    descriptor
}

pub(super) fn measured(throughput: f64) -> Outcome {
    let metrics = json!({"throughput": {"value": throughput}, "errors": {"value": 0}});
    Outcome::Measured(serde_json::from_value::<Measurement>(json!({ "metrics": metrics })).unwrap())
}

pub(super) fn failed(status: &str, reason: Option<&str>) -> Outcome {
    Outcome::Failed(Failure {
        status: Status::from(status),
        reason: reason.map(Reason::from),
        message: Some("it broke".into()),
        state: None,
    })
}

pub(super) fn plan(trials: u32) -> StudyOptions {
    StudyOptions {
        trials,
        seed: 11,
        ..StudyOptions::default()
    }
}

/// Throughput of the imaginary application: best at 8 cpu and `parallel`.
pub(super) fn throughput(state: &Value) -> f64 {
    let settings = &state["application"]["components"]["web"]["settings"];
    let cpu = settings["cpu"]["value"].as_f64().unwrap();
    cpu * 100.0
        + if settings["gc"]["value"] == "parallel" {
            50.0
        } else {
            0.0
        }
}

impl Play {
    pub(super) fn new(plan: StudyOptions) -> Self {
        Self {
            machine: Machine::new("u".into(), plan),
            writes: Vec::new(),
            now: 1000,
        }
    }

    pub(super) fn send(&mut self, input: Input) -> Reply {
        let reaction = self.machine.handle(input, None, self.now);
        self.writes.extend(reaction.writes);
        reaction.reply
    }

    pub(super) fn hello(&mut self) {
        let reply = self.send(Input::Hello {
            agent: "test".into(),
        });
        assert_eq!(reply, Reply::Status(StatusReply::ok()));
    }

    pub(super) fn next(&mut self) -> Value {
        match self.send(Input::WhatsNext) {
            Reply::Command(command) => command,
            other => panic!("{other:?}"),
        }
    }

    /// The next command that is no rest.
    pub(super) fn work(&mut self) -> Value {
        loop {
            let command = self.next();
            if command["cmd"] != "SLEEP"
                || matches!(self.machine.state().core.phase, Phase::Ended { .. })
            {
                return command;
            }
        }
    }

    pub(super) fn last(&mut self, operation: Operation, outcome: Outcome) -> StatusReply {
        match self.send(Input::Final {
            operation,
            uid: None,
            outcome,
        }) {
            Reply::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    /// Takes the command that must come next and reports on it.
    pub(super) fn turn(&mut self, operation: Operation, outcome: Outcome) -> Value {
        let command = self.work();
        assert_eq!(command["cmd"], operation.to_string(), "{command}");
        assert_eq!(self.last(operation, outcome), StatusReply::ok());
        command
    }

    pub(super) fn reach_first_trial(&mut self) {
        self.hello();
        self.turn(Operation::Describe, Outcome::Described(descriptor()));
        self.turn(Operation::Measure, measured(200.0));
    }

    /// One trial as the imaginary application answers it.
    pub(super) fn trial(&mut self) -> Value {
        let adjust = self.turn(Operation::Adjust, Outcome::Adjusted);
        let score = throughput(&adjust["param"]["state"]);
        self.turn(Operation::Measure, measured(score));
        adjust["param"]["state"].clone()
    }

    /// Lets time pass, and the machine see it.
    pub(super) fn pass(&mut self, seconds: u64) {
        self.now += seconds * 1000;
        if self.machine.is_due(self.now) {
            self.send(Input::Tick);
        }
    }

    pub(super) fn goodbye(&mut self, reason: &str) {
        self.send(Input::Goodbye {
            reason: reason.into(),
        });
    }

    /// The one trial that subscribers see.
    pub(super) fn shown(&self, number: usize) -> Trial {
        self.machine.trials()[number - 1].clone()
    }

    pub(super) fn progress(&mut self, operation: Operation) -> StatusReply {
        match self.send(Input::Progress {
            operation,
            uid: None,
            percent: Some(1.0),
            message: None,
        }) {
            Reply::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }
}
