//! One request: built in one expression, sent in another.
//!
//! Mistakes while building are kept until it is sent, so that a chain of calls
//! needs one question mark.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::{Client, Error, Head, Keep, Kind, Method, Phase, Response, Retry, Timeouts, Url};
use crate::host::{Access, Host as _, Id};

/// How often a blocking request asks whether the call is still wanted.
const CHECK: Duration = Duration::from_secs(1);

/// A request that is being built; from [`Client`].
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    client: Client,
    method: Method,
    url: Url,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    timeouts: Timeouts,
    retry: Retry,
    mistake: Option<String>,
}

impl Request {
    pub(super) fn new(client: &Client, method: Method, url: &str) -> Self {
        let parsed = match &client.base {
            Some(base) => base.join(url),
            None => Url::parse(url),
        };
        let (url, mistake) = match parsed {
            Ok(url) => (url, None),
            Err(mistake) => {
                let nowhere = Url {
                    https: false,
                    authority: "?".to_owned(),
                    path_and_query: "/".to_owned(),
                };
                (nowhere, Some(mistake))
            }
        };
        Self {
            client: client.clone(),
            method,
            url,
            headers: client.headers.clone(),
            body: Vec::new(),
            timeouts: client.timeouts,
            retry: client.retry.clone(),
            mistake,
        }
    }

    /// Sets a header, instead of one of the same name that the client adds.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds `name=value` to the query, encoded so that both stand for
    /// themselves.
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.url.push_query(name, &value.to_string());
        self
    }

    /// Sets the body and its media type.
    pub fn body(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", media_type)
    }

    /// Sets the body to a value, as JSON. A media type that was set before
    /// stays.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.body = body,
            Err(error) => self.mistake = Some(format!("the body has no JSON form: {error}")),
        }
        if self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            return self;
        }
        self.header("content-type", "application/json")
    }

    /// Sets how long the parts of this request may take.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets how long one attempt may take in all.
    pub fn timeout(mut self, total: Duration) -> Self {
        self.timeouts.total = Some(total);
        self
    }

    /// Sets when this request is sent again.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Sends it and waits for the whole answer, with any status. Pauses
    /// between attempts, and the wait itself, end when the call is cancelled.
    ///
    /// # Errors
    ///
    /// [`Error`], whose [`kind`](Error::kind) says why there is no answer.
    pub fn send(self) -> Result<Response, Error> {
        let (host, method, retry) = (self.client.host.clone(), self.method, self.retry.clone());
        let prepared = self.prepare()?;
        let mut attempt = 1;
        loop {
            let outcome = prepared.exchange(&host);
            let Some(pause) = retry.pause(method, attempt, &outcome, &host) else {
                return outcome;
            };
            log::debug!(
                "{}: attempt {attempt} failed, again in {pause:.1?}",
                prepared.label
            );
            host.wait(pause)
                .map_err(|cancelled| prepared.error(cancelled.into()))?;
            attempt += 1;
        }
    }

    /// Hands the request to the host without sending it, to send it many times
    /// with a [`Batch`](super::Batch). Retries do not apply there.
    ///
    /// # Errors
    ///
    /// [`Kind::Invalid`] when it cannot be built.
    pub fn prepare(self) -> Result<Prepared, Error> {
        let label: Arc<str> = format!("{} {}", self.method, self.url).into();
        if let Some(mistake) = self.mistake {
            return Err(Error::new(
                &self.method.as_str().into(),
                Kind::Invalid(mistake),
            ));
        }
        let mut headers = self.headers;
        if !self.body.is_empty() || self.method.expects_body() {
            headers.push(("content-length".to_owned(), self.body.len().to_string()));
        }
        let head = Head {
            method: self.method,
            url: self.url,
            headers,
            timeouts: self.timeouts,
        };
        let host = self.client.host;
        match host.http_prepare(&head) {
            Ok(id) => Ok(Prepared {
                host,
                id,
                label,
                body: self.body,
                total: self.timeouts.total,
                keep: Keep::UpTo(self.client.max_body),
            }),
            Err(kind) => Err(Error::new(&label, kind)),
        }
    }
}

/// A request that can be sent many times; from [`Request::prepare`].
pub struct Prepared {
    host: Access,
    id: Id,
    pub(super) label: Arc<str>,
    body: Vec<u8>,
    pub(super) total: Option<Duration>,
    keep: Keep,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Prepared").field(&self.label).finish()
    }
}

impl Prepared {
    /// Reads and counts the bodies of answers without keeping them, and does
    /// not look at their headers. For load generators: it saves most of the
    /// work in the component.
    #[must_use]
    pub fn discard_body(mut self) -> Self {
        self.keep = Keep::Count;
        self
    }

    pub(super) fn start(&self) -> Result<Id, Kind> {
        self.host.http_start(self.id, &self.body, self.keep)
    }

    pub(super) fn error(&self, kind: Kind) -> Error {
        Error::new(&self.label, kind)
    }

    fn exchange(&self, host: &Access) -> Result<Response, Error> {
        let start = self.total.map(|total| (host.now(), total));
        let exchange = self.start().map_err(|kind| self.error(kind))?;
        let give_up = |kind| {
            host.http_abort(exchange);
            self.error(kind)
        };
        let mut ready = Vec::with_capacity(1);
        loop {
            let now = host.now();
            let mut deadline = now + CHECK;
            if let Some((began, total)) = start {
                if now >= began + total {
                    return Err(give_up(Kind::Timeout(Phase::Total)));
                }
                deadline = deadline.min(began + total);
            }
            ready.clear();
            host.http_wait(&[exchange], Some(deadline), &mut ready);
            if ready.is_empty() {
                host.check()
                    .map_err(|cancelled| give_up(cancelled.into()))?;
            } else if let Some(outcome) = host.http_advance(exchange) {
                return match outcome {
                    Ok(reply) => Ok(Response::new(&self.label, reply)),
                    Err(kind) => Err(self.error(kind)),
                };
            }
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        self.host.http_forget(self.id);
    }
}
