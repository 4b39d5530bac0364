//! The real Apache Benchmark, run and read as the original driver did
//! (drivers reference 6.2), to compare our own load generator against.

use std::ffi::OsString;
use std::process::{Command, ExitStatus};

use crate::program::{AB, Missing, require};

/// One run of `ab`.
#[derive(Debug, Clone)]
pub struct Ab {
    concurrency: u32,
    requests: u64,
    seconds: Option<u32>,
    keep_alive: bool,
    headers: Vec<String>,
}

/// What `ab` found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Seconds from the first request to the last answer.
    pub time_taken: f64,
    /// Answers received whole.
    pub complete: u64,
    /// Requests that failed to connect, to be read, or otherwise. Statuses do
    /// not count.
    pub failed: u64,
    /// Answers with another status than 2xx.
    pub non_2xx: u64,
    /// Answers on a connection that was kept open.
    pub kept_alive: u64,
    /// Throughput in requests per second.
    pub requests_per_second: f64,
    /// Mean time of one request in milliseconds.
    pub time_per_request: f64,
    /// Mean time between two answers in milliseconds.
    pub time_per_request_across_all: f64,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum AbError {
    /// `ab` is not installed.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The system did not start it.
    #[error("ab does not start: {0}")]
    Start(#[from] std::io::Error),
    /// It ended with an error.
    #[error("ab ended with {status} and said: {stderr}")]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// All of its stderr.
        stderr: String,
    },
    /// A line is not in the output.
    #[error("`{label}` is not in the output of ab:\n{output}")]
    NotFound {
        /// How the line begins.
        label: &'static str,
        /// All of its stdout.
        output: String,
    },
}

impl Ab {
    /// `requests` requests, `concurrency` at a time, each on a connection of
    /// its own.
    #[must_use]
    pub fn requests(concurrency: u32, requests: u64) -> Self {
        Self {
            concurrency,
            requests,
            seconds: None,
            keep_alive: false,
            headers: Vec::new(),
        }
    }

    /// As many requests as go in `seconds`, `concurrency` at a time.
    #[must_use]
    pub fn seconds(concurrency: u32, seconds: u32) -> Self {
        // More would only cost memory: ab keeps a record of each.
        const ENOUGH: u64 = 1_000_000;
        Self {
            seconds: Some(seconds),
            ..Self::requests(concurrency, ENOUGH)
        }
    }

    /// Uses connections again.
    #[must_use]
    pub fn keep_alive(mut self) -> Self {
        self.keep_alive = true;
        self
    }

    /// Sends `header` (`Name: value`) with every request.
    #[must_use]
    pub fn header(mut self, header: impl Into<String>) -> Self {
        self.headers.push(header.into());
        self
    }

