//! Servers that count and record, resolvers that count and lie: what the tests
//! look at instead of the answers of the code under test.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

pub mod authority;

use std::collections::VecDeque;
use std::future::Future;
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
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a server was sent, and how often it was called.
#[derive(Default)]
pub struct Seen {
    pub connections: AtomicUsize,
    /// Connections that the client has closed.
    pub closed: AtomicUsize,
    pub requests: Mutex<Vec<String>>,
}

impl Seen {
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
    pub fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
    }
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// A server on loopback that runs `serve` on every connection.
pub struct Server {
    pub address: SocketAddr,
    pub seen: Arc<Seen>,
}

impl Server {
    pub async fn on<F, Fut>(ip: &str, port: u16, serve: F) -> Self
    where
        F: Fn(TcpStream, Arc<Seen>) -> Fut + Send + 'static,
        Fut: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind((ip.parse::<IpAddr>().unwrap(), port))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let work = serve(stream, Arc::clone(&shared));
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let _ = work.await;
                    shared.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, seen }
    }

    /// Answers every request with the same bytes and keeps the connection.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<Vec<u8>> = Arc::new(answer.into());
        Self::on("127.0.0.1", 0, move |stream, seen| {
            let answer = Arc::clone(&answer);
            async move { answer_all(stream, &seen, &answer).await }
        })
        .await
    }

    /// Answers with a body that it says has 10 GB, as fast as it is read.
    pub async fn endless() -> Self {
        Self::on("127.0.0.1", 0, |mut stream, _| async move {
            read_request(&mut stream, &mut Vec::new()).await?;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n")
                .await?;
            loop {
                stream.write_all(&[b'x'; 65_536]).await?;
            }
        })
        .await
    }

    pub async fn ok() -> Self {
        Self::answering(OK).await
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

pub async fn answer_all<S>(mut stream: S, seen: &Seen, answer: &[u8]) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut rest = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut rest).await? {
        seen.requests.lock().unwrap().push(request);
        stream.write_all(answer).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// One request, head and body, as text; none when the client has closed.
pub async fn read_request<S: AsyncRead + Unpin>(
    stream: &mut S,
    rest: &mut Vec<u8>,
) -> io::Result<Option<String>> {
    loop {
        let text = String::from_utf8_lossy(rest).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            let head = text[..end].to_ascii_lowercase();
            let length = head
                .split("\r\n")
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |value| value.trim().parse().unwrap());
            let whole = if head.contains("transfer-encoding: chunked") {
                text.find("0\r\n\r\n").map_or(usize::MAX, |at| at + 5)
            } else {
                end + 4 + length
            };
            if rest.len() >= whole {
                let request = String::from_utf8_lossy(&rest[..whole]).into_owned();
                rest.drain(..whole);
                return Ok(Some(request));
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await? {
            0 => return Ok(None),
            size => rest.extend_from_slice(&piece[..size]),
        }
    }
}

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
