//! What a client gives to each of its requests.

use std::time::Duration;

use super::{retry::Retry, url::Url};

#[derive(Clone)]
pub(super) struct Defaults {
    pub(super) base: Option<Url>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) query: Vec<(String, String)>,
    pub(super) timeout: Option<Duration>,
    pub(super) retry: Retry,
    pub(super) max_body: u64,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            base: None,
            headers: Vec::new(),
            query: Vec::new(),
            timeout: None,
            retry: Retry::default(),
            max_body: 16 << 20,
        }
    }
}
