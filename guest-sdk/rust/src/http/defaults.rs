//! What a client gives to each of its requests.

use super::{message::Timeouts, retry::Retry, url::Url};

#[derive(Clone)]
pub(super) struct Defaults {
    pub(super) base: Option<Url>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) timeouts: Timeouts,
    pub(super) retry: Retry,
    pub(super) max_body: u64,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            base: None,
            headers: Vec::new(),
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            max_body: 16 << 20,
        }
    }
}
