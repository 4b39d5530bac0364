//! Real processes under faults: `servo optune` and `servo run` with sandboxed
//! drivers, each behind a network that loses, delays, cuts and doubles, each
//! killed with SIGKILL at moments that the seed chooses, and started again.
//!
//! What is said here of a few seeds, `tests/faults` says of thousands, with
//! simulated time. Here are the real sockets, the real disk and the binary.
#![allow(clippy::print_stderr, reason = "a failure says with which seed")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Json;
use axum::routing::get as on_get;
use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::{Value, json};
use servo_demo::app::{SampleApp, Settings};
use servo_tests::components::component;
use servo_tests::faulty_proxy::FaultyProxy;
use servo_tests::process::Process;
use servo_tests::workspace::Workspace;
use tokio::net::TcpListener;

use crate::support::{app, get};

/// Exchanges with the service, of a hundred, that something happens to.
const BAD: u64 = 20;

/// The same of the drivers' exchanges. They repeat only some of what fails, and
/// three measurements in a row that fail at the beginning end a study.
const WORSE_TO_BEAR: u64 = 6;

/// Processes that are killed in a run.
const KILLS: u64 = 5;

/// Open files that connections which are kept may add: one to the service,
/// one to each of the two others.
const KEPT: usize = 3;

/// After this a count that should have gone back has not.
const PATIENCE: Duration = Duration::from_secs(30);

/// Path of the application at the service.
const SHOP: &str = "accounts/acme/applications/shop";

/// What the imaginary Prometheus has recorded with these settings.
fn throughput(settings: Settings) -> f64 {
    100.0 + 10.0 * f64::from(settings.workers()) - f64::from(settings.batch())
}

/// Answers range queries as Prometheus does.
async fn range(State(app): State<Arc<SampleApp>>, RawQuery(query): RawQuery) -> Json<Value> {
    let query = query.unwrap();
    let number = |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(key, _)| *key == name);
        values.next().unwrap().1.parse::<f64>().unwrap()
    };
    let (start, end, step) = (number("start"), number("end"), number("step"));
    let value = throughput(app.settings()).to_string();
    let points = (0..)
        .map(|n| start + f64::from(n) * step)
        .take_while(|time| *time <= end)
        .map(|time| json!([time, value]));
    let series = json!({ "metric": {}, "values": points.collect::<Vec<Value>>() });
    Json(json!({
        "status": "success",
        "data": { "resultType": "matrix", "result": [series] },
    }))
}

