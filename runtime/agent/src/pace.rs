//! How fast the loop goes: straight on, with a wait, or by hand (protocol
//! section 10).
//!
//! A delay point stands before HELLO, after the work of a command and before
//! its report, after a sleep, and after an answer without a command. It is for
//! people who watch a servo; where they do it by hand, SLEEP does not sleep,
//! since they already decide when it goes on. Once they have gone (the end of
//! the input), it does: else an idle servo would ask without a pause.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

/// What happens at a delay point.
#[derive(Debug, Clone, Default)]
pub enum Pace {
    /// Nothing.
    #[default]
    Straight,
    /// A wait (`--delay`).
    Delay(Duration),
    /// Somebody says when it goes on (`--interactive`).
    Interactive(Arc<dyn Prompt>),
}

/// Somebody who says when the servo goes on.
#[async_trait]
pub trait Prompt: Send + Sync + Debug {
    /// Shows what comes next, and returns after one line or at the end of the
    /// input. Dropped when the servo is told to stop.
    async fn line(&self, next: &str);

    /// Whether the input has ended: nobody decides any more when it goes on.
    fn ended(&self) -> bool;
}
