//! One shell that is told a command at a time, as a reader's is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::page::stable;

/// After this long without a line something hangs. A compiler that has a
/// standard library to compile may be silent for minutes.
const SILENCE: Duration = Duration::from_secs(600);

/// A `bash`, and everything it has started.
pub(crate) struct Shell {
    bash: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    ended: usize,
}

impl Shell {
    pub(crate) fn start(folder: &Path, environment: &BTreeMap<&str, OsString>) -> Self {
        let mut bash = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(folder)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("bash starts");
        let mut stdin = bash.stdin.take().expect("a pipe");
        writeln!(stdin, "exec 2>&1").expect("bash reads");
        let stdout = BufReader::new(bash.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        // Ends with the shell and all it has started.
        std::thread::spawn(move || {
            for line in stdout.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            bash,
            stdin,
            lines,
            ended: 0,
        }
    }

    /// Runs a command, and reads on until the `expected` lines have all been
    /// seen, in whatever order. Returns its exit code and all it said.
    pub(crate) fn run(&mut self, command: &str, expected: &[String]) -> (i32, Vec<String>) {
        self.ended += 1;
        let mark = format!("@@ command {} ended with ", self.ended);
        // What it starts must not read what is said to the shell, and `$?` is
        // for the next command to see.
        writeln!(
            self.stdin,
            "{{ {command}\n}} </dev/null; s=$?; printf '\\n{mark}%s\\n' $s; (exit $s)"
        )
        .expect("bash reads");

        let in_background = command.trim_end().ends_with('&');
        let mut missing: Vec<String> = expected.iter().map(|line| stable(line)).collect();
        let mut code = None;
        let mut said = Vec::new();
        while code.is_none() || (in_background && !missing.is_empty()) {
            let Ok(line) = self.lines.recv_timeout(SILENCE) else {
                panic!(
                    "`{command}` hangs; missing: {missing:#?}; it said:\n{}",
                    said.join("\n")
                );
            };
            if let Some(status) = line.strip_prefix(&mark) {
                code = Some(status.parse().expect("a status"));
                continue;
            }
            let seen = stable(&line);
            missing.retain(|line| *line != seen);
            said.push(line);
        }
        assert!(
            missing.is_empty(),
            "`{command}` did not say {missing:#?}; it said:\n{}",
            said.join("\n")
        );
        (code.expect("it has ended"), said)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // The group, hence what still runs in the background too.
        let group = format!("-{}", self.bash.id());
        let _ = Command::new("bash")
            .args(["-c", "kill -KILL -- \"$0\"", &group])
            .status();
        let _ = self.bash.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Shell {
        let path = std::env::var_os("PATH").expect("a path");
        Shell::start(Path::new("/"), &BTreeMap::from([("PATH", path)]))
    }

    #[test]
    fn state_and_codes_pass_from_command_to_command() {
        let mut shell = shell();
        assert_eq!(shell.run("cd /usr; a=b; false", &[]).0, 1);
        let shown = ["exit code 1, b in /usr".to_owned()];
        let (code, _) = shell.run("echo \"exit code $?, $a in $PWD\"", &shown);
        assert_eq!(code, 0);
        let later = ["later".to_owned()];
        // It goes on reading until the line is there.
        assert_eq!(shell.run("cat >/dev/null; echo later &", &later).0, 0);
    }

    #[test]
    #[should_panic(expected = "did not say")]
    fn a_line_that_is_not_said_is_missed() {
        shell().run("echo one", &["two".to_owned()]);
    }
}
