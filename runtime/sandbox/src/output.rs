//! Standard output and standard error of a guest: the first bytes are kept, the
//! rest is counted and thrown away.
//!
//! A stream that reports "closed" at its cap makes Rust guests panic in
//! `println!`, so this one always accepts. It is written by hand because the
//! engine's default adapter queues empty writes without bound
//! (GHSA-5m8g-xhq4-4h93), and because nothing a guest prints may ever reach the
//! agent's own standard output.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::fixed;

/// What a guest printed, as far as it was kept.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Output {
    /// The first bytes, up to the budget's cap.
    pub kept: Vec<u8>,
    /// How many further bytes were thrown away.
    pub dropped: u64,
}

impl Output {
    /// The kept part as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept).into_owned()
    }
}

/// A place that collects output and can be read after the store is gone. Both
/// streams of a guest write to one, so that their order is kept.
#[derive(Debug, Clone)]
pub(crate) struct Capture {
    cap: usize,
    output: Arc<Mutex<Output>>,
}

impl Capture {
    pub(crate) fn new(cap: u64) -> Self {
        Self {
            cap: usize::try_from(cap).unwrap_or(usize::MAX),
            output: Arc::default(),
        }
    }

    pub(crate) fn take(&self) -> Output {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut output)
    }

    fn accept(&self, bytes: &[u8]) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.cap.saturating_sub(output.kept.len()).min(bytes.len());
        let (keep, drop) = bytes.split_at(room);
        output.kept.extend_from_slice(keep);
        output.dropped = output.dropped.saturating_add(drop.len() as u64);
    }
}

impl IsTerminal for Capture {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Capture {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Capture {
    async fn ready(&mut self) {}
}

impl OutputStream for Capture {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.accept(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(fixed::PRINT)
    }
}

impl AsyncWrite for Capture {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.accept(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g1_output_over_the_cap_is_counted_not_kept() {
        let capture = Capture::new(4);
        capture.accept(b"abc");
        capture.accept(b"defgh");
        let output = capture.take();
        assert_eq!((output.text().as_str(), output.dropped), ("abcd", 4));
    }
}
