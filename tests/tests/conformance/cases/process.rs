//! Cases 35 to 38 and 43 to 45: signals, exit codes and the pace of the loop;
//! the process itself where it is about the process.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::Signal;
use serde_json::{Value, json};
use servo_agent::{Pace, Prompt, ServoConfig, StopReason};
use servo_tests::process::Process;
use servo_tests::workspace::{Ran, Workspace};
use tokio::sync::Semaphore;

use crate::acting::{Act, Acting};
use crate::expect::{Seen, at, compare, goodbye, hello, next, some, starting};
use crate::loopback::Loopback;
use crate::stage::{Reply, Scene, Script, To, command, measure, ok};

/// `servo run` with the scripted service.
struct Program {
    _folder: Workspace,
    _stub: Loopback,
    script: Arc<Script>,
    process: Process,
}

impl Program {
    async fn start(
        answers: Vec<(To, Reply)>,
        options: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let folder = Workspace::new().unwrap();
        folder.write("servo.yaml", "drivers: {}\n").unwrap();
        let script = Script::new(answers);
        let stub = Loopback::start(&script).await;
        let url = stub.url("/servo");
        let mut arguments = vec!["run", "shop", "--no-auth", "--url", &url];
        arguments.extend(options);
        let mut command = folder.servo(arguments).unwrap();
        command
            .envs(variables.iter().copied())
            .stdin(Stdio::piped());
        Self {
            process: Process::start(command).unwrap(),
            _folder: folder,
            _stub: stub,
            script,
        }
    }

    /// Ends with exit code 0; what the service saw.
    async fn end(self) -> Vec<Seen> {
        let ran = self.process.end().await.unwrap();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
        self.script.seen()
    }
}

/// The same requests, whenever they come.
fn timeless(seen: Vec<Seen>) -> Vec<Seen> {
    let timeless = |seen: Seen| some(&seen.event, seen.param);
    seen.into_iter().map(timeless).collect()
}

/// A sleep that only a signal can end.
fn long_sleep() -> (To, Reply) {
    command("SLEEP", json!({"duration": 80_000}))
}

pub async fn case_35() {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let program = Program::start(vec![long_sleep()], &[], &[]).await;
        program.script.until("WHATS_NEXT", 1).await;
        program.process.signal(signal).unwrap();
        let seen = program.end().await;
        let expected = timeless(vec![hello(0.0), next(0.0), goodbye(0.0, name)]);
        compare(name, &seen, &expected);
    }
}

pub async fn case_36() {
    let fails = || (0..4).map(|_| (To::Goodbye, Reply::Status(500)));
    let mut answers = vec![long_sleep()];
    answers.extend(fails());
    let brief = [("SERVO_RETRY_DELAY_SEC", "0.05")];
    let program = Program::start(answers, &[], &brief).await;
    program.script.until("WHATS_NEXT", 1).await;
    program.process.signal(Signal::TERM).unwrap();
    let mut expected = vec![hello(0.0), next(0.0)];
    expected.extend((0..4).map(|_| goodbye(0.0, "SIGTERM")));
    compare("the process", &program.end().await, &timeless(expected));
}

/// The waits of [`case_36`]: within ten seconds, or as the table says.
pub async fn case_36_waits() {
    for (compat, wait) in [(false, 2.5), (true, 20.0)] {
        let fails = (0..4).map(|_| (To::Goodbye, Reply::Status(500)));
        let mut expected = vec![hello(0.0), next(0.0)];
        expected.extend((0..4).map(|number| goodbye(wait * f64::from(number), "SIGTERM")));
        let scene = Scene::new("GOODBYE answered 500", fails.collect()).expect(expected);
        let scene = if compat { scene.compat() } else { scene };
        assert_eq!(scene.play().await, StopReason::Sigterm);
    }
}

pub async fn case_37() {
    let program = Program::start(vec![long_sleep()], &[], &[]).await;
    program.script.until("WHATS_NEXT", 1).await;
    program.process.signal(Signal::USR1).unwrap();
    let expected = vec![hello(0.0), next(0.0), goodbye(0.0, "exit")];
    compare("the process", &program.end().await, &timeless(expected));
}

