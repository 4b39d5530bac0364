//! The driver `ab` as a component against the program `ab`, on the same nginx.
//!
//! The throughput of the server is bounded by a rate of its own, exactly and
//! whatever else this machine does, so there is a true value that both have to
//! find. They run by turns, several short runs each, and the medians are
//! compared: a disturbance then hits both, or is left out.
//!
//! Most runs end with a number of requests and not after a time: what is given
//! up in flight at the end of a time still takes its turn at the server, at the
//! cost of the next run.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic in a test is the report"
)]

#[path = "end_to_end/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::{Value, json};
use servo_host::Sandboxed;
use servo_protocol::Measurement;
use servo_tests::ab::{Ab, AbError, Figures};
use servo_tests::nginx::{Excess, Limit, Nginx, Served};
use servo_tests::program::{AB, NGINX, present};

use support::{driver, figure, measure, note};

/// What `drivers/ab/README.md` states.
const TOLERANCE: f64 = 0.05;

/// The same for half of the times. It is held against a mean, and while other
/// programs use the machine some requests take long, which moves a mean and
/// leaves a median where it was.
const TOLERANCE_OF_HALF: f64 = 0.10;

/// Runs of each; odd, for a median.
const RUNS: usize = 3;

const BODY: &str = "sixteen bytes.\r\n";

async fn ab_driver(url: &str, keep_alive: bool) -> Sandboxed {
    let config = json!({ "test_url": url, "keep_alive": keep_alive });
    let (place, _) = url.split_once('?').unwrap_or((url, ""));
    let grants = json!({
        "http": [{ "rule": format!("GET {place}"), "private": true }],
        "limits": { "cpu": "1m", "requests": 1_000_000, "request_rate": 1_000_000, "concurrent_requests": 64 },
    });
    driver("ab", config, grants).await
}

fn load(threads: u32, requests: u64, seconds: u32) -> Value {
    json!({ "load": {
        "n_threads": threads, "n_requests": requests, "t_limit": seconds, "t_warmup": 0,
    }})
}

