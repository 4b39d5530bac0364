//! Killed with SIGKILL before every request of a study, the service goes on
//! as if nothing had happened.
//!
//! The service runs in a child process: this test program itself, told by a
//! variable to be the service.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::*;
use serde_json::{Value, json};
use servo_optune::{Service, ServiceOptions, StudyOptions};

const DATA: &str = "SERVO_OPTUNE_TEST_DATA";
const MARK: &str = "listening on ";

/// The service, when this program was started to be it; else nothing.
#[test]
fn be_the_service() {
    let Some(data) = std::env::var_os(DATA) else {
        return;
    };
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(async move {
            let study = StudyOptions {
                trials: 4,
                seed: 9,
                verify: 1,
                ..StudyOptions::default()
            };
            let options = ServiceOptions {
                data: Some(PathBuf::from(data)),
                study,
                ..ServiceOptions::default()
            };
            let service = Service::start(options).await.unwrap();
            println!("\n{MARK}{}", service.local_addr());
            std::future::pending::<()>().await;
        });
}

struct Killable(Child, SocketAddr);

impl Killable {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::be_the_service", "--nocapture"])
            .env(DATA, data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .map(|line| line.unwrap())
            .find_map(|line| {
                line.strip_prefix(MARK)
                    .map(|address| address.parse().unwrap())
            })
            .expect("the service starts");
        Self(child, address)
    }
}

impl Drop for Killable {
    /// SIGKILL.
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Plays a study in which everything happens. `with` starts the service for
/// each single request.
fn play(mut with: impl FnMut(&mut dyn FnMut(SocketAddr))) -> Value {
    let mut ask = |request: &dyn Fn(SocketAddr) -> Value| {
        let mut answer = Value::Null;
        with(&mut |address| answer = request(address));
        answer
    };
    let hello = |address| event(address, "HELLO", json!({"agent": "x"}));
    let mut in_force = found();
    let mut seen = Vec::new();
    let mut max = 4;
    ask(&hello);
    for turn in 1.. {
        let command = ask(&next);
        assert_eq!(ask(&next), command, "another command after a restart");
        let cmd = command["cmd"].as_str().unwrap().to_owned();
        seen.push(cmd.clone());
        if cmd == "SLEEP" {
            let view = ask(&|address| get(address, "/api/v1/trials").json());
            let state = &view["summary"]["state"];
            seen.push(format!("{}: {}", state, view["summary"]["reason"]));
            match state.as_str().unwrap() {
                // Drift: the operator lets it go on.
                "paused" => assert_eq!(
                    ask(&|address| change(address, "resume").json())["summary"]["state"],
                    "exploring"
                ),
                "done" if view["summary"]["study"] == 2 => {
                    assert_eq!(
                        ask(&|address| change(address, "studies").json())["summary"]["study"],
                        3
                    );
                }
                _ => break,
            }
            continue;
        }
        let (name, mut param) = report(&command, &mut in_force);
        match turn {
            // Goodbye in the middle of trial 1, by a servo that comes back.
            4 => {
                ask(&|address| event(address, "GOODBYE", json!({"reason": "SIGTERM"})));
                ask(&hello);
                continue;
            }
            // A trial that fails.
            8 => param = json!({"status": "rejected", "reason": "unstable"}),
            // Killed in the middle of a trial, and the application changed.
            12 => {
                ask(&hello);
            }
            13 => {
                assert_eq!(cmd, "DESCRIBE");
                let cpu = "/descriptor/application/components/web/settings/cpu/value";
                *param.pointer_mut(cpu).unwrap() = json!(0.5);
            }
            // The application offers other values.
            17 => {
                ask(&hello);
                max = 3;
            }
            _ => {}
        }
        if cmd == "DESCRIBE" {
            param["descriptor"]["application"]["components"]["web"]["settings"]["cpu"]["max"] =
                json!(max);
        }
        // The answer is lost in a crash: sent again.
        for _ in 0..2 {
            let param = param.clone();
            assert_eq!(
                ask(&move |address| event(address, name, param.clone())),
                json!({"status": "ok"})
            );
        }
    }
    let mut all = Vec::new();
    for study in 1..=3 {
        let path = format!("/api/v1/trials?study={study}");
        let mut view = ask(&move |address| get(address, &path).json());
        for trial in view["trials"].as_array_mut().unwrap() {
            trial["started"].take();
            trial["ended"].take();
        }
        all.push(json!([view["trials"], view["summary"]]));
    }
    json!([all, in_force, seen])
}

#[test]
fn killed_before_every_request_it_goes_on_as_before() {
    if std::env::var_os(DATA).is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let steady = Killable::start(&folder.path().join("steady"));
    let expected = play(|work| work(steady.1));
    let data = folder.path().join("killed");
    let found = play(|work| {
        let service = Killable::start(&data);
        work(service.1);
    });
    assert_eq!(found, expected);
    // Everything has happened.
    let [all, _, seen] = expected.as_array().unwrap().as_slice() else {
        panic!()
    };
    let text = all.to_string();
    for what in [
        "\"lost\"",
        "\"again_of\":1",
        "\"unstable\"",
        "\"imported\"",
        "\"verified\":{",
        "offers other settings",
    ] {
        assert!(text.contains(what), "{what} did not happen: {text}");
    }
    assert!(seen.to_string().contains("web/cpu is 0.5"), "{seen}");
}
