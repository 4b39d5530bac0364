//! The driver `prom` as a component on a real Prometheus: the cases of its
//! reference (drivers-measure 2.8) by number.
//!
//! The waits are the host's, so the agent's clock is fake while a call waits
//! and real while the driver runs: a case that waits 160 seconds takes none,
//! and requests keep their real time limits. What was asked is read off the
//! wire by a relay between the driver and Prometheus; what was answered is what
//! Prometheus answers.

mod clocked;

use std::pin::Pin;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use serde_json::{Value, json};
use servo_agent::{
    Answer, Call, CallId, CallLimits, DriverFailure, Ended, MeasureDriver, MeasureRequest,
    NoJournal, NoObserver, Pacing, ProgressReport, Reporter, Start, Undelivered,
};
use servo_host::Sandboxed;
use servo_protocol::Measurement;
use servo_tests::program::{PROMETHEUS, present};
use servo_tests::prometheus::Prometheus;
use servo_tests::tap::{Asked, Tap};
use tokio_util::sync::CancellationToken;

use crate::support::{driver, listener};
use clocked::Clocked;

/// A series that is the same at all times, with labels as a scraped one has.
const ORDERS: &str = "label_replace(label_replace(vector(12), \
     'instance', '10.0.0.7:9100', '', ''), 'job', 'shop', '', '')";

/// What all cases share.
struct Bench {
    prometheus: Prometheus,
    tap: Tap,
}

impl Bench {
    async fn new() -> Self {
        let prometheus = Prometheus::start(&[]).unwrap();
        let tap = Tap::start(prometheus.address()).await.unwrap();
        Self { prometheus, tap }
    }

    /// The driver's section, for these metrics.
    fn section(&self, metrics: Value) -> Value {
        json!({ "prometheus_endpoint": self.tap.url(), "metrics": metrics })
    }

    async fn measure(&self, section: Value, metrics: &[&str], control: Value) -> Seen {
        self.measure_with(section, metrics, control, None).await
    }

    async fn measure_with(
        &self,
        section: Value,
        metrics: &[&str],
        control: Value,
        cancel_at: Option<&'static str>,
    ) -> Seen {
        let _ = self.tap.take();
        let driver = prom(section, &self.tap.url()).await;
        let began = now_millis();
        let (outcome, waits) = call(&driver, metrics, control, cancel_at, &|| {}).await;
        Seen {
            outcome,
            waits,
            asked: self.tap.take(),
            between: (began, now_millis()),
            refused: driver.bound().ledger().denials.len(),
        }
    }
}

/// What a call did.
struct Seen {
    outcome: Result<Measurement, DriverFailure>,
    /// How long it waited between its steps.
    waits: Vec<Duration>,
    asked: Vec<Asked>,
    /// When it was made, in milliseconds since the Unix epoch.
    between: (u64, u64),
    refused: usize,
}

impl Seen {
    fn measured(&self) -> Value {
        serde_json::to_value(self.outcome.as_ref().unwrap()).unwrap()
    }

    fn failure(&self) -> &DriverFailure {
        self.outcome.as_ref().unwrap_err()
    }

    /// Every request is the one that the driver is for.
    fn windows(&self) -> Vec<Window> {
        assert_eq!(self.refused, 0);
        self.asked.iter().map(Window::of).collect()
    }
}

/// One range query.
#[derive(Debug, PartialEq)]
struct Window {
    query: String,
    start: u64,
    end: u64,
    step: String,
}

impl Window {
    fn of(asked: &Asked) -> Self {
        assert_eq!(
            (asked.method.as_str(), asked.path()),
            ("GET", "/api/v1/query_range")
        );
        assert_eq!(asked.parameters().len(), 4, "{asked:?}");
        let parameter = |name| asked.parameter(name).unwrap();
        Self {
            query: parameter("query"),
            start: millis(&parameter("start")),
            end: millis(&parameter("end")),
            step: parameter("step"),
        }
    }
}

/// Seconds with at most three decimals.
fn millis(seconds: &str) -> u64 {
    let (whole, rest) = seconds.split_once('.').unwrap_or((seconds, "0"));
    assert!(rest.len() <= 3, "{seconds}");
    whole.parse::<u64>().unwrap() * 1000 + format!("{rest:0<3}").parse::<u64>().unwrap()
}

fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// The component, which may ask for `/api/v1/` of one address.
async fn prom(section: Value, url: &str) -> Sandboxed {
    let rule = format!("GET {url}/api/v1/");
    let grants = json!({ "http": [{ "rule": rule, "private": true }] });
    driver("prom", section, grants).await
}

