//! One exchange in one call of the host.
//!
//! A whole request goes in and a whole answer comes out: nothing is left in the
//! host, and nothing has to be crossed fifteen times for a small answer. What
//! does not fit into memory, and many requests at once, are in `http`.

use std::time::Duration;

use crate::{
    bindings::servo::driver::fetch,
    http::{
        error::Kind,
        message::{Head, Reply},
    },
};

pub(super) fn send(head: &Head, body: &[u8], most: u64) -> Result<Reply, Kind> {
    let sends_body = !body.is_empty() || head.method.expects_body();
    let request = fetch::Request {
        method: head.method.as_str().to_owned(),
        url: head.url.whole(),
        headers: head.headers.clone(),
        body: sends_body.then(|| body.to_vec()),
        time_limit: head.timeout.map(|limit| limit.as_secs_f64()),
    };
    match fetch::send(&request) {
        Ok(response) if response.body.len() as u64 > most => Err(Kind::TooLarge(most)),
        Ok(response) => Ok(Reply {
            status: response.status,
            headers: response.headers,
            received: response.body.len() as u64,
            body: response.body,
        }),
        Err(error) => Err(kind(error)),
    }
}

fn kind(error: fetch::Error) -> Kind {
    match error {
        fetch::Error::Denied(text) => Kind::Denied(Some(text)),
        fetch::Error::DryRun => Kind::DryRun,
        fetch::Error::InvalidRequest(text) => Kind::Invalid(text),
        fetch::Error::Exhausted(text) => Kind::Exhausted(text),
        // An absurd time is one that nobody waits for.
        fetch::Error::RateLimited(seconds) => {
            Kind::RateLimited(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
        }
        fetch::Error::Unresolved => Kind::Unresolved,
        fetch::Error::Unconnected(text) => Kind::Unconnected(text),
        fetch::Error::Tls(text) => Kind::Tls(text),
        fetch::Error::TimedOut(text) => Kind::Timeout(text),
        fetch::Error::Closed(text) => Kind::Closed(text),
        fetch::Error::TooLarge(bytes) => Kind::TooLarge(bytes),
        fetch::Error::Failed(text) => Kind::Failed(text),
    }
}
