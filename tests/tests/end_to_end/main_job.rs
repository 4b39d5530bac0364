//! The main job from start to end, with the drivers as components: as a person
//! runs it, and as a program sees it.

use std::net::SocketAddr;
use std::sync::Mutex;

use rustix::process::Signal;
use serde_json::{Value, json};
use servo_demo::job::{self, Components, JobOptions, News};
use servo_tests::components::{code_folder, component};
use servo_tests::process::Process;
use servo_tests::workspace::Workspace;

use crate::support::{adjust, client, describe, driver, get, listener};

/// The cells of the first line that begins so.
fn row<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    let found = text.lines().find(|line| line.starts_with(start));
    let line = found.unwrap_or_else(|| panic!("no line {start:?}: {text}"));
    line.split("  ")
        .filter(|cell| !cell.is_empty())
        .map(str::trim)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_tunes_shows_and_leaves_the_best_settings_behind() {
    let workspace = Workspace::new().unwrap();
    let drivers = component("ab").parent().unwrap().to_owned();
    let _ = component("http");
    let mut command = workspace
        .servo([
            "demo",
            "--trials",
            "3",
            "--seconds",
            "1",
            "--json",
            "--open-page",
            "--drivers",
        ])
        .unwrap();
    command.arg(drivers);
    let mut demo = Process::start(command).unwrap();
    let app = demo.line("application  ").await.unwrap();
    let page = demo.line("page: ").await.unwrap();
    let page = page.split(' ').next().unwrap().to_owned();
    // The application is still there: what does it say itself?
    let left = get(&app.replace("/quote", "/settings")).await;
    let html = client().get(&page).send().await.unwrap();
    assert_eq!(html.status(), 200);
    demo.line("{").await.unwrap();
    demo.signal(Signal::INT).unwrap();
    let ran = demo.end().await.unwrap();

    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stderr, "");
    let last: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    let members: Vec<&str> = last
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        members,
        ["trials", "baseline", "best", "improvement", "settings"]
    );
    assert_eq!(last["trials"], 3);
    let (baseline, best) = (
        last["baseline"].as_f64().unwrap(),
        last["best"].as_f64().unwrap(),
    );
    assert!(baseline > 0.0 && best >= baseline, "{last}");
    let improvement = last["improvement"].as_f64().unwrap();
    assert!(
        (improvement - (best / baseline - 1.0)).abs() < 1e-9,
        "{last}"
    );
    assert_eq!(last["settings"], left, "the best settings are not in force");

    let text = &ran.stdout;
    assert_eq!(
        *row(text, "trial 0/3").last().unwrap(),
        "baseline",
        "{text}"
    );
    for trial in 1..=3 {
        let line = row(text, &format!("trial {trial}/3"));
        assert!(line.len() >= 3, "{line:?}");
    }
    assert!(
        text.contains("\ntrial  batch  cache  workers  requests/s "),
        "{text}"
    );
    assert!(text.contains("\nrefused: nothing\n"), "{text}");
    // Every measurement has a warm-up, so there is more load than was measured.
    let load: u64 = row(text, "measure ab ")[2].parse().unwrap();
    assert!(load as f64 > 4.0 * baseline.min(best), "{load} requests");
    let looks: u64 = row(text, "adjust http ")[2].parse().unwrap();
    assert!(looks >= 4, "{looks} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn news_come_in_order_and_everything_is_gone_at_the_end() {
    let options = JobOptions {
        trials: 1,
        seconds: 1,
        seed: 7,
        components: Components {
            measure: component("ab"),
            adjust: component("http"),
        },
        code: Some(code_folder()),
    };
    let news: Mutex<Vec<News>> = Mutex::default();
    let finished = job::run(&options, &|one| news.lock().unwrap().push(one))
        .await
        .unwrap();
    let news = news.into_inner().unwrap();

    let News::Ready { app, drivers, .. } = &news[0] else {
        panic!("{news:?}");
    };
    let app: SocketAddr = *app;
    assert_eq!(drivers.len(), 2, "{drivers:?}");
    let told: Vec<u32> = news
        .iter()
        .filter_map(|one| match one {
            News::Trial(trial) => Some(trial.number),
            _ => None,
        })
        .collect();
    assert_eq!(told, [0, 1]);
    assert!(
        news.iter().any(|one| matches!(one, News::Progress { .. })),
        "nobody was told how far it is"
    );

    let report = &finished.report;
    let settings = get(&format!("http://{app}/settings")).await;
    assert_eq!(Value::Object(report.settings.clone()), settings);
    assert_eq!(report.touched.len(), 2);
    for driver in &report.touched {
        assert_eq!(driver.refused, [], "{driver:?}");
        assert!(
            driver.rules.iter().all(|rule| rule.requests > 0),
            "{driver:?}"
        );
    }

    finished.close().await;
    assert!(
        client()
            .get(format!("http://{app}/settings"))
            .send()
            .await
            .is_err()
    );
}

/// The same driver as in the main job, sent to a place next to the granted one.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_driver_beside_its_grant_is_refused_and_nobody_hears_of_it() {
    let listener = listener();
    let address = listener.address;
    let config = json!({
        "endpoint": format!("http://{address}/admin"),
        "settings": { "workers": { "min": 1, "max": 16, "step": 1 } },
    });
    let grants = json!({ "http": [
        { "rule": format!("GET,PUT http://{address}/settings"), "private": true },
    ]});
    let driver = driver("http", config, grants).await;
    let line = format!("- {{ rule: \"GET,PUT http://{address}/admin\", private: true }}");
    let failures = [
        describe(&driver).await.unwrap_err(),
        adjust(
            &driver,
            &servo_agent::NoReporter,
            &[("app", "workers", 3.0)],
        )
        .await
        .unwrap_err(),
    ];
    for failure in failures {
        assert_eq!(
            failure.reason.as_ref().unwrap().as_str(),
            "denied",
            "{failure}"
        );
        assert!(failure.message.contains(&line), "{failure}");
    }
    assert_eq!(listener.heard(), 0, "a connection was made");
    let ledger = driver.bound().ledger();
    assert_eq!(ledger.denials.iter().map(|one| one.count).sum::<u64>(), 2);
    assert!(ledger.rules.iter().all(|rule| rule.requests == 0));
}
