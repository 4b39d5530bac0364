//! The prompt of `--interactive`.
//!
//! One for the whole process: lines that were typed ahead wait in its buffer,
//! and must survive a reload. It writes to standard error, since standard
//! output belongs to results.

use async_trait::async_trait;
use servo_agent::Prompt;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin, stdin};
use tokio::sync::Mutex;

use crate::output;

/// Reads lines of standard input.
#[derive(Debug)]
pub(super) struct Terminal(Mutex<Lines<BufReader<Stdin>>>);

impl Terminal {
    pub(super) fn new() -> Self {
        Self(Mutex::new(BufReader::new(stdin()).lines()))
    }
}

#[async_trait]
impl Prompt for Terminal {
    async fn line(&self, next: &str) {
        output::note(format_args!("next: {next}; press Enter to go on"));
        let mut lines = self.0.lock().await;
        // Nothing else is done with the line, and an input that cannot be read
        // has ended.
        if let Err(error) = lines.next_line().await {
            tracing::warn!(target: "servo", "standard input: {error}");
        }
    }
}
