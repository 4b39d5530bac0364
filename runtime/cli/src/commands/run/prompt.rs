//! The prompt of `--interactive`.
//!
//! One for the whole process: lines that were typed ahead wait in its buffer,
//! and must survive a reload. It writes to standard error, since standard
//! output belongs to results.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use servo_agent::Prompt;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin, stdin};
use tokio::sync::Mutex;

use crate::output;

/// Reads lines of standard input.
#[derive(Debug)]
pub(super) struct Terminal {
    lines: Mutex<Lines<BufReader<Stdin>>>,
    ended: AtomicBool,
}

impl Terminal {
    pub(super) fn new() -> Self {
        Self {
            lines: Mutex::new(BufReader::new(stdin()).lines()),
            ended: AtomicBool::new(false),
        }
    }
}

#[async_trait]
impl Prompt for Terminal {
    async fn line(&self, next: &str) {
        output::note(format_args!("next: {next}; press Enter to go on"));
        let line = self.lines.lock().await.next_line().await;
        if let Err(error) = &line {
            tracing::warn!(target: "servo", "standard input: {error}");
        }
        // An input that cannot be read has ended; of a line only its end counts.
        if !matches!(line, Ok(Some(_))) {
            self.ended.store(true, Ordering::Relaxed);
        }
    }

    fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}
