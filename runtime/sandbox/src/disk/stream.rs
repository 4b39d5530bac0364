//! A file's output stream that pays before it writes.

use bytes::Bytes;
use servo_audit::{Capability, Reason};
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::quota::Account;

/// Where a stream writes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Position {
    /// From `offset` on, in a file of which `length` bytes are paid for.
    At { offset: u64, length: u64 },
    /// At the end of the file, wherever it is by then.
    End,
}

impl Position {
    /// The position after `bytes` more, and the bytes to be paid for them.
    fn after(self, bytes: u64) -> (Self, u64) {
        match self {
            Self::At { offset, length } => {
                let offset = offset.saturating_add(bytes);
                let position = Self::At {
                    offset,
                    length: length.max(offset),
                };
                (position, offset.saturating_sub(length))
            }
            Self::End => (self, bytes),
        }
    }
}

/// The quota did not allow a write.
#[derive(Debug, thiserror::Error)]
#[error("disk quota exceeded")]
pub(super) struct Full;

pub(super) struct MeteredStream {
    /// Nothing once the quota has refused a write: a failed stream is closed.
    inner: Option<DynOutputStream>,
    account: Account,
    position: Position,
}

impl MeteredStream {
    pub(super) fn new(inner: DynOutputStream, account: Account, position: Position) -> Self {
        Self {
            inner: Some(inner),
            account,
            position,
        }
    }

    fn open(&mut self) -> StreamResult<&mut DynOutputStream> {
        self.inner.as_mut().ok_or(StreamError::Closed)
    }

    /// The stream, if it may take so many bytes more.
    fn paid(&mut self, bytes: usize) -> StreamResult<&mut DynOutputStream> {
        if bytes > 0 {
            let (position, growth) = self.position.after(bytes as u64);
            if self.account.grow(growth).is_err() {
                self.account
                    .records()
                    .denied(Capability::Files, "write", Reason::Quota);
                self.inner = None;
                return Err(StreamError::LastOperationFailed(Full.into()));
            }
            self.position = position;
        }
        self.open()
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for MeteredStream {
    async fn ready(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.ready().await;
        }
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for MeteredStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.open()?;
        self.paid(bytes.len())?.write(bytes)
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.open()?;
        self.paid(bytes.len())?
            .blocking_write_and_flush(bytes)
            .await
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.open()?.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.open()?.check_write()
    }

    async fn cancel(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.cancel().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f4_a_stream_pays_for_what_is_new_and_for_holes() {
        let start = |offset, length| Position::At { offset, length };
        for (position, bytes, paid) in [
            (start(0, 0), 10, 10),
            (start(0, 100), 10, 0),
            (start(95, 100), 10, 5),
            (start(200, 100), 10, 110),
            (start(u64::MAX, 0), 10, u64::MAX),
            (Position::End, 10, 10),
        ] {
            assert_eq!(position.after(bytes).1, paid, "{position:?}");
        }
        // The same bytes are paid for once.
        let (position, _) = start(0, 0).after(10);
        assert_eq!(position.after(5).1, 5);
    }
}
