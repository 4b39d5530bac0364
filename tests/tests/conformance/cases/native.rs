//! Cases 7, 14, 15, 17 to 21, 39 and 42: real programs as drivers.
//!
//! Time runs here, so nothing is said about when a report comes, except where
//! the case is about time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};
use serde_json::{Value, json};
use servo_agent::{Compat, Drivers, Servo, ServoConfig};
use servo_native::{NativeDriver, NativeOptions, StderrShare};
use servo_tests::workspace::Workspace;

use crate::expect::fits;
use crate::stage::{Reply, Script, To, command, measure, state};

/// A folder with programs.
pub struct Folder(Workspace);

impl Folder {
    pub fn new() -> Self {
        Self(Workspace::new().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a program for the shell.
    pub fn program(&self, name: &str, body: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.write(name, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A driver: what it does when it describes, and when it measures or adjusts.
    pub fn driver(&self, name: &str, describe: &str, act: &str) {
        let body = format!(
            "case \"$1\" in\n\
             --info) echo '{{\"version\": \"1.0\", \"has_cancel\": false}}';;\n\
             --query|--describe) {describe};;\n\
             *) echo $$ > pid; {act};;\n\
             esac"
        );
        self.program(name, &body);
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path().join(name)).unwrap()).unwrap()
    }

    /// Whether the program that measured or adjusted is still there.
    fn runs(&self) -> bool {
        let pid = std::fs::read_to_string(self.path().join("pid")).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        test_kill_process(pid).is_ok()
    }
}

/// One run with programs.
struct Run<'a> {
    folder: &'a Folder,
    compat: bool,
    stderr: StderrShare,
    io_timeout: Option<Duration>,
}

impl<'a> Run<'a> {
    fn new(folder: &'a Folder, compat: bool) -> Self {
        Self {
            folder,
            compat,
            stderr: StderrShare::All,
            io_timeout: None,
        }
    }

    fn native(&self, name: &str) -> Option<Arc<NativeDriver>> {
        let options = NativeOptions {
            stderr: self.stderr,
            io_timeout: self.io_timeout,
            compat: self.compat,
            ..NativeOptions::new("shop", self.folder.path())
        };
        let program = PathBuf::from(format!("./{name}"));
        let there = self.folder.path().join(&program).exists();
        there.then(|| Arc::new(NativeDriver::new(&program, &options).unwrap()))
    }