/// Cancels with the first report that has these words.
struct CancelAt(Option<&'static str>);

#[async_trait]
impl Reporter for CancelAt {
    async fn report(&self, report: &ProgressReport, _: Duration) -> Result<Answer, Undelivered> {
        let message = report.message.as_deref().unwrap_or_default();
        Ok(match self.0 {
            Some(words) if message.contains(words) => Answer::Cancel("enough".to_owned()),
            _ => Answer::Proceed,
        })
    }
}

fn whole_call<'a>(
    driver: &Sandboxed,
    reporter: &'a dyn Reporter,
    stop: &'a CancellationToken,
) -> Call<'a> {
    Call {
        id: CallId::random(),
        app: "shop",
        cmd_uid: None,
        limits: CallLimits::from(&driver.bound().grants().budget),
        pacing: Pacing::default(),
        reporter,
        journal: &NoJournal,
        observer: &NoObserver,
        stop,
        start: Start::Fresh,
    }
}

/// One call, as the agent makes it. The clock can only be changed where there
/// is one thread, so the test that calls this must have a runtime of that kind.
async fn call(
    driver: &Sandboxed,
    metrics: &[&str],
    control: Value,
    cancel_at: Option<&'static str>,
    when_paused: &(dyn Fn() + Sync),
) -> (Result<Measurement, DriverFailure>, Vec<Duration>) {
    let clocked = Clocked::new(driver, when_paused);
    let request = MeasureRequest {
        metrics: Some(metrics.iter().map(|name| (*name).to_owned()).collect()),
        control: serde_json::from_value(control).unwrap(),
    };
    let stop = CancellationToken::new();
    let reporter = CancelAt(cancel_at);
    let call = whole_call(driver, &reporter, &stop);
    let ended = call.measure(&clocked, &request).await;
    let outcome = match ended {
        Ended::Done(measurement) => Ok(measurement),
        Ended::Failed(failure) => Err(failure),
        Ended::Abandoned(why) => panic!("abandoned: {why}"),
    };
    (outcome, clocked.into_waits())
}

/// Ids and points of a metric.
fn series(measured: &Value, metric: &str) -> Vec<(String, Vec<(u64, f64)>)> {
    let instances = measured["metrics"][metric]["values"].as_array().unwrap();
    let point = |point: &Value| {
        let time = (point[0].as_f64().unwrap() * 1000.0).round();
        (time as u64, point[1].as_f64().unwrap())
    };
    instances
        .iter()
        .map(|instance| {
            let id = instance["id"].as_str().unwrap().to_owned();
            let points = instance["data"].as_array().unwrap();
            (id, points.iter().map(point).collect())
        })
        .collect()
}

fn orders() -> Value {
    json!({ "orders": { "query": ORDERS, "unit": "rps" }, "p95": { "query": "vector(95)" } })
}

fn control() -> Value {
    json!({ "warmup": 30, "duration": 120, "delay": 10 })
}

type Done<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;
type Case = for<'a> fn(&'a Bench) -> Done<'a>;

/// The cases of the reference.
const CASES: [(u32, Case); 12] = [
    (1, |_| Box::pin(describe_asks_nothing())),
    (2, |bench| Box::pin(check_wait_window(bench))),
    (3, |bench| Box::pin(the_period_is_the_step(bench))),
    (4, |bench| Box::pin(values(bench))),
    (5, |bench| Box::pin(the_query_arrives_as_written(bench))),
    (6, |bench| Box::pin(only_the_configured(bench))),
    (7, |bench| Box::pin(nothing_configured(bench))),
    (8, |bench| Box::pin(an_error_before_the_wait(bench))),
    (9, |bench| Box::pin(no_duration_no_request(bench))),
    (10, |bench| Box::pin(below_the_configured_address(bench))),
    (11, |bench| Box::pin(labels_become_ids(bench))),
    (12, |bench| Box::pin(a_cancel_ends_the_wait(bench))),
];

#[tokio::test]
async fn every_case_of_the_reference() {
    if !present("every_case_of_the_reference", &[PROMETHEUS]) {
        return;
    }
    let numbers: Vec<u32> = CASES.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    let bench = Bench::new().await;
    for (number, case) in CASES {
        // Shown when it fails.
        println!("case {number}");
        case(&bench).await;
    }
}

