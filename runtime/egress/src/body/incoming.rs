//! A response's body on its way in: counted, capped and timed, one piece at a
//! time.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::EMPTY_IN_A_ROW;
use super::answer::Answer;
use crate::classify::{find, protocol};
use crate::error::{BodyError, Phase, ProtocolFailure};
use crate::exchange::{Exchange, Tally};
use crate::meter::{Clock, InFlight};

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
