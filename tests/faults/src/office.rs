//! The service as a process that can die: the real one, with its real store,
//! without a socket.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use futures_util::stream;
use servo_optune::{AppKey, Service, ServiceOptions, StudyOptions, StudySummary};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::clock::Wall;
use crate::log::Log;
use crate::net::Lost;

/// Where the servo posts.
const URL: &str = "http://localhost/accounts/acme/applications/shop/servo";

/// An answer, as far as the servo sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// The running process.
struct Running {
    service: Service,
    /// Set when it dies: its connections break.
    dead: CancellationToken,
}

/// The service.
pub struct Office {
    options: ServiceOptions,
    clock: Arc<Wall>,
    /// The application under study.
    pub app: AppKey,
    running: Mutex<Option<Running>>,
    log: Arc<Log>,
}

/// The application that all worlds are about.
#[must_use]
pub fn shop() -> AppKey {
    match AppKey::new("acme", "shop") {
        Ok(app) => app,
        Err(error) => panic!("{error}"),
    }
}

impl Office {
    /// Not yet started.
    #[must_use]
    pub fn new(data: PathBuf, study: StudyOptions, clock: Arc<Wall>, log: Arc<Log>) -> Self {
        let options = ServiceOptions {
            data: Some(data),
            study,
            clock: Arc::clone(&clock) as Arc<dyn servo_optune::Clock>,
            ..ServiceOptions::default()
        };
        Self {
            options,
            clock,
            app: shop(),
            running: Mutex::default(),
            log,
        }
    }

    /// Starts it on what its store holds.
    pub fn start(&self) {
        self.log.note("service: starts");
        let service = Service::offline(&self.options)
            .unwrap_or_else(|error| panic!("the service does not start: {error}"));
        let running = Running {
            service,
            dead: CancellationToken::new(),
        };
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    }

    /// Ends it as SIGKILL does.
    pub fn kill(&self) {
        self.log.note("service: KILLED");
        let running = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(running) = running {
            running.dead.cancel();
        }
    }

    /// Kills it, and starts it after a while.
    pub async fn restart(&self, downtime: Duration) {
        self.kill();
        sleep(downtime).await;
        self.start();
    }

    fn with<T>(&self, look: impl FnOnce(&Service) -> T) -> Option<T> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map(|running| look(&running.service))
    }

    /// Fills its disk, or frees it.
    pub fn fill(&self, full: bool) {
        self.log.note(format!(
            "service: disk {}",
            if full { "FULL" } else { "free" }
        ));
        self.with(|service| {
            service
                .refuse_writes(full)
                .unwrap_or_else(|error| panic!("the store: {error}"));
        });
    }

    /// Moves its wall clock by milliseconds.
    pub fn jump(&self, by: i64) {
        self.log
            .note(format!("service: its clock jumps by {by} ms"));
        self.clock.jump(by);
    }

    /// The operator ends the study. Whether there was one to end.
    pub fn stop(&self) -> bool {
        self.log.note("service: the operator STOPS the study");
        self.with(|service| service.stop(&self.app, "enough").is_ok())
            .unwrap_or(false)
    }

    /// Lets it look for a servo that is silent, as it does by itself every
    /// second when it listens.
    pub fn tick(&self) {
        self.with(Service::tick);
    }

    /// How the study stands; none while it does not run or knows of none.
    #[must_use]
    pub fn summary(&self) -> Option<StudySummary> {
        self.with(|service| service.summary(&self.app)).flatten()
    }

    /// A request arrives.
    ///
    /// # Errors
    /// Nobody answers, or the connection breaks.
    pub async fn take(&self, body: Bytes, whole: bool) -> Result<Answer, Lost> {
        let body = if whole {
            Body::from(body)
        } else {
            let half = body.slice(..body.len() / 2);
            let broken = std::io::Error::other("the connection broke");
            Body::from_stream(stream::iter([Ok(half), Err(broken)]))
        };
        let request = Request::post(URL)
            .header("content-type", "application/json")
            .header("host", "localhost")
            .body(body)
            .map_err(|_| Lost::Broken)?;
        let (handled, dead) = {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            let running = running.as_ref().ok_or(Lost::Broken)?;
            (running.service.handle(request), running.dead.clone())
        };
        let answered = async {
            let answer = handled.await;
            let status = answer.status().as_u16();
            let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
            let body = body.map_err(|_| Lost::Broken)?;
            Ok(Answer { status, body })
        };
        tokio::select! {
            biased;
            () = dead.cancelled() => Err(Lost::Broken),
            answer = answered => answer,
        }
    }
}