async fn describe_asks_nothing() {
    let socket = listener();
    let url = format!("http://{}", socket.address);
    let section = json!({ "prometheus_endpoint": url, "metrics": orders() });
    let driver = prom(section, &url).await;
    let stop = CancellationToken::new();
    let call = whole_call(&driver, &CancelAt(None), &stop);
    let described = call.describe(async |cx| MeasureDriver::describe(&driver, &cx).await);
    let described = described.await.unwrap();
    assert_eq!(
        serde_json::to_value(described).unwrap(),
        json!({ "orders": { "unit": "rps" }, "p95": {} })
    );
    assert_eq!(socket.heard(), 0);
}

async fn check_wait_window(bench: &Bench) {
    for (check, length) in [(None, 60_000), (Some(600), 600_000), (Some(0), 0)] {
        let mut section = bench.section(orders());
        if let Some(seconds) = check {
            section["check_window"] = json!(seconds);
        }
        let seen = bench.measure(section, &["orders"], control()).await;
        assert_eq!(seen.waits, [Duration::from_secs(160)]);
        let mut windows = seen.windows();
        let window = windows.pop().unwrap();
        assert_eq!(windows.len(), usize::from(length > 0));
        let (mut began, ended) = seen.between;
        if let [asked] = windows.as_slice() {
            assert!((began..=ended).contains(&asked.end), "{asked:?}");
            assert_eq!(asked.end - asked.start, length);
            assert_eq!((asked.query.as_str(), asked.step.as_str()), (ORDERS, "60"));
            began = asked.end;
        }
        // The window begins a warm-up after the check has ended.
        let start = window.start;
        assert!((began..=ended).contains(&(start - 30_000)), "{window:?}");
        let expected = Window {
            query: ORDERS.to_owned(),
            start,
            end: start + 120_000,
            step: "60".to_owned(),
        };
        assert_eq!(window, expected);

        let measured = seen.measured();
        let sample = &measured["metrics"]["orders"];
        assert_eq!(
            (&sample["annotation"], &sample["unit"]),
            (&json!(ORDERS), &json!("rps"))
        );
        let points = [0, 60_000, 120_000].map(|after| (start + after, 12.0));
        let id = "instance:10.0.0.7:9100   job:shop".to_owned();
        assert_eq!(series(&measured, "orders"), [(id, points.to_vec())]);
        assert_eq!(measured["metrics"].as_object().unwrap().len(), 1);
        assert!(measured.get("annotations").is_none(), "{measured}");
    }
}

async fn the_period_is_the_step(bench: &Bench) {
    for period in [json!(15), json!(15.9)] {
        let section =
            bench.section(json!({ "orders": { "query": "vector(1)", "period": period } }));
        let seen = bench.measure(section, &["orders"], control()).await;
        let steps: Vec<_> = seen.windows().into_iter().map(|one| one.step).collect();
        assert_eq!(steps, ["15", "15"]);
        let points = &series(&seen.measured(), "orders")[0].1;
        assert_eq!(
            points.len(),
            9,
            "120 s in steps of 15 s, both ends included"
        );
    }
}

async fn values(bench: &Bench) {
    let texts = ["12", "0.25", "NaN", "+Inf", "5e-07", "1.5e-07", "-3"];
    let one = |text: &str| format!("label_replace(vector({text}), 'v', '{text}', '', '')");
    let query = texts.map(one).join(" or ");
    let section = bench.section(json!({ "orders": { "query": query } }));
    let seen = bench
        .measure(section, &["orders"], json!({ "duration": 60 }))
        .await;
    let mut found: Vec<(String, Vec<f64>)> = series(&seen.measured(), "orders")
        .into_iter()
        .map(|(id, points)| (id, points.into_iter().map(|(_, value)| value).collect()))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let number = |value: f64| vec![value; 2];
    let mut expected: Vec<(String, Vec<f64>)> = [
        ("12", number(12.0)),
        ("0.25", number(0.25)),
        ("NaN", vec![]),
        ("+Inf", vec![]),
        ("5e-07", number(5e-07)),
        ("1.5e-07", number(1.5e-07)),
        ("-3", number(-3.0)),
    ]
    .map(|(text, values)| (format!("v:{text}"), values))
    .to_vec();
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(found, expected);
}

