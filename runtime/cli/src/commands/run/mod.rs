//! `servo run`: the agent for one application, until it is told to stop.
//!
//! The process outlives its servos: SIGHUP ends one and begins the next, with
//! newly loaded files and drivers, on the same journal. What the first had in
//! hand goes on in the second as after a crash, so there is one way to go on
//! and not two. The journal is opened before any driver is loaded, which keeps
//! a second process on the same folder from doing anything at all.

mod load;
mod log;
mod prompt;
pub(crate) mod settings;
mod signals;

use servo_agent::StopReason;
use tokio::task::JoinHandle;

use self::load::{Loaded, Loader};
use self::signals::{Asked, Signals};
use crate::args::RunArgs;
use crate::exit::{Failed, Outcome};

pub(crate) async fn run(args: RunArgs) -> Outcome {
    let loader = Loader::new(args)?;
    let mut signals = Signals::take().map_err(Failed::ran)?;
    let prepared = loader.prepare()?;
    let (journal, recovered) = prepared.journal(loader.app())?;
    loader.serve_metrics().await?;
    let mut loaded = tokio::select! {
        loaded = loader.load(prepared) => loaded?,
        // Nothing has been said to the service yet.
        () = stopped(&mut signals) => return Ok(()),
    };
    let mut recovered = Some(recovered);
    let mut reload = Reload::default();
    loop {
        let in_hand = recovered.take().unwrap_or_else(|| journal.in_hand());
        let servo = loader.servo(&loaded, &journal, in_hand);
        let handle = servo.handle();
        let mut state = Watch::default();
        let running = servo.run();
        tokio::pin!(running);
        let reason = loop {
            tokio::select! {
                biased;
                asked = signals.next() => match asked {
                    Asked::Stop(stop) if state.stopping => stop.die(),
                    Asked::Stop(stop) => {
                        state.stopping = true;
                        handle.stop_now(stop.reason());
                    }
                    Asked::Finish => {
                        state.finishing = true;
                        handle.stop_after_turn(StopReason::Exit);
                    }
                    Asked::Reload => reload.begin(&loader),
                },
                next = reload.loaded() => {
                    state.next = Some(next);
                    handle.stop_after_turn(StopReason::Restart);
                }
                reason = &mut running => break reason,
            }
        };
        match state.next {
            Some(next) if reason == StopReason::Restart && !state.finishing => loaded = next,
            _ => {
                tracing::info!(target: "servo", %reason, "stopped");
                return Ok(());
            }
        }
        tracing::info!(target: "servo", "beginning again with what the files say now");
    }
}

/// Waits for a signal that ends the process. A reload is what is under way
/// already.
async fn stopped(signals: &mut Signals) {
    while signals.next().await == Asked::Reload {}
}

/// What has been asked of the servo that runs.
#[derive(Default)]
struct Watch {
    /// It has been told to stop now.
    stopping: bool,
    /// It has been told to stop after the command in hand.
    finishing: bool,
    /// What the next servo is made of.
    next: Option<Loaded>,
}

/// New files and drivers, while they are loaded.
#[derive(Default)]
struct Reload(Option<JoinHandle<Result<Loaded, Failed>>>);

impl Reload {
    /// Begins, or begins again: the newest state of the files counts.
    fn begin(&mut self, loader: &Loader) {
        tracing::info!(target: "servo", "reloading");
        let loader = loader.clone();
        // A task of its own: what it compiles must not hold up the servo.
        let task = tokio::spawn(async move {
            let prepared = loader.prepare()?;
            loader.load(prepared).await
        });
        if let Some(before) = self.0.replace(task) {
            before.abort();
        }
    }

    /// What was loaded. A failure is told and keeps everything as it is.
    async fn loaded(&mut self) -> Loaded {
        let Some(task) = &mut self.0 else {
            return std::future::pending().await;
        };
        let outcome = task.await;
        self.0 = None;
        let problem = match outcome {
            Ok(Ok(loaded)) => return loaded,
            Ok(Err(failed)) => failed.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(target: "servo", "the reload failed, nothing has changed: {problem}");
        std::future::pending().await
    }
}

impl Drop for Reload {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}
