//! The process that compiles: what a program with the verb does.
//!
//! It locks itself up before it reads a byte, and in this order: limits of
//! memory and time and the like, then the engine, whose making still asks the
//! system for this and that, then a filter of system calls that leaves what
//! compiling needs. A lock that cannot be set ends the process with a code of
//! its own, and the parent says which it was. What comes in after that can at
//! most make this process end early or answer wrongly.
//!
//! A program takes part by asking [`answer_if_asked`] first of all in `main`,
//! before it has started a thread or opened a file.

mod locks;

use std::ffi::OsString;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use wasmtime::{Engine, OutOfMemory};

use crate::compiler::{self, Answer, read_request};
use crate::engine;

/// The first argument of a compiling process. It is no command of a person's,
/// and shown in no help.
pub const VERB: &str = "__compile";

/// How a compiling process ends, beside being killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With an answer on its standard output.
    Answered = 0,
    /// It was called wrongly.
    Misused = 64,
    /// A lock could not be set.
    Unprotected = 70,
    /// Its engine is not the one that the parent has.
    OtherBuild = 71,
    /// The engine got no more memory.
    Memory = 72,
    /// The engine panicked, or the pipes broke.
    Failed = 73,
}

impl Exit {
    const ALL: [Self; 6] = [
        Self::Answered,
        Self::Misused,
        Self::Unprotected,
        Self::OtherBuild,
        Self::Memory,
        Self::Failed,
    ];

    pub(crate) fn of(code: Option<i32>) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|&exit| Some(exit as i32) == code)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Does the work of a compiling process, if this one was started as such; the
/// code to end with. Else the program is noted as one that can compile.
#[must_use = "a compiling process has nothing else to do"]
pub fn answer_if_asked() -> Option<ExitCode> {
    answer_if_asked_by(std::env::args_os().skip(1))
}

/// The same with these arguments.
#[must_use = "a compiling process has nothing else to do"]
pub fn answer_if_asked_by(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter();
    if arguments.next().is_none_or(|first| first != *VERB) {
        compiler::this_program_knows_the_verb();
        return None;
    }
    let words: Vec<OsString> = arguments.collect();
    let (exit, message) = match Order::parse(&words) {
        Some(order) => order
            .carry_out()
            .map_or_else(|ended| ended, |()| (Exit::Answered, String::new())),
        None => (
            Exit::Misused,
            format!("{VERB} is for servo itself: it compiles in a process of its own"),
        ),
    };
    if !message.is_empty() {
        // One line, whatever is in it.
        let line = message.replace(['\n', '\r'], " ");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    Some(exit.into())
}

/// Locks this process up as one that compiles with these limits, engine
/// included. For tests of the locks.
///
/// # Errors
/// Which lock could not be set, and why.
pub fn lock(memory: u64, cpu: u64) -> Result<(), String> {
    locked_engine(memory, cpu)
        .map(drop)
        .map_err(|(_, message)| message)
}

type Ended = (Exit, String);

/// What the parent asks for.
struct Order {
    memory: u64,
    cpu: u64,
    fingerprint: String,
}

impl Order {
    fn parse(words: &[OsString]) -> Option<Self> {
        let [memory, cpu, fingerprint] = words else {
            return None;
        };
        Some(Self {
            memory: memory.to_str()?.parse().ok()?,
            cpu: cpu.to_str()?.parse().ok()?,
            fingerprint: fingerprint.to_str()?.to_owned(),
        })
    }

    fn carry_out(&self) -> Result<(), Ended> {
        let engine = locked_engine(self.memory, self.cpu)?;
        if engine::fingerprint(&engine) != self.fingerprint {
            return Err((Exit::OtherBuild, String::new()));
        }
        let failed = |error: std::io::Error| (Exit::Failed, error.to_string());
        let component = read_request(&mut std::io::stdin().lock()).map_err(failed)?;
        let answer = compile(&engine, &component)?;
        answer
            .write(&component, &mut std::io::stdout().lock())
            .map_err(failed)
    }
}

fn locked_engine(memory: u64, cpu: u64) -> Result<Engine, Ended> {
    let unprotected = |problem: String| (Exit::Unprotected, problem);
    locks::limit(memory, cpu).map_err(unprotected)?;
    let engine =
        engine::build_for_compiling().map_err(|error| (Exit::Failed, error.to_string()))?;
    locks::filter_system_calls().map_err(unprotected)?;
    Ok(engine)
}

fn compile(engine: &Engine, component: &[u8]) -> Result<Answer, Ended> {
    // The message of a panic is the parent's to show, in one line.
    std::panic::set_hook(Box::new(|_| ()));
    // The engine is not used again after a panic.
    let compiling = AssertUnwindSafe(|| engine.precompile_component(component));
    let compiled = std::panic::catch_unwind(compiling);
    match compiled {
        Ok(Ok(code)) => Ok(Answer::Code(code)),
        Ok(Err(error)) if error.is::<OutOfMemory>() => Err((Exit::Memory, String::new())),
        Ok(Err(error)) => Ok(Answer::Refusal(format!("{error:#}"))),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            let text = text.unwrap_or("without a word");
            Err((Exit::Failed, format!("it panicked: {text}")))
        }
    }
}
