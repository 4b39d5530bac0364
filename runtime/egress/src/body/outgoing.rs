//! A request's body on its way out: counted and capped, one piece at a time.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, StreamBody};

use super::{Body, EMPTY_IN_A_ROW};
use crate::error::BodyError;
use crate::exchange::{Exchange, Tally};

/// A request body on its way out: data only (trailers and empty pieces are
/// dropped), no longer than the cap, exactly as long as declared.
pub(crate) struct Outgoing {
    body: Body,
    tally: Arc<Tally>,
    limit: u64,
    sent: u64,
    declared: Option<u64>,
    /// The piece that completes the declared length. The client stops asking
    /// once it has that, so the end of the body is looked at before.
    last: Option<Bytes>,
    over: bool,
}

impl Outgoing {
    /// `body` as it is sent.
    pub(crate) fn of(body: Body, declared: Option<u64>, exchange: &Exchange) -> Body {
        let outgoing = Self {
            body,
            tally: Arc::clone(exchange.tally()),
            limit: exchange.limits().request_bytes,
            sent: 0,
            declared,
            last: None,
            over: false,
        };
        StreamBody::new(outgoing.map_ok(Frame::data)).boxed_unsync()
    }

    fn is_last(&self) -> bool {
        self.declared == Some(self.sent) && !self.body.is_end_stream()
    }

    fn take(&mut self, data: Bytes) -> Result<Bytes, BodyError> {
        let size = data.len() as u64;
        self.sent = self.sent.saturating_add(size);
        if self.sent > self.limit {
            return Err(BodyError::TooLarge { limit: self.limit });
        }
        if self.declared.is_some_and(|declared| self.sent > declared) {
            return Err(BodyError::Length);
        }
        self.tally.sent(size);
        Ok(data)
    }
}

impl Stream for Outgoing {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        for _ in 0..EMPTY_IN_A_ROW {
            let item = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => continue,
                    Ok(data) => match this.take(data) {
                        Ok(data) if this.is_last() => {
                            this.last = Some(data);
                            continue;
                        }
                        taken => Some(taken),
                    },
                    Err(_trailers) => continue,
                },
                Some(Err(error)) => Some(Err(error)),
                None if this.last.is_some() => {
                    this.over = true;
                    return Poll::Ready(this.last.take().map(Ok));
                }
                None if this.declared.is_some_and(|declared| this.sent != declared) => {
                    Some(Err(BodyError::Length))
                }
                None => None,
            };
            this.over = !matches!(item, Some(Ok(_)));
            return Poll::Ready(item);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
