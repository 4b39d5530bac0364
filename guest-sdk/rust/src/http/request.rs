//! One request: built in one expression, sent in another.
//!
//! Mistakes while building are kept until it is sent, so that a chain of calls
//! needs one question mark.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::{
    defaults::Defaults,
    error::{Error, Kind},
    message::{Head, Keep, Method, Timeouts},
    prepared::Prepared,
    response::Response,
    retry::Retry,
    url::Url,
};
use crate::{access::Access, host::Host as _};

/// A request that is being built; from [`Client`](super::Client).
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    host: Access,
    max_body: u64,
    method: Method,
    url: Url,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    timeouts: Timeouts,
    retry: Retry,
    mistake: Option<String>,
}

impl Request {
    pub(super) fn new(host: &Access, defaults: &Defaults, method: Method, url: &str) -> Self {
        let parsed = match &defaults.base {
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
            host: host.clone(),
            max_body: defaults.max_body,
            method,
            url,
            headers: defaults.headers.clone(),
            body: Vec::new(),
            timeouts: defaults.timeouts,
            retry: defaults.retry.clone(),
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
        let (host, method, retry) = (self.host.clone(), self.method, self.retry.clone());
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
        let host = self.host;
        match host.http_prepare(&head) {
            Ok(id) => Ok(Prepared {
                host,
                id,
                label,
                body: self.body,
                total: self.timeouts.total,
                keep: Keep::UpTo(self.max_body),
            }),
            Err(kind) => Err(Error::new(&label, kind)),
        }
    }
}
