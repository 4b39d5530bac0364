//! What signals say (protocol section 11).

use std::io;

use servo_agent::StopReason;
use signal_hook::consts::{SIGINT, SIGTERM};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Stop now.
    Stop(Stop),
    /// Stop after the command in hand.
    Finish,
    /// Begin again with what the files say now.
    Reload,
}

/// A signal that ends the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Terminate,
    Interrupt,
}

impl Stop {
    pub(super) fn reason(self) -> StopReason {
        match self {
            Self::Terminate => StopReason::Sigterm,
            Self::Interrupt => StopReason::Sigint,
        }
    }

    /// Ends the process as if the signal had not been taken.
    pub(super) fn die(self) -> ! {
        let number = match self {
            Self::Terminate => SIGTERM,
            Self::Interrupt => SIGINT,
        };
        // It does not return for a signal whose default is to end.
        let _ = signal_hook::low_level::emulate_default_handler(number);
        std::process::abort()
    }
}

/// The signals of a servo, taken from now on.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    finish: Signal,
    reload: Signal,
}

impl Signals {
    pub(super) fn take() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            finish: signal(SignalKind::user_defined1())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    /// The next one. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            biased;
            Some(()) = self.terminate.recv() => Asked::Stop(Stop::Terminate),
            Some(()) = self.interrupt.recv() => Asked::Stop(Stop::Interrupt),
            Some(()) = self.finish.recv() => Asked::Finish,
            Some(()) = self.reload.recv() => Asked::Reload,
            else => std::future::pending().await,
        }
    }
}
