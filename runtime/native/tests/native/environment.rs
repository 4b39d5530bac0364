//! The environment check by a program (protocol section 9).

use std::path::Path;
use std::time::Duration;

use crate::support::{Folder, context, ends, exists, limits, runs, until};
use serde_json::json;
use servo_agent::EnvironmentCheck;
use servo_native::{NativeEnvironment, NativeLimits};
use servo_protocol::{Failure, Operation};

async fn check(folder: &Folder, compat: bool, limits: NativeLimits) -> Result<(), Failure> {
    let mut options = folder.options();
    options.compat = compat;
    let environment = NativeEnvironment::new(Path::new("./environment"), &options)
        .unwrap()
        .with_limits(limits);
    let param = json!({"state": {"x": 1.0}, "control": {"environment": {"mode": "a"}}});
    ends(environment.check(&context().0, Operation::Adjust, &param)).await
}

fn plugin(call: &str) -> Folder {
    let folder = Folder::new();
    folder.program("environment");
    folder.write("environment.call", call);
    folder
}

#[tokio::test]
async fn only_ok_and_exit_code_zero_mean_yes() {
    for (call, wanted) in [
        (r#"echo '{"status":"ok"}'"#, None),
        ("printf '{\n  \"status\":\n  \"ok\",\n \"x\": 1}\n\n'", None),
        (
            r#"echo '{"status":"ok"}'; exit 1"#,
            Some(("mismatch", "exit code 1")),
        ),
        (
            r#"echo '{"status":"ok"}'; kill -9 $$"#,
            Some(("mismatch", "signal 9")),
        ),
        (
            r#"echo '{"status":"environment-mismatch","reason":"r"}'"#,
            Some(("mismatch", "environment-mismatch, r")),
        ),
        ("echo '{}'", Some(("mismatch", "nothing"))),
        ("echo '[]'", Some(("mismatch", "nothing"))),
        (
            r#"echo '{"status":"ok"}'; echo '{"status":"ok"}'"#,
            Some(("mismatch", "not JSON")),
        ),
        ("echo ok", Some(("mismatch", "not JSON"))),
        ("exit 0", Some(("mismatch", "not JSON"))),
        ("yes", Some(("mismatch", "more than"))),
    ] {
        for compat in [false, true] {
            let folder = plugin(call);
            let failure = check(&folder, compat, limits()).await.err();
            match (failure, wanted) {
                (None, None) => {}
                (Some(failure), Some((reason, part))) => {
                    assert_eq!(failure.status.as_str(), "environment-mismatch");
                    let seen = failure.reason.as_ref().map(|it| it.as_str());
                    assert_eq!(seen, (!compat).then_some(reason), "{call}");
                    assert!(failure.message.unwrap().contains(part), "{call}");
                }
                (seen, _) => panic!("{call}: {seen:?}"),
            }
        }
    }
}

#[tokio::test]
async fn the_plugin_sees_the_whole_param_and_no_arguments() {
    let folder = plugin("echo \"$0 $#\" > call; cat > input; echo '{\"status\":\"ok\"}'");
    check(&folder, false, limits()).await.unwrap();
    assert_eq!(folder.read("call"), "./environment 0\n");
    let wanted = r#"{"state":{"x":1.0},"control":{"environment":{"mode":"a"}}}"#;
    assert_eq!(folder.read("input"), wanted);
}

#[tokio::test]
async fn no_plugin_is_told_from_a_mismatch() {
    let folder = Folder::new();
    let failure = check(&folder, false, limits()).await.unwrap_err();
    assert_eq!(failure.status.as_str(), "environment-mismatch");
    assert_eq!(failure.reason.unwrap().as_str(), "no-plugin");
    // One that is put there later is found.
    folder.program("environment");
    folder.write("environment.call", r#"echo '{"status":"ok"}'"#);
    check(&folder, false, limits()).await.unwrap();
}

#[tokio::test]
async fn a_plugin_that_does_not_end_is_ended() {
    let folder = plugin("echo $$ > leader; sleep 100000 & echo $! > child; wait");
    let short = NativeLimits {
        environment: Duration::from_millis(1500),
        ..limits()
    };
    let failure = check(&folder, false, short).await.unwrap_err();
    assert_eq!(failure.reason.unwrap().as_str(), "timeout");
    assert!(!exists(folder.pid("leader")));
    let child = folder.pid("child");
    until("its child is gone", || !runs(child)).await;
}

#[tokio::test]
async fn a_stop_and_a_drop_end_the_plugin() {
    for stop in [true, false] {
        let folder = plugin("echo $$ > leader; mkfifo ready; exec sleep 100000");
        let ready = folder.path("ready");
        let environment =
            NativeEnvironment::new(Path::new("./environment"), &folder.options()).unwrap();
        let (cx, _watched) = context();
        let param = json!({});
        let check = environment.check(&cx, Operation::Measure, &param);
        let there = async {
            until("it is there", || ready.exists()).await;
            if !stop {
                return;
            }
            cx.cancel.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = check => assert!(stop && ended.is_err()),
            () = there => {}
        }
        let leader = folder.pid("leader");
        until("the plugin is gone", || !exists(leader)).await;
    }
}
