//! Whole calls, and what the scripted host itself promises.

use std::{panic::catch_unwind, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::json;
use servo_driver::{
    Adjust, AdjustRequest, Adjustment, Application, Context, Control, Failure, FailureContext,
    Interruption, Measure, MeasureRequest, Measurement, Report, Step,
    actions::{self, Output},
    failure::Status,
    http::Method,
    model::{Metric, SettingValue},
    testing::{Host, Reply},
};

fn fourth() -> SettingValue {
    SettingValue::new("web", "workers", 4)
}

/// Waits as often as its configuration says.
struct Waits;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    steps: u32,
    #[serde(default)]
    #[allow(dead_code)]
    nested: Option<Nested>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nested {
    #[allow(dead_code)]
    key: u32,
}

#[derive(Serialize, Deserialize)]
struct State {
    left: u32,
}

impl Adjust for Waits {
    type Config = Config;
    type State = State;

    fn describe(_: &Config, _: &Context) -> Result<Application, Failure> {
        Ok(Application::new([]))
    }

    fn start(
        config: &Config,
        request: &AdjustRequest,
        cx: &Context,
    ) -> Result<Step<Adjustment, State>, Failure> {
        log::info!("begins");
        Self::resume(config, request, State { left: config.steps }, cx)
    }

    fn resume(
        config: &Config,
        _: &AdjustRequest,
        state: State,
        cx: &Context,
    ) -> Result<Step<Adjustment, State>, Failure> {
        if state.left == 0 {
            return Ok(Step::done(Adjustment::as_requested()));
        }
        cx.store().put("left", &state.left)?;
        let done = 100.0 * f64::from(config.steps - state.left) / f64::from(config.steps);
        let wait = Step::wait(
            Duration::from_secs(10),
            State {
                left: state.left - 1,
            },
        );
        Ok(wait.progress(done).message("waiting"))
    }

    fn recover(
        config: &Config,
        request: &AdjustRequest,
        interruption: Interruption<State>,
        cx: &Context,
    ) -> Result<Step<Adjustment, State>, Failure> {
        match interruption.state {
            Some(state) => Self::resume(config, request, state, cx),
            None => Err(Failure::failed("nothing was begun").in_force([fourth()])),
        }
    }

    fn cancelled(
        _: &Config,
        _: &AdjustRequest,
        state: State,
        resume: Option<State>,
        cx: &Context,
    ) -> Result<Step<Adjustment, State>, Failure> {
        let Some(State { left: 0 }) = resume else {
            let left = resume.map_or(2, |resume| resume.left);
            return Ok(Step::wait(Duration::from_secs(5), State { left: left - 1 }));
        };
        cx.wait(Duration::from_secs(1))?;
        cx.store().set("undone", &state.left.to_string())?;
        Ok(Step::done(Adjustment::in_force([fourth()])))
    }
}

#[test]
fn a_call_runs_through_its_steps() {
    let host = Host::new().config(json!({"steps": 4}));
    let run = host.adjust::<Waits>(&AdjustRequest::default());
    assert_eq!(run.result, Ok(Adjustment::default()));
    assert_eq!((run.steps, run.waited.as_secs()), (5, 40));
    assert_eq!(
        run.states,
        [
            r#"{"left":3}"#,
            r#"{"left":2}"#,
            r#"{"left":1}"#,
            r#"{"left":0}"#
        ]
    );
    assert_eq!(run.percents(), [0.0, 25.0, 50.0, 75.0]);
    assert!(run.logged(log::Level::Info, "begins"));
    assert_eq!(host.value("left").as_deref(), Some("1"));
}

#[test]
fn a_cancel_between_steps_is_undone_with_the_last_state() {
    for host in [
        Host::new().cancel_at(Duration::from_secs(15)),
        Host::new().cancel_after_reports(2),
    ] {
        let host = host.config(json!({"steps": 4}));
        let run = host.adjust::<Waits>(&AdjustRequest::default());
        assert_eq!(run.result.unwrap_err().status, Status::Cancelled);
        assert_eq!(run.steps, 2);
        assert_eq!(run.undone, Some(Ok(Adjustment::in_force([fourth()]))));
        assert_eq!(run.undo_states, [r#"{"left":1}"#, r#"{"left":0}"#]);
        assert_eq!(host.value("undone").as_deref(), Some("2"));
    }
}

#[test]
fn an_undo_waits_deaf_to_the_cancel() {
    let host = Host::new()
        .config(json!({"steps": 4}))
        .cancel_at(Duration::from_secs(15));
    let run = host.adjust::<Waits>(&AdjustRequest::default());
    assert_eq!(run.elapsed.as_secs(), 15 + 2 * 5 + 1);
}

#[test]
fn an_adjustment_that_was_cut_short_goes_on_where_recover_says() {
    let host = Host::new().config(json!({"steps": 4}));
    let state = Some(State { left: 1 });
    let interruption = Interruption {
        state,
        in_step: true,
    };
    let run = host.recover::<Waits>(&AdjustRequest::default(), interruption);
    assert_eq!(run.result, Ok(Adjustment::default()));
    assert_eq!((run.steps, run.waited.as_secs()), (2, 10));

    let interruption = Interruption {
        state: None,
        in_step: true,
    };
    let run = host.recover::<Waits>(&AdjustRequest::default(), interruption);
    assert_eq!(run.result.unwrap_err().in_force, Some(vec![fourth()]));
}

#[test]
fn a_bad_configuration_names_the_key() {
    for (config, text) in [
        (json!({}), "config: missing field `steps`"),
        (json!({"steps": "4"}), "config.steps: invalid type: string"),
        (
            json!({"steps": 4, "step": 4}),
            "config.step: unknown field `step`",
        ),
        (
            json!({"steps": 4, "nested": {"key": -1}}),
            "config.nested.key: invalid value",
        ),
    ] {
        let run = Host::new()
            .config(config)
            .adjust::<Waits>(&AdjustRequest::default());
        let failure = run.result.unwrap_err();
        assert_eq!(failure.reason.as_deref(), Some("invalid-config"));
        assert!(failure.message.starts_with(text), "{text}: {failure}");
    }
}

#[test]
fn load_and_userdata_have_the_drivers_types() {
    let control = Control {
        raw_load: Some(json!({"left": 3}).to_string()),
        raw_userdata: Some(json!({"left": "x"}).to_string()),
        ..Control::default()
    };
    assert_eq!(control.load::<State>().unwrap().unwrap().left, 3);
    let failure = control.userdata::<State>().err().unwrap();
    assert!(
        failure.message.starts_with("control.userdata.left: "),
        "{failure}"
    );
    assert!(Control::default().load::<State>().unwrap().is_none());
}

/// Never waits, asks for everything.
struct Active;

impl Measure for Active {
    type Config = serde_json::Value;
    type State = servo_driver::OneStep;

    fn describe(_: &serde_json::Value, _: &Context) -> Result<Vec<Metric>, Failure> {
        Ok(Vec::new())
    }

    fn start(
        _: &serde_json::Value,
        _: &MeasureRequest,
        cx: &Context,
    ) -> Result<Step<Measurement, Self::State>, Failure> {
        for percent in [10.0, 20.0, 30.0] {
            cx.progress(Report::percent(percent).stage("all", percent))?;
            cx.wait(Duration::from_secs(1))?;
        }
        let out = cx.actions().run("greet", [("name", "all")])?.ok()?;
        let missing = cx.actions().run("leave", [("name", "all")]);
        assert!(matches!(missing, Err(actions::Error::Denied(_))));
        Ok(Step::done(Measurement::default().note("greeting", out)))
    }
}

#[test]
fn reports_end_a_cancelled_step() {
    let run = Host::new()
        .cancel_after_reports(2)
        .measure::<Active>(&MeasureRequest::new("shop"));
    assert_eq!(run.result.unwrap_err().status, Status::Cancelled);
    assert_eq!(
        (run.reports.len(), run.elapsed, run.undone),
        (2, Duration::from_secs(1), None)
    );
}

#[test]
fn actions_are_run_by_name() {
    let output = Output {
        stdout: "hello".to_owned(),
        ..Output::default()
    };
    let host = Host::new().action("greet", output);
    let done = host
        .measure::<Active>(&MeasureRequest::new("shop"))
        .result
        .unwrap();
    assert_eq!(done.notes[0].text, "hello");

    let output = Output {
        code: 2,
        stderr: "nobody there\n".to_owned(),
        ..Output::default()
    };
    let host = Host::new().action("greet", output);
    let failure = host
        .measure::<Active>(&MeasureRequest::new("shop"))
        .result
        .unwrap_err();
    assert!(
        failure.message.ends_with("code 2: nobody there"),
        "{failure}"
    );
}

#[test]
fn the_store_has_the_hosts_limits() {
    let store = Host::new().context("shop").store();
    for (key, bytes, fits) in [
        ("", 1, false),
        ("k", 1, true),
        ("k", 65_535, true),
        ("k", 65_536, false),
    ] {
        assert_eq!(
            store.set(key, &"x".repeat(bytes)).is_ok(),
            fits,
            "{key} {bytes}"
        );
    }
    assert!(store.set(&"k".repeat(129), "").is_err());
    store.put("k", &[1, 2]).unwrap();
    assert_eq!(store.read::<Vec<u32>>("k").unwrap(), Some(vec![1, 2]));
    assert!(
        store
            .read::<String>("k")
            .unwrap_err()
            .to_string()
            .contains('k')
    );
    assert_eq!(
        (
            store.read::<u32>("none").unwrap(),
            store.keys().unwrap().len()
        ),
        (None, 1)
    );
    store.remove("k").unwrap();
    assert!(store.keys().unwrap().is_empty());
}

#[test]
fn a_folder_that_is_not_granted_is_named() {
    let granted = std::env::temp_dir().join(format!("servo-driver-{}", std::process::id()));
    std::fs::create_dir_all(&granted).unwrap();
    let cx = Host::new().folder("data", &granted).context("shop");
    let folder = cx.folder("data").unwrap();
    folder.write("x", "text").unwrap();
    assert_eq!(folder.read_to_string("./x").unwrap(), "text");
    let missing = folder.read("y").unwrap_err().to_string();
    assert!(missing.starts_with("/data/y: "), "{missing}");
    for path in ["../x", "/etc/passwd", "a/../../x"] {
        let error = folder.read(path).unwrap_err().to_string();
        assert!(
            error.contains("no path inside the folder `data`"),
            "{error}"
        );
    }
    let failure = Failure::from(cx.folder("other").unwrap_err());
    assert_eq!(failure.reason.as_deref(), Some("denied"));
    let remedy = "add `{ name: other, path: … }` to `grants.folders`";
    assert!(failure.message.contains(remedy), "{failure}");
    std::fs::remove_dir_all(granted).unwrap();
}

#[test]
fn what_is_not_scripted_makes_a_test_fail() {
    let unexpected = catch_unwind(|| {
        let _ = Host::new().context("shop").http().get("http://app/").send();
    });
    assert!(unexpected.is_err());
    let unused =
        catch_unwind(|| drop(Host::new().on(Method::Get, "http://app/", Reply::status(200))));
    assert!(unused.is_err());
    let backwards = catch_unwind(|| {
        let cx = Host::new().context("shop");
        let _ = cx.progress(20.0);
        let _ = cx.progress(10.0);
    });
    assert!(backwards.is_err());
}

#[test]
fn errors_get_a_context() {
    let failure = "x"
        .parse::<u32>()
        .context("reading the workers")
        .unwrap_err();
    assert!(
        failure.message.starts_with("reading the workers: "),
        "{failure}"
    );
}

#[test]
fn scalars_keep_whole_numbers_whole() {
    let values = json!([
        {"component": "a", "setting": "b", "value": 3},
        {"component": "a", "setting": "b", "value": 3.5},
        {"component": "a", "setting": "b", "value": "3"},
    ]);
    let read: Vec<SettingValue> = serde_json::from_value(values.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), values);
    assert!(read[0].value.same(&3.0.into()) && !read[0].value.same(&read[2].value));
}
