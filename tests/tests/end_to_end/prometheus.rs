//! An application measured by what a real Prometheus records of it, from start
//! to end: the sample application under load, `servo run` with the drivers
//! `prom` and `http` in the sandbox, and `servo optune`.
//!
//! Samples in Prometheus never change, so the values that the service stored
//! must be, to the last bit, those that Prometheus gives for the same query and
//! window afterwards. A relay before Prometheus tells which windows were asked
//! for, and that nothing else was.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags};
use rustix::process::Signal;
use serde_json::{Map, Value};
use servo_demo::app::SampleApp;
use servo_tests::components::component;
use servo_tests::process::Process;
use servo_tests::program::{PROMETHEUS, present};
use servo_tests::prometheus::Prometheus;
use servo_tests::tap::{Asked, Tap};
use servo_tests::workspace::Workspace;

use crate::support::{client, get};

/// Trials after the baseline.
const TRIALS: i64 = 2;

const APPLICATION: &str = "accounts/acme/applications/shop";

/// Name and query of the metrics, in the order of their names.
const METRICS: [(&str, &str); 4] = [
    (
        "p95",
        "histogram_quantile(0.95, sum by (le) (rate(servo_demo_request_seconds_bucket[1s]))) * 1000",
    ),
    ("throughput", "sum(rate(servo_demo_requests_total[1s]))"),
    ("up", "up"),
    ("workers", "max(servo_demo_setting_workers)"),
];

/// All that runs beside the two that are tested.
struct Site {
    app: SampleApp,
    prometheus: Prometheus,
    tap: Tap,
    workspace: Workspace,
}

impl Site {
    async fn new() -> Self {
        let mut app = crate::support::app().await;
        app.admit_visitors(8);
        let targets = [("shop", app.local_addr())];
        let prometheus = tokio::task::spawn_blocking(move || Prometheus::start(&targets));
        let prometheus = prometheus.await.unwrap().unwrap();
        let tap = Tap::start(prometheus.address()).await.unwrap();
        let workspace = Workspace::new().unwrap();
        let file = servo_yaml(tap.address(), app.local_addr());
        workspace.write("servo.yaml", file).unwrap();
        let site = Self {
            app,
            prometheus,
            tap,
            workspace,
        };
        // A rate needs two samples of the application.
        let rate = format!("sum(rate({}[1s])) > 0", "servo_demo_requests_total");
        until("Prometheus has scraped the application", async || {
            let now = seconds(SystemTime::now());
            let found = site.ask(&rate, &now, &now).await;
            !found.is_empty()
        })
        .await;
        site
    }

    fn optune(&self, options: &str) -> Process {
        let fixed = "optune --listen 127.0.0.1:0 --no-auth --data data --objective throughput";
        let arguments = fixed.split(' ').chain(options.split(' '));
        Process::start(self.workspace.servo(arguments).unwrap()).unwrap()
    }

    fn servo(&self, service: &str) -> Process {
        let url = format!("{service}/{APPLICATION}/servo");
        let arguments = ["-vv", "run", "shop", "--no-auth", "--url", &url];
        Process::start(self.workspace.servo(arguments).unwrap()).unwrap()
    }

