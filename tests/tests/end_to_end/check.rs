//! The verbs that need no service: `servo check`, `servo measure`, `servo
//! adjust` and `servo config`. The built binary runs on real files, and what it
//! did is asked of the application, not of its own words alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use serde_json::{Value, json};
use servo_config::ConfigFile;
use servo_tests::components::component;
use servo_tests::process::Process;
use servo_tests::workspace::{Ran, Workspace};

use crate::support::{app, listener, servo_yaml};

/// Runs `servo` in a folder with this `servo.yaml`.
fn servo(yaml: &str, arguments: &[&str]) -> Ran {
    let workspace = Workspace::new().unwrap();
    workspace.write("servo.yaml", yaml).unwrap();
    workspace.run(arguments).unwrap()
}

fn json_of(ran: &Ran) -> Value {
    serde_json::from_str(ran.stdout.trim()).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[track_caller]
fn has(ran: &Ran, parts: &[&str]) {
    for part in parts {
        assert!(ran.stdout.contains(part), "{part:?}: {}", ran.stdout);
    }
}

/// An application that remembers how it was spoken to: each method, in order.
struct Recorder {
    address: SocketAddr,
    methods: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let methods = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&methods);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // The other side may have gone.
                let _ = answer(stream, &seen);
            }
        });
        Self { address, methods }
    }

    fn methods(&self) -> Vec<String> {
        self.methods.lock().unwrap().clone()
    }
}

