//! What a program sees when it is called (protocol section 13.1).

use std::sync::Arc;

use crate::support::{Folder, adjust, context, describe, measure, query};
use serde_json::{Value, json};
use servo_agent::{
    AdjustDriver, AdjustRequest, CancelSupport, MeasureDriver, MeasureRequest, Step,
};
use servo_native::{NativeDriver, NativeError};

/// Notes how it was called, and answers everything that may be asked for.
const NOTE: &str = r#"
input=$(cat)
echo "$0 $# $* [$input]" >> calls
echo '{"status":"ok","metrics":{"tps":{"value":1}},"application":{}}'
"#;
const NOTE_INFO: &str = r#"
input=$(cat)
echo "$0 $# $* [$input]" >> calls
echo '{"version":"3","has_cancel":true}'
"#;

#[tokio::test]
async fn arguments_and_order_of_every_call() {
    for (mode, wanted) in [
        ("describe", "./measure 2 --describe shop []"),
        ("query", "./measure 2 --query shop []"),
        ("measure", "./measure 1 shop [{\"control\":{}}]"),
        (
            "adjust",
            "./measure 1 shop [{\"application\":{},\"control\":{}}]",
        ),
    ] {
        let folder = Folder::with(NOTE).info(NOTE_INFO);
        let driver = folder.driver(|_| {});
        match mode {
            "describe" => drop(describe(&driver).await.unwrap()),
            "query" => drop(query(&driver).await.unwrap()),
            "measure" => drop(measure(&driver, &context().0).await.unwrap()),
            _ => drop(adjust(&driver, &AdjustRequest::default()).await.unwrap()),
        }
        let wanted = format!("./measure 2 --info shop []\n{wanted}\n");
        assert_eq!(folder.read("calls"), wanted, "{mode}");
    }
}

fn request<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// What the service sends and no type of ours knows must reach the driver, and
/// numbers as they were written.
#[tokio::test]
async fn everything_in_the_request_reaches_stdin() {
    let folder = Folder::with(&format!("cat > input\n{}", crate::support::OK));
    let driver = folder.driver(|_| {});
    let input = || serde_json::from_str::<Value>(&folder.read("input")).unwrap();
    let control = json!({
        "duration": 300, "warmup": 2.5, "delay": 0, "past": 1, "settlement": 7,
        "load": {"n_threads": 8, "rate": 1.0, "test_url": "http://x/\u{e9}"},
        "userdata": {"slo": {"conditions": [1, 2.50, null]}, "big": 9_007_199_254_740_993_u64},
        "environment": {"mode": ""},
        "unknown": [1, 1.0, "1"],
    });

    let asked = MeasureRequest {
        metrics: Some(vec!["p95".to_owned(), "requests throughput".to_owned()]),
        control: request(&control),
    };
    let step = MeasureDriver::step(&driver, &context().0, &asked, None).await;
    assert!(matches!(step, Ok(Step::Done(_))));
    let wanted = json!({"metrics": ["p95", "requests throughput"], "control": control});
    assert_eq!(input(), wanted);

    let application = json!({"components": {"web": {"settings": {
        "cpu": {"value": 1.5, "index": 3}, "replicas": {"value": 2}, "heap": {"value": 2.0},
        "gc": {"value": "serial"},
    }, "unknown": true}}, "unknown": {"a": 1}});
    let asked = AdjustRequest {
        application: request(&application),
        control: request(&control),
        dry_run: false,
    };
    adjust(&driver, &asked).await.unwrap();
    let wanted = json!({"application": application, "control": control});
    assert_eq!(input(), wanted);

    // Nothing would hold the program back, so it is not even started.
    let dry = AdjustRequest {
        application: request(&json!({"components": {}})),
        dry_run: true,
        ..asked
    };
    let refused = adjust(&driver, &dry).await.unwrap_err();
    assert!(refused.message.contains("cannot be run dry"), "{refused}");
    assert_eq!(input(), wanted);
}

