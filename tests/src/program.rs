//! Programs that a suite needs and cargo cannot bring.
//!
//! A suite that quietly passes because its server is not there proves nothing,
//! and one that fails on every laptop without it is soon switched off. So a
//! missing program is an error where `CI` is set, and elsewhere skips the test
//! with a notice that the test harness does not swallow.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A program that suites may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// Its file name.
    pub name: &'static str,
    /// The Debian package that has it.
    pub package: &'static str,
}

/// The web server.
pub const NGINX: Program = Program {
    name: "nginx",
    package: "nginx-light",
};

/// The load generator.
pub const AB: Program = Program {
    name: "ab",
    package: "apache2-utils",
};

/// The server that records time series.
pub const PROMETHEUS: Program = Program {
    name: "prometheus",
    package: "prometheus",
};

/// Debian keeps servers where the path of an ordinary user does not reach.
const ALSO: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// A program that is not on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the program `{}` is not installed; install it with: apt-get install {}", .0.name, .0.package)]
pub struct Missing(pub Program);

/// Where a program is.
///
/// # Errors
/// When it is neither in `PATH` nor in the folders for servers.
pub fn require(program: Program) -> Result<PathBuf, Missing> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    find(program, &path).ok_or(Missing(program))
}

fn find(program: Program, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .chain(ALSO.map(PathBuf::from))
        .map(|folder| folder.join(program.name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// What a test does when a program is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absence {
    Fails,
    Skips,
}

impl Absence {
    /// `ci`: the value of the variable `CI`.
    fn of(ci: Option<&OsStr>) -> Self {
        match ci {
            Some(value) if !value.is_empty() && value != "false" => Self::Fails,
            _ => Self::Skips,
        }
    }
}

/// True when all programs are there. Otherwise says so on stderr in several
/// lines, whatever the test harness captures, and is false: the test should
/// return. `test` is the name that the notice shows.
///
/// ```no_run
/// use servo_tests::program::{AB, NGINX, present};
/// if !present("ab_against_nginx", &[NGINX, AB]) {
///     return;
/// }
/// ```
///
/// # Panics
/// Instead of being false, where `CI` is set.
#[must_use]
pub fn present(test: &str, programs: &[Program]) -> bool {
    let missing: Vec<Missing> = programs
        .iter()
        .filter_map(|program| require(*program).err())
        .collect();
    if missing.is_empty() {
        return true;
    }
    let absence = Absence::of(std::env::var_os("CI").as_deref());
    let notice = notice(test, &missing, absence);
    // Not `eprintln!`: the harness keeps that back when a test passes.
    let _ = std::io::stderr().lock().write_all(notice.as_bytes());
    #[allow(clippy::panic, reason = "it fails the test that called it")]
    if absence == Absence::Fails {
        panic!("{notice}");
    }
    false
}

fn notice(test: &str, missing: &[Missing], absence: Absence) -> String {
    let bar = "=".repeat(72);
    let what = match absence {
        Absence::Fails => "FAILED",
        Absence::Skips => "SKIPPED, nothing was tested",
    };
    let mut notice = format!("\n{bar}\n{test}: {what}\n");
    for one in missing {
        notice.push_str(&format!("  {one}\n"));
    }
    notice + &bar + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const NOWHERE: Program = Program {
        name: "servo-no-such-program",
        package: "no-such-package",
    };

    #[test]
    fn a_missing_program_names_its_package() {
        assert_eq!(
            require(NOWHERE).unwrap_err().to_string(),
            "the program `servo-no-such-program` is not installed; install it with: apt-get install no-such-package"
        );
    }

    #[test]
    fn only_executable_files_in_absolute_folders_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(NOWHERE.name);
        assert_eq!(find(NOWHERE, folder.path().as_os_str()), None);
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(find(NOWHERE, folder.path().as_os_str()), None);
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(find(NOWHERE, folder.path().as_os_str()), Some(file));
    }

    #[test]
    fn ci_decides_between_failing_and_skipping() {
        for (value, absence) in [
            (None, Absence::Skips),
            (Some(""), Absence::Skips),
            (Some("false"), Absence::Skips),
            (Some("true"), Absence::Fails),
            (Some("1"), Absence::Fails),
        ] {
            assert_eq!(Absence::of(value.map(OsStr::new)), absence, "{value:?}");
        }
    }

    #[test]
    fn the_notice_is_several_lines_and_names_everything() {
        let bar = "=".repeat(72);
        assert_eq!(
            notice("a_test", &[Missing(NGINX), Missing(AB)], Absence::Skips),
            format!(
                "\n{bar}\na_test: SKIPPED, nothing was tested\n  \
                 the program `nginx` is not installed; install it with: apt-get install nginx-light\n  \
                 the program `ab` is not installed; install it with: apt-get install apache2-utils\n{bar}\n"
            )
        );
    }
}
