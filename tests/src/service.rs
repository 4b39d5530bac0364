//! A stub of the service (protocol section 24): it plays one scene after the
//! other, refuses what comes out of order, and keeps book.
//!
//! It is not the local service of this repository, and shares no code with it
//! on purpose: what both the agent and our own service misread alike would
//! never be found. So it reads bare JSON and knows the protocol by itself.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Where the stub takes events; everything else is a 404.
const PATH: &str = "/accounts/acme/applications/shop/servo";

/// A body of these tests is a few kilobytes; what is cut is no JSON.
const LARGEST_BODY: usize = 1 << 20;

/// How long an answer takes. An answer in no time would hide a servo that does
/// not wait for it before it sends the next request.
const ANSWER_TIME: Duration = Duration::from_millis(10);

/// One command and how its progress reports are answered.
#[derive(Debug, Clone)]
pub struct Scene {
    command: &'static str,
    param: Value,
    cancel: Option<(usize, String)>,
}

impl Scene {
    /// DESCRIBE.
    #[must_use]
    pub fn describe() -> Self {
        Self::new("DESCRIBE", json!({}))
    }

    /// MEASURE.
    #[must_use]
    pub fn measure(param: Value) -> Self {
        Self::new("MEASURE", param)
    }

    /// ADJUST.
    #[must_use]
    pub fn adjust(param: Value) -> Self {
        Self::new("ADJUST", param)
    }

    /// SLEEP, for so many seconds.
    #[must_use]
    pub fn sleep(seconds: f64) -> Self {
        Self::new("SLEEP", json!({ "duration": seconds }))
    }

    /// The progress reports from number `from` on (the first is 1) are
    /// answered with a cancel.
    #[must_use]
    pub fn cancelled(mut self, from: usize, reason: &str) -> Self {
        self.cancel = Some((from, reason.to_owned()));
        self
    }

    fn new(command: &'static str, param: Value) -> Self {
        Self {
            command,
            param,
            cancel: None,
        }
    }

    /// The event that ends it.
    fn report(&self) -> Option<&'static str> {
        match self.command {
            "DESCRIBE" => Some("DESCRIPTION"),
            "MEASURE" => Some("MEASUREMENT"),
            "ADJUST" => Some("ADJUSTMENT"),
            _ => None,
        }
    }
}

/// One event as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its `param`.
    pub param: Value,
}

impl Event {
    /// Whether it is a progress report.
    #[must_use]
    pub fn is_progress(&self) -> bool {
        self.param.get("progress").is_some()
    }
}

/// The stub while it runs. It ends when dropped.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    desk: Arc<Desk>,
    played: watch::Receiver<bool>,
    heard: watch::Receiver<usize>,
    told: watch::Receiver<usize>,
    server: JoinHandle<()>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Service {
    /// Starts it on a free port. Every request must carry `token`, or none.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(scenes: Vec<Scene>, token: Option<&str>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (done, played) = watch::channel(false);
        let (progress, heard) = watch::channel(0);
        let (tells, told) = watch::channel(0);
        let desk = Arc::new(Desk {
            authorization: token.map(|token| format!("Bearer {token}")),
            busy: AtomicBool::new(false),
            book: Mutex::new(Book {
                scenes,
                at: 0,
                greeted: false,
                handed: false,
                progress,
                tells,
                failures: Vec::new(),
                events: Vec::new(),
                breaches: Vec::new(),
                done,
            }),
        });
        let router = Router::new().fallback(take).with_state(Arc::clone(&desk));
        let server = tokio::spawn(async move {
            // Without it the test fails at its next request, and says so.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            desk,
            played,
            heard,
            told,
            server,
        })
    }

    /// Where events are to be posted.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Waits until all scenes are played and the servo has asked for more.
    pub async fn played(&self) {
        // It cannot fail: the sender lives as long as we do.
        let _ = self.played.clone().wait_for(|done| *done).await;
    }

    /// Waits until the command in hand has had so many progress reports.
    pub async fn reported(&self, progress: usize) {
        // It cannot fail: the sender lives as long as we do.
        let mut heard = self.heard.clone();
        let _ = heard.wait_for(|seen| *seen >= progress).await;
    }

    /// Waits until what has come suffices.
    pub async fn until(&self, enough: impl Fn(&[Event]) -> bool) {
        let mut told = self.told.clone();
        loop {
            told.mark_unchanged();
            if enough(&self.events()) {
                return;
            }
            // It cannot fail: the sender lives as long as we do.
            let _ = told.changed().await;
        }
    }

    /// The next so many events of this name are answered with a 500; they are
    /// in the book, and change nothing.
    pub fn fail(&self, name: &'static str, times: usize) {
        let mut book = self.desk.book();
        book.failures.extend(std::iter::repeat_n(name, times));
    }

    /// Nothing fails any more.
    pub fn fail_no_more(&self) {
        self.desk.book().failures.clear();
    }

    /// The servo was killed: its next greeting is not out of order.
    pub fn killed(&self) {
        self.desk.book().greeted = false;
    }

    /// All events that came, WHATS_NEXT left out: how often a servo asks is a
    /// matter of timing.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let book = self.desk.book();
        let told = book.events.iter();
        told.filter(|event| event.name != "WHATS_NEXT")
            .cloned()
            .collect()
    }

    /// What was against the protocol.
    #[must_use]
    pub fn breaches(&self) -> Vec<String> {
        self.desk.book().breaches.clone()
    }
}

#[derive(Debug)]
struct Desk {
    authorization: Option<String>,
    busy: AtomicBool,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    scenes: Vec<Scene>,
    /// The scene that is on.
    at: usize,
    greeted: bool,
    /// The scene's command has been given.
    handed: bool,
    /// Progress reports of this scene.
    progress: watch::Sender<usize>,
    /// How many events came.
    tells: watch::Sender<usize>,
    /// Names of the events that will fail.
    failures: Vec<&'static str>,
    events: Vec<Event>,
    breaches: Vec<String>,
    done: watch::Sender<bool>,
}