/// When [`case_37`] says farewell.
pub async fn case_37_waits() {
    for (compat, end) in [(false, 5.0), (true, 30.0)] {
        let sleep = Box::new(Reply::Json(
            json!({"cmd": "SLEEP", "param": {"duration": 30}}),
        ));
        let answers = vec![(To::Next, Reply::Later(5.0, StopReason::Exit, sleep))];
        let expected = vec![hello(0.0), next(0.0), goodbye(end, "exit")];
        let scene = Scene::new("SIGUSR1 during SLEEP", answers).expect(expected);
        let scene = if compat { scene.compat() } else { scene };
        assert_eq!(scene.play().await, StopReason::Exit);
    }
}

pub async fn case_38() {
    let program = Program::start(vec![long_sleep(), long_sleep()], &[], &[]).await;
    program.script.until("WHATS_NEXT", 1).await;
    program.process.signal(Signal::HUP).unwrap();
    // The same process greets again.
    program.script.until("WHATS_NEXT", 2).await;
    program.process.signal(Signal::TERM).unwrap();
    let expected = vec![
        hello(0.0),
        next(0.0),
        goodbye(0.0, "restart"),
        hello(0.0),
        next(0.0),
        goodbye(0.0, "SIGTERM"),
    ];
    compare("the process", &program.end().await, &timeless(expected));
}

/// Arguments, variables, exit code, and a word of what is said.
pub async fn case_43() {
    let url = ["--url", "http://127.0.0.1:9/"];
    type Exit<'a> = (
        &'a str,
        Vec<&'a str>,
        &'a [(&'a str, &'a str)],
        i32,
        &'a str,
    );
    let cases: [Exit; 8] = [
        ("no account, no URL", vec!["--no-auth"], &[], 2, "--account"),
        (
            "missing token file",
            [&url[..], &["--auth-token", "nowhere"]].concat(),
            &[],
            1,
            "nowhere",
        ),
        (
            "bad OPTUNE_PERF",
            [&url[..], &["--no-auth"]].concat(),
            &[("OPTUNE_PERF", "requests throughput")],
            1,
            "OPTUNE_PERF",
        ),
        (
            "bad OPTUNE_IO_TIMEOUT",
            [&url[..], &["--no-auth"]].concat(),
            &[("OPTUNE_IO_TIMEOUT", "soon")],
            1,
            "soon",
        ),
        (
            "bad SERVO_RETRY_DELAY_SEC",
            [&url[..], &["--no-auth"]].concat(),
            &[("SERVO_RETRY_DELAY_SEC", "20s")],
            2,
            "20s",
        ),
        (
            "unknown option",
            vec!["--no-such-option"],
            &[],
            2,
            "--no-such-option",
        ),
        (
            "bad --delay",
            [&url[..], &["--no-auth", "--delay", "soon"]].concat(),
            &[],
            2,
            "soon",
        ),
        ("help", vec!["--help"], &[], 0, ""),
    ];
    let folder = Workspace::new().unwrap();
    folder.write("servo.yaml", "drivers: {}\n").unwrap();
    for (name, options, variables, code, word) in cases {
        let arguments = [&["run", "shop"][..], &options].concat();
        let mut command = folder.servo(arguments).unwrap();
        command.envs(variables.iter().copied());
        let ran = Ran::from(command.output().unwrap());
        assert_eq!(ran.code, Some(code), "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(word), "{name}: {}", ran.stderr);
        assert!(!ran.stderr.contains("panicked"), "{name}: {}", ran.stderr);
    }
    // The application's id is required.
    let ran = folder.run(["run"]).unwrap();
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}

pub async fn case_44() {
    let answers = vec![long_sleep(), long_sleep()];
    let mut program = Program::start(answers, &["--interactive", "--delay", "3600"], &[]).await;
    program.process.says("HELLO").await.unwrap();
    assert!(
        program.script.seen().is_empty(),
        "HELLO came before the newline"
    );
    program.process.write("\n").await.unwrap();
    program.script.until("WHATS_NEXT", 1).await;
    // The sleep of a day is not slept; the prompt after it is.
    program.process.write("\n").await.unwrap();
    program.script.until("WHATS_NEXT", 2).await;
    // At the end of the input the prompt returns at once, and sleeps are slept.
    program.process.close();
    program.script.until("WHATS_NEXT", 3).await;
    program.process.signal(Signal::TERM).unwrap();
    let seen = program.end().await;
    assert_eq!(seen[0].event, "HELLO");
    assert_eq!(seen.last().unwrap().event, "GOODBYE");
}