async fn prometheus(app: Arc<SampleApp>) -> SocketAddr {
    let router = Router::new()
        .route("/api/v1/query_range", on_get(range))
        .with_state(app);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// All that outlives the processes.
struct Town {
    workspace: Workspace,
    app: Arc<SampleApp>,
    to_app: FaultyProxy,
    to_prometheus: FaultyProxy,
    to_service: FaultyProxy,
    /// Where the service listens, each time.
    service: SocketAddr,
}

impl Town {
    async fn new(seed: u64) -> Self {
        let workspace = Workspace::new().unwrap();
        let app = Arc::new(app().await);
        let prometheus = prometheus(Arc::clone(&app)).await;
        let proxy = |target, number, bad| FaultyProxy::start(target, seed * 3 + number, bad);
        let to_app = proxy(app.local_addr(), 0, WORSE_TO_BEAR).await.unwrap();
        let to_prometheus = proxy(prometheus, 1, WORSE_TO_BEAR).await.unwrap();
        // Free now, and asked for by nobody else in a moment.
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = free.local_addr().unwrap();
        drop(free);
        let to_service = proxy(service, 2, BAD).await.unwrap();
        let (prom, http) = (component("prom"), component("http"));
        let yaml = format!(
            "\
drivers:
  measure:
    source: {prom}
    config:
      prometheus_endpoint: http://{measured}
      check_window: 2
      metrics:
        throughput: {{ query: throughput, unit: rps, period: 1 }}
    grants:
      http:
        - {{ rule: \"GET ${{config.prometheus_endpoint}}/api/v1/\", private: true }}
  adjust:
    source: {http}
    config:
      endpoint: http://{adjusted}/settings
      settings:
        workers: {{ min: 1, max: 8, step: 1 }}
        batch: {{ min: 1, max: 4, step: 1 }}
      ready: {{ interval: 0.1 }}
    grants:
      http:
        - {{ rule: \"GET,PUT ${{config.endpoint}}\", private: true }}
",
            prom = prom.display(),
            http = http.display(),
            measured = to_prometheus.address(),
            adjusted = to_app.address(),
        );
        workspace.write("servo.yaml", yaml).unwrap();
        Self {
            workspace,
            app,
            to_app,
            to_prometheus,
            to_service,
            service,
        }
    }

    async fn start_service(&self) -> Process {
        let listen = self.service.to_string();
        let arguments = [
            "optune",
            "--no-auth",
            "--listen",
            &listen,
            "--data",
            "optune",
            "--trials",
            "4",
            "--duration",
            "1",
        ];
        let mut service = Process::start(self.workspace.servo(arguments).unwrap()).unwrap();
        service.line("servo ").await.unwrap();
        service
    }

    fn start_servo(&self) -> Process {
        let url = format!("http://{}/{SHOP}/servo", self.to_service.address());
        let arguments = ["run", "shop", "--no-auth", "--url", &url];
        let mut command = self.workspace.servo(arguments).unwrap();
        command.env("SERVO_RETRY_DELAY_SEC", "0.2");
        Process::start(command).unwrap()
    }

    /// How the study stands, as the service itself says.
    async fn summary(&self) -> Value {
        let view = get(&format!("http://{}/api/v1/{SHOP}/trials", self.service)).await;
        view["summary"].clone()
    }

    /// Waits until the study has ended; how it stands then.
    async fn ended(&self) -> Value {
        loop {
            let from = self.to_service.exchanges();
            let summary = self.summary().await;
            // Nobody has spoken for the application at first.
            let state = summary["state"].as_str().unwrap_or_default();
            if ["done", "stopped", "failed"].contains(&state) {
                return summary;
            }
            self.to_service.exchange(from + 1).await;
        }
    }

    fn store(&self) -> PathBuf {
        self.workspace.path().join("optune/optune.db")
    }
}

/// SIGKILL, and waits until it is dead.
async fn kill(process: Process) {
    process.signal(Signal::KILL).unwrap();
    let ran = process.end().await.unwrap();
    assert_eq!(ran.code, None, "it had ended by itself: {ran:?}");
}

/// Open files and threads of a process.
fn holds(process: &Process) -> (usize, usize) {
    let id = process.id().unwrap();
    let count = |what: &str| {
        let folder = std::fs::read_dir(format!("/proc/{id}/{what}")).unwrap();
        folder.count()
    };
    (count("fd"), count("task"))
}

/// What a run ends with: one report of each command, as the store has it.
fn check_store(town: &Town) {
    let store = Connection::open(town.store()).unwrap();
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let mut events = store.prepare("SELECT body FROM events").unwrap();
    let bodies = events.query_map([], |row| row.get::<_, String>(0)).unwrap();
    for body in bodies {
        let body: Value = serde_json::from_str(&body.unwrap()).unwrap_or_default();
        if let Some(uid) = body["param"]["cmd_uid"].as_str() {
            *taken.entry(uid.to_owned()).or_default() += 1;
        }
    }
    let mut commands = store.prepare("SELECT uid, status FROM commands").unwrap();
    let commands = commands
        .query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
        })
        .unwrap();
    let mut number = 0;
    for command in commands {
        let (uid, status) = command.unwrap();
        assert!(status.is_some(), "{uid} has not ended");
        assert_eq!(taken.get(&uid), Some(&1), "reports of {uid}, {status:?}");
        number += 1;
    }
    assert!(number > 8, "{number} commands");
    assert_eq!(taken.len(), number);
}

async fn play(seed: u64) {
    eprintln!("seed {seed}");
    let town = Town::new(seed).await;
    let mut service = town.start_service().await;
    let mut servo = town.start_servo();
    let proxies = [&town.to_service, &town.to_app, &town.to_prometheus];

    // Now one, now the other, at the beginning of some exchange.
    let mut killed = 0;
    for number in 0..KILLS {
        let chance = seed.wrapping_mul(31).wrapping_add(number * 7);
        // Exchanges with the drivers' servers are rare; any of theirs will do.
        let (proxy, more) = match chance % 3 {
            0 => (&town.to_service, 1 + chance % 5),
            1 => (&town.to_app, 1),
            _ => (&town.to_prometheus, 1),
        };
        tokio::select! {
            () = proxy.exchange(proxy.exchanges() + more) => {}
            _ = town.ended() => break,
        }
        killed += 1;
        if chance.is_multiple_of(2) {
            kill(servo).await;
            servo = town.start_servo();
        } else {
            kill(service).await;
            service = town.start_service().await;
        }
    }

    // The same processes to the end, over the same bad network.
    let from = town.to_service.exchanges();
    tokio::select! {
        () = town.to_service.exchange(from + 2) => {}
        _ = town.ended() => {}
    }
    let (files, threads) = holds(&servo);
    let summary = town.ended().await;
    assert_eq!(summary["state"], "done", "{summary}");
    let struck: u64 = proxies.iter().map(|proxy| proxy.struck()).sum();
    assert!(struck > 3, "only {struck} exchanges met with something");

    assert!(killed > 1, "only {killed} processes were killed");

    let left = json!(town.app.settings());
    let (best, baseline) = (&summary["best"], &summary["baseline"]);
    let better = best["score"].as_f64() > baseline["score"].as_f64();
    let expected = if better { best } else { baseline };
    for (setting, value) in expected["settings"]["app"].as_object().unwrap() {
        assert_eq!(left[setting], *value, "{setting}: {left} {summary}");
    }
    let scored = throughput(town.app.settings());
    assert_eq!(expected["score"].as_f64(), Some(scored), "{summary}");

    // What was opened for connections that broke is closed again. Idle threads
    // of the runtime end by themselves, after seconds; nothing tells when.
    let began = Instant::now();
    loop {
        let (now_files, now_threads) = holds(&servo);
        if now_files <= files + KEPT && now_threads <= threads {
            break;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "files: {files}, then {now_files}; threads: {threads}, then {now_threads}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    for proxy in proxies {
        proxy.calm();
    }
    servo.signal(Signal::TERM).unwrap();
    let ran = servo.end().await.unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    service.signal(Signal::TERM).unwrap();
    assert_eq!(service.end().await.unwrap().code, Some(0));
    check_store(&town);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_cut_off_seed_1() {
    play(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_cut_off_seed_3() {
    play(3).await;
}
