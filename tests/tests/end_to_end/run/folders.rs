//! Which drivers a folder has, and what they are told and may do.

use serde_json::json;
use servo_tests::process::Process;
use servo_tests::service::{Scene, Service};
use servo_tests::workspace::Workspace;

use super::world::{
    Metrics, PROM_GRANTS, finish, link, names, program, prom_section, report, seconds, start,
};
use crate::support::{app, listener};

/// A measure driver as the original had them. It leaves a trace.
const SHELL_DRIVER: &str = r#"#!/bin/sh
touch ran
case "$1" in
--info) echo '{"version": "2.0", "has_cancel": false}' ;;
--describe) echo '{"metrics": {"rate": {"unit": "rps"}}}' ;;
*)
    cat > input
    echo '{"progress": 50, "message": "half way"}'
    echo "{\"status\": \"ok\", \"metrics\": {\"rate\": {\"value\": 7}}, \"annotations\": {\"app\": \"$1\"}}"
    ;;
esac
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_the_original_with_links_to_components_works() {
    let app = app().await;
    let address = app.local_addr();
    let folder = Workspace::new().unwrap();
    link(&folder, "ab", "measure");
    link(&folder, "http", "adjust");
    let config = format!(
        "\
ab:
  test_url: http://{address}/quote
http:
  endpoint: http://{address}/settings
  settings: {{ workers: {{ min: 1, max: 16, step: 1 }} }}
  ready: {{ interval: 0.1 }}
"
    );
    folder.write("config.yaml", config).unwrap();
    let grants = "\
drivers:
  measure:
    grants:
      http: [{ rule: \"GET,HEAD ${config.test_url}\", private: true }]
      limits: { cpu: 10m, requests: 20000000, request_rate: 1000000, concurrent_requests: 64 }
  adjust:
    grants:
      http: [{ rule: \"GET,PUT ${config.endpoint}\", private: true }]
";
    folder.write("servo.yaml", grants).unwrap();
    let state = json!({ "application": { "components": { "app": { "settings": {
        "workers": { "value": 6 },
    }}}}});
    let scenes = vec![
        Scene::describe(),
        Scene::adjust(json!({ "state": state, "control": {} })),
        Scene::measure(json!({ "control": { "duration": 1, "load": { "n_threads": 2 } } })),
    ];
    let service = Service::start(scenes, None).await.unwrap();
    let servo = start(&folder, &service, &[]);
    finish(&service, servo).await;
    assert_eq!(json!(app.settings())["workers"], 6);
    let measured = report(&service, "MEASUREMENT");
    assert_eq!(measured["status"], "ok", "{measured}");
    assert!(measured["metrics"]["throughput"]["value"].as_f64().unwrap() > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_grants_a_component_may_do_nothing_and_the_lines_to_add_are_said() {
    let backend = listener();
    let folder = Workspace::new().unwrap();
    link(&folder, "prom", "measure");
    let section = prom_section(backend.address);
    folder.write("config.yaml", section).unwrap();
    let service = Service::start(vec![Scene::measure(seconds(1))], None)
        .await
        .unwrap();
    let servo = start(&folder, &service, &[]);
    let ran = finish(&service, servo).await;
    let line = format!(
        "- {{ rule: \"GET http://{}/api/v1/\", private: true }}",
        backend.address
    );
    assert!(ran.stderr.contains(&line), "{}", ran.stderr);
    assert_ne!(report(&service, "MEASUREMENT")["status"], "ok");
    assert_eq!(backend.heard(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_run_only_where_they_are_allowed() {
    let scenes = || vec![Scene::describe(), Scene::measure(seconds(1))];
    let folder = Workspace::new().unwrap();
    program(&folder, "measure", SHELL_DRIVER);
    let service = Service::start(scenes(), None).await.unwrap();
    let refused = start(&folder, &service, &[]).end().await.unwrap();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    for part in ["./measure is an ordinary program", "--allow-native-drivers"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert!(!folder.path().join("ran").exists());
    assert_eq!(service.events(), []);

    let servo = start(&folder, &service, &["--allow-native-drivers"]);
    finish(&service, servo).await;
    let described = report(&service, "DESCRIPTION");
    let metrics = &described["descriptor"]["measurement"]["metrics"];
    assert_eq!(metrics["rate"]["unit"], "rps", "{described}");
    let measured = report(&service, "MEASUREMENT");
    assert_eq!(measured["metrics"]["rate"]["value"], 7, "{measured}");
    assert_eq!(measured["annotations"]["app"], "shop");
    let input = std::fs::read_to_string(folder.path().join("input")).unwrap();
    let input: serde_json::Value = serde_json::from_str(&input).unwrap();
    assert_eq!(input["control"]["duration"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_plugin_decides_where_programs_are_allowed() {
    let asked = json!({ "control": { "duration": 1, "environment": { "mode": "blue" } } });
    let folder = Workspace::new().unwrap();
    program(&folder, "measure", SHELL_DRIVER);
    program(
        &folder,
        "environment",
        "#!/bin/sh\ncat > param\necho '{\"status\": \"ok\"}'\n",
    );
    let service = Service::start(vec![Scene::measure(asked)], None)
        .await
        .unwrap();
    let servo = start(&folder, &service, &["--allow-native-drivers"]);
    finish(&service, servo).await;
    assert_eq!(report(&service, "MEASUREMENT")["status"], "ok");
    let param = std::fs::read_to_string(folder.path().join("param")).unwrap();
    assert!(param.contains("blue"), "{param}");

    // One that is there and may not run is not passed over.
    std::fs::remove_file(folder.path().join("measure")).unwrap();
    link(&folder, "prom", "measure");
    let refused = start(&folder, &service, &[]).end().await.unwrap();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("./environment"),
        "{}",
        refused.stderr
    );
}

/// A component that gives no sign of life is given up as a program is.
#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_a_step_of_a_component() {
    let folder = Workspace::new().unwrap();
    link(&folder, "hostile", "measure");
    let section = "hostile: { behaviour: { do: deaf } }\n";
    folder.write("config.yaml", section).unwrap();
    let service = Service::start(vec![Scene::measure(seconds(1))], None)
        .await
        .unwrap();
    let url = service.url();
    let mut command = folder
        .servo(["run", "shop", "--no-auth", "--url", &url])
        .unwrap();
    command.env("OPTUNE_IO_TIMEOUT", "1");
    finish(&service, Process::start(command).unwrap()).await;
    let report = report(&service, "MEASUREMENT");
    assert_eq!(report["status"], "failed", "{report}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("OPTUNE_IO_TIMEOUT"), "{message}");
}

/// What stands in a folder.
enum Put {
    Text(&'static str, &'static str),
    Program(&'static str),
    Link(&'static str, &'static str),
}
use Put::{Link, Program, Text};

/// Folders that are wrong, and what is said of them.
const WRONG: &[(&[Put], &[&str])] = &[
    (&[], &["servo.yaml", "./measure", "./adjust"]),
    (
        &[Text("servo.yaml", "drivers:\n  measure:\n    config: {}\n")],
        &[
            "servo.yaml:2:",
            ": drivers.measure.source: the key is missing",
            "./measure",
            "add `source:`",
        ],
    ),
    (
        &[
            Text(
                "servo.yaml",
                "drivers:\n  measure:\n    source: ./other.wasm\n",
            ),
            Link("prom", "measure"),
        ],
        &[
            "servo.yaml:3:13: drivers.measure.source: two drivers",
            "./measure",
            "remove one",
        ],
    ),
    (
        &[
            Text("servo.yaml", "drivers:\n  measure:\n    config: { a: 1 }\n"),
            Text("config.yaml", "prom: { b: 2 }\n"),
            Link("prom", "measure"),
        ],
        &[
            "servo.yaml:3:5: drivers.measure.config: two configurations for the driver `prom`",
            "./config.yaml",
        ],
    ),
    (
        &[
            Text("config.yaml", "k8s: {}\nprom: 5\n"),
            Link("prom", "measure"),
        ],
        &[
            "./config.yaml:2:7: prom: a number stands",
            "write `key: value`",
        ],
    ),
    (
        &[Text("config.yaml", "prom: {\n"), Link("prom", "measure")],
        &["./config.yaml:"],
    ),
    (
        &[Link("http", "measure")],
        &["./measure: a driver to measure belongs here", "adjust"],
    ),
    (
        &[Text("measure", "hello")],
        &["./measure: it is neither a component nor executable"],
    ),
    (
        &[Link("../nowhere", "measure")],
        &["./measure:", "the link leads nowhere"],
    ),
    (
        &[
            Text(
                "servo.yaml",
                "drivers:\n  adjust:\n    grants: { scratch: 1MiB }\n",
            ),
            Link("prom", "measure"),
            Program("adjust"),
        ],
        &["servo.yaml:3:24: drivers.adjust.grants.scratch: ./adjust is a program"],
    ),
    (
        &[
            Text("servo.yaml", "optune: { app: other }\ndrivers: {}\n"),
            Link("prom", "measure"),
        ],
        &["optune.app", "`other`", "`shop`"],
    ),
];

#[test]
fn a_folder_that_is_wrong_is_refused_by_name_with_a_remedy() {
    for (put, said) in WRONG {
        let folder = Workspace::new().unwrap();
        for put in *put {
            match put {
                Text(name, text) => drop(folder.write(name, text).unwrap()),
                Program(name) => program(&folder, name, SHELL_DRIVER),
                Link(name, place) => link(&folder, name, place),
            }
        }
        let url = "http://127.0.0.1:9/";
        let arguments = [
            "run",
            "shop",
            "--no-auth",
            "--allow-native-drivers",
            "--url",
            url,
        ];
        let ran = folder.run(arguments).unwrap();
        assert_eq!(ran.code, Some(2), "{said:?}: {}", ran.stderr);
        for part in *said {
            assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
        }
        assert!(!folder.path().join("ran").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_named_measure_is_nobodys_driver() {
    let metrics = Metrics::start().await;
    let folder = Workspace::new().unwrap();
    folder.write("measure/notes.txt", "").unwrap();
    link(&folder, "prom", "prom.wasm");
    let own = PROM_GRANTS.replace(
        "    grants:",
        &format!(
            "    source: ./prom.wasm\n    config: {{ prometheus_endpoint: \"http://{}\", metrics: {{ \
             rate: {{ query: up }} }} }}\n    grants:",
            metrics.address()
        ),
    );
    folder.write("servo.yaml", own).unwrap();
    // Somebody else's: only drivers in the original's places read it.
    folder.write("config.yaml", "{").unwrap();
    let service = Service::start(vec![Scene::measure(seconds(0))], None)
        .await
        .unwrap();
    let servo = start(&folder, &service, &[]);
    finish(&service, servo).await;
    assert_eq!(names(&service), ["HELLO", "MEASUREMENT", "GOODBYE SIGTERM"]);
}
