//! How much compiling may use. The one place of these limits.

use std::time::Duration;

/// How much one compilation may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Address space of the compiler's process, in bytes.
    pub memory: u64,
    /// Its computing time, in whole seconds.
    pub cpu: u64,
    /// Time from its start to its end.
    pub wall: Duration,
    /// Size of the code that it answers with, in bytes.
    pub code: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            memory: 1 << 30,
            cpu: 60,
            wall: Duration::from_secs(180),
            code: 64 << 20,
        }
    }
}

/// One limit of compiling, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileLimit {
    /// Its key: the label of its counter.
    pub key: &'static str,
    /// What it is unless an embedder says otherwise.
    pub value: String,
    /// Why it is so.
    pub reason: &'static str,
}

pub(super) const MEMORY: &str = "compile_memory";
pub(super) const CPU: &str = "compile_cpu";
pub(super) const WALL: &str = "compile_wall";
pub(super) const CODE: &str = "compile_code";
const CONCURRENCY: &str = "compile_concurrency";

/// Compilations at the same time in one process: another one waits.
pub(crate) const CONCURRENT: usize = 1;

/// The limits of compiling, for whoever shows limits.
pub fn compile_limits() -> [CompileLimit; 5] {
    let limits = CompileLimits::default();
    let limit = |key, value, reason| CompileLimit { key, value, reason };
    [
        limit(
            MEMORY,
            format!("{} MiB", limits.memory >> 20),
            "the largest interpreters take 400 MB; small components can be made that take any amount",
        ),
        limit(
            CPU,
            format!("{} s", limits.cpu),
            "an interpreter takes 20 s on a slow machine; compiling cannot be stopped from within",
        ),
        limit(
            WALL,
            format!("{} s", limits.wall.as_secs()),
            "three times the computing time, for a machine that is busy with other things",
        ),
        limit(
            CODE,
            format!("{} MiB", limits.code >> 20),
            "an interpreter has 41 MB; code can be a hundred times as large as its component",
        ),
        limit(
            CONCURRENCY,
            CONCURRENT.to_string(),
            "one driver of one tenant takes one processor and one share of memory, not all of them",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_is_set() {
        let shown = compile_limits().map(|limit| (limit.key, limit.value));
        let expected = [
            (MEMORY, "1024 MiB"),
            (CPU, "60 s"),
            (WALL, "180 s"),
            (CODE, "64 MiB"),
            (CONCURRENCY, "1"),
        ];
        assert_eq!(shown, expected.map(|(key, value)| (key, value.to_owned())));
    }
}
