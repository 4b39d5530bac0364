//! What the environment says (protocol section 12).
//!
//! A variable is read once, here, and understood at once: a typing error shall
//! not wait for the moment in which the value is needed. Empty counts as not
//! set, except where the original tells the two apart.

use std::time::Duration;

use servo_agent::RetryPolicy;
use servo_formula::FormulaError;
use servo_host::{AppId, Natives, Site, Terms};
use servo_native::{NativeOptions, StderrShare, parse_io_timeout};
use servo_policy::Advice;

use crate::args::SiteArgs;
use crate::exit::Failed;

/// The environment, understood.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// `OPTUNE_PERF`.
    pub(super) perf: Option<String>,
    /// `SERVO_RETRY_DELAY_SEC`.
    pub(super) retry: RetryPolicy,
    /// `OPTUNE_IO_TIMEOUT`.
    pub(super) io_timeout: Option<Duration>,
    /// `OPTUNE_VERBOSE_STDERR`.
    pub(super) stderr: StderrShare,
}

impl Settings {
    /// Reads the variables; the exit codes are those of section 11.
    pub(crate) fn read() -> Result<Self, Failed> {
        let perf = variable("OPTUNE_PERF")?.filter(|text| !text.is_empty());
        if let Some(perf) = &perf {
            servo_formula::check(perf).map_err(|error| {
                let problem = format!("OPTUNE_PERF: {error}");
                Failed::Ran(Advice::new(problem, FormulaError::REMEDY).into())
            })?;
        }
        let io_timeout = variable("OPTUNE_IO_TIMEOUT")?;
        let io_timeout = parse_io_timeout(io_timeout.as_deref())
            .map_err(|error| Failed::Ran(error.advice().into()))?;
        let retry = match variable("SERVO_RETRY_DELAY_SEC")?.filter(|text| !text.is_empty()) {
            Some(text) => RetryPolicy::parse(&text)
                .map_err(|error| Failed::usage(format_args!("SERVO_RETRY_DELAY_SEC: {error}")))?,
            None => RetryPolicy::default(),
        };
        let stderr = variable("OPTUNE_VERBOSE_STDERR")?;
        Ok(Self {
            perf,
            retry,
            io_timeout,
            stderr: StderrShare::parse(stderr.as_deref()),
        })
    }

    /// What holds for the drivers of a site. Every verb that runs them goes
    /// through here, so that none is more lenient than `servo run`.
    pub(crate) fn terms(&self, args: &SiteArgs, app: &AppId, site: &Site, compat: bool) -> Terms {
        let natives = if args.allow_native_drivers {
            Natives::Allowed(NativeOptions {
                stderr: self.stderr,
                io_timeout: self.io_timeout,
                compat,
                ..NativeOptions::new(app.as_str(), site.folder())
            })
        } else {
            if self.stderr != StderrShare::All {
                tracing::info!(
                    target: "servo",
                    "OPTUNE_VERBOSE_STDERR does nothing here: it is for drivers that are programs"
                );
            }
            Natives::Refused
        };
        Terms {
            natives,
            silence: self.io_timeout,
        }
    }
}

fn variable(name: &str) -> Result<Option<String>, Failed> {
    let Some(value) = std::env::var_os(name) else {
        return Ok(None);
    };
    let text = value.into_string();
    text.map(Some).map_err(|_| {
        Failed::Usage(Advice::new(format!("{name} is not UTF-8"), "correct or unset it").into())
    })
}