async fn the_query_arrives_as_written(bench: &Bench) {
    // What the table asks for, and one that Prometheus sends back.
    let echoed = r#"label_replace(vector(1) + vector(2), "x", "p&q#r%41;+ é", "", "")"#;
    for (query, series_found) in [
        (r#"a + b{x=~"p&q#r"}"#, vec![]),
        (echoed, vec![("x:p&q#r%41;+ é", 3.0)]),
    ] {
        let section = bench.section(json!({ "orders": { "query": query } }));
        let seen = bench
            .measure(section, &["orders"], json!({ "duration": 1 }))
            .await;
        for window in seen.windows() {
            assert_eq!(window.query, query);
        }
        let found = series(&seen.measured(), "orders");
        let found: Vec<_> = found
            .iter()
            .map(|(id, points)| (id.as_str(), points[0].1))
            .collect();
        assert_eq!(found, series_found);
    }
}

async fn only_the_configured(bench: &Bench) {
    let section = bench.section(orders());
    let seen = bench
        .measure(section, &["orders", "derived"], control())
        .await;
    let queries: Vec<_> = seen.windows().into_iter().map(|one| one.query).collect();
    assert_eq!(queries, [ORDERS, ORDERS]);
    let measured = seen.measured();
    let names: Vec<_> = measured["metrics"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["orders"]);
}

async fn nothing_configured(bench: &Bench) {
    let section = bench.section(orders());
    let seen = bench.measure(section, &["derived"], control()).await;
    assert_eq!((seen.asked.len(), seen.waits.len()), (0, 0));
    let failure = seen.failure();
    assert_eq!(failure.status.as_str(), "failed", "{failure}");
    assert_eq!(
        failure.reason.as_ref().unwrap().as_str(),
        "invalid-measurement"
    );
}

async fn an_error_before_the_wait(bench: &Bench) {
    for (query, status, words) in [
        ("sum(", "400", "bad_data: 1:5: parse error"),
        (
            "label_replace(vector(1), '1x', '', '', '')",
            "422",
            "execution: invalid destination label",
        ),
    ] {
        let section = bench.section(json!({ "orders": { "query": query } }));
        let seen = bench.measure(section, &["orders"], control()).await;
        assert_eq!((seen.asked.len(), seen.waits.len()), (1, 0));
        let failure = seen.failure();
        assert_eq!(failure.status.as_str(), "failed", "{failure}");
        for part in [&format!("{query:?}"), status, words, "orders"] {
            assert!(failure.message.contains(part), "{part}: {failure}");
        }
    }
}

async fn no_duration_no_request(bench: &Bench) {
    let section = bench.section(orders());
    let seen = bench
        .measure(section, &["orders"], json!({ "warmup": 1 }))
        .await;
    assert_eq!((seen.asked.len(), seen.waits.len()), (0, 0));
    let failure = seen.failure();
    assert_eq!(failure.reason.as_ref().unwrap().as_str(), "invalid-input");
    assert!(failure.message.contains("control.duration"), "{failure}");
}

async fn below_the_configured_address(bench: &Bench) {
    // A component has no environment, so there is nothing to win over.
    for end in ["", "/", "//"] {
        let mut section = bench.section(orders());
        section["prometheus_endpoint"] = json!(format!("{}{end}", bench.tap.url()));
        let seen = bench.measure(section, &["orders"], control()).await;
        assert_eq!(seen.windows().len(), 2);
        seen.measured();
    }
}

async fn labels_become_ids(bench: &Bench) {
    let query = "label_replace(label_replace(vector(1), 'b', '2', '', ''), 'a', '1', '', '') \
                 or vector(2)";
    let section = bench.section(json!({ "orders": { "query": query } }));
    let seen = bench
        .measure(section, &["orders"], json!({ "duration": 1 }))
        .await;
    let found = series(&seen.measured(), "orders");
    let found: Vec<_> = found
        .iter()
        .map(|(id, points)| (id.as_str(), points[0].1))
        .collect();
    assert_eq!(found, [("-", 2.0), ("a:1   b:2", 1.0)]);
}

async fn a_cancel_ends_the_wait(bench: &Bench) {
    let section = bench.section(orders());
    let control = json!({ "warmup": 30, "duration": 1200, "delay": 10 });
    let seen = bench
        .measure_with(section, &["orders"], control, Some("1200 s measured"))
        .await;
    let failure = seen.failure();
    assert_eq!(failure.status.as_str(), "cancelled", "{failure}");
    assert_eq!(seen.windows().len(), 1, "only the check");
    // The next report was due within two seconds.
    assert!(seen.waits[0] <= Duration::from_secs(2), "{:?}", seen.waits);
}

#[tokio::test]
async fn a_path_that_is_not_granted_is_refused_and_prometheus_hears_nothing() {
    let name = "a_path_that_is_not_granted_is_refused_and_prometheus_hears_nothing";
    if !present(name, &[PROMETHEUS]) {
        return;
    }
    let bench = Bench::new().await;
    let url = bench.tap.url();
    let grants = json!({ "http": [
        { "rule": format!("GET {url}/api/v1/labels"), "private": true },
    ]});
    let driver = driver("prom", bench.section(orders()), grants).await;
    let (outcome, waits) = call(&driver, &["orders"], control(), None, &|| {}).await;
    let failure = outcome.unwrap_err();
    assert_eq!(failure.reason.as_ref().unwrap().as_str(), "denied");
    let line = format!("- {{ rule: \"GET {url}/api/v1/\", private: true }}");
    assert!(failure.message.contains(&line), "{failure}");
    assert_eq!((bench.tap.take(), waits), (vec![], vec![]));
}

#[tokio::test]
async fn a_prometheus_that_goes_away_during_the_wait_is_a_failure_that_names_the_query() {
    let name = "a_prometheus_that_goes_away_during_the_wait_is_a_failure_that_names_the_query";
    if !present(name, &[PROMETHEUS]) {
        return;
    }
    let Bench { prometheus, tap } = Bench::new().await;
    let url = prometheus.url();
    drop(tap);
    let section = json!({ "prometheus_endpoint": url, "metrics": orders() });
    let driver = prom(section, &url).await;
    let running = Mutex::new(Some(prometheus));
    let stop = || drop(running.lock().unwrap().take());
    let (outcome, waits) = call(&driver, &["orders"], control(), None, &stop).await;
    assert_eq!(waits, [Duration::from_secs(160)]);
    let failure = outcome.unwrap_err();
    assert_eq!(failure.status.as_str(), "failed");
    for part in [&format!("{ORDERS:?}"), "no connection"] {
        assert!(failure.message.contains(part), "{part}: {failure}");
    }
}

/// A server with one answer, which writes down the heads of its requests.
fn tenant_server() -> (String, std::sync::Arc<Mutex<Vec<String>>>) {
    use std::io::{BufRead as _, BufReader, Write as _};
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let heads = std::sync::Arc::new(Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&heads);
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            seen.lock().unwrap().push(head.join("\n"));
            let body = json!({ "status": "success", "data": { "resultType": "matrix", "result": [
                { "metric": {}, "values": [[1_700_000_000, "12"]] },
            ] } });
            let body = body.to_string();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        }
    });
    (url, heads)
}