    /// What Prometheus itself says, as the service stores it: the series by
    /// id, each with its points.
    async fn ask(&self, query: &str, start: &str, end: &str) -> Vec<(String, Vec<[f64; 2]>)> {
        let parameters = [
            ("query", query),
            ("start", start),
            ("end", end),
            ("step", "1"),
        ];
        let url = format!("{}/api/v1/query_range", self.prometheus.url());
        let url = reqwest::Url::parse_with_params(&url, parameters).unwrap();
        let answer: Value = client()
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(answer["status"], "success", "{answer}");
        let result = answer["data"]["result"].as_array().unwrap();
        let mut all: Vec<_> = result
            .iter()
            .map(|series| {
                let values = series["values"].as_array().unwrap().iter();
                let values = values.map(|pair| {
                    let value = pair[1].as_str().unwrap().parse().unwrap();
                    [pair[0].as_f64().unwrap(), value]
                });
                (id(series["metric"].as_object().unwrap()), values.collect())
            })
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

/// The name of a series (reference 2.4; without labels ours is a dash).
fn id(labels: &Map<String, Value>) -> String {
    let mut pairs: Vec<String> = labels
        .iter()
        .filter(|(name, _)| *name != "__name__")
        .map(|(name, value)| format!("{name}:{}", value.as_str().unwrap()))
        .collect();
    pairs.sort();
    if pairs.is_empty() {
        pairs.push("-".to_owned());
    }
    pairs.join("   ")
}

fn servo_yaml(prometheus: SocketAddr, app: SocketAddr) -> String {
    let metrics: String = METRICS
        .iter()
        .map(|(name, query)| format!("        {name}: {{ query: '{query}', period: 1 }}\n"))
        .collect();
    format!(
        "\
drivers:
  measure:
    source: {prom}
    config:
      prometheus_endpoint: http://{prometheus}
      metrics:
{metrics}    grants:
      http:
        - {{ rule: \"GET ${{config.prometheus_endpoint}}/api/v1/\", private: true }}
  adjust:
    source: {http}
    config:
      endpoint: http://{app}/settings
      settings:
        workers: {{ min: 1, max: 8, step: 1 }}
      ready: {{ interval: 0.1 }}
    grants:
      http:
        - {{ rule: \"GET,PUT ${{config.endpoint}}\", private: true }}
",
        prom = component("prom").display(),
        http = component("http").display(),
    )
}

fn seconds(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap();
    format!("{:.3}", since.as_secs_f64())
}

/// Looks until something is so.
async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let look = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let patience = Duration::from_secs(120);
    let found = tokio::time::timeout(patience, look).await;
    found.unwrap_or_else(|_| panic!("not within {patience:?}: {what}"));
}

/// What the service has stored, once it has ended.
fn stored(folder: &Path) -> Vec<Stored> {
    let database = files(folder)
        .into_iter()
        .find(|file| {
            let head = std::fs::read(file).unwrap();
            head.starts_with(b"SQLite format 3\0")
        })
        .unwrap();
    let database = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE);
    let database = database.unwrap();
    let mut rows = database
        .prepare("SELECT trial, score, body FROM measurements ORDER BY seq")
        .unwrap();
    let rows = rows.query_map([], |row| {
        Ok(Stored {
            trial: row.get::<_, i64>(0)?,
            score: row.get(1)?,
            body: row.get::<_, String>(2)?,
        })
    });
    rows.unwrap().map(Result::unwrap).collect()
}

struct Stored {
    trial: i64,
    score: Option<f64>,
    body: String,
}

impl Stored {
    fn series(&self, metric: &str) -> Vec<(String, Vec<[f64; 2]>)> {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        let values = body["metrics"][metric]["values"].as_array();
        let values = values.unwrap_or_else(|| panic!("{metric}: {body}"));
        values
            .iter()
            .map(|instance| {
                let points = instance["data"].as_array().unwrap().iter();
                let number = |value: &Value| value.as_f64().unwrap();
                let points = points.map(|point| [number(&point[0]), number(&point[1])]);
                (
                    instance["id"].as_str().unwrap().to_owned(),
                    points.collect(),
                )
            })
            .collect()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The windows of one measurement: start and end by metric.
type Windows = Vec<(String, String)>;

/// What the driver asked for, measurement by measurement: first each query for
/// the last minute, then each for the window.
fn measurements(asked: &[Asked]) -> Vec<Windows> {
    let parameter = |asked: &Asked, name: &str| asked.parameter(name).unwrap();
    for one in asked {
        assert_eq!(
            (one.method.as_str(), one.path()),
            ("GET", "/api/v1/query_range"),
            "the driver touched something else"
        );
    }
    let calls = asked.chunks(2 * METRICS.len());
    calls
        .map(|call| {
            let (checks, windows) = call.split_at(METRICS.len());
            let queries = METRICS.map(|(_, query)| query.to_owned());
            for part in [checks, windows] {
                let asked: Vec<_> = part.iter().map(|one| parameter(one, "query")).collect();
                assert_eq!(asked, queries);
            }
            let windows = windows.iter();
            windows
                .map(|one| (parameter(one, "start"), parameter(one, "end")))
                .collect()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_stored_is_what_prometheus_says() {
    let name = "what_the_service_stored_is_what_prometheus_says";
    if !present(name, &[PROMETHEUS]) {
        return;
    }
    let site = Site::new().await;
    // With a warm-up longer than the range of a rate, the window knows nothing
    // of the settings before; with a delay longer than a scrape, all of its
    // samples are there.
    let options = format!("--trials {TRIALS} --duration 2 --warmup 1.3 --delay 0.5");
    let mut optune = site.optune(&options);
    let service = optune.line("servo ").await.unwrap();
    let service = service.strip_suffix("/servo").unwrap();
    let servo = site.servo(service);
    optune.line("acme/shop: done").await.unwrap();
    let view = get(&format!("{service}/api/v1/{APPLICATION}/trials")).await;
    servo.signal(Signal::TERM).unwrap();
    let servo = servo.end().await.unwrap();
    optune.signal(Signal::TERM).unwrap();
    let optune = optune.end().await.unwrap();
    assert_eq!((servo.code, optune.code), (Some(0), Some(0)), "{servo:?}");
    let asked = site.tap.take();

    // The host refused nothing, and let through what the relay saw.
    let audit = |verdict: &str| {
        let lines = servo.stderr.lines();
        lines.filter(|line| line.contains(verdict)).count()
    };
    assert_eq!(audit("request refused"), 0, "{}", servo.stderr);
    let at_prometheus = format!("GET {}/api/v1/query_range", site.tap.url());
    assert_eq!(audit(&at_prometheus), asked.len(), "{}", servo.stderr);

    let measured = stored(site.workspace.path());
    let trials: Vec<i64> = measured.iter().map(|one| one.trial).collect();
    assert_eq!(trials, (0..=TRIALS).collect::<Vec<_>>(), "{view}");
    let windows = measurements(&asked);
    assert_eq!(windows.len(), measured.len());
    for (one, windows) in measured.iter().zip(&windows) {
        for ((metric, query), (start, end)) in METRICS.iter().zip(windows) {
            let length = end.parse::<f64>().unwrap() - start.parse::<f64>().unwrap();
            assert!((length - 2.0).abs() < 1e-6, "{start} to {end}");
            let theirs = site.ask(query, start, end).await;
            let ours = one.series(metric);
            assert_eq!(ours, theirs, "{metric} of trial {}", one.trial);
            assert_eq!(ours.len(), 1, "{metric}: {ours:?}");
            assert_eq!(ours[0].1.len(), 3, "{metric}: {ours:?}");
        }
        let up = &one.series("up")[0];
        let target = format!("instance:{}   job:shop", site.app.local_addr());
        assert_eq!(up.0, target);
        assert!(up.1.iter().all(|point| point[1] == 1.0), "{up:?}");
        // Each window belongs to the settings of its trial, and the score to
        // the values that were compared.
        let recorded = match one.trial {
            0 => &view["summary"]["baseline"],
            number => &view["trials"][usize::try_from(number).unwrap() - 1],
        };
        let workers = recorded["settings"]["app"]["workers"].as_f64();
        let workers = workers.unwrap_or_else(|| panic!("{recorded}"));
        let seen = &one.series("workers")[0].1;
        assert!(seen.iter().all(|point| point[1] == workers), "{seen:?}");
        let points = &one.series("throughput")[0].1;
        let mean = points.iter().map(|point| point[1]).sum::<f64>() / points.len() as f64;
        assert!(mean > 0.0, "{points:?}");
        for score in [one.score, recorded["score"].as_f64()] {
            assert!(
                (score.unwrap() / mean - 1.0).abs() < 1e-12,
                "{score:?} {mean}"
            );
        }
    }
    let best = view["summary"]["settings"]["app"]["workers"].as_u64();
    let left = get(&format!("http://{}/settings", site.app.local_addr())).await;
    assert_eq!(left["workers"].as_u64(), best, "{view}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servo_that_is_killed_in_the_wait_reports_the_window_it_had_begun() {
    let name = "a_servo_that_is_killed_in_the_wait_reports_the_window_it_had_begun";
    if !present(name, &[PROMETHEUS]) {
        return;
    }
    let site = Site::new().await;
    let mut optune = site.optune("--trials 1 --duration 4 --delay 0.5");
    let service = optune.line("servo ").await.unwrap();
    let service = service.strip_suffix("/servo").unwrap();
    let trials = format!("{service}/api/v1/{APPLICATION}/trials");
    let servo = site.servo(service);
    // The baseline has begun to wait.
    until("the service hears of the wait", async || {
        let answer = client().get(&trials).send().await.unwrap();
        let text = answer.text().await.unwrap();
        text.contains("4 s measured")
    })
    .await;
    servo.signal(Signal::KILL).unwrap();
    let killed = servo.end().await.unwrap();
    let at = SystemTime::now();
    assert_eq!(killed.code, None);
    let checks = site.tap.take();
    assert_eq!(checks.len(), METRICS.len());

    let servo = site.servo(service);
    optune.line("baseline of acme/shop").await.unwrap();
    servo.signal(Signal::TERM).unwrap();
    let servo = servo.end().await.unwrap();
    optune.signal(Signal::TERM).unwrap();
    optune.end().await.unwrap();
    assert_eq!(servo.code, Some(0), "{}", servo.stderr);
    // Of the baseline; the trial after it may have begun.
    let asked = [checks, site.tap.take()].concat();
    let asked = asked
        .get(..2 * METRICS.len())
        .expect("no window was asked for");
    let [windows]: [Windows; 1] = measurements(asked).try_into().unwrap();

    let measured = stored(site.workspace.path());
    let baseline = &measured[0];
    assert_eq!(baseline.trial, 0);
    let killed = at.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    for ((metric, query), (start, end)) in METRICS.iter().zip(&windows) {
        let length = end.parse::<f64>().unwrap() - start.parse::<f64>().unwrap();
        assert!((length - 4.0).abs() < 1e-6, "it began again: {asked:?}");
        let ours = baseline.series(metric);
        assert_eq!(ours, site.ask(query, start, end).await, "{metric}");
        let points = &ours[0].1;
        assert_eq!(points.len(), 5, "{metric}: {points:?}");
        let (first, last) = (points[0][0], points[4][0]);
        assert!(
            first < killed && killed < last,
            "{metric}: the servo ended at {killed}, the window is {first} to {last}"
        );
    }
}
