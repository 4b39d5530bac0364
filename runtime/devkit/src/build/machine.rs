//! The machine a build runs on, as far as the build can see it.
//!
//! Which compiler is there depends on files, links and the answers of other
//! programs, none of which a test can arrange on the machine it runs on. So
//! all of that goes through this trait, and every branch is tried with a
//! machine made of tables.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The program: a name looked up in `PATH`, or a path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables set on top of the inherited environment.
    pub set: Vec<(&'static str, String)>,
    /// Variables taken out of the inherited environment.
    pub unset: Vec<&'static str>,
    /// Where it runs; where we run, when absent.
    pub folder: Option<PathBuf>,
    /// Whether its standard error is shown while it runs instead of kept.
    pub show: bool,
}

impl Invocation {
    /// A program with arguments, everything else inherited.
    pub fn new<A: Into<OsString>>(
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = A>,
    ) -> Invocation {
        Invocation {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            set: Vec::new(),
            unset: Vec::new(),
            folder: None,
            show: false,
        }
    }

    /// The command as a person would type it, for messages.
    pub fn line(&self) -> String {
        let words = self.args.iter().map(|arg| arg.to_string_lossy());
        std::iter::once(self.program.to_string_lossy())
            .chain(words)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// What a program left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// Whether it ended with exit code 0.
    pub success: bool,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error, empty when it was shown.
    pub stderr: String,
}

/// Files, programs and the user of the machine a build runs on.
pub trait Machine {
    /// Whether a file is there, links followed: a dangling link is not.
    fn is_file(&self, path: &Path) -> bool;
    /// Whether a folder is there and holds something.
    fn has_entries(&self, path: &Path) -> bool;
    /// Where a link points, itself unresolved.
    fn read_link(&self, path: &Path) -> Option<PathBuf>;
    /// Where what compilers make on the way is kept, for all projects; none to
    /// keep it with each project.
    fn cache_folder(&self) -> Option<PathBuf>;
    /// Whether packages may be installed: the user is root.
    fn is_root(&self) -> bool;
    /// Runs a program to its end.
    ///
    /// # Errors
    /// When it cannot be started. A failing program is not an error.
    fn run(&self, invocation: &Invocation) -> io::Result<Ended>;
    /// Tells the person who waits what happens next.
    fn say(&self, line: &str);
}

/// The machine we are on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Local;

impl Machine for Local {
    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn has_entries(&self, path: &Path) -> bool {
        path.read_dir().is_ok_and(|mut dir| dir.next().is_some())
    }

    fn read_link(&self, path: &Path) -> Option<PathBuf> {
        path.read_link().ok()
    }

    fn cache_folder(&self) -> Option<PathBuf> {
        servo_artifact::user_cache_folder().map(|cache| cache.join("build"))
    }

    fn is_root(&self) -> bool {
        // A process can always look at itself, and owns what it looks at.
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata("/proc/self").is_ok_and(|us| us.uid() == 0)
    }

    fn run(&self, invocation: &Invocation) -> io::Result<Ended> {
        let mut command = Command::new(&invocation.program);
        command
            .args(&invocation.args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(if invocation.show {
                Stdio::inherit()
            } else {
                Stdio::piped()
            });
        for name in &invocation.unset {
            command.env_remove(name);
        }
        for (name, value) in &invocation.set {
            command.env(name, value);
        }
        if let Some(folder) = &invocation.folder {
            command.current_dir(folder);
        }
        let output = command.output()?;
        Ok(Ended {
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn say(&self, line: &str) {
        // Nobody may be listening, which is no reason to stop building.
        let _ = writeln!(io::stderr(), "{line}");
    }
}