/// A backend behind a tenant header: plain headers in the driver's configuration,
/// within the names that the rule allows.
#[tokio::test]
async fn field_03_a_tenant_header_in_the_config_is_sent_where_the_rule_names_it() {
    let (url, heads) = tenant_server();
    let section = json!({
        "prometheus_endpoint": url,
        "metrics": { "orders": { "query": "orders" } },
        "headers": { "X-Scope-OrgID": "team-a" },
    });
    let rule = format!("GET {url}/api/v1/");
    let ask = async |grant: Value| {
        let driver = driver("prom", section.clone(), json!({ "http": [grant] })).await;
        let asked = driver.ungranted().iter().map(ToString::to_string);
        let asked = asked.collect::<Vec<_>>().concat();
        let (outcome, _) = call(&driver, &["orders"], control(), None, &|| {}).await;
        (outcome, asked)
    };
    // Not named: nothing arrives, and both the check and the failure say what to write.
    let (outcome, asked) = ask(json!({ "rule": rule, "private": true })).await;
    let failure = outcome.unwrap_err();
    assert_eq!(failure.reason.as_ref().unwrap().as_str(), "denied");
    let line = "`headers: [x-scope-orgid]` to `grants.http[0]`";
    assert!(asked.contains(line), "{asked}");
    let message = failure.message.to_string();
    assert!(message.contains("headers: [x-scope-orgid] }"), "{message}");
    assert_eq!(*heads.lock().unwrap(), Vec::<String>::new());
    // Named, in another spelling: it is there as the configuration has it.
    let named = json!({ "rule": rule, "private": true, "headers": ["X_Scope_OrgID"] });
    let (outcome, asked) = ask(named).await;
    assert!(!asked.contains("grants.http[0]"), "{asked}");
    outcome.unwrap();
    let heads = heads.lock().unwrap();
    assert!(!heads.is_empty());
    for head in heads.iter() {
        assert!(
            head.to_ascii_lowercase().contains("x-scope-orgid: team-a"),
            "{head}"
        );
    }
}
