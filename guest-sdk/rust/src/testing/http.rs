//! The script of HTTP replies.

use std::{collections::BTreeMap, fmt, rc::Rc, time::Duration};

use serde::de::DeserializeOwned;

use crate::{
    host::Id,
    http::{
        error::Kind,
        message::{self, Head, Keep, Method},
    },
};

/// How the application under test replies to one request.
#[derive(Debug, Clone)]
pub struct Reply {
    outcome: Result<message::Reply, Kind>,
    takes: Duration,
    times: usize,
}

impl Reply {
    /// An empty body with this status.
    pub fn status(status: u16) -> Self {
        Self {
            outcome: Ok(message::Reply {
                status,
                ..message::Reply::default()
            }),
            takes: Duration::from_millis(1),
            times: 1,
        }
    }

    /// A JSON body with status 200.
    #[allow(clippy::needless_pass_by_value)]
    pub fn json(value: serde_json::Value) -> Self {
        Self::text(&value.to_string()).header("content-type", "application/json")
    }

    /// A text body with status 200.
    pub fn text(body: &str) -> Self {
        Self::status(200).body(body)
    }

    /// No answer, but this error.
    pub fn fails(kind: Kind) -> Self {
        Self {
            outcome: Err(kind),
            ..Self::status(0)
        }
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        if let Ok(reply) = &mut self.outcome {
            reply.body = body.as_bytes().to_vec();
            reply.received = body.len() as u64;
        }
        self
    }

    /// Sets the status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        if let Ok(reply) = &mut self.outcome {
            reply.status = status;
        }
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Ok(reply) = &mut self.outcome {
            reply.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Sets how long it takes; a millisecond if nothing is said.
    #[must_use]
    pub fn takes(mut self, time: Duration) -> Self {
        self.takes = time;
        self
    }

    /// Gives the same reply to so many requests.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }
}

/// A request as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// What is done to the resource.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// The headers, in the order they were set.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long it may take.
    pub timeout: Option<Duration>,
}

impl Sent {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// The body as a value of this type; panics when it is something else.
    #[allow(clippy::expect_used)]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).expect("the request's body is not what was expected")
    }
}

type Handler = Box<dyn FnMut(&Sent) -> Reply>;

#[derive(Default)]
pub(super) struct Server {
    script: Vec<(Method, String, Reply)>,
    handlers: Vec<(Method, String, Handler)>,
    prepared: Vec<Rc<Sent>>,
    running: BTreeMap<Id, (Duration, Result<message::Reply, Kind>)>,
    next: Id,
    requests: Vec<Rc<Sent>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("script", &self.script)
            .finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn script(&mut self, method: Method, url: &str, reply: Reply) {
        self.script.push((method, url.to_owned(), reply));
    }

    pub(super) fn serve(&mut self, method: Method, url: &str, handler: Handler) {
        self.handlers.push((method, url.to_owned(), handler));
    }

    /// Answers a request: when, and how.
    pub(super) fn exchange(
        &mut self,
        head: &Head,
        body: &[u8],
        most: u64,
        now: Duration,
    ) -> (Duration, Result<message::Reply, Kind>) {
        let sent = Rc::new(sent(head, body));
        self.answer(&sent, Keep::UpTo(most), now)
    }

    pub(super) fn prepare(&mut self, head: &Head) -> Id {
        self.prepared.push(Rc::new(sent(head, &[])));
        self.prepared.len() - 1
    }

    #[allow(clippy::indexing_slicing)]
    pub(super) fn start(&mut self, prepared: Id, body: &[u8], keep: Keep, now: Duration) -> Id {
        let mut sent = Rc::clone(&self.prepared[prepared]);
        if !body.is_empty() {
            sent = Rc::new(Sent {
                body: body.to_vec(),
                ..(*sent).clone()
            });
        }
        let answer = self.answer(&sent, keep, now);
        self.next += 1;
        self.running.insert(self.next, answer);
        self.next
    }

    fn answer(
        &mut self,
        sent: &Rc<Sent>,
        keep: Keep,
        now: Duration,
    ) -> (Duration, Result<message::Reply, Kind>) {
        self.requests.push(Rc::clone(sent));
        let reply = self.reply(sent);
        let outcome = reply.outcome.and_then(|reply| match keep {
            Keep::UpTo(limit) if reply.received > limit => Err(Kind::TooLarge(limit)),
            Keep::UpTo(_) => Ok(reply),
            Keep::Count => Ok(message::Reply {
                body: Vec::new(),
                headers: Vec::new(),
                ..reply
            }),
        });
        (now + reply.takes, outcome)
    }

    #[allow(clippy::panic)]
    fn reply(&mut self, sent: &Sent) -> Reply {
        let place = self
            .script
            .iter_mut()
            .position(|(method, url, _)| *method == sent.method && matches(url, &sent.url));
        if let Some(place) = place {
            if let Some((_, _, reply)) = self.script.get_mut(place)
                && reply.times > 1
            {
                reply.times -= 1;
                return reply.clone();
            }
            return self.script.remove(place).2;
        }
        for (method, url, handler) in &mut self.handlers {
            if *method == sent.method && matches(url, &sent.url) {
                return handler(sent);
            }
        }
        panic!(
            "unexpected request: {} {}; scripted: {:?}",
            sent.method,
            sent.url,
            self.left()
        );
    }

    pub(super) fn ready_at(&self, id: Id) -> Duration {
        self.running.get(&id).map(|(at, _)| *at).unwrap_or_default()
    }

    pub(super) fn finish(&mut self, id: Id) -> Result<message::Reply, Kind> {
        let gone = || Err(Kind::Closed("the exchange is over".to_owned()));
        self.running
            .remove(&id)
            .map_or_else(gone, |(_, outcome)| outcome)
    }

    pub(super) fn abort(&mut self, id: Id) {
        self.running.remove(&id);
    }

    pub(super) fn take_requests(&mut self) -> Vec<Rc<Sent>> {
        std::mem::take(&mut self.requests)
    }

    pub(super) fn left(&self) -> Vec<String> {
        self.script
            .iter()
            .map(|(method, url, _)| format!("{method} {url}"))
            .collect()
    }
}

fn sent(head: &Head, body: &[u8]) -> Sent {
    Sent {
        method: head.method,
        url: head.url.whole(),
        headers: head.headers.clone(),
        body: body.to_vec(),
        timeout: head.timeout,
    }
}

fn matches(scripted: &str, sent: &str) -> bool {
    let plain = |url: &str| {
        url.split('?')
            .next()
            .unwrap_or_default()
            .trim_end_matches('/')
            .to_owned()
    };
    if scripted.contains('?') {
        scripted == sent
    } else {
        plain(scripted) == plain(sent)
    }
}
