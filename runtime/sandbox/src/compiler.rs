//! Compiling, which nothing but a process of its own may do.
//!
//! The engine's compiler has no limit of memory or time and cannot be stopped,
//! and a component of one megabyte keeps it busy for a minute and two
//! gigabytes. So the parser and the compiler never see a driver in this
//! process: a child gets its bytes on standard input, and answers with the code
//! on standard output. The child [locks itself up](crate::compile_child) before
//! it reads a byte; from outside it is held by a limit of time, by what is read
//! of its answer, and by having nothing: no environment, no folder, no
//! descriptors but three pipes that it could use.
//!
//! There is no other road: whoever wants code has to name a program.

mod frame;
mod limits;
mod process;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

pub use limits::{CompileLimit, CompileLimits, compile_limits};

pub(crate) use frame::{Answer, read_request};
pub(crate) use limits::CONCURRENT;
pub(crate) use process::compile;

/// Set by [`crate::compile_child::answer_if_asked`]: this program knows the verb.
static KNOWS_THE_VERB: AtomicBool = AtomicBool::new(false);

pub(crate) fn this_program_knows_the_verb() {
    KNOWS_THE_VERB.store(true, Ordering::Relaxed);
}

/// Which program compiles, and how much it may use.
#[derive(Debug, Clone)]
pub struct Compiler {
    program: Program,
    limits: CompileLimits,
}

#[derive(Debug, Clone)]
enum Program {
    /// This one, once more.
    This,
    /// Another one, with what comes before the verb.
    Other(PathBuf, Vec<OsString>),
    /// The `servo` beside this program, which does not know the verb itself.
    Beside,
}

/// The program that runs, when its `main` knows the verb, as that of `servo`
/// does. Any other program (a test, a benchmark) has the `servo` beside it
/// compile.
impl Default for Compiler {
    fn default() -> Self {
        let this = KNOWS_THE_VERB.load(Ordering::Relaxed);
        let program = if this { Program::This } else { Program::Beside };
        Self {
            program,
            limits: CompileLimits::default(),
        }
    }
}

impl Compiler {
    /// A program of that path, whose `main` hands to
    /// [`crate::compile_child::answer_if_asked`] when `arguments` are followed
    /// by the verb.
    pub fn program(
        path: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            program: Program::Other(path.into(), arguments.into_iter().map(Into::into).collect()),
            limits: CompileLimits::default(),
        }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: CompileLimits) -> Self {
        Self { limits, ..self }
    }

    /// The program to start, with the arguments before the verb.
    ///
    /// `/proc/self/exe` is no name but a reference to the very file that this
    /// process runs: neither an update that puts another file in its place nor
    /// whoever may write in its folder changes what is started, and the kernel
    /// lets nobody write into a file that runs. A descriptor kept from the
    /// start would say no more, and each child would inherit it.
    fn start(&self) -> Result<(PathBuf, &[OsString]), CompileError> {
        match &self.program {
            Program::This => Ok(("/proc/self/exe".into(), &[])),
            Program::Other(path, arguments) => Ok((path.clone(), arguments)),
            Program::Beside => Ok((beside()?, &[])),
        }
    }
}

/// `servo` in the folder of this program, or in the one above when cargo put
/// it in a folder for tests or examples.
fn beside() -> Result<PathBuf, CompileError> {
    let this = std::env::current_exe().unwrap_or_default();
    let mut folder = this.parent().map(PathBuf::from).unwrap_or_default();
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder.pop();
    }
    let servo = folder.join("servo");
    if servo.is_file() {
        Ok(servo)
    } else {
        Err(CompileError::NoCompiler(servo))
    }
}

/// Why there is no code. Nothing of the driver has run, and nothing is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The engine does not take the component; its own words.
    #[error("{0}")]
    Refused(String),
    /// More memory than the compiler may have.
    #[error(
        "compiling it takes more than {} MiB of memory; {SMALLER}", .0 >> 20
    )]
    Memory(u64),
    /// More computing time than the compiler may have.
    #[error("compiling it takes more than {0} s of computing time; {SMALLER}")]
    Cpu(u64),
    /// It took too long, whatever it did.
    #[error("compiling it did not end within {0} s; {SMALLER}, or give this machine less to do")]
    Wall(u64),
    /// More code than is taken.
    #[error("its compiled code is larger than {} MiB; {SMALLER}", .0 >> 20)]
    Code(u64),
    /// The compiler ended by itself, without an answer.
    #[error(
        "the compiler crashed: {0}; what this driver makes of it is an error of the engine, so \
         build the driver differently, or update servo"
    )]
    Crashed(String),
    /// What came back is no code for this driver.
    #[error("the compiler child gave a wrong answer ({0}); nothing of it is used")]
    WrongAnswer(&'static str),
    /// The child could not lock itself up.
    #[error(
        "the compiler may not run without its limits, and this machine does not set them: {0}; run \
         servo on Linux 5.3 or later with seccomp filters, and let its container allow them"
    )]
    Unprotected(String),
    /// The program that compiles is of another build.
    #[error(
        "{}, which is to compile drivers, is of another build than this program; build both anew",
        .0.display()
    )]
    OtherBuild(PathBuf),
    /// There is no program that compiles.
    #[error(
        "this program does not compile drivers itself, and there is no {}; build it with `cargo \
         build -p servo-cli` for the same profile", .0.display()
    )]
    NoCompiler(PathBuf),
    /// The child could not be started or talked to.
    #[error("cannot run {}, which is to compile drivers: {source}", program.display())]
    Process {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// What an honest author can do about a limit.
const SMALLER: &str =
    "build it smaller: optimised, stripped, without libraries that it does not use";

impl CompileError {
    /// The key of the limit that ended it, as in [`compile_limits`].
    pub fn limit(&self) -> Option<&'static str> {
        match self {
            Self::Memory(_) => Some(limits::MEMORY),
            Self::Cpu(_) => Some(limits::CPU),
            Self::Wall(_) => Some(limits::WALL),
            Self::Code(_) => Some(limits::CODE),
            _ => None,
        }
    }
}
