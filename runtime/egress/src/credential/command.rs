//! A program of the operator whose output is a secret.
//!
//! It is run by its argument list, without a shell; with nothing of servo's
//! environment but PATH and HOME, which password managers need to find
//! themselves and their store, and so without the other secrets that stand in
//! there; with nothing to read, and its error output thrown away, because a
//! program that fails may print what it knows. It has a group of its own, which
//! is killed when it is given up. A program that ends well may leave an agent
//! of its own behind (as gpg does); that is the operator's.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use super::error::Problem;
use super::secret::Secret;

/// Output that is read.
const MOST: usize = 64 << 10;

/// How long it may take.
const WALL: Duration = Duration::from_secs(30);

/// Is there such a program? Asked when a rule is loaded, so that a misspelt
/// name does not wait for the first request.
pub(super) fn check(argv: &[String]) -> Result<(), Problem> {
    use std::os::unix::fs::PermissionsExt;

    let program = argv.first().map(String::as_str).unwrap_or_default();
    let is_program = |path: &std::path::Path| {
        std::fs::metadata(path)
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let found = if program.contains('/') {
        is_program(program.as_ref())
    } else {
        std::env::var_os("PATH").is_some_and(|path| {
            std::env::split_paths(&path).any(|folder| is_program(&folder.join(program)))
        })
    };
    if found {
        Ok(())
    } else {
        Err(Problem::NoProgram)
    }
}

/// Runs it once.
pub(super) async fn run(argv: &[String]) -> Result<Secret, Problem> {
    let (program, arguments) = argv.split_first().ok_or(Problem::NoProgram)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(
            ["PATH", "HOME"]
                .into_iter()
                .filter_map(|name| std::env::var_os(name).map(|value| (name, value))),
        )
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    let child = command
        .spawn()
        .map_err(|error| Problem::Run(error.kind()))?;
    let mut group = Group(Some(child));
    tokio::time::timeout(WALL, group.output())
        .await
        .map_err(|_| Problem::TooSlow)?
}

/// A running program. Dropping it kills its group: as long as it is in here it
/// was not waited for, so the number is still its own.
struct Group(Option<Child>);

impl Group {
    async fn output(&mut self) -> Result<Secret, Problem> {
        let child = self.0.as_mut().ok_or(Problem::NoProgram)?;
        // One buffer from the beginning: one that grows leaves copies behind.
        let mut output = Zeroizing::new(Vec::with_capacity(MOST + 1));
        if let Some(stdout) = child.stdout.take() {
            let mut stdout = stdout.take(MOST as u64 + 1);
            while stdout
                .read_buf(&mut *output)
                .await
                .map_err(|error| Problem::Run(error.kind()))?
                > 0
            {}
        }
        if output.len() > MOST {
            return Err(Problem::TooMuch);
        }
        let status = child
            .wait()
            .await
            .map_err(|error| Problem::Run(error.kind()))?;
        self.0 = None;
        if !status.success() {
            return Err(Problem::Failed);
        }
        Ok(Secret::new(output)?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let leader = self
            .0
            .as_ref()
            .and_then(Child::id)
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(leader) = leader {
            // It may have ended by itself a moment ago.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn sh(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn e8_its_output_is_the_secret_or_nothing_is() {
        let secret = run(&sh("echo hunter22")).await.unwrap();
        assert_eq!(secret.text(), "hunter22");
        for (script, problem) in [
            ("true", "is empty"),
            ("echo one; echo two", "more than one line"),
            ("echo hunter22; exit 3", "failed"),
            ("kill -9 $$", "failed"),
            ("head -c 65536 /dev/zero | tr '\\0' x", "longer than 8 KiB"),
            ("cat /dev/zero", "more than 64 KiB"),
        ] {
            let error = run(&sh(script)).await.unwrap_err().to_string();
            assert!(error.contains(problem), "{script}: {error}");
            assert!(!error.contains("hunter22"), "{error}");
        }
    }

    #[tokio::test]
    async fn it_gets_no_environment_and_no_input() {
        let secret = run(&sh("cat; env | cut -d= -f1 | sort | tr '\\n' ,; echo"))
            .await
            .unwrap();
        let names: Vec<&str> = secret
            .text()
            .split(',')
            // The shell's own.
            .filter(|name| !["", "PWD", "_", "SHLVL", "OLDPWD"].contains(name))
            .collect();
        assert!(
            names.iter().all(|name| ["HOME", "PATH"].contains(name)),
            "{names:?}"
        );
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    }

    #[tokio::test]
    async fn it_is_killed_with_its_group_when_it_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let alive = folder.path().join("alive");
        let made = std::process::Command::new("mkfifo").arg(&alive).status();
        assert!(made.unwrap().success());
        let file = alive.display();
        // Two processes hold the pipe open for writing until they are gone.
        let script = sh(&format!("exec 3>{file}; sleep 1000 & sleep 1000"));
        let running = tokio::spawn(async move { run(&script).await.map(|_| ()) });
        let opened = tokio::task::spawn_blocking(move || std::fs::File::open(alive));
        let mut pipe = opened.await.unwrap().unwrap();
        running.abort();
        let ended = tokio::task::spawn_blocking(move || std::io::Read::read(&mut pipe, &mut [0]));
        assert_eq!(ended.await.unwrap().unwrap(), 0);
    }

    #[test]
    fn a_misspelt_program_is_found_at_load() {
        assert!(check(&sh("true")).is_ok());
        assert!(check(&["sh".to_owned()]).is_ok());
        for name in [
            "no-such-program-here",
            "/bin/no-such-program",
            "/bin",
            "/etc/passwd",
        ] {
            assert!(check(&[name.to_owned()]).is_err(), "{name}");
        }
    }
}
