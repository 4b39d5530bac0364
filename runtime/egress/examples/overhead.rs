//! What the gate costs: a GET through a lane against the same GET by bare
//! reqwest, on kept loopback connections, and the time to make a client.
//!
//! `cargo run --release -p servo-egress --example overhead`. The figures are
//! medians of interleaved rounds, so that a busy machine slows both alike.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Request;
use http_body_util::BodyExt;
use servo_egress::{CallMeter, Gate, Lane, Owner, SystemResolver, Timeouts, empty};
use servo_policy::{Budget, HttpRules, RequestHead, Rule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const ROUNDS: usize = 4_000;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 64\r\n\r\n\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut piece = [0; 4096];
                while stream.read(&mut piece).await.is_ok_and(|size| size > 0) {
                    if stream.write_all(ANSWER).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    address.to_string()
}

fn lane(gate: &Arc<Gate>, address: &str) -> Lane {
    let rule: Rule = format!("GET http://{address}/").parse().unwrap();
    let owner = Owner {
        tenant: "acme".to_owned(),
        servo: "shop".to_owned(),
        driver: "measure".to_owned(),
        ..Owner::default()
    };
    gate.lane(owner, HttpRules::new([(rule, true, None)]).unwrap())
        .unwrap()
}

async fn through(lane: &Lane, call: &CallMeter, url: &str) {
    let request = Request::get(url).body(empty()).unwrap();
    let response = lane.send(request, call, Timeouts::default()).await.unwrap();
    response.into_body().collect().await.unwrap();
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_nanos() as f64 / 1_000.0
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let address = serve().await;
    let url = format!("http://{address}/settings?x=1");
    let gate = Gate::new(Arc::new(SystemResolver)).unwrap();
    let ours = lane(&gate, &address);
    let call = CallMeter::new(&Budget {
        requests: u64::MAX,
        request_rate: u32::MAX,
        ..Budget::default()
    });
    let bare = reqwest::Client::builder()
        .tls_backend_preconfigured(
            rustls::ClientConfig::builder_with_provider(Arc::new(
                rustls::crypto::ring::default_provider(),
            ))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth(),
        )
        .no_proxy()
        .build()
        .unwrap();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let begun = Instant::now();
        bare.get(&url).send().await.unwrap().bytes().await.unwrap();
        let middle = Instant::now();
        through(&ours, &call, &url).await;
        if round > ROUNDS / 10 {
            without.push(middle - begun);
            with.push(middle.elapsed());
        }
    }
    let (with, without) = (median(with), median(without));
    println!("GET by bare reqwest   {without:8.1} us");
    println!(
        "GET through a lane    {with:8.1} us   {:.2} x",
        with / without
    );

    let first = (0..200)
        .map(|_| {
            let begun = Instant::now();
            let lane = lane(&gate, &address);
            let made = begun.elapsed();
            drop(lane);
            made
        })
        .collect();
    println!("making a lane         {:8.1} us", median(first));

    let lines = (0..100).map(|n| {
        (
            format!("GET,POST https://h{n}.example.com/api/v{n}/")
                .parse()
                .unwrap(),
            false,
            None,
        )
    });
    let rules = HttpRules::new(lines).unwrap();
    let head = RequestHead {
        method: "GET",
        scheme: "https",
        authority: "h99.example.com",
        path_and_query: "/api/v99/query?query=up&time=1",
    };
    let decisions = (0..200)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..100 {
                std::hint::black_box(rules.decide(std::hint::black_box(&head))).unwrap();
            }
            begun.elapsed() / 100
        })
        .collect();
    println!("a decision, 100 rules {:8.3} us", median(decisions));
}
