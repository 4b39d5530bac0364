//! Resolvers that count and lie, records, and short ways to send: what the tests
//! look at instead of the answers of the code under test.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use servo_audit::{Auditor, Record, Sink};
use servo_egress::{
    Body, BodyError, CallMeter, Gate, Lane, Owner, Resolver, SendError, Timeouts, empty,
};
use servo_policy::{Budget, HttpRules, Rule};
#[allow(unused_imports, reason = "each suite uses its part")]
pub use servo_test_support::server::{Heard, OK, Server, answer_all, read_request};

/// Gives the listed answers in turn, the last one for ever, and counts.
#[derive(Default)]
pub struct Scripted {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    pub questions: AtomicUsize,
}

impl Scripted {
    pub fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers
            .iter()
            .map(|a| a.iter().map(|ip| ip.parse().unwrap()).collect());
        Arc::new(Self {
            answers: Mutex::new(answers.collect()),
            questions: AtomicUsize::new(0),
        })
    }

    pub fn questions(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Resolver for Scripted {
    async fn resolve(&self, _host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.questions.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 {
            answers.pop_front()
        } else {
            answers.front().cloned()
        };
        answer
            .map(|ips| {
                ips.into_iter()
                    .map(|ip| SocketAddr::new(ip, port))
                    .collect()
            })
            .ok_or_else(|| io::Error::other("no such name"))
    }
}

pub fn rules(lines: &[String], private: bool) -> HttpRules {
    HttpRules::new(
        lines
            .iter()
            .map(|line| (line.parse::<Rule>().expect(line), private, None)),
    )
    .unwrap()
}

pub fn owner(tenant: &str) -> Owner {
    Owner {
        tenant: tenant.to_owned(),
        servo: "shop".to_owned(),
        driver: "measure".to_owned(),
        digest: "sha256:00".to_owned(),
    }
}

/// Keeps every record as one line, without its time.
#[derive(Clone, Default)]
pub struct Records(Arc<Mutex<Vec<String>>>);

impl Records {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Sink for Records {
    fn write(&self, record: &Record<'_>) {
        let Record {
            owner,
            call,
            capability,
            what,
            verdict,
            reason,
            outcome,
            bytes_out,
            bytes_in,
            ..
        } = record;
        let rule = record
            .rule
            .map_or_else(|| "-".to_owned(), |rule| rule.to_string());
        assert_eq!((&*owner.servo, &*owner.driver), ("shop", "measure"));
        self.0.lock().unwrap().push(format!(
            "{} {call:?} {capability} {what} rule={rule} {verdict}/{reason} {outcome:?} \
             {bytes_out}>{bytes_in}",
            owner.tenant,
        ));
    }
}

/// A lane whose records are kept, and its auditor.
pub fn recorded(resolver: Arc<Scripted>, rules: HttpRules) -> (Lane, Records, Auditor) {
    let records = Records::default();
    let auditor = Auditor::new(records.clone());
    let gate = Gate::builder(resolver)
        .auditor(auditor.clone())
        .build()
        .unwrap();
    (gate.lane(owner("acme"), rules).unwrap(), records, auditor)
}

/// How often each limit was hit.
pub fn hits(auditor: &Auditor) -> Vec<(&'static str, u64)> {
    auditor.counters().limit_hits().into_iter().collect()
}

pub fn lane(resolver: Arc<Scripted>, rules: HttpRules) -> Lane {
    Gate::new(resolver)
        .unwrap()
        .lane(owner("acme"), rules)
        .unwrap()
}

/// A lane with one private rule for everything on this server.
pub fn lane_to(server: &Server) -> Lane {
    let line = format!("GET,POST,HEAD http://{}/", server.address);
    lane(Scripted::new(&[]), rules(&[line], true))
}

pub fn meter() -> CallMeter {
    CallMeter::new(&Budget::default())
}

pub fn get(url: &str) -> Request<Body> {
    Request::get(url).body(empty()).unwrap()
}

pub async fn send(lane: &Lane, request: Request<Body>) -> Result<Response<Body>, SendError> {
    lane.send(request, &meter(), Timeouts::default()).await
}

pub async fn text(response: Response<Body>) -> Result<String, BodyError> {
    let bytes: Bytes = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Lets every other task run until it waits for something.
pub async fn settle(mut done: impl FnMut() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

/// A POST with this `content-length`, or none.
pub fn post(url: &str, length: Option<&str>, body: Body) -> Request<Body> {
    let mut request = Request::post(url).body(body).unwrap();
    if let Some(length) = length {
        request
            .headers_mut()
            .insert("content-length", length.parse().unwrap());
    }
    request
}
