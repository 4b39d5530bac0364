//! All applications of a service behind one lock.
//!
//! One lock is enough and the simplest thing that is right: the store has one
//! writer anyway, an event changes one machine and the store together, and a
//! servo sends a few events a minute. When the store refuses, the machine is
//! put back to where it was, so that memory and disk never disagree.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use servo_protocol::{EventName, Status};
use tokio::sync::{broadcast, watch};

use crate::clock::Clock;
use crate::machine::{
    End, InForce, Input, Machine, Notice, Phase, Progress, Reply, ServoSeen, StudySummary, Trial,
    Write,
};
use crate::options::{AppKey, ServiceOptions, StudyOptions};
use crate::space::Dimension;
use crate::store::{EventRecord, Store, StoreError};

/// News that wait for a slow subscriber; after that it is told that it missed
/// some, and looks at the whole again.
const BACKLOG: usize = 256;
/// Largest content of an event in the record, in bytes.
const MAX_RECORD: usize = 64 * 1024;

/// News of one application.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServiceEvent {
    /// Which application.
    pub app: AppKey,
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub notice: Notice,
    /// The study as it now stands.
    pub summary: StudySummary,
}

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// There are as many applications as the options allow.
    #[error("there are already {0} applications, the most this service keeps")]
    Full(usize),
    /// No servo has ever spoken for it.
    #[error("there is no application {0}")]
    Unknown(AppKey),
    /// The study is not in a state for it.
    #[error("{0}")]
    NotNow(String),
    /// The store failed; nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The service has ended.
    #[error("the service has ended")]
    Closed,
    /// The system gives no random numbers.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

/// Everything about one application, for the page and the API.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AppView {
    pub(crate) account: String,
    pub(crate) application: String,
    pub(crate) phase: Phase,
    pub(crate) servo: Option<ServoSeen>,
    pub(crate) summary: StudySummary,
    pub(crate) progress: Option<Progress>,
    pub(crate) dimensions: Vec<Dimension>,
    pub(crate) trials: Vec<Trial>,
}

/// The applications.
pub(crate) struct Hub {
    inner: Mutex<Inner>,
    plan: StudyOptions,
    max_applications: usize,
    clock: Arc<dyn Clock>,
    news: broadcast::Sender<ServiceEvent>,
    ended: watch::Sender<Option<StudySummary>>,
}

struct Inner {
    /// None once the service has ended.
    store: Option<Store>,
    machines: BTreeMap<AppKey, Machine>,
}

impl Inner {
    fn store(&mut self) -> Result<&mut Store, HubError> {
        self.store.as_mut().ok_or(HubError::Closed)
    }
}

impl Hub {
    pub(crate) fn open(options: &ServiceOptions) -> Result<Self, StoreError> {
        let store = match &options.data {
            Some(folder) => Store::open_in(folder)?,
            None => Store::open(None)?,
        };
        let machines: BTreeMap<AppKey, Machine> = store
            .load()?
            .into_iter()
            .map(|(app, state)| (app, Machine::restore(state)))
            .collect();
        let hub = Self {
            inner: Mutex::new(Inner {
                store: Some(store),
                machines,
            }),
            plan: options.study.clone(),
            max_applications: options.max_applications,
            clock: Arc::clone(&options.clock),
            news: broadcast::Sender::new(BACKLOG),
            ended: watch::Sender::new(None),
        };
        if options.new_study {
            hub.renew_ended()?;
        }
        let ended = hub
            .apps()
            .into_iter()
            .map(|(_, summary)| summary)
            .find(StudySummary::ended);
        hub.ended.send_replace(ended);
        Ok(hub)
    }

    fn renew_ended(&self) -> Result<(), StoreError> {
        for (app, summary) in self.apps() {
            if !summary.ended() {
                continue;
            }
            match self.renew(&app) {
                Ok(()) => {}
                Err(HubError::Store(error)) => return Err(error),
                Err(error) => tracing::warn!(%app, %error, "no new study"),
            }
        }
        Ok(())
    }

    /// A panic while the lock was held cannot leave half a change: machines
    /// are replaced only whole.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one event in. On disk when this returns.
    pub(crate) fn take(
        &self,
        app: &AppKey,
        name: &EventName,
        input: Input,
        servo_uid: Option<&str>,
        body: &[u8],
    ) -> Result<Reply, HubError> {
        let now = self.clock.now();
        let mut inner = self.lock();
        if !inner.machines.contains_key(app) {
            if inner.machines.len() >= self.max_applications {
                return Err(HubError::Full(self.max_applications));
            }
            let machine = Machine::new(random_uid()?, self.plan.clone());
            inner.store()?.create(app, machine.state())?;
            inner.machines.insert(app.clone(), machine);
        }
        self.look_at_the_clock(&mut inner, app, now)?;
        self.step(&mut inner, app, name.as_str(), input, servo_uid, body, now)
    }