    /// The arguments. `-t` stands before `-n`, since it lowers the number of
    /// requests and `-n` raises it again.
    fn arguments(&self, url: &str) -> Vec<OsString> {
        let mut all = vec!["-l".to_owned(), "-c".into(), self.concurrency.to_string()];
        if let Some(seconds) = self.seconds {
            all.extend(["-t".to_owned(), seconds.to_string()]);
        }
        all.extend(["-n".to_owned(), self.requests.to_string()]);
        for header in &self.headers {
            all.extend(["-H".to_owned(), header.clone()]);
        }
        if self.keep_alive {
            all.push("-k".to_owned());
        }
        all.push(url.to_owned());
        all.into_iter().map(OsString::from).collect()
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it is missing, ends with an error, or prints something else.
    pub fn run(&self, url: &str) -> Result<Figures, AbError> {
        let output = Command::new(require(AB)?)
            .args(self.arguments(url))
            .output()?;
        if !output.status.success() {
            return Err(AbError::Failed {
                status: output.status,
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        Figures::parse(&String::from_utf8_lossy(&output.stdout))
    }
}

impl Figures {
    /// Reads what `ab` prints. Where a line occurs twice, the last one counts.
    ///
    /// # Errors
    /// The first line that is missing or has no number. `Non-2xx responses` and
    /// `Keep-Alive requests` are printed only when there are any.
    pub fn parse(output: &str) -> Result<Self, AbError> {
        let lines = Lines(output);
        Ok(Self {
            time_taken: lines.number("Time taken for tests:", "seconds")?,
            complete: lines.number("Complete requests:", "")?,
            failed: lines.number("Failed requests:", "")?,
            non_2xx: lines.find("Non-2xx responses:", "").unwrap_or(0),
            kept_alive: lines.find("Keep-Alive requests:", "").unwrap_or(0),
            requests_per_second: lines.number("Requests per second:", "[#/sec] (mean)")?,
            time_per_request: lines.number("Time per request:", "[ms] (mean)")?,
            time_per_request_across_all: lines.number(
                "Time per request:",
                "[ms] (mean, across all concurrent requests)",
            )?,
        })
    }
}

struct Lines<'a>(&'a str);

impl Lines<'_> {
    fn find<T: std::str::FromStr>(&self, label: &str, unit: &str) -> Option<T> {
        self.0.lines().rev().find_map(|line| {
            let rest = line.strip_prefix(label)?.strip_suffix(unit)?;
            rest.trim().parse().ok()
        })
    }

    fn number<T: std::str::FromStr>(&self, label: &'static str, unit: &str) -> Result<T, AbError> {
        self.find(label, unit).ok_or_else(|| AbError::NotFound {
            label,
            output: self.0.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
Concurrency Level:      10
Time taken for tests:   180.004 seconds
Complete requests:      74293
Failed requests:        3
   (Connect: 0, Receive: 3, Length: 0, Exceptions: 0)
Keep-Alive requests:    74000
Non-2xx responses:      12
Total transferred:      13967272 bytes
Requests per second:    412.73 [#/sec] (mean)
Time per request:       24.229 [ms] (mean)
Time per request:       2.423 [ms] (mean, across all concurrent requests)
Transfer rate:          75.77 [Kbytes/sec] received
";

    #[test]
    fn every_figure_is_read() {
        assert_eq!(
            Figures::parse(OUTPUT).unwrap(),
            Figures {
                time_taken: 180.004,
                complete: 74293,
                failed: 3,
                non_2xx: 12,
                kept_alive: 74000,
                requests_per_second: 412.73,
                time_per_request: 24.229,
                time_per_request_across_all: 2.423,
            }
        );
    }

    #[test]
    fn a_missing_line_is_named_unless_it_is_optional() {
        for label in [
            "Time taken for tests:",
            "Complete requests:",
            "Failed requests:",
            "Requests per second:",
            "Time per request:",
        ] {
            let without: String = OUTPUT
                .lines()
                .filter(|line| !line.starts_with(label))
                .map(|line| format!("{line}\n"))
                .collect();
            let error = Figures::parse(&without).unwrap_err();
            assert!(error.to_string().contains(&format!("`{label}`")), "{error}");
        }
        let plain: String = OUTPUT
            .lines()
            .filter(|line| !line.starts_with("Non-2xx") && !line.starts_with("Keep-Alive"))
            .map(|line| format!("{line}\n"))
            .collect();
        let figures = Figures::parse(&plain).unwrap();
        assert_eq!((figures.non_2xx, figures.kept_alive), (0, 0));
    }

    #[test]
    fn the_last_of_two_lines_counts() {
        let twice = format!("{OUTPUT}Failed requests:        7\n");
        assert_eq!(Figures::parse(&twice).unwrap().failed, 7);
    }

    #[test]
    fn arguments_have_the_shape_of_the_original() {
        for (ab, expected) in [
            (Ab::requests(10, 500), "-l -c 10 -n 500 http://s/"),
            (Ab::seconds(4, 3), "-l -c 4 -t 3 -n 1000000 http://s/"),
            (
                Ab::requests(1, 2).header("a: b").keep_alive(),
                "-l -c 1 -n 2 -H a: b -k http://s/",
            ),
        ] {
            let found = ab
                .arguments("http://s/")
                .join(OsString::from(" ").as_os_str());
            assert_eq!(found, expected);
        }
    }
}
