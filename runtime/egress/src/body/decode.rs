//! Undoing the encoding of a response body, for rules that say how large it may
//! become.
//!
//! A megabyte of gzip can hold a gigabyte, so a body is undone one small step
//! at a time and only as fast as it is read: the bytes that arrive count against
//! `response_bytes`, the bytes that come out against `decompressed_bytes`, and
//! never more than one step is held. What comes out no longer has a
//! `content-encoding`, nor the length of the encoded form.
//!
//! Only a body with exactly one encoding, gzip or deflate, is undone. Another
//! encoding, or several in a row, is handed over as it is with its header field,
//! and so is a part of a body (206), which cannot be undone without the rest. A
//! body that is not what its encoding says, or that goes on after its end, is an
//! error.

use std::io::{self, BufRead, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;

use super::incoming::Incoming;
use super::{Body, EMPTY_IN_A_ROW};
use crate::error::{BodyError, ProtocolFailure};

/// Bytes that come out in one step.
const STEP: usize = 16 << 10;

/// Asks for an encoding that can be undone, where the guest asks for none.
pub(crate) fn ask(headers: &mut HeaderMap) {
    headers
        .entry(header::ACCEPT_ENCODING)
        .or_insert(HeaderValue::from_static("gzip, deflate"));
}

/// Will the encoding of this response's body be undone?
pub(crate) fn applies(parts: &Parts) -> bool {
    parts.status != StatusCode::PARTIAL_CONTENT && coding(&parts.headers).is_some()
}

/// The body, its encoding undone if it has one that can be; the head then says
/// nothing of it any more.
pub(crate) fn undo(parts: &mut Parts, body: Incoming, most: u64) -> Body {
    let coding = coding(&parts.headers).filter(|_| applies(parts) && !body.is_end_stream());
    let Some(coding) = coding else {
        return body.boxed_unsync();
    };
    parts.headers.remove(header::CONTENT_ENCODING);
    parts.headers.remove(header::CONTENT_LENGTH);
    Decoded {
        body: body.deferred(),
        decoder: Decoder::new(coding),
        step: vec![0; STEP].into_boxed_slice(),
        most,
        left: most,
        over: false,
    }
    .boxed_unsync()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
}

fn coding(headers: &HeaderMap) -> Option<Coding> {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let name = value.as_bytes().trim_ascii();
    if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") {
        Some(Coding::Gzip)
    } else if name.eq_ignore_ascii_case(b"deflate") {
        Some(Coding::Deflate)
    } else {
        None
    }
}

/// What has arrived and is not undone yet: one piece of the body.
#[derive(Default)]
struct Arrived {
    piece: Bytes,
    ended: bool,
}

impl Read for Arrived {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let size = self.fill_buf()?.read(out)?;
        self.consume(size);
        Ok(size)
    }
}

impl BufRead for Arrived {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece.is_empty() && !self.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, size: usize) {
        self.piece.advance(size.min(self.piece.len()));
    }
}

enum Decoder {
    Gzip(MultiGzDecoder<Arrived>),
    /// Its first byte says which of the two it is: the standard means zlib, and
    /// some servers send the bare stream.
    Unknown(Arrived),
    Zlib(ZlibDecoder<Arrived>),
    Bare(DeflateDecoder<Arrived>),
}

impl Decoder {
    fn new(coding: Coding) -> Self {
        match coding {
            Coding::Gzip => Self::Gzip(MultiGzDecoder::new(Arrived::default())),
            Coding::Deflate => Self::Unknown(Arrived::default()),
        }
    }

    fn arrived(&mut self) -> &mut Arrived {
        match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Unknown(arrived) => arrived,
            Self::Zlib(decoder) => decoder.get_mut(),
            Self::Bare(decoder) => decoder.get_mut(),
        }
    }

    fn step(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Self::Unknown(arrived) = self {
            let zlib = arrived.fill_buf()?.first().is_some_and(|b| b & 0x0f == 8);
            let arrived = std::mem::take(arrived);
            *self = if zlib {
                Self::Zlib(ZlibDecoder::new(arrived))
            } else {
                Self::Bare(DeflateDecoder::new(arrived))
            };
        }
        match self {
            Self::Gzip(decoder) => decoder.read(out),
            Self::Zlib(decoder) => decoder.read(out),
            Self::Bare(decoder) => decoder.read(out),
            Self::Unknown(_) => Ok(0),
        }
    }
}

struct Decoded {
    body: Incoming,
    decoder: Decoder,
    step: Box<[u8]>,
    most: u64,
    left: u64,
    over: bool,
}

const NOT_WHAT_IT_SAYS: BodyError = BodyError::Protocol(ProtocolFailure::Encoding);

impl Decoded {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        for _ in 0..EMPTY_IN_A_ROW {
            match self.decoder.step(&mut self.step) {
                Ok(0) if self.decoder.arrived().piece.is_empty() => {
                    if self.decoder.arrived().ended {
                        return Poll::Ready(None);
                    }
                    // The stream is over; so must be the body.
                    if let Some(error) = ready!(self.poll_arrival(cx)) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Ok(0) => return Poll::Ready(Some(Err(NOT_WHAT_IT_SAYS))),
                Ok(size) => return Poll::Ready(Some(self.take(size))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let Some(error) = ready!(self.poll_arrival(cx)) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Err(_) => return Poll::Ready(Some(Err(NOT_WHAT_IT_SAYS))),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Waits for the next piece of the body, or its end.
    fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<Option<BodyError>> {
        let next = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let arrived = self.decoder.arrived();
        match next.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(piece))) => arrived.piece = piece,
            Some(Ok(Err(_trailers))) => {}
            Some(Err(error)) => return Poll::Ready(Some(error)),
            None => arrived.ended = true,
        }
        Poll::Ready(None)
    }

    fn take(&mut self, size: usize) -> Result<Bytes, BodyError> {
        match (self.left.checked_sub(size as u64), self.step.get(..size)) {
            (Some(left), Some(data)) => {
                self.left = left;
                Ok(Bytes::copy_from_slice(data))
            }
            _ => Err(BodyError::TooLargeDecoded { limit: self.most }),
        }
    }
}

impl http_body::Body for Decoded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let item = ready!(self.poll(cx));
        match &item {
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                self.over = true;
                self.body.broken(error);
            }
            None => {
                self.over = true;
                self.body.complete();
            }
        }
        Poll::Ready(item.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.over
    }
}
