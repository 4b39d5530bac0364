//! Bodies under way: counted, capped and timed, one piece at a time.
//!
//! Nothing is collected here. A piece is handed on as soon as it comes, and the
//! next one is read when the other side asks for it, so a body of any size
//! costs the same memory.

use std::error::Error;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use tokio::time::{Instant, Sleep};

use crate::client::Answer;
use crate::error::{Phase, ProtocolFailure, SendError, find, protocol};
use crate::exchange::{Exchange, Tally};
use crate::meter::{Clock, InFlight};

/// A body, of a request or of a response.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// A body that ended before its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// Larger than the call may send or receive.
    #[error("the body is larger than the {limit} bytes allowed")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// Larger than the rule allows once its encoding is undone.
    #[error("the body is larger than the {limit} bytes allowed once its encoding is undone")]
    TooLargeDecoded {
        /// The limit, in bytes.
        limit: u64,
    },
    /// More or less than `content-length` said.
    #[error("the body is not as long as its content-length says")]
    Length,
    /// A limit of time.
    #[error("timed out: {0}")]
    Timeout(Phase),
    /// The other side broke the protocol, or went away.
    #[error("the exchange failed: {0}")]
    Protocol(ProtocolFailure),
    /// The one who makes the body gave up.
    #[error("the body was given up by its sender")]
    Aborted(#[source] Box<dyn Error + Send + Sync>),
}

impl BodyError {
    /// The same failure, seen by the one who waits for the response.
    pub fn as_send_error(&self) -> SendError {
        match self {
            Self::TooLarge { limit } | Self::TooLargeDecoded { limit } => {
                SendError::TooLarge { limit: *limit }
            }
            Self::Length => {
                SendError::Request("the body is not as long as its content-length says")
            }
            Self::Timeout(phase) => SendError::Timeout(*phase),
            Self::Protocol(what) => SendError::Protocol(*what),
            Self::Aborted(_) => SendError::Request("the body was given up by its sender"),
        }
    }
}

/// A body without content.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Empty pieces passed over before others get a turn: a body of nothing but
/// empty pieces is work without progress.
pub(crate) const EMPTY_IN_A_ROW: usize = 32;

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

/// A response body on its way in. Holds the place of its request in the call's
/// concurrency until its end, its failure or its drop, whichever is first.
pub(crate) struct Incoming {
    /// Gone once the body is over: the connection is given back, or closed.
    open: Option<Open>,
    /// Gone once its record is written.
    exchange: Option<Exchange>,
    /// What arrives is not yet what the reader gets: whether the exchange is
    /// complete is for another to say.
    to_be_decoded: bool,
}

struct Open {
    body: Answer,
    left: u64,
    limit: u64,
    clock: Clock,
    timer: Option<Pin<Box<Sleep>>>,
    armed: bool,
    tally: Arc<Tally>,
    _held: InFlight,
}

impl Incoming {
    pub(crate) fn new(body: Answer, clock: Clock, exchange: Exchange, held: InFlight) -> Self {
        let limit = exchange.limits().response_bytes;
        let open = Open {
            body,
            left: limit,
            limit,
            clock,
            timer: None,
            armed: false,
            tally: Arc::clone(exchange.tally()),
            _held: held,
        };
        // An answer without a body is over, and holds no place.
        let over = open.body.is_end_stream();
        let mut incoming = Self {
            open: Some(open),
            exchange: Some(exchange),
            to_be_decoded: false,
        };
        if over {
            incoming.complete();
        }
        incoming
    }

    pub(crate) fn deferred(self) -> Self {
        Self {
            to_be_decoded: true,
            ..self
        }
    }

    /// The reader has all of it.
    pub(crate) fn complete(&mut self) {
        self.open = None;
        if let Some(mut exchange) = self.exchange.take() {
            exchange.complete();
        }
    }

    /// The reader gets no more of it.
    pub(crate) fn broken(&mut self, error: &BodyError) {
        self.open = None;
        if let Some(mut exchange) = self.exchange.take() {
            exchange.broken(error);
        }
    }
}

impl Open {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        for _ in 0..EMPTY_IN_A_ROW {
            let Poll::Ready(next) = Pin::new(&mut self.body).poll_frame(cx) else {
                return self.poll_timer(cx);
            };
            self.armed = false;
            // A sender that never pauses would never meet the timer.
            if Instant::now() >= self.clock.end {
                return Poll::Ready(Some(Err(BodyError::Timeout(Phase::Total))));
            }
            match next.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) if data.is_empty() => {}
                Some(Ok(Ok(data))) => return Poll::Ready(Some(self.take(data))),
                Some(Ok(Err(_trailers))) => {}
                Some(Err(error)) => {
                    let what = find::<hyper::Error>(error.as_ref())
                        .map_or(ProtocolFailure::Closed, protocol);
                    return Poll::Ready(Some(Err(BodyError::Protocol(what))));
                }
                None => return Poll::Ready(None),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The timer is touched only while the other side is silent: a body that
    /// came together with its head costs none.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if !self.armed {
            let until = (Instant::now() + self.clock.idle).min(self.clock.end);
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(until),
                None => self.timer = Some(Box::pin(tokio::time::sleep_until(until))),
            }
            self.armed = true;
        }
        let Some(timer) = &mut self.timer else {
            return Poll::Pending;
        };
        ready!(timer.as_mut().poll(cx));
        let phase = if timer.deadline() >= self.clock.end {
            Phase::Total
        } else {
            Phase::Idle
        };
        Poll::Ready(Some(Err(BodyError::Timeout(phase))))
    }

    fn take(&mut self, data: Bytes) -> Result<Bytes, BodyError> {
        let size = data.len() as u64;
        self.tally.received(size);
        match self.left.checked_sub(size) {
            Some(left) => {
                self.left = left;
                Ok(data)
            }
            None => Err(BodyError::TooLarge { limit: self.limit }),
        }
    }
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(open) = &mut self.open else {
            return Poll::Ready(None);
        };
        let item = ready!(open.poll(cx));
        // The last piece of a body of known length also ends it, so that the
        // request's place is free before the reader asks once more.
        let over = match &item {
            Some(Ok(_)) => open.body.is_end_stream(),
            Some(Err(_)) | None => true,
        };
        match &item {
            Some(Err(error)) => self.broken(error),
            _ if over && self.to_be_decoded => self.open = None,
            _ if over => self.complete(),
            _ => {}
        }
        Poll::Ready(item.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.open
            .as_ref()
            .is_none_or(|open| open.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.open
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), |open| open.body.size_hint())
    }
}
