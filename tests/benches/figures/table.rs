//! The one table at the end: each figure beside the baseline it was measured
//! with, as a ratio, and the bar it has to meet where there is one.

use std::fmt;
use std::time::Duration;

use crate::samples::Samples;

/// What a figure must reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    /// None was set.
    None,
    /// At most so many times the baseline, at the median.
    Ratio(f64),
    /// At least so many times cheaper than the baseline, at the median.
    Cheaper(f64),
    /// At most so long at the median.
    P50(Duration),
    /// At most so long at the 99th percentile.
    P99(Duration),
    /// At most so much longer than the baseline, at the median.
    Added(Duration),
}

/// The rows so far.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<[String; 8]>);

const HEAD: [&str; 8] = [
    "figure", "p50", "p99", "baseline", "p50", "p99", "ratio", "bar",
];

impl Table {
    /// A row of times.
    pub(crate) fn times(
        &mut self,
        figure: impl Into<String>,
        ours: &Samples,
        baseline: impl Into<String>,
        base: &Samples,
        bar: Bar,
    ) {
        let share = if matches!(bar, Bar::P99(_)) {
            0.99
        } else {
            0.50
        };
        let seconds = |samples: &Samples| samples.quantile(share).as_secs_f64();
        let (mine, theirs) = (seconds(ours), seconds(base));
        let p99 = |samples: &Samples| {
            let p99 = samples.p99();
            p99.map_or_else(|| "-".to_owned(), |p99| show(p99).to_string())
        };
        let ratio = match bar {
            Bar::Cheaper(_) => format!("1/{:.0}", theirs / mine),
            Bar::Added(_) => {
                let sign = if mine >= theirs { '+' } else { '-' };
                format!("{sign}{}", show(ours.p50().abs_diff(base.p50())))
            }
            _ => factor(mine / theirs),
        };
        self.0.push([
            figure.into(),
            show(ours.p50()).to_string(),
            p99(ours),
            baseline.into(),
            show(base.p50()).to_string(),
            p99(base),
            ratio,
            verdict(ours, base, bar),
        ]);
    }

    /// A row of sizes in bytes.
    pub(crate) fn bytes(
        &mut self,
        figure: impl Into<String>,
        ours: u64,
        baseline: impl Into<String>,
        base: u64,
    ) {
        self.0.push([
            figure.into(),
            format!("{ours} B"),
            "-".to_owned(),
            baseline.into(),
            format!("{base} B"),
            "-".to_owned(),
            factor(ours as f64 / base as f64),
            String::new(),
        ]);
    }

    /// A row of memory in bytes, and the most it may be.
    pub(crate) fn memory(
        &mut self,
        figure: impl Into<String>,
        ours: u64,
        baseline: impl Into<String>,
        base: u64,
        bar: Option<u64>,
    ) {
        let verdict = bar.map_or_else(String::new, |most| {
            let met = if ours <= most { "met" } else { "MISSED" };
            format!("{}: {met}", size(most))
        });
        self.0.push([
            figure.into(),
            size(ours),
            "-".to_owned(),
            baseline.into(),
            size(base),
            "-".to_owned(),
            factor(ours as f64 / base as f64),
            verdict,
        ]);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = HEAD.map(str::to_owned);
        let lines = || std::iter::once(&head).chain(&self.0);
        let width = |column: usize| {
            lines()
                .map(|line| line[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
        for (number, line) in lines().enumerate() {
            let cells: Vec<String> = line
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, &width))| match column {
                    1 | 2 | 4 | 5 | 6 => format!("{cell:>width$}"),
                    _ => format!("{cell:<width$}"),
                })
                .collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
            if number == 0 {
                let rules: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
                writeln!(f, "{}", rules.join("  "))?;
            }
        }
        Ok(())
    }
}

fn size(bytes: u64) -> String {
    match bytes as f64 / 1024.0 {
        kib if kib < 1024.0 => format!("{kib:.1} KiB"),
        kib => format!("{:.1} MiB", kib / 1024.0),
    }
}

fn factor(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 0.1 => format!("1/{:.0}", 1.0 / ratio),
        ratio if ratio < 100.0 => format!("x{ratio:.2}"),
        ratio => format!("x{ratio:.0}"),
    }
}

fn verdict(ours: &Samples, base: &Samples, bar: Bar) -> String {
    let ratio = ours.p50().as_secs_f64() / base.p50().as_secs_f64();
    let (met, text) = match bar {
        Bar::None => return String::new(),
        Bar::Ratio(most) => (ratio <= most, format!("x{most}")),
        Bar::Cheaper(least) => (1.0 / ratio >= least, format!("1/{least}")),
        Bar::P50(most) => (ours.p50() <= most, format!("p50 {}", show(most))),
        Bar::P99(most) => (ours.quantile(0.99) <= most, format!("p99 {}", show(most))),
        Bar::Added(most) => (
            ours.p50().saturating_sub(base.p50()) <= most,
            format!("+{}", show(most)),
        ),
    };
    format!("{text}: {}", if met { "met" } else { "MISSED" })
}

fn show(time: Duration) -> impl fmt::Display {
    struct Shown(f64);

    impl fmt::Display for Shown {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {
                s if s < 1e-6 => write!(f, "{:.0} ns", s * 1e9),
                s if s < 1e-3 => write!(f, "{:.1} us", s * 1e6),
                s if s < 1.0 => write!(f, "{:.2} ms", s * 1e3),
                s => write!(f, "{s:.2} s"),
            }
        }
    }

    Shown(time.as_secs_f64())
}
