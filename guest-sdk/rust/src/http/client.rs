//! What many requests have in common.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{
    defaults::Defaults,
    error::{Error, Kind},
    message::Method,
    request::Request,
    retry::Retry,
    url::Url,
};
use crate::access::Access;

/// Sends requests; from [`Context::http`](crate::Context::http). Cheap to
/// clone, and connections are kept by the host, not by the client.
///
/// Without further words: the host's time limits, [`Retry::default`], and at most
/// 16 MiB of body.
#[derive(Clone)]
pub struct Client {
    pub(super) host: Access,
    defaults: Defaults,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.defaults.base)
            .finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new(host: Access) -> Self {
        Self {
            host,
            defaults: Defaults::default(),
        }
    }

    /// Sets the address that all others are below of. It is taken as a folder,
    /// with or without a slash at its end.
    ///
    /// # Errors
    ///
    /// [`Kind::Invalid`] when it is not an absolute `http` or `https` address.
    pub fn base(mut self, url: &str) -> Result<Self, Error> {
        let parsed = Url::parse(url)
            .map_err(|message| Error::new(&"base address".into(), Kind::Invalid(message)))?;
        self.defaults.base = Some(parsed);
        Ok(self)
    }

    /// Adds a header to every request.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.defaults
            .headers
            .push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds `name=value` to the query of every request, encoded so that both
    /// stand for themselves.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        let pair = (name.to_owned(), value.to_string());
        self.defaults.query.push(pair);
        self
    }

    /// Sets how long one attempt of a request may take in all. The host has
    /// limits of its own that this cannot exceed.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.defaults.timeout = Some(limit);
        self
    }

    /// Sets when a request is sent again.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.defaults.retry = retry;
        self
    }

    /// Sets how many bytes a body may have. The host has a limit of its own.
    #[must_use]
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.defaults.max_body = bytes;
        self
    }

    /// A request to an absolute address, or to one below the base.
    pub fn request(&self, method: Method, url: &str) -> Request {
        Request::new(&self.host, &self.defaults, method, url)
    }

    /// A GET request.
    pub fn get(&self, url: &str) -> Request {
        self.request(Method::Get, url)
    }

    /// The value that a GET request is answered with.
    ///
    /// # Errors
    ///
    /// As [`Request::fetch_json`].
    pub fn get_json<T: DeserializeOwned>(&self, url: &str) -> Result<T, Error> {
        self.get(url).fetch_json()
    }

    /// A HEAD request.
    pub fn head(&self, url: &str) -> Request {
        self.request(Method::Head, url)
    }

    /// A POST request.
    pub fn post(&self, url: &str) -> Request {
        self.request(Method::Post, url)
    }

    /// A PUT request.
    pub fn put(&self, url: &str) -> Request {
        self.request(Method::Put, url)
    }

    /// A PATCH request.
    pub fn patch(&self, url: &str) -> Request {
        self.request(Method::Patch, url)
    }

    /// A DELETE request.
    pub fn delete(&self, url: &str) -> Request {
        self.request(Method::Delete, url)
    }
}
