//! The machine: the stored state, and what is derived from it.

use super::event::{Notice, Write};
use super::state::{Core, Progress, Snapshot};
use crate::objective::Objective;
use crate::options::StudyOptions;
use crate::sampler::{Observation, Sampler};

/// Changes and news of one reaction, while it is being made.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) writes: Vec<Write>,
    pub(super) notices: Vec<Notice>,
    pub(super) core: bool,
    pub(super) study: bool,
}

/// The state machine.
pub struct Machine {
    pub(super) state: Snapshot,
    pub(super) engine: Option<Engine>,
    pub(super) progress: Option<Progress>,
    /// When the servo was last heard of; the time of the start after a restart,
    /// since a service that was down has heard nobody.
    pub(super) heard: Option<u64>,
    /// Seconds that the servo was last told to sleep.
    pub(super) rest: u32,
}

/// What is derived from the description.
pub(super) struct Engine {
    pub(super) objective: Objective,
    pub(super) sampler: Box<dyn Sampler>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Machine {
    /// A new application. `uid` makes its command ids unique.
    #[must_use]
    pub fn new(uid: String, plan: StudyOptions) -> Self {
        let core = Core::new(uid);
        let state = Snapshot {
            plan,
            core,
            study: None,
            trials: Vec::new(),
            outstanding: None,
        };
        Self {
            state,
            engine: None,
            progress: None,
            heard: None,
            rest: 0,
        }
    }

    /// The machine that had this state.
    #[must_use]
    pub fn restore(state: Snapshot) -> Self {
        let rest = state.plan.idle_sleep;
        let mut machine = Self {
            state,
            engine: None,
            progress: None,
            heard: None,
            rest,
        };
        machine.engine = machine.build_engine();
        machine
    }

    /// All of its state.
    #[must_use]
    pub fn state(&self) -> &Snapshot {
        &self.state
    }

    /// The last progress report of the command in hand.
    #[must_use]
    pub fn progress(&self) -> Option<&Progress> {
        self.progress.as_ref()
    }

    /// Objective and sampler from the stored study, the history told again.
    pub(super) fn build_engine(&self) -> Option<Engine> {
        let Snapshot {
            plan,
            study,
            trials,
            ..
        } = &self.state;
        let study = study.as_ref()?;
        let described: Vec<&str> = study.metrics.iter().map(String::as_str).collect();
        let objective =
            Objective::choose(&plan.objective, study.perf.as_deref(), &described).ok()?;
        let mut sampler = plan.sampler.build(&study.space, plan.seed, plan.trials);
        if let Some(observation) = study.observation(plan.maximize) {
            sampler.tell(observation);
        }
        for trial in trials {
            if let Some(observation) = trial.observation(plan.maximize) {
                sampler.tell(observation);
            }
        }
        Some(Engine { objective, sampler })
    }

    pub(super) fn tell(&mut self, observation: Option<Observation>) {
        if let (Some(engine), Some(observation)) = (&mut self.engine, observation) {
            engine.sampler.tell(observation);
        }
    }
}