impl Desk {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request at a time. Ends with the request, also with one that is cut
/// off because its servo was killed.
struct Busy(Arc<Desk>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::SeqCst);
    }
}

async fn take(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let alone = !desk.busy.swap(true, Ordering::SeqCst);
    let _busy = Busy(Arc::clone(&desk));
    let (head, body) = request.into_parts();
    let (method, uri, headers) = (head.method, head.uri, head.headers);
    let body = axum::body::to_bytes(body, LARGEST_BODY).await;
    let body = body.unwrap_or_default();
    tokio::time::sleep(ANSWER_TIME).await;
    let mut book = desk.book();
    let envelope = serde_json::from_slice::<Value>(&body);
    // A servo that is told to stop gives up the request in hand.
    let goodbye = envelope
        .as_ref()
        .is_ok_and(|envelope| envelope.get("event") == Some(&json!("GOODBYE")));
    if !alone && !goodbye {
        book.breach("a request while another was open".to_owned());
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if (method.as_str(), uri.path()) != ("POST", PATH) {
        book.breach(format!("{method} {uri}"));
        StatusCode::NOT_FOUND.into_response()
    } else if text(header::AUTHORIZATION) != desk.authorization.as_deref() {
        book.breach("a wrong token, or one too many".to_owned());
        StatusCode::UNAUTHORIZED.into_response()
    } else {
        if text(header::CONTENT_TYPE) != Some("application/json") {
            book.breach("a wrong content type".to_owned());
        }
        match envelope {
            Ok(envelope) => match book.answer(&envelope) {
                Some(answer) => Json(answer).into_response(),
                None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            },
            Err(error) => {
                book.breach(format!("the body is no JSON: {error}"));
                StatusCode::BAD_REQUEST.into_response()
            }
        }
    }
}

impl Book {
    fn breach(&mut self, what: String) {
        self.breaches.push(what);
    }

    fn refuse(&mut self, name: &str, due: &str) -> Value {
        let reason = format!("got {name} while {due} was due");
        self.breach(reason.clone());
        json!({ "status": "unexpected-event", "reason": reason })
    }

    /// None: the request fails.
    fn answer(&mut self, envelope: &Value) -> Option<Value> {
        let name = envelope.get("event").and_then(Value::as_str);
        let (name, param) = (
            name.unwrap_or_default().to_owned(),
            envelope.get("param").cloned().unwrap_or(Value::Null),
        );
        self.events.push(Event {
            name: name.clone(),
            param: param.clone(),
        });
        let failure = self.failures.iter().position(|failing| *failing == name);
        let answer = match failure {
            Some(at) => {
                self.failures.remove(at);
                None
            }
            None => Some(self.act(&name, &param)),
        };
        // Whoever waits for this sees what it led to.
        self.tells.send_replace(self.events.len());
        answer
    }

    fn act(&mut self, name: &str, param: &Value) -> Value {
        match (name, self.greeted) {
            ("HELLO", false) => {
                self.greeted = true;
                ok()
            }
            ("GOODBYE", true) => {
                self.greeted = false;
                ok()
            }
            (_, false) => self.refuse(name, "HELLO"),
            ("HELLO", true) => self.refuse("HELLO", "anything else"),
            ("WHATS_NEXT", true) => self.command(),
            (_, true) => self.reported(name, param),
        }
    }

    fn command(&mut self) -> Value {
        self.handed = true;
        let Some(scene) = self.scenes.get(self.at) else {
            self.done.send_replace(true);
            let param = json!({ "duration": 60, "data": { "reason": "all scenes are played" } });
            return json!({ "cmd": "SLEEP", "param": param });
        };
        let command = json!({ "cmd": scene.command, "param": scene.param, "cmd_uid": self.uid() });
        if scene.report().is_none() {
            self.next();
        }
        command
    }

    fn uid(&self) -> String {
        format!("scene-{}", self.at)
    }

    fn next(&mut self) {
        self.at += 1;
        self.handed = false;
        self.progress.send_replace(0);
    }

    fn reported(&mut self, name: &str, param: &Value) -> Value {
        let scene = self.scenes.get(self.at).filter(|_| self.handed);
        let due = scene.and_then(Scene::report);
        if due != Some(name) {
            return self.refuse(name, due.unwrap_or("WHATS_NEXT"));
        }
        if param.get("cmd_uid").and_then(Value::as_str) != Some(&self.uid()) {
            return self.refuse(name, "another `cmd_uid`");
        }
        if param.get("progress").is_some() {
            self.progress.send_modify(|seen| *seen += 1);
            let seen = *self.progress.borrow();
            let cancel = scene.and_then(|scene| scene.cancel.clone());
            return match cancel {
                Some((from, reason)) if seen >= from => {
                    json!({ "status": "cancel", "reason": reason })
                }
                _ => ok(),
            };
        }
        let result = match name {
            "DESCRIPTION" => "descriptor",
            "MEASUREMENT" => "metrics",
            _ => "state",
        };
        let status = param.get("status").and_then(Value::as_str);
        let done = status.unwrap_or("ok") == "ok";
        // A failed adjustment may say which settings are in force.
        let may_be_there = done || name == "ADJUSTMENT";
        let there = param.get(result).is_some();
        if (done && !there) || (there && !may_be_there) {
            self.breach(format!("{name} with status {status:?}: {param}"));
        }
        self.next();
        ok()
    }
}

fn ok() -> Value {
    json!({ "status": "ok" })
}