/// Of a command the driver sees `param` as the service wrote it, but the values
/// that were checked.
#[tokio::test]
async fn the_words_of_a_command_reach_stdin_as_they_came() {
    let folder = Folder::with(&format!("cat > input\n{}", crate::support::OK));
    let driver = folder.driver(|_| {});
    let mut cx = context().0;
    let control = json!({"duration": "5m", "warmup": null, "x": [1.0]});
    let param = json!({"control": control, "metrics": {"p95": {"unit": "ms"}}, "more": 1});
    cx.param = Some(Arc::new(param.clone()));
    measure(&driver, &cx).await.unwrap();
    assert_eq!(folder.read("input"), param.to_string());

    let settings = |cpu: f64| json!({"components": {"web": {"settings": {"cpu": {"value": cpu}}}}});
    for (given, control) in [
        (
            Some(control),
            r#"{"duration":"5m","warmup":null,"x":[1.0]}"#,
        ),
        (None, "{}"),
    ] {
        let mut param = json!({
            "state": {"application": settings(1.500_000_1), "control": "overwritten", "more": 2},
        });
        if let Some(given) = given {
            param["control"] = given;
        }
        cx.param = Some(Arc::new(param));
        let asked = AdjustRequest {
            application: request(&settings(1.5)),
            ..AdjustRequest::default()
        };
        let step = AdjustDriver::step(&driver, &cx, &asked, None).await;
        assert!(matches!(step, Ok(Step::Done(_))));
        let wanted = r#"{"application":{"components":{"web":{"settings":{"cpu":{"value":1.5}}}}},"control":CONTROL,"more":2}"#;
        assert_eq!(folder.read("input"), wanted.replace("CONTROL", control));
    }
}

#[tokio::test]
async fn it_runs_in_the_folder_with_the_environment_of_the_servo() {
    let folder = Folder::with(&format!(
        "pwd -P > where\nenv > environment\n{}",
        crate::support::OK
    ));
    folder.measure().await.unwrap();
    let here = std::fs::canonicalize(folder.path(".")).unwrap();
    assert_eq!(folder.read("where").trim(), here.to_str().unwrap());
    let environment = folder.read("environment");
    let seen: Vec<&str> = environment
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name))
        .collect();
    for name in &seen {
        assert!(std::env::var_os(name).is_some(), "{name} was added");
    }
    let path = format!("PATH={}", std::env::var("PATH").unwrap());
    assert!(
        environment.lines().any(|line| line == path),
        "{environment}"
    );
}

/// A child that has a handle of ours could talk to the service in our name.
#[tokio::test]
async fn it_inherits_no_open_file() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    let name = secret.path().file_name().unwrap().to_str().unwrap();
    let folder = Folder::with(&format!(
        "ls -l /proc/self/fd > files\n{}",
        crate::support::OK
    ));
    folder.measure().await.unwrap();
    let files = folder.read("files");
    assert!(files.contains("files"), "{files}");
    assert!(
        !files.contains(name) && !files.contains("socket:"),
        "{files}"
    );
}

#[tokio::test]
async fn the_newest_info_says_what_the_driver_is() {
    let folder = Folder::with(crate::support::OK).info(r#"cat info"#);
    let driver = folder.driver(|_| {});
    let facts = |driver: &NativeDriver| {
        let facts = MeasureDriver::facts(driver);
        (facts.name.clone(), facts.version.clone(), facts.cancel)
    };
    let unknown = ("measure".into(), "unknown".into(), CancelSupport::None);
    assert_eq!(facts(&driver), unknown);
    for (info, cancel) in [
        (
            r#"{"version":"2","has_cancel":true}"#,
            CancelSupport::Report,
        ),
        (r#"{"version":"2"}"#, CancelSupport::None),
        (r#"{"has_cancel":true}"#, CancelSupport::Report),
    ] {
        folder.write("info", info);
        measure(&driver, &context().0).await.unwrap();
        assert_eq!(facts(&driver), ("measure".into(), "2".into(), cancel));
    }
    folder.write("info", r#"{"version":"5","has_cancel":true}"#);
    let info = driver.info().await.unwrap();
    assert_eq!((info.version.as_str(), info.has_cancel), ("5", true));
}

#[test]
fn what_is_no_program_is_refused_with_the_remedy() {
    let folder = Folder::new();
    folder.write("plain", "");
    std::fs::create_dir(folder.path("folder")).unwrap();
    for (name, part) in [
        ("missing", "put an executable file there"),
        ("plain", "chmod +x"),
        ("folder", "chmod +x"),
        // Never one of PATH.
        ("sh", "put an executable file there"),
    ] {
        let error = NativeDriver::new(name.as_ref(), &folder.options()).unwrap_err();
        assert!(matches!(
            error,
            NativeError::Unreachable { .. } | NativeError::NotExecutable { .. }
        ));
        let error = error.to_string();
        assert!(error.contains(part) && error.contains(name), "{error}");
    }
}

#[tokio::test]
async fn a_program_that_is_gone_or_no_program_fails_the_call() {
    let folder = Folder::with(crate::support::OK);
    let driver = folder.driver(|_| {});
    std::fs::remove_file(folder.path("measure")).unwrap();
    let failure = measure(&driver, &context().0).await.unwrap_err();
    assert_eq!(
        crate::support::words(&failure),
        ("failed", Some("not-started"))
    );
    assert!(failure.message.contains("measure"), "{failure}");
}