/// Prompts that are answered one by one.
#[derive(Debug)]
struct Lines {
    asked: std::sync::Mutex<Vec<String>>,
    lines: Semaphore,
}

impl Lines {
    /// At the end of the input every prompt returns at once.
    fn end(&self) {
        self.lines.close();
    }
}

#[async_trait]
impl Prompt for Lines {
    async fn line(&self, next: &str) {
        self.asked.lock().unwrap().push(next.to_owned());
        if let Ok(line) = self.lines.acquire().await {
            line.forget();
        }
    }

    fn ended(&self) -> bool {
        self.lines.is_closed()
    }
}

/// Every prompt of [`case_44`], and what it shows.
pub async fn case_44_prompts() {
    let lines = Arc::new(Lines {
        asked: std::sync::Mutex::default(),
        lines: Semaphore::new(0),
    });
    let driver = Acting::new(
        false,
        vec![Act::Done(json!({"metrics": {"m": {"value": 42}}}))],
    );
    let script = Script::new(vec![
        measure(json!({})),
        long_sleep(),
        (To::Next, ok()),
        command("DANCE", json!({})),
        command("SLEEP", json!({"duration": 50})),
    ]);
    let mut config = ServoConfig::new("shop");
    let prompt: Arc<dyn Prompt> = lines.clone();
    config.pace = Pace::Interactive(prompt);
    let drivers = servo_agent::Drivers {
        measure: Some(driver),
        adjust: None,
    };
    let servo = servo_agent::Servo::new(config, drivers, script.clone());
    let seconds = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
    let presses = async {
        for _ in 0..4 {
            seconds(100).await;
            lines.lines.add_permits(1);
        }
        lines.end();
    };
    tokio::join!(script.run(servo), presses);
    let mut report = json!({"metrics": {"m": {"value": 42}}});
    report["status"] = json!("ok");
    let expected = [
        hello(100.0),
        next(100.0),
        starting(100.0, "MEASUREMENT"),
        at(200.0, "MEASUREMENT", report),
        next(200.0),
        next(300.0),
        // After an answer without a command one is asked too; then one second.
        next(401.0),
        next(403.0),
        // Nobody is there any more: a sleep is slept.
        next(453.0),
        goodbye(453.0, "SIGTERM"),
    ];
    compare("prompts", &script.seen(), &expected);
    let asked = lines.asked.lock().unwrap();
    assert_eq!(asked.len(), 5, "{asked:?}");
    assert!(asked[0].contains("HELLO"), "{asked:?}");
    assert!(
        asked[1].contains("MEASUREMENT") && asked[1].contains("42"),
        "{asked:?}"
    );
}

pub async fn case_45() {
    for compat in [false, true] {
        let answers = vec![
            command("DESCRIBE", json!({})),
            measure(json!({})),
            command("SLEEP", json!({"duration": 3})),
            (To::Next, Reply::Json(json!({"status": "ok"}))),
            command("DANCE", Value::Null),
        ];
        let failed = |event: &str, seconds| {
            let mut param = json!({"status": "failed", "message": "*"});
            if !compat {
                param["reason"] = json!("no-drivers");
            }
            at(seconds, event, param)
        };
        let scene = Scene::new("--delay 2", answers)
            .with(|config| config.pace = Pace::Delay(Duration::from_secs(2)))
            .expect(vec![
                hello(2.0),
                next(2.0),
                failed("DESCRIPTION", 4.0),
                next(4.0),
                failed("MEASUREMENT", 6.0),
                next(6.0),
                next(11.0),
                // Two, and one more since that was no command; then two more,
                // since that was none either, and no delay point.
                next(14.0),
                next(16.0),
                goodbye(16.0, "SIGTERM"),
            ]);
        let scene = if compat { scene.compat() } else { scene };
        scene.play().await;
    }
}