/// How many answers the driver took, from its own words: each has one body.
fn completed(measurement: &Measurement) -> usize {
    let bytes: usize = note(measurement, "bytes").parse().unwrap();
    assert_eq!(bytes % BODY.len(), 0);
    bytes / BODY.len()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn answered(served: &[Served], path: &str) -> usize {
    let ours = served.iter().filter(|one| one.path == path);
    ours.filter(|one| one.status == 200).count()
}

/// When a run ends. Both are some two seconds.
#[derive(Debug, Clone, Copy)]
enum End {
    Requests,
    Seconds,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    rate: u32,
    threads: u32,
    keep_alive: bool,
    end: End,
}

const SECONDS: u32 = 2;

async fn compare(case: Case) {
    let title = format!("{case:?}");
    let limit = Limit {
        per_second: case.rate,
        burst: 100,
        excess: Excess::Waits,
    };
    let nginx = Nginx::builder()
        .limited_file("/limited", BODY, limit)
        .start()
        .unwrap();
    let url = nginx.url("/limited");
    // The query tells in the log of nginx whose request it was.
    let driver = ab_driver(&format!("{url}?driver"), case.keep_alive).await;
    let requests = case.rate * SECONDS;
    let (program, control) = match case.end {
        End::Requests => (
            Ab::requests(case.threads, requests.into()),
            load(case.threads, requests.into(), 0),
        ),
        End::Seconds => (
            Ab::seconds(case.threads, SECONDS),
            load(case.threads, 1_000_000, SECONDS),
        ),
    };
    let program = if case.keep_alive {
        program.keep_alive()
    } else {
        program
    };
    let mut theirs: Vec<Figures> = Vec::new();
    let mut ours: Vec<Measurement> = Vec::new();
    for _ in 0..RUNS {
        theirs.push(program.run(&url).unwrap());
        let before = answered(&nginx.served().unwrap(), "/limited?driver");
        let run = measure(&driver, control.clone()).await.unwrap();
        let gave = answered(&nginx.served().unwrap(), "/limited?driver") - before;
        let took = completed(&run);
        // What is on its way when the time is up was given and not taken.
        let lost = match case.end {
            End::Requests => 0,
            End::Seconds => case.threads as usize,
        };
        assert!((took..=took + lost).contains(&gave), "{took} of {gave}");
        ours.push(run);
    }
    let figures = |metric: &str| median(ours.iter().map(|run| figure(run, metric)).collect());
    let median_of = |of: fn(&Figures) -> f64| median(theirs.iter().map(of).collect());
    for (what, ours, theirs, tolerance) in [
        (
            "throughput",
            figures("throughput"),
            median_of(|ab| ab.requests_per_second),
            TOLERANCE,
        ),
        (
            "time per request",
            figures("latency"),
            median_of(|ab| ab.time_per_request),
            TOLERANCE,
        ),
        (
            "time between answers",
            figures("latency_concurrent"),
            median_of(|ab| ab.time_per_request_across_all),
            TOLERANCE,
        ),
        // Every request waits for its turn, so the times of all are alike: what
        // is taken of each must agree with what is computed from the whole.
        (
            "half of the times",
            figures("latency_p50"),
            median_of(|ab| ab.time_per_request),
            TOLERANCE_OF_HALF,
        ),
    ] {
        let off = (ours - theirs).abs() / theirs;
        assert!(
            off <= tolerance,
            "{title}: {what}: {ours} against {theirs} of ab"
        );
    }
    for (ab, run) in theirs.iter().zip(&ours) {
        assert_eq!((ab.failed, ab.non_2xx), (0, 0), "{title}");
        assert_eq!(figure(run, "errors"), 0.0, "{title}");
        assert_eq!(note(run, "non_2xx"), "0", "{title}");
    }
}

/// One test, since two at a time would disturb each other.
#[tokio::test(flavor = "multi_thread")]
async fn it_finds_what_ab_finds() {
    if !present("it_finds_what_ab_finds", &[NGINX, AB]) {
        return;
    }
    for (rate, threads, keep_alive, end) in [
        (100, 5, false, End::Requests),
        (100, 10, true, End::Requests),
        (300, 10, false, End::Requests),
        (300, 5, true, End::Seconds),
    ] {
        compare(Case {
            rate,
            threads,
            keep_alive,
            end,
        })
        .await;
    }
}

/// As `Connection: close` and keep-alive look to the server.
#[tokio::test(flavor = "multi_thread")]
async fn every_request_has_a_connection_of_its_own_unless_they_are_kept() {
    const REQUESTS: u64 = 60;
    const THREADS: u64 = 4;
    let test = "every_request_has_a_connection_of_its_own_unless_they_are_kept";
    if !present(test, &[NGINX]) {
        return;
    }
    for keep_alive in [false, true] {
        let nginx = Nginx::builder().file("/file", BODY).start().unwrap();
        let driver = ab_driver(&nginx.url("/file"), keep_alive).await;
        let run = measure(&driver, load(THREADS as u32, REQUESTS, 0))
            .await
            .unwrap();
        assert_eq!(completed(&run), REQUESTS as usize);

        let served = nginx.served().unwrap();
        assert_eq!(answered(&served, "/file"), REQUESTS as usize);
        assert_eq!(served.len(), REQUESTS as usize);
        let mut connections: HashMap<u64, u64> = HashMap::new();
        for one in &served {
            *connections.entry(one.connection).or_default() += 1;
        }
        if keep_alive {
            assert!(connections.len() <= THREADS as usize, "{connections:?}");
            let last = served.iter().map(|one| one.number).max();
            assert!(last >= Some(REQUESTS / THREADS), "{last:?}");
        } else {
            assert_eq!(connections.len(), REQUESTS as usize);
            assert!(served.iter().all(|one| one.number == 1));
        }
        let log = nginx.access_log().unwrap();
        assert!(log.iter().all(|line| line.starts_with("GET /file HTTP/1.")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_an_answer_and_is_counted_as_ab_counts_it() {
    const REQUESTS: u64 = 50;
    let test = "a_status_is_an_answer_and_is_counted_as_ab_counts_it";
    if !present(test, &[NGINX, AB]) {
        return;
    }
    let nginx = Nginx::builder()
        .answer("/teapot", 418, BODY.trim())
        .file("/file", BODY)
        .start()
        .unwrap();
    for (path, non_2xx) in [("/teapot", REQUESTS), ("/file", 0), ("/nowhere", REQUESTS)] {
        let url = nginx.url(path);
        let theirs = Ab::requests(5, REQUESTS).run(&url).unwrap();
        let run = measure(&ab_driver(&url, false).await, load(5, REQUESTS, 0))
            .await
            .unwrap();
        assert_eq!(
            (theirs.complete, theirs.non_2xx),
            (REQUESTS, non_2xx),
            "{path}"
        );
        assert_eq!(note(&run, "non_2xx"), non_2xx.to_string(), "{path}");
        assert_eq!(figure(&run, "errors"), theirs.failed as f64, "{path}");
    }
    assert_eq!(nginx.served().unwrap().len() as u64, 3 * 2 * REQUESTS);
}

/// Both say that there is nobody, and neither gives figures.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_a_failure_and_no_measurement() {
    if !present("nobody_there_is_a_failure_and_no_measurement", &[AB]) {
        return;
    }
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{closed}/");
    let theirs = Ab::requests(2, 20).run(&url).unwrap_err();
    assert!(matches!(theirs, AbError::Failed { .. }), "{theirs}");
    let failure = measure(&ab_driver(&url, false).await, load(2, 20, 0))
        .await
        .unwrap_err();
    assert_eq!(failure.status.as_str(), "failed", "{failure}");
    assert!(failure.message.contains("connection refused"), "{failure}");
}

/// The program `ab` ends at the first connection that breaks; the driver
/// counts it and goes on, as `ab -r` does.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_an_answer_is_an_error() {
    const REQUESTS: u64 = 40;
    const BROKEN: u64 = 4;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        for (number, stream) in (1..=REQUESTS).zip(listener.incoming()) {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            if number % (REQUESTS / BROKEN) != 0 {
                let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 16\r\n\r\n";
                write!(stream, "{head}{BODY}").unwrap();
            }
        }
    });
    let run = measure(&ab_driver(&url, false).await, load(1, REQUESTS, 0))
        .await
        .unwrap();
    server.join().unwrap();
    assert_eq!(figure(&run, "errors"), BROKEN as f64);
    assert_eq!(completed(&run) as u64, REQUESTS - BROKEN);
}