    /// What has happened by the mere passing of time.
    fn look_at_the_clock(&self, inner: &mut Inner, app: &AppKey, now: u64) -> Result<(), HubError> {
        let due = inner
            .machines
            .get(app)
            .is_some_and(|machine| machine.is_due(now));
        if due {
            self.step(inner, app, "LOST", Input::Tick, None, b"", now)?;
        }
        Ok(())
    }

    /// The same for every application. What cannot be stored now is found
    /// again the next time.
    pub(crate) fn tick(&self) {
        let now = self.clock.now();
        let mut inner = self.lock();
        let apps: Vec<AppKey> = inner.machines.keys().cloned().collect();
        for app in apps {
            if let Err(error) = self.look_at_the_clock(&mut inner, &app, now) {
                tracing::warn!(%app, %error, "that the servo is lost could not be stored");
            }
        }
    }

    /// Lets a study go on that rests.
    pub(crate) fn resume(&self, app: &AppKey) -> Result<(), HubError> {
        self.command(app, "RESUME", Input::Resume)
    }

    /// Begins another study where one has ended.
    pub(crate) fn renew(&self, app: &AppKey) -> Result<(), HubError> {
        self.command(app, "NEW-STUDY", Input::Renew(Box::new(self.plan.clone())))?;
        let name = app.to_string();
        self.ended.send_if_modified(|first| {
            let gone = first.as_ref().is_some_and(|summary| summary.app == name);
            if gone {
                *first = None;
            }
            gone
        });
        Ok(())
    }

    /// A command of the operator, who is told when it does not apply.
    fn command(&self, app: &AppKey, name: &str, input: Input) -> Result<(), HubError> {
        let now = self.clock.now();
        let mut inner = self.lock();
        match self.step(&mut inner, app, name, input, None, b"", now)? {
            Reply::Status(reply) if reply.status != Status::Ok => {
                let reason = reply.reason.map(|reason| reason.to_string());
                Err(HubError::NotNow(reason.unwrap_or_default()))
            }
            _ => Ok(()),
        }
    }

    /// Ends a study by the operator's wish.
    pub(crate) fn stop(&self, app: &AppKey, reason: &str) -> Result<(), HubError> {
        let now = self.clock.now();
        let mut inner = self.lock();
        let input = Input::Stop {
            reason: reason.to_owned(),
        };
        self.step(&mut inner, app, "STOP", input, None, reason.as_bytes(), now)
            .map(drop)
    }

    #[allow(clippy::too_many_arguments)]
    fn step(
        &self,
        inner: &mut Inner,
        app: &AppKey,
        name: &str,
        input: Input,
        servo_uid: Option<&str>,
        body: &[u8],
        now: u64,
    ) -> Result<Reply, HubError> {
        let Inner { store, machines } = inner;
        let store = store.as_mut().ok_or(HubError::Closed)?;
        let Some(machine) = machines.get_mut(app) else {
            return Err(HubError::Unknown(app.clone()));
        };
        let before = machine.state().clone();
        let recorded = Recorded::of(&input);
        let reaction = machine.handle(input, servo_uid, now);
        let record = recorded.with(&reaction.writes).then(|| EventRecord {
            at: now,
            name: name.to_owned(),
            body: crate::machine::cut(&String::from_utf8_lossy(body), MAX_RECORD),
        });
        if let Err(error) = store.commit(app, record.as_ref(), &reaction.writes) {
            *machine = Machine::restore(before);
            return Err(error.into());
        }
        if !reaction.notices.is_empty() {
            let summary = machine.summary(&app.to_string());
            if summary.ended() {
                self.ended.send_if_modified(|first| {
                    let is_first = first.is_none();
                    first.get_or_insert_with(|| summary.clone());
                    is_first
                });
            }
            for notice in reaction.notices {
                match &notice {
                    Notice::Paused(pause) => {
                        tracing::warn!(%app, reason = pause.reason, "the study rests");
                    }
                    Notice::Phase(Phase::Ended { end }) => end_in_the_log(app, end, &summary),
                    Notice::Servo(servo) if servo.lost => {
                        tracing::warn!(%app, agent = servo.agent, "nothing is heard of the servo");
                    }
                    _ => {}
                }
                // No subscriber is no error.
                let _ = self.news.send(ServiceEvent {
                    app: app.clone(),
                    at: now,
                    notice,
                    summary: summary.clone(),
                });
            }
        }
        Ok(reaction.reply)
    }