/// One request to a connection; the settings are always the same.
fn answer(mut stream: TcpStream, methods: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    let method = head.split(' ').next().unwrap_or_default().to_owned();
    methods.lock().unwrap().push(method);
    let head = head.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
    reader.read_exact(&mut vec![0; length.unwrap_or(0)])?;
    let document = r#"{"workers":2,"batch":4}"#;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{document}",
        document.len()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_in_plain_words_what_each_driver_may_touch() {
    let app = app().await;
    let address = app.local_addr();
    let yaml = servo_yaml(address).replace(
        "      limits: { cpu",
        "      folders: [ { name: scripts, path: ./scripts } ]\n      scratch: 16MiB\n      limits: { cpu",
    );
    let workspace = Workspace::new().unwrap();
    workspace.write("servo.yaml", &yaml).unwrap();
    workspace.write("scripts/a.txt", "a").unwrap();
    let ran = workspace.run(["check", "shop"]).unwrap();
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let quote = format!(
        "\n  send GET, HEAD to http://{address}, path /quote (private addresses \
         allowed)\n"
    );
    let settings = format!(
        "\n  send GET, PUT to http://{address}, path /settings (private addresses \
         allowed)\n  nothing else\n"
    );
    has(
        &ran,
        &[
            "measure: ab 1.0.0 (sha256:",
            &quote,
            "\n  read folder scripts (./scripts)\n",
            "\n  keep up to 16MiB in a temporary folder, removed after each call\n  nothing else\n",
            "cpu 10m (usually 2s)",
            "\n  describes: requests throughput (requests/second), ",
            "adjust: http 1.0.0 (sha256:",
            &settings,
            "app.workers 1 to 16 by 1 (now 2)",
            "\nall is well",
        ],
    );

    let ran = workspace.run(["check", "--json"]).unwrap();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let report = json_of(&ran);
    assert_eq!(
        (&report["ok"], &report["errors"]),
        (&json!(true), &json!(0))
    );
    let bytes = std::fs::read(component("http")).unwrap();
    let digest = servo_artifact::Digest::of(&bytes).to_string();
    let adjust = &report["drivers"]["adjust"];
    assert_eq!(adjust["digest"], digest);
    assert_eq!(adjust["may"].as_array().unwrap().len(), 1, "{report}");
    let described = &adjust["describes"]["application"]["components"]["app"]["settings"];
    assert_eq!(described["workers"]["value"], 2, "{report}");
    let limits = &report["drivers"]["measure"]["limits"];
    assert_eq!(limits["cpu"], json!({ "value": "10m", "usual": "2s" }));
}

#[test]
fn check_offline_loads_everything_and_asks_nobody() {
    let listener = listener();
    let yaml = servo_yaml(listener.address);
    let ran = servo(&yaml, &["check", "--offline"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    has(
        &ran,
        &["measure: ab 1.0.0", "adjust: http 1.0.0", "all is well"],
    );
    assert!(!ran.stdout.contains("describes:"), "{}", ran.stdout);
    assert_eq!(listener.heard(), 0, "somebody was asked");
    // What it loads it still judges.
    let ran = servo(&yaml.replace("GET,PUT", "get"), &["check", "--offline"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(listener.heard(), 0, "somebody was asked");
}

#[test]
fn check_tells_everything_that_is_wrong_with_the_configuration_at_once() {
    let address = SocketAddr::from(([127, 0, 0, 1], 9));
    let yaml = servo_yaml(address)
        .replace("ab.wasm", "nowhere.wasm")
        .replace("GET,HEAD ${config.test_url}", "GET,HEAD ${config.tset_url}")
        .replace("requests: 20000000", "requests: 0")
        .replace("GET,PUT ${config.endpoint}", "GET,PUTT ${config.endpoint}");
    let yaml = format!("optune: {{ url: nonsense, token_file: ./no-token, app: other }}\n{yaml}");
    let line = |text: &str| yaml.lines().position(|line| line.contains(text)).unwrap() + 1;
    let ran = servo(&yaml, &["check", "shop", "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), ""), "{ran:?}");
    let report = json_of(&ran);
    assert_eq!(report["ok"], false);
    let mut found: Vec<(String, usize)> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            for member in ["severity", "about", "problem", "remedy"] {
                let text = finding[member].as_str().unwrap_or_default();
                assert!(!text.is_empty(), "{member}: {finding}");
            }
            let key = finding["key"].as_str().unwrap_or_default();
            let line = finding["line"].as_u64().unwrap_or(0);
            (key.to_owned(), usize::try_from(line).unwrap())
        })
        .collect();
    found.sort();
    let mut expected = vec![
        (
            "drivers.adjust.grants.http[0].rule".to_owned(),
            line("PUTT"),
        ),
        (
            "drivers.measure.grants.http[0].rule".to_owned(),
            line("tset_url"),
        ),
        (
            "drivers.measure.grants.limits.requests".to_owned(),
            line("requests: 0"),
        ),
        ("drivers.measure.source".to_owned(), line("nowhere.wasm")),
        ("optune.app".to_owned(), 1),
        ("optune.token_file".to_owned(), 1),
        ("optune.url".to_owned(), 1),
    ];
    expected.sort();
    assert_eq!(found, expected, "{report}");

    // The same for a person, with the lines.
    let ran = servo(&yaml, &["check", "shop"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let rule = format!(
        "error: servo.yaml:{}:29: drivers.measure.grants.http[0].rule: the rule needs \
         `config.tset_url`, but the driver's config has no such key; add `tset_url` to \
         `drivers.measure.config`, or write what it stands for into the rule\n",
        line("tset_url")
    );
    has(
        &ran,
        &[
            &rule,
            "| ",
            "^^^^^^^^^^^^^^^^^^\n",
            "\n7 errors, 0 warnings\n",
        ],
    );

    // A file that cannot be read at all is one finding.
    let ran = servo("drivers:\n  mesure: {}\n", &["check", "--json"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let finding = &json_of(&ran)["findings"][0];
    assert_eq!(finding["key"], "drivers.mesure", "{finding}");
    let remedy = finding["remedy"].as_str().unwrap();
    assert!(remedy.contains("did you mean `measure`?"), "{remedy}");
    assert_eq!(
        (&finding["line"], &finding["column"]),
        (&json!(2), &json!(3))
    );
}

#[test]
fn check_ends_with_1_where_a_driver_is_wrong_and_the_configuration_is_not() {
    let app = Recorder::start();
    let good = servo_yaml(app.address);
    let workspace = Workspace::new().unwrap();
    workspace.write("text.wasm", "no component").unwrap();
    let http = component("http").display().to_string();
    // A file that is no driver.
    workspace
        .write("servo.yaml", good.replace(&http, "./text.wasm"))
        .unwrap();
    let ran = workspace.run(["check", "--json"]).unwrap();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let report = json_of(&ran);
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["about"], &finding["driver"], &finding["key"]),
        (
            &json!("driver"),
            &json!("adjust"),
            &json!("drivers.adjust.source")
        ),
        "{report}"
    );
    assert!(
        report["drivers"]["measure"]["describes"].is_object(),
        "{report}"
    );
    assert_eq!(app.methods().len(), 0);

    // A driver that cannot describe: nobody is there to ask.
    let gone = listener().address;
    workspace.write("servo.yaml", servo_yaml(gone)).unwrap();
    let ran = workspace.run(["check"]).unwrap();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    has(
        &ran,
        &[
            "error: adjust: it cannot describe: ",
            "\n1 error, 0 warnings\n",
        ],
    );
    has(&ran, &["measure: ab 1.0.0", "adjust: http 1.0.0"]);
}

#[test]
fn check_prints_the_line_that_would_grant_what_is_asked_for() {
    let listener = listener();
    let address = listener.address;
    // Granted in part: worth a word.
    let yaml = servo_yaml(address).replace("GET,HEAD ${config.test_url}", "GET ${config.test_url}");
    let ran = servo(&yaml, &["check", "--offline"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let line = format!("add `- {{ rule: \"HEAD http://{address}/quote\", private: true }}`");
    has(
        &ran,
        &["warning: servo.yaml:", &line, "but does not get all of it"],
    );
    has(&ran, &["\nall is well, with 1 warning\n"]);

    // Granted, but not there.
    let folder = "      folders: [ { name: scripts, path: ./scripts } ]\n      limits: { cpu";
    let ran = servo(
        &yaml.replace("      limits: { cpu", folder),
        &["check", "--offline", "--json"],
    );
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let finding = &json_of(&ran)["findings"][0];
    assert_eq!(
        finding["key"], "drivers.measure.grants.folders[0].path",
        "{finding}"
    );
    assert_eq!(finding["line"], 9, "{finding}");

    // Not granted at all, and needed: it cannot work.
    let (granted, _) = yaml.rsplit_once("    grants:\n").unwrap();
    let ran = servo(granted, &["check", "--offline"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let line = format!("add `- {{ rule: \"GET,PUT http://{address}/settings\", private: true }}`");
    has(
        &ran,
        &[
            &line,
            "and needs, but does not get it",
            "adjust: http 1.0.0",
        ],
    );
    has(&ran, &["may:\n  nothing else\n"]);
    assert_eq!(listener.heard(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn measure_prints_what_the_service_would_be_sent() {
    let app = app().await;
    let yaml = servo_yaml(app.local_addr());
    let arguments = [
        "measure",
        "--duration",
        "1",
        "--warmup",
        "0",
        "--metric",
        "throughput",
    ];
    let ran = servo(&yaml, &arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let measured = json_of(&ran);
    assert_eq!(measured["status"], "ok");
    let metrics = measured["metrics"].as_object().unwrap();
    assert!(metrics["throughput"]["value"].as_f64().unwrap() > 0.0);
    assert!(
        ran.stderr.contains("  0%    0 s  starting the driver\n"),
        "{}",
        ran.stderr
    );
    // Later progress comes at its own pace: the test of Ctrl-C waits for it.
}

#[test]
fn a_measurement_that_fails_says_how_in_json() {
    let listener = listener();
    let yaml = servo_yaml(listener.address).replace("/quote\n    grants", "/other\n    grants");
    let yaml = yaml.replace(
        "${config.test_url}",
        &format!("http://{}/quote", listener.address),
    );
    let ran = servo(&yaml, &["measure", "--duration", "1"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let failure = json_of(&ran);
    assert_eq!(failure["reason"], "denied", "{failure}");
    assert_ne!(failure["status"], "ok", "{failure}");
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("to allow it"), "{message}");
    assert!(ran.stderr.contains("refused "), "{}", ran.stderr);
    assert_eq!(listener.heard(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_cancels_a_measurement_in_good_order() {
    let app = app().await;
    let workspace = Workspace::new().unwrap();
    workspace
        .write("servo.yaml", servo_yaml(app.local_addr()))
        .unwrap();
    let command = workspace.servo(["measure", "--duration", "600"]).unwrap();
    let measuring = Process::start(command).unwrap();
    measuring.says("measurement: ").await.unwrap();
    measuring.signal(Signal::INT).unwrap();
    let ran = measuring.end().await.unwrap();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let failure = json_of(&ran);
    assert_eq!(failure["status"], "cancelled", "{failure}");
    assert!(ran.stderr.contains("cancelling"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn adjust_brings_values_into_force_and_prints_the_state() {
    let app = app().await;
    let yaml = servo_yaml(app.local_addr());
    // The component may be left out where only one has the setting.
    let ran = servo(
        &yaml,
        &["adjust", "app.workers=4", "batch=8", "--app", "shop"],
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        json_of(&ran),
        json!({ "status": "ok", "state": { "application": { "components": { "app": {
            "settings": { "workers": { "value": 4 }, "batch": { "value": 8 } } } } } } })
    );
    let now = json!(app.settings());
    assert_eq!((&now["workers"], &now["batch"]), (&json!(4), &json!(8)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_adjust_changes_nothing_and_says_what_it_would() {
    let app = app().await;
    let (before, address) = (app.settings(), app.local_addr());
    let wanted = ["adjust", "app.workers=4", "--dry-run"];
    let ran = servo(&servo_yaml(address), &wanted);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(app.settings(), before);
    let said = json_of(&ran);
    let put = &said["dry_run"]["not_done"][0];
    assert_eq!(put["capability"], "http", "{said}");
    assert_eq!(put["what"], format!("PUT http://{address}/settings"));
    assert!(put["bytes"].as_u64().unwrap() > 0, "{said}");
    let line = format!("not done: http: PUT http://{address}/settings");
    assert!(ran.stderr.contains(&line), "{}", ran.stderr);
    // In earnest it is done.
    let ran = servo(&servo_yaml(address), &wanted[..2]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_ne!(app.settings(), before);
}

#[test]
fn values_that_do_not_fit_are_refused_before_the_driver_is_asked_to_adjust() {
    let app = Recorder::start();
    // It never changes, so nobody shall wait for that.
    let ready = "ready: { interval: 0.1, timeout: 0.2 }";
    let yaml = servo_yaml(app.address).replace("ready: { interval: 0.1 }", ready);
    for (setting, words) in [
        ("app.workers=17", "17 is outside 1 to 16"),
        (
            "app.workers=2.5",
            "2.5 is not min 1 plus a whole number of steps 1",
        ),
        ("app.workers=many", "`many` is text, a number is needed"),
        (
            "app.threads=1",
            "describes no setting `app.threads`; it describes app.",
        ),
        ("web.workers=1", "describes no setting `web.workers`"),
    ] {
        let before = app.methods().len();
        let ran = servo(&yaml, &["adjust", "app.batch=2", setting]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let failure = json_of(&ran);
        assert_eq!(
            (&failure["status"], &failure["reason"]),
            (&json!("rejected"), &json!("invalid-setting")),
            "{failure}"
        );
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains(words), "{setting}: {message}");
        let methods = app.methods();
        assert!(methods.len() > before, "it was not asked what there is");
        assert!(
            methods.iter().all(|method| method == "GET"),
            "{setting}: {methods:?}"
        );
    }
    // With values that fit it is asked: the recorder would have seen it.
    let _ = servo(&yaml, &["adjust", "app.batch=2"]);
    assert!(app.methods().iter().any(|method| method == "PUT"));
}

#[test]
fn k5_a_value_above_the_ceiling_is_refused_before_the_driver_sees_it() {
    let app = Recorder::start();
    let yaml = servo_yaml(app.address);
    let workspace = Workspace::new().unwrap();
    workspace.write("servo.yaml", &yaml).unwrap();
    let ceiling = "ceiling: { settings: { app.workers: { max: 3 }, app.batch: { min: 1 } } }\n";
    workspace.write("ceiling.yaml", ceiling).unwrap();
    let above = &["adjust", "app.workers=4", "--ceiling", "ceiling.yaml"][..];
    let ran = workspace.run(above).unwrap();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let failure = json_of(&ran);
    assert_eq!(failure["reason"], "invalid-setting", "{failure}");
    let message = failure["message"].as_str().unwrap();
    assert!(
        message.contains("`ceiling.settings.app.workers`: at most 3"),
        "{message}"
    );
    assert!(app.methods().iter().all(|method| method == "GET"));
    let within = &["adjust", "app.workers=3", "--ceiling", "ceiling.yaml"][..];
    let _ = workspace.run(within).unwrap();
    assert!(app.methods().iter().any(|method| method == "PUT"));

    // Its own ceiling holds as well, and both are told in plain words.
    let own = format!("{yaml}ceiling: {{ limits: {{ wall: 1h }}, http: [] }}\n");
    workspace.write("servo.yaml", &own).unwrap();
    let ran = workspace
        .run(["check", "--offline", "--ceiling", "ceiling.yaml"])
        .unwrap();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    has(
        &ran,
        &[
            "is above the ceiling; narrow it, or widen `ceiling.http` in servo.yaml",
            "nothing may exceed the ceiling in servo.yaml:",
            "  no requests",
            "  limits: wall 1h",
            "nothing may exceed the ceiling in ceiling.yaml:",
            "settings: app.batch at least 1; app.workers at most 3, and no other",
        ],
    );
    // A ceiling that cannot be read is not none.
    let ran = workspace
        .run(["check", "--offline", "--ceiling", "elsewhere.yaml"])
        .unwrap();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    has(&ran, &["elsewhere.yaml"]);
}

#[test]
fn what_cannot_be_meant_is_usage_and_nobody_is_asked() {
    let listener = listener();
    let yaml = servo_yaml(listener.address);
    let only_measure = yaml.split("  adjust:").next().unwrap();
    for (yaml, arguments, named) in [
        (yaml.as_str(), &["adjust"][..], "COMPONENT.SETTING=VALUE"),
        (
            &yaml,
            &["adjust", "workers"],
            "write COMPONENT.SETTING=VALUE",
        ),
        (&yaml, &["adjust", "a.b=1", "--control", "{"], "--control"),
        (&yaml, &["measure", "--control", "[]"], "--control"),
        (
            &yaml,
            &["measure", "--control", r#"{"environment":{"mode":"x"}}"#],
            "environment",
        ),
        (&yaml, &["measure", "--duration=-1"], "duration"),
        (&yaml, &["measure", "--app", "a/b"], "a/b"),
        (&yaml, &["measure", "-c", "nowhere.yaml"], "nowhere.yaml"),
        (
            only_measure,
            &["adjust", "app.workers=1"],
            "there is no driver to adjust",
        ),
        (&yaml, &["config", "scheme"], "scheme"),
    ] {
        let ran = servo(yaml, arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains(named), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
    assert_eq!(listener.heard(), 0);
}

#[test]
fn the_schema_is_printed_and_takes_the_file_of_these_suites() {
    let ran = servo("", &["config", "schema"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let schema = json_of(&ran);
    assert_eq!(schema, ConfigFile::schema());
    assert_eq!(schema["title"], "servo.yaml");
}

/// Two metrics, and nobody says what to make of them: the service may know, so
/// it is a warning, with a line to copy.
#[test]
fn field_17_check_says_which_formula_may_be_wanted() {
    let measure = component("prom").display().to_string();
    let yaml = format!(
        "optune:\n  app: shop\ndrivers:\n  measure:\n    source: {measure}\n    config:\n      \
         prometheus_endpoint: http://127.0.0.1:9\n      check_window: 2\n      metrics:\n        \
         rate: {{ query: up, period: 1 }}\n        latency: {{ query: up, period: 1 }}\n    grants:\n      http:\n        \
         - {{ rule: \"GET ${{config.prometheus_endpoint}}/api/v1/\", private: true }}\n"
    );
    let ran = servo(&yaml, &["check", "--json"]);
    let report = json_of(&ran);
    let about = |finding: &&Value| {
        let problem = finding["problem"].as_str().unwrap();
        problem.starts_with("nothing says what to optimize")
    };
    let findings = report["findings"].as_array().unwrap();
    let finding = findings
        .iter()
        .find(about)
        .unwrap_or_else(|| panic!("{report}"));
    assert_eq!(finding["severity"], "warning");
    assert_eq!(ran.code, Some(0), "{report}");
    let remedy = finding["remedy"].as_str().unwrap();
    assert!(remedy.contains("OPTUNE_PERF='"), "{remedy}");
    assert!(remedy.contains("the service decides"), "{remedy}");
}
