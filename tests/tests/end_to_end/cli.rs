//! The command line as an operator and a driver's author use it: the built
//! binary, real files, and applications that tell what reached them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};
use servo_tests::components::{build_cache_home, component, tree};
use servo_tests::process::Process;
use servo_tests::workspace::{Ran, Workspace};

use crate::support::{app, client, listener, servo_yaml};

/// Runs `servo driver …` in a folder with `servo.yaml` for the application.
fn driver(app: SocketAddr, arguments: &[&str]) -> Ran {
    let workspace = Workspace::new().unwrap();
    workspace.write("servo.yaml", servo_yaml(app)).unwrap();
    workspace.run([&["driver"], arguments].concat()).unwrap()
}

fn path(name: &str) -> String {
    component(name).to_str().unwrap().to_owned()
}

fn json_of(ran: &Ran) -> Value {
    serde_json::from_str(ran.stdout.trim()).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[test]
fn inspect_says_what_a_driver_is_and_asks_for_without_running_it() {
    let app = listener();
    let url = format!("http://{}/quote", app.address);
    let ran = driver(app.address, &["inspect", &path("ab")]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    for part in [
        "ab 1.0.0 - ",
        "\ndigest   sha256:",
        "\nIt asks for",
        "GET,HEAD ${config.test_url}",
    ] {
        assert!(ran.stdout.contains(part), "{part:?}: {}", ran.stdout);
    }
    // With the operator's file it says what that means here.
    let ran = driver(
        app.address,
        &["inspect", &path("ab"), "--config", "servo.yaml"],
    );
    assert!(
        ran.stdout.contains(&format!("GET,HEAD {url}")),
        "{}",
        ran.stdout
    );
    let ran = driver(
        app.address,
        &["inspect", &path("ab"), "--json", "--config", "servo.yaml"],
    );
    let found = json_of(&ran);
    assert_eq!(
        (&found["kind"], &found["name"]),
        (&json!("measure"), &json!("ab"))
    );
    let bytes = std::fs::read(component("ab")).unwrap();
    assert_eq!(found["size"], bytes.len());
    let imports: Vec<&str> = found["imports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|import| import["package"].as_str().unwrap())
        .collect();
    assert!(!imports.contains(&"wasi:sockets"), "{imports:?}");
    let resolved = found["asks"][0]["resolved"].as_str().unwrap();
    assert!(resolved.contains(&url), "{resolved}");
    assert_eq!(app.heard(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_can_be_called_once_with_flags_or_with_the_operators_file() {
    let app = app().await;
    let address = app.local_addr();
    let call = |arguments: &[&str]| driver(address, &[&["run"], arguments].concat());

    let ran = call(&[&path("http"), "describe", "--config", "servo.yaml"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let settings = &json_of(&ran)["application"]["components"]["app"]["settings"];
    assert_eq!(settings["workers"]["value"], 2);

    let endpoint = format!("endpoint=http://{address}/settings");
    let rule = format!("GET,PUT http://{address}/settings");
    let settings = r#"settings={"batch":{"min":1,"max":16,"step":1}}"#;
    let ran = call(&[
        &path("http"),
        "adjust",
        "app.batch=4",
        "--set",
        &endpoint,
        "--set",
        settings,
        "--allow-private",
        &rule,
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(json!(app.settings())["batch"], 4);
    assert_eq!(
        json_of(&ran)["application"]["components"]["app"]["settings"]["batch"]["value"],
        4
    );

    let test_url = format!("test_url=http://{address}/quote");
    let rule = format!("GET http://{address}/quote");
    let ran = call(&[
        &path("ab"),
        "measure",
        "--set",
        &test_url,
        "--set",
        "n_threads=2",
        "--duration",
        "1",
        "--warmup",
        "0",
        "--allow-private",
        &rule,
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let measured = json_of(&ran);
    assert!(measured["metrics"]["throughput"]["value"].as_f64().unwrap() > 0.0);
    assert!(
        ran.stderr.contains("measurement: 0 answers"),
        "no progress: {}",
        ran.stderr
    );

    let ran = call(&[&path("ab"), "measure", "--dry-run"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");

    // What a driver cannot do is usage, and said before it runs.
    let ran = call(&[&path("ab"), "adjust", "app.batch=4"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("call `describe` or `measure`"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_denial_prints_the_line_to_add_and_nothing_goes_out() {
    let listener = listener();
    let address = listener.address;
    let endpoint = format!("endpoint=http://{address}/settings");
    let settings = r#"settings={"batch":{"min":1,"max":16,"step":1}}"#;
    let http = path("http");
    let fixed = [
        "run", &http, "describe", "--set", &endpoint, "--set", settings,
    ];
    let line = |methods: &str| {
        format!("- {{ rule: \"{methods} http://{address}/settings\", private: true }}")
    };
    let rule = format!("GET http://{address}/settings");
    let elsewhere = format!("GET,PUT http://{address}/other");
    // No grant; one for public addresses only; one for another place.
    for (grants, line) in [
        (&[][..], line("GET,PUT")),
        (&["--allow", &rule], line("GET")),
        (&["--allow-private", &elsewhere], line("GET,PUT")),
    ] {
        let ran = driver(address, &[&fixed, grants].concat());
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let failure = json_of(&ran);
        assert_eq!(failure["reason"], "denied", "{failure}");
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains(&line), "{message}");
        let asked = format!("PUT http://{address}/settings\", private: true }}");
        assert!(ran.stderr.contains(&asked), "{}", ran.stderr);
        assert!(ran.stderr.contains("refused 1 times"), "{}", ran.stderr);
        assert_eq!(listener.heard(), 0, "a connection was made with {grants:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_test_passes_our_drivers_and_restores_what_it_changed() {
    let app = app().await;
    let address = app.local_addr();
    let before = app.settings();
    let ran = driver(address, &["test", &path("http"), "--config", "servo.yaml"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains(" 0 failed, "), "{}", ran.stdout);
    assert_eq!(app.settings(), before);

    let ran = driver(
        address,
        &["test", &path("ab"), "--config", "servo.yaml", "--json"],
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let report = json_of(&ran);
    let verdict = |id: &str| {
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["id"] == id).unwrap();
        check["verdict"].as_str().unwrap().to_owned()
    };
    for id in [
        "describe",
        "describe-valid",
        "measure",
        "measure-some",
        "cancel",
        "budget",
    ] {
        assert_eq!(verdict(id), "pass", "{report}");
    }
}

/// An application that takes the first change and no other.
fn stubborn() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut document = r#"{"workers":2}"#.to_owned();
        let mut changed = false;
        for stream in listener.incoming().flatten() {
            // The other side may have gone.
            let _ = answer(stream, &mut document, &mut changed);
        }
    });
    address
}

/// One request to a connection.
fn answer(mut stream: TcpStream, document: &mut String, changed: &mut bool) -> std::io::Result<()> {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    let head = head.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    if head.starts_with("put ") && !*changed {
        *document = String::from_utf8_lossy(&body).into_owned();
        *changed = true;
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
    let length = document.len();
    write!(stream, "{head}Content-Length: {length}\r\n\r\n{document}")
}

#[test]
fn the_contract_test_fails_where_a_setting_does_not_go_back() {
    let address = stubborn();
    let endpoint = format!("endpoint=http://{address}/settings");
    let rule = format!("GET,PUT http://{address}/settings");
    let ran = driver(
        address,
        &[
            "test",
            &path("http"),
            "--set",
            &endpoint,
            "--allow-private",
            &rule,
            "--set",
            r#"settings={"workers":{"min":1,"max":16,"step":1}}"#,
            "--set",
            r#"ready={"timeout":0.2,"interval":0.1}"#,
        ],
    );
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("FAIL  adjust"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("could not be put back to 2"),
        "{}",
        ran.stdout
    );
}

/// Runs cargo, or `servo` where it runs cargo, with what the machine's own
/// cargo needs.
fn with_cargo(command: &mut Command) -> Ran {
    for name in [
        "HOME",
        "CARGO_HOME",
        "RUSTUP_HOME",
        "RUSTUP_TOOLCHAIN",
        "PATH",
    ] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    if let Some(cache) = build_cache_home() {
        command.env("XDG_CACHE_HOME", cache);
    }
    command.output().unwrap().into()
}

#[test]
fn a_new_driver_passes_its_tests_builds_and_can_be_inspected() {
    // Built first: the compiler and what all drivers share are then there.
    let _ = component("ab");
    let workspace = Workspace::new().unwrap();
    let ran = workspace
        .run(["driver", "new", "checkout", "--kind", "measure"])
        .unwrap();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("servo driver build"), "{}", ran.stdout);
    let project = workspace.path().join("checkout");
    // The versions this tree was tried with are the ones that are here.
    std::fs::copy(tree().join("Cargo.lock"), project.join("Cargo.lock")).unwrap();

    let mut test = Command::new(env!("CARGO"));
    test.args(["test", "--offline", "--quiet"])
        .current_dir(&project);
    test.env("CARGO_TARGET_DIR", tree().join("target/tmp/new-projects"));
    let ran = with_cargo(&mut test);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("test result: ok"), "{ran:?}");

    let mut build = workspace
        .servo(["driver", "build", "checkout", "--json"])
        .unwrap();
    let ran = with_cargo(&mut build);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let built = json_of(&ran);
    let artifact = Path::new(built["path"].as_str().unwrap());
    assert_eq!(artifact, project.join("target/drivers/checkout.wasm"));

    let inspect = ["driver", "inspect", artifact.to_str().unwrap(), "--json"];
    let found = json_of(&workspace.run(inspect).unwrap());
    assert_eq!(found["name"], "checkout");
    assert_eq!(found["kind"], "measure");
    assert_eq!(found["digest"], built["digest"]);

    let ran = workspace
        .run(["driver", "new", "checkout", "--kind", "measure"])
        .unwrap();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("exists"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn servo_and_service_as_two_processes_play_a_whole_study() {
    let app = app().await;
    let workspace = Workspace::new().unwrap();
    workspace
        .write("servo.yaml", servo_yaml(app.local_addr()))
        .unwrap();
    workspace
        .write("token", "0123456789abcdef-of-a-test\n")
        .unwrap();
    let optune = workspace
        .servo([
            "optune",
            "--listen",
            "127.0.0.1:0",
            "--data",
            "optune-data",
            "--token-file",
            "token",
            "--account",
            "acme",
            "--trials",
            "2",
            "--duration",
            "1",
            "--objective",
            "throughput",
            "--load",
            r#"{"n_threads": 4}"#,
        ])
        .unwrap();
    let mut optune = Process::start(optune).unwrap();
    let single = optune.line("servo ").await.unwrap();
    let url = single.replace("/servo", "/accounts/acme/applications/shop/servo");
    let arguments = ["run", "shop", "--url", &url, "--auth-token", "token"];
    let servo = Process::start(workspace.servo(arguments).unwrap()).unwrap();

    for trial in ["trial 1 of ", "trial 2 of "] {
        let told = optune.line(trial).await.unwrap();
        assert!(told.starts_with("acme/shop  "), "{told}");
    }
    optune.line("acme/shop: done").await.unwrap();
    servo.signal(Signal::TERM).unwrap();
    let ran = servo.end().await.unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    assert!(
        ran.stderr.contains("stopped reason=SIGTERM"),
        "{}",
        ran.stderr
    );

    // The service knows what was best, and the application has it.
    let page = url
        .replace("/accounts", "/api/v1/accounts")
        .replace("/servo", "/trials");
    let client = client();
    let view = client
        .get(page)
        .bearer_auth("0123456789abcdef-of-a-test")
        .send()
        .await
        .unwrap();
    let view: Value = view.json().await.unwrap();
    let summary = &view["summary"];
    assert_eq!(summary["state"], "done", "{view}");
    assert_eq!(summary["trials"]["scored"], 2, "{view}");
    let now = json!(app.settings());
    let settings = summary["settings"]["app"].as_object().unwrap();
    assert_eq!(settings.len(), 2, "{view}");
    for (name, value) in settings {
        assert_eq!(value.as_f64(), now[name].as_f64(), "{name}: {view}");
    }

    optune.signal(Signal::TERM).unwrap();
    let ran = optune.end().await.unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn files_that_cannot_be_used_end_with_their_code_and_place() {
    let app = SocketAddr::from(([127, 0, 0, 1], 9));
    let good = servo_yaml(app);
    let workspace = Workspace::new().unwrap();
    workspace.write("good.yaml", &good).unwrap();
    workspace.write("empty-token", "\n").unwrap();
    workspace
        .write("typo.yaml", good.replace("    grants:\n", "    grnats:\n"))
        .unwrap();
    workspace
        .write("rule.yaml", good.replace("GET,PUT ", "get "))
        .unwrap();
    workspace
        .write("twice.yaml", format!("{good}drivers: {{}}\n"))
        .unwrap();
    workspace
        .write("swapped.yaml", good.replace("http.wasm", "ab.wasm"))
        .unwrap();
    let line = |text: &str| good.lines().position(|line| line.contains(text)).unwrap() + 1;
    let typo = format!("typo.yaml:{}:", line("grants:"));
    let twice = format!("twice.yaml:{}:", good.lines().count() + 1);
    let url = ["--url", "http://127.0.0.1:9/servo"];
    for (arguments, code, named) in [
        (
            &["-c", "good.yaml", "--auth-token", "no-token"][..],
            1,
            "no-token",
        ),
        (
            &["-c", "good.yaml", "--auth-token", "empty-token"],
            1,
            "empty",
        ),
        (&["-c", "typo.yaml", "--no-auth"], 2, typo.as_str()),
        (&["-c", "twice.yaml", "--no-auth"], 2, twice.as_str()),
        (&["-c", "rule.yaml", "--no-auth"], 2, "rule.yaml"),
        (
            &["-c", "rule.yaml", "--no-auth"],
            2,
            "drivers.adjust.grants.http[0].rule",
        ),
        (
            &["-c", "swapped.yaml", "--no-auth"],
            2,
            "a driver to adjust belongs here",
        ),
        (&["-c", "nowhere.yaml", "--no-auth"], 2, "nowhere.yaml"),
    ] {
        let ran = workspace
            .run([&["run", "shop"], &url[..], arguments].concat())
            .unwrap();
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
        assert!(
            ran.stderr.contains(named),
            "{arguments:?}: {named}: {}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
}

/// A servo of whose metrics nobody says what to make: what the service has
/// been told, in what it says and how it ends.
async fn study_without_objective(arguments: &[&str]) -> (Ran, Value) {
    let workspace = Workspace::new().unwrap();
    let arguments = [
        &["optune", "--listen", "127.0.0.1:0", "--no-auth"],
        arguments,
    ]
    .concat();
    let mut optune = Process::start(workspace.servo(arguments.clone()).unwrap()).unwrap();
    let url = optune.line("servo ").await.unwrap();
    let metrics = json!({"throughput": {}, "p95": {}});
    let settings = json!({"cpu": {"min": 1, "max": 4, "step": 1, "value": 2}});
    let descriptor = json!({
        "application": {"components": {"web": {"settings": settings}}},
        "measurement": {"metrics": metrics},
    });
    let events = [
        ("HELLO", json!({"agent": "a test"})),
        ("WHATS_NEXT", Value::Null),
        (
            "DESCRIPTION",
            json!({"status": "ok", "descriptor": descriptor}),
        ),
        ("WHATS_NEXT", Value::Null),
    ];
    let mut last = Value::Null;
    for (event, param) in events {
        let body = json!({"event": event, "param": param});
        // It ends by itself once the study has failed.
        let Ok(answer) = client().post(&url).json(&body).send().await else {
            break;
        };
        last = answer.json().await.unwrap_or_default();
    }
    optune.line("local/app: failed").await.unwrap();
    optune
        .line("local/app: nothing says what to optimize")
        .await
        .unwrap();
    if !arguments.contains(&"--exit-when-done") {
        optune.signal(Signal::TERM).unwrap();
    }
    (optune.end().await.unwrap(), last)
}

#[tokio::test(flavor = "multi_thread")]
async fn field_10_a_study_that_failed_ends_the_service_with_1() {
    let (ran, _) = study_without_objective(&["--exit-when-done"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let told = "servo: the study of local/app failed: nothing says what to optimize";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn field_17_a_study_without_objective_says_which_formula_is_wanted() {
    let (ran, sleep) = study_without_objective(&[]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let line = "`--objective 'throughput'`, or the servo with `OPTUNE_PERF='throughput'`";
    // In its log, and in what the servo is told for its own.
    assert!(ran.stderr.contains("ERROR"), "{}", ran.stderr);
    assert!(ran.stderr.contains(line), "{}", ran.stderr);
    assert_eq!(sleep["cmd"], "SLEEP", "{sleep}");
    let reason = sleep["param"]["data"]["reason"].as_str().unwrap();
    assert!(reason.contains(line), "{sleep}");
}
