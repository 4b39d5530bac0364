//! One request: built in one expression, sent in another.
//!
//! Mistakes while building are kept until it is sent, so that a chain of calls
//! needs one question mark.

use std::{sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    defaults::Defaults,
    error::{Error, Kind},
    message::{Head, Keep, Method},
    paging::{Next, Page},
    prepared::Prepared,
    response::Response,
    retry::Retry,
    url::{self, Url},
};
use crate::{access::Access, host::Host as _};

/// A request that is being built; from [`Client`](super::Client).
#[derive(Debug, Clone)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    host: Access,
    max_body: u64,
    method: Method,
    url: Url,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    timeout: Option<Duration>,
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
        let mut url = url;
        for (name, value) in &defaults.query {
            url.push_query(name, value);
        }
        Self {
            host: host.clone(),
            max_body: defaults.max_body,
            method,
            url,
            headers: defaults.headers.clone(),
            body: Vec::new(),
            timeout: defaults.timeout,
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

    /// Sets the body to names and values, as a form sends them
    /// (`application/x-www-form-urlencoded`).
    ///
    /// ```
    /// # fn f(cx: &servo_driver::Context) -> Result<(), servo_driver::Failure> {
    /// let form = [("query", "up == 1"), ("step", "15")];
    /// cx.http().post("http://prometheus:9090/api/v1/query").form(form).fetch()?;
    /// # Ok(()) }
    /// ```
    pub fn form<N: AsRef<str>, V: ToString>(
        self,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let body = url::form(fields);
        self.body("application/x-www-form-urlencoded", body)
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

    /// Sets how long one attempt may take in all.
    pub fn timeout(mut self, total: Duration) -> Self {
        self.timeout = Some(total);
        self
    }

    /// Sets when this request is sent again.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Sends it and waits for the whole answer, with any status. What passes
    /// by itself is tried again, see [`Retry`]; the pauses between attempts end
    /// when the call is cancelled.
    ///
    /// # Errors
    ///
    /// [`Error`], whose [`kind`](Error::kind) says why there is no answer.
    pub fn send(self) -> Result<Response, Error> {
        let label = self.label();
        let error = |kind| Error::new(&label, kind);
        if let Some(mistake) = self.mistake {
            return Err(Error::new(
                &self.method.as_str().into(),
                Kind::Invalid(mistake),
            ));
        }
        let host = self.host;
        let mut head = Head {
            method: self.method,
            url: self.url,
            headers: self.headers,
            timeout: self.timeout,
        };
        let mut attempts = self.retry.begin(self.method, &host);
        loop {
            head.timeout = attempts.limit(self.timeout, &host);
            let sent = host.http_send(&head, &self.body, self.max_body);
            let outcome = match sent {
                Ok(reply) => Ok(Response::new(&label, reply)),
                // The host gives up what a cancelled call waits for.
                Err(_) if host.check().is_err() => Err(error(Kind::Cancelled)),
                Err(kind) => Err(error(kind)),
            };
            let Some(pause) = attempts.pause(&outcome, &host) else {
                return outcome;
            };
            log::debug!("{label}: tried in vain, again in {pause:.1?}");
            host.wait(pause)
                .map_err(|cancelled| error(cancelled.into()))?;
        }
    }

    /// Sends it and waits for an answer that is a success.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send) and [`Response::ok`].
    pub fn fetch(self) -> Result<Response, Error> {
        self.send()?.ok()
    }

    /// Sends it and waits for the value that a success brings.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Settings { workers: u32 }
    /// # fn f(cx: &servo_driver::Context) -> Result<u32, servo_driver::Failure> {
    /// let settings: Settings = cx.http().get("http://app:9000/settings").fetch_json()?;
    /// # Ok(settings.workers) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch) and [`Response::json`].
    pub fn fetch_json<T: DeserializeOwned>(self) -> Result<T, Error> {
        self.fetch()?.json()
    }

    /// Sends it and waits for the text that a success brings.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch) and [`Response::text`].
    pub fn fetch_text(self) -> Result<String, Error> {
        self.fetch()?.text()
    }

    /// Reads a list that comes in pages: sends the request, and then what
    /// `next` says after each page, until it says nothing.
    ///
    /// ```
    /// # use servo_driver::{Context, Failure, http::Next};
    /// # #[derive(serde::Deserialize)] struct Hosts { items: Vec<String>, cursor: Option<String> }
    /// # fn f(cx: &Context) -> Result<(), Failure> {
    /// let request = cx.http().get("http://inventory/hosts").query("limit", 100);
    /// // A cursor in the body …
    /// let pages = request.clone().pages::<Hosts>(50, |page| {
    ///     page.value.cursor.as_ref().map(|cursor| Next::query("cursor", cursor))
    /// })?;
    /// // … a link in the head, or numbers.
    /// let pages = request.clone().pages::<Hosts>(50, |page| page.link_next())?;
    /// let pages = request.pages::<Hosts>(50, |page| {
    ///     (page.value.items.len() == 100).then(|| Next::query("page", page.number + 1))
    /// })?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`fetch_json`](Self::fetch_json), and [`Kind::Pages`] when there are
    /// more than `most` pages: a list that does not end is a mistake of one
    /// side, and half of one would be taken for the whole.
    pub fn pages<T: DeserializeOwned>(
        self,
        most: usize,
        mut next: impl FnMut(&Page<'_, T>) -> Option<Next>,
    ) -> Result<Vec<T>, Error> {
        let mut pages = Vec::new();
        let mut request = self;
        loop {
            let response = request.clone().fetch()?;
            let value: T = response.json()?;
            let then = next(&Page {
                number: pages.len() + 1,
                value: &value,
                response: &response,
            });
            pages.push(value);
            let Some(then) = then else { return Ok(pages) };
            if pages.len() >= most {
                return Err(Error::new(&request.label(), Kind::Pages(most)));
            }
            match then.apply(&request.url) {
                Ok(url) => request.url = url,
                Err(mistake) => request.mistake = Some(mistake),
            }
        }
    }

    fn label(&self) -> Arc<str> {
        format!("{} {}", self.method, self.url).into()
    }

    /// Hands the request to the host without sending it, to send it many times
    /// with a [`Batch`](super::Batch). Retries do not apply there.
    ///
    /// # Errors
    ///
    /// [`Kind::Invalid`] when it cannot be built.
    pub fn prepare(self) -> Result<Prepared, Error> {
        let label = self.label();
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
            timeout: self.timeout,
        };
        let host = self.host;
        match host.http_prepare(&head) {
            Ok(id) => Ok(Prepared {
                host,
                id,
                label,
                body: self.body,
                total: self.timeout,
                keep: Keep::UpTo(self.max_body),
            }),
            Err(kind) => Err(Error::new(&label, kind)),
        }
    }
}
