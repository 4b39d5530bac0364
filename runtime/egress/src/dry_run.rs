//! A call in which nothing is to be changed.
//!
//! Whether a request changes something is for its receiver to say. What HTTP
//! calls safe is taken for a read, and so is what the operator calls one by
//! `reads: true` in its rule (a query that is posted), see
//! [`servo_policy::HttpGrant::is_read`]; everything else is held back here,
//! whatever the driver thinks of it.

use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use crate::body::Body;

/// The bytes of a body that is not sent. One that is longer than `most`, or
/// not there in time, counts as far as it was seen.
pub(crate) async fn weigh(mut body: Body, most: u64, until: Instant) -> u64 {
    let mut bytes = 0_u64;
    let seen = async {
        while let Some(Ok(frame)) = body.frame().await {
            bytes = bytes.saturating_add(frame.data_ref().map_or(0, |data| data.len() as u64));
            if bytes > most {
                return;
            }
        }
    };
    let _late = timeout_at(until, seen).await;
    bytes
}