    /// Carries out one command; the final report.
    async fn report(&self, command: (To, Reply)) -> Value {
        let script = Script::new(vec![command]);
        let mut config = ServoConfig::new("shop");
        if self.compat {
            config.compat = Compat::original();
        }
        let drivers = Drivers {
            measure: self.native("measure").map(|driver| driver as _),
            adjust: self.native("adjust").map(|driver| driver as _),
        };
        let servo = Servo::new(config, drivers, script.clone());
        script.run(servo).await;
        let seen = script.seen();
        let finals: Vec<&Value> = seen
            .iter()
            .filter(|it| !matches!(it.event.as_str(), "HELLO" | "WHATS_NEXT" | "GOODBYE"))
            .map(|it| &it.param)
            .filter(|param| param.get("progress").is_none())
            .collect();
        assert_eq!(finals.len(), 1, "exactly one final report: {seen:?}");
        finals[0].clone()
    }
}

/// What a measure program does, and its report in both manners.
async fn measured(name: &str, act: &str, ours: Value, original: Value) -> [Value; 2] {
    let mut reports = Vec::new();
    for (compat, expected) in [(false, ours), (true, original)] {
        let folder = Folder::new();
        folder.driver("measure", "echo '{\"metrics\": {\"m\": {}}}'", act);
        let report = Run::new(&folder, compat).report(measure(json!({}))).await;
        let told: String = report.to_string().chars().take(400).collect();
        assert!(
            fits(&expected, &report),
            "{name}: {told}\nexpected {expected}"
        );
        assert!(!folder.runs(), "{name}: the program is still there");
        reports.push(report);
    }
    reports.try_into().unwrap()
}

pub async fn case_07() {
    let query = json!({
        "application": {"components": {"web": {"settings": {
            "cpu": {"min": 0.25, "max": 4, "step": 0.25, "value": 1, "unit": "cores"},
        }}}},
        "monitoring": {"spec_id": "5"},
    });
    let metrics = json!({"p95": {"unit": "ms"}, "orders per second": {"unit": "rps"}});
    for compat in [false, true] {
        let folder = Folder::new();
        let describe = json!({"status": "ok", "metrics": metrics, "more": 1});
        folder.driver("adjust", &format!("echo '{query}'"), "exit 9");
        // Progress in this mode is ignored.
        let lines = format!("echo '{{\"progress\": 50}}'; echo '{describe}'");
        folder.driver("measure", &lines, "exit 9");
        let report = Run::new(&folder, compat)
            .report(command("DESCRIBE", json!({})))
            .await;
        let descriptor = &report["descriptor"];
        assert_eq!(report["status"], "ok", "{report}");
        assert_eq!(descriptor["measurement"]["metrics"], metrics);
        let cpu = &descriptor["application"]["components"]["web"]["settings"]["cpu"];
        for (name, value) in query["application"]["components"]["web"]["settings"]["cpu"]
            .as_object()
            .unwrap()
        {
            assert_eq!(cpu[name], *value, "{report}");
        }
        let text = report.to_string();
        assert!(
            !text.contains("monitoring") && !text.contains("more"),
            "{text}"
        );
    }
}

pub async fn case_14() {
    measured(
        "prints nothing",
        "exit 0",
        json!({"status": "nodata", "message": "*"}),
        json!({"status": "nodata", "reason": "undefined", "message": "*"}),
    )
    .await;
}

pub async fn case_15() {
    measured(
        "no status",
        "echo '{\"metrics\": {\"m\": {\"value\": 1}}}'",
        json!({"status": "failed", "reason": "no-status", "message": "*"}),
        json!({"status": "undefined", "reason": "undefined", "message": "*"}),
    )
    .await;
}

pub async fn case_17() {
    let act = "echo trace >&2; exit 1";
    let reports = measured(
        "exits 1",
        act,
        json!({"status": "nodata", "message": "~stderr:\ntrace"}),
        json!({"status": "nodata", "reason": "undefined", "message": "~stderr:\ntrace"}),
    )
    .await;
    for report in reports {
        let message = report["message"].as_str().unwrap();
        assert!(message.trim_end().ends_with("trace"), "{message}");
    }
    let folder = Folder::new();
    folder.driver("measure", "exit 9", act);
    let mut run = Run::new(&folder, false);
    run.stderr = StderrShare::None;
    let report = run.report(measure(json!({}))).await;
    assert!(!report.to_string().contains("trace"), "{report}");
}

pub async fn case_18() {
    let ours = json!({"status": "nodata", "message": "*"});
    let original = json!({"status": "nodata", "reason": "undefined", "message": "*"});
    let act = "head -c 3145728 /dev/zero | tr '\\0' x >&2; exit 1";
    for report in measured("3 MiB of stderr", act, ours, original).await {
        let message = report["message"].to_string();
        // As it travels; the words in front are ours.
        assert!(message.len() <= (2 << 20) + 200, "{}", message.len());
        assert!(message.len() > 1 << 20, "{}", message.len());
    }
}

pub async fn case_19() {
    for line in ["5", "{bad"] {
        measured(
            line,
            &format!("echo '{line}'; exec sleep 600"),
            json!({"status": "failed", "reason": "*", "message": "*"}),
            json!({"status": "failed", "message": "*"}),
        )
        .await;
    }
}

/// ADJUST with a control or without; what the program read and what is reported.
async fn adjusted(control: Option<Value>, read: Value) {
    for compat in [false, true] {
        let folder = Folder::new();
        let query = json!({"application": {"components": {"web": {"settings": {
            "cpu": {"min": 0.5, "max": 4, "step": 0.25, "value": 1},
        }}}}});
        folder.driver(
            "adjust",
            &format!("echo '{query}'"),
            "cat > seen.json; echo '{\"status\": \"ok\"}'",
        );
        let mut param = json!({"state": state(1.5)});
        if let Some(control) = &control {
            param["control"] = control.clone();
        }
        let report = Run::new(&folder, compat)
            .report(command("ADJUST", param))
            .await;
        let expected = if compat {
            json!({"state": state(1.5)})
        } else {
            json!({"status": "ok", "state": state(1.5)})
        };
        assert_eq!(report, expected);
        assert_eq!(folder.json("seen.json"), read);
    }
}

pub async fn case_20() {
    let control = json!({"settlement": 120, "userdata": {"deploy_to": "canary"}});
    let mut read = state(1.5);
    read["control"] = control.clone();
    adjusted(Some(control), read).await;
}

pub async fn case_21() {
    let mut read = state(1.5);
    read["control"] = json!({});
    adjusted(None, read).await;
}

pub async fn case_39() {
    for compat in [false, true] {
        let folder = Folder::new();
        folder.driver("measure", "exit 9", "exec sleep 600");
        let mut run = Run::new(&folder, compat);
        run.io_timeout = Some(Duration::from_secs(1));
        let report = run.report(measure(json!({}))).await;
        assert_eq!(report["status"], "failed", "{report}");
        assert!(!folder.runs(), "the program is still there");
    }
}

pub async fn case_42() {
    for number in ["NaN", "Infinity", "-Infinity"] {
        let act = format!(
            "echo '{{\"status\": \"ok\", \"metrics\": {{\"m\": {{\"value\": {number}}}}}}}'"
        );
        // The stub reads every request as JSON, which has no such word.
        measured(
            number,
            &act,
            json!({"status": "failed", "reason": "*", "message": "*"}),
            json!({"status": "failed", "message": "*"}),
        )
        .await;
    }
}