    /// Holds everything up, as a slow disk does, until it is dropped.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> impl Drop {
        self.lock()
    }

    /// Closes the store: whoever still holds the hub gets nothing done, and
    /// another service may open the same folder.
    pub(crate) fn close(&self) {
        self.lock().store = None;
    }

    /// As on a full disk, while set.
    pub(crate) fn refuse_writes(&self, refuse: bool) -> Result<(), HubError> {
        Ok(self.lock().store()?.refuse_writes(refuse)?)
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<ServiceEvent> {
        self.news.subscribe()
    }

    pub(crate) fn ended(&self) -> watch::Receiver<Option<StudySummary>> {
        self.ended.subscribe()
    }

    pub(crate) fn apps(&self) -> Vec<(AppKey, StudySummary)> {
        let inner = self.lock();
        inner
            .machines
            .iter()
            .map(|(app, machine)| (app.clone(), machine.summary(&app.to_string())))
            .collect()
    }

    /// The studies before the present one, oldest first.
    pub(crate) fn earlier(&self, app: &AppKey) -> Result<Vec<StudySummary>, HubError> {
        let mut inner = self.lock();
        let earlier = inner.store()?.earlier(app)?;
        let name = app.to_string();
        Ok(earlier
            .into_iter()
            .map(|state| Machine::restore(state).summary(&name))
            .collect())
    }

    /// An earlier study as it ended.
    pub(crate) fn earlier_view(
        &self,
        app: &AppKey,
        study: u32,
    ) -> Result<Option<AppView>, HubError> {
        let mut inner = self.lock();
        let earlier = inner.store()?.earlier(app)?;
        let found = earlier.into_iter().find(|state| state.core.study == study);
        Ok(found.map(|state| AppView::of(app, &Machine::restore(state))))
    }

    pub(crate) fn view(&self, app: &AppKey) -> Option<AppView> {
        let now = self.clock.now();
        let mut inner = self.lock();
        if let Err(error) = self.look_at_the_clock(&mut inner, app, now) {
            tracing::warn!(%app, %error, "that the servo is lost could not be stored");
        }
        Some(AppView::of(app, inner.machines.get(app)?))
    }
}

/// How a study ended, and what the application is left with.
fn end_in_the_log(app: &AppKey, end: &End, summary: &StudySummary) {
    let in_force = match summary.in_force {
        InForce::Unknown => "not known".to_owned(),
        InForce::Found => "those found at the start".to_owned(),
        InForce::Trial(number) => format!("those of trial {number}"),
    };
    let reason = end.reason();
    match end {
        End::Failed(_) => tracing::error!(%app, reason, in_force, "the study has failed"),
        End::Done(_) | End::Stopped(_) => {
            tracing::info!(%app, reason, in_force, "the study has ended");
        }
    }
}

impl AppView {
    fn of(app: &AppKey, machine: &Machine) -> Self {
        let state = machine.state();
        Self {
            account: app.account().to_owned(),
            application: app.application().to_owned(),
            phase: state.core.phase.clone(),
            servo: state.core.servo.clone(),
            summary: machine.summary(&app.to_string()),
            progress: machine.progress().cloned(),
            dimensions: state
                .study
                .as_ref()
                .map(|study| study.space.dimensions.clone())
                .unwrap_or_default(),
            trials: machine.trials(),
        }
    }
}

/// What makes an event worth a record. One that changed nothing is not, and a
/// servo gone mad could fill the disk with such.
enum Recorded {
    /// Questions and progress would drown the record.
    Nothing,
    /// A report that ends a command. A repetition may still show that the servo
    /// is there, but it was counted once.
    AnEnd,
    /// Any change.
    AChange,
}

impl Recorded {
    fn of(input: &Input) -> Self {
        match input {
            Input::WhatsNext | Input::Progress { .. } => Self::Nothing,
            Input::Final { .. } => Self::AnEnd,
            _ => Self::AChange,
        }
    }

    fn with(&self, writes: &[Write]) -> bool {
        match self {
            Self::Nothing => false,
            Self::AnEnd => writes
                .iter()
                .any(|write| matches!(write, Write::Closed { .. })),
            Self::AChange => !writes.is_empty(),
        }
    }
}

fn random_uid() -> Result<String, HubError> {
    let mut bytes = [0_u8; 8];
    getrandom::fill(&mut bytes).map_err(HubError::Random)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests;
