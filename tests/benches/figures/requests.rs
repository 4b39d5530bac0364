//! A GET from inside the sandbox, through the gate alone, and by the bare HTTP
//! client below it, to the same small server over kept connections. The guest
//! sends by the SDK's client, and part by part through either interface: as a
//! whole request by `servo:driver/fetch`, or by `wasi:http`.
//!
//! The server notes when each request arrives. The time from one arrival to
//! the next on a connection that has one request at a time is the whole round
//! trip, the client's own work included, and is taken in the same way whoever
//! the client is.

mod server;

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use servo_egress::{CallMeter, Gate, Lane, Owner, SystemResolver, Timeouts, empty};
use servo_policy::{Budget, HttpRules, Rule};
use servo_sandbox::{BoundDriver, Silent, measure, model};
use tokio_util::sync::CancellationToken;

use crate::house::House;
use crate::samples::Samples;
use crate::table::{Bar, Table};
use server::Server;

/// Requests of one turn, and turns.
const IN_A_ROW: usize = 60;
const ROUNDS: usize = 60;

pub(crate) fn figures(house: &House, table: &mut Table) {
    let server = Server::start();
    let url = server.url();
    let bare = bare();
    let lane = house.runtime.block_on(async { lane(&server) });
    let meter = CallMeter::new(&Budget {
        requests: u64::MAX,
        request_rate: u32::MAX,
        ..Budget::default()
    });
    let hostile = house.load("hostile");
    let guest = |behaviour: Value, through: &str| {
        let bound = house.bind(
            &hostile,
            json!({ "behaviour": behaviour, "through": through }),
            json!({
                "http": [{ "rule": format!("GET {url}"), "private": true }],
                "limits": { "requests": 1_000_000, "request_rate": 1_000_000, "cpu": "1m" },
            }),
        );
        bound.bound().clone()
    };
    let by_sdk = json!({ "do": "http", "url": url, "count": IN_A_ROW, "at_once": 1 });
    let request = json!({
        "scheme": "http", "authority": server.authority(), "path": "/metrics", "method": "GET",
    });
    let by_parts = json!({ "do": "raw", "requests": vec![request; IN_A_ROW] });
    let guests = [
        guest(by_sdk, "fetch"),
        guest(by_parts.clone(), "fetch"),
        guest(by_parts, "wasi-http"),
    ];

    let mut times: [Samples; 5] = Default::default();
    for round in 0..=ROUNDS {
        for turn in 0..times.len() {
            let who = (round + turn) % times.len();
            // As in the binary, the caller is a task on one of the workers.
            let task = match who {
                0 => house.runtime.spawn(by_bare(bare.clone(), url.clone())),
                1 => house
                    .runtime
                    .spawn(by_lane(lane.clone(), meter.clone(), url.clone())),
                _ => house.runtime.spawn(by_guest(guests[who - 2].clone())),
            };
            house.runtime.block_on(task).unwrap();
            let arrivals = server.take_arrivals();
            assert_eq!(arrivals.len(), IN_A_ROW, "every request is seen");
            // The first round opens the connections.
            if round > 0 {
                times[who].extend(arrivals.windows(2).map(|pair| pair[1] - pair[0]));
            }
        }
    }
    assert_eq!(server.connections(), times.len(), "connections are kept");
    let [bare, lane, sdk, fetch, wasi] = times;
    table.times(
        "GET by a driver (SDK), kept connection",
        &sdk,
        "bare reqwest, same server",
        &bare,
        Bar::Ratio(1.5),
    );
    table.times(
        "GET through the gate alone",
        &lane,
        "bare reqwest, same server",
        &bare,
        Bar::Added(Duration::from_micros(20)),
    );
    table.times(
        "GET by a driver (fetch)",
        &fetch,
        "bare reqwest, same server",
        &bare,
        Bar::Ratio(1.5),
    );
    table.times(
        "GET by a driver (wasi:http)",
        &wasi,
        "bare reqwest, same server",
        &bare,
        Bar::None,
    );
    table.times(
        "GET by a driver (fetch)",
        &fetch,
        "through the gate alone",
        &lane,
        Bar::None,
    );
}

async fn by_bare(client: reqwest::Client, url: String) {
    for _ in 0..IN_A_ROW {
        let response = client.get(&url).send().await.unwrap();
        response.bytes().await.unwrap();
    }
}

async fn by_lane(lane: Lane, meter: CallMeter, url: String) {
    for _ in 0..IN_A_ROW {
        let request = Request::get(&url).body(empty()).unwrap();
        let sent = lane.send(request, &meter, Timeouts::default()).await;
        sent.unwrap().into_body().collect().await.unwrap();
    }
}

async fn by_guest(driver: BoundDriver) {
    let request = measure::MeasureRequest {
        app: "app".to_owned(),
        metrics: Vec::new(),
        control: model::Control {
            warmup: None,
            duration: None,
            delay: None,
            past: None,
            settlement: None,
            load: None,
            userdata: None,
        },
    };
    let call = driver.begin(Arc::new(Silent), CancellationToken::new());
    let step = call.measure(&request, None).await;
    step.end.into_result().unwrap();
}

fn bare() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .build()
        .unwrap()
}

fn lane(server: &Server) -> Lane {
    let gate = Gate::new(Arc::new(SystemResolver)).unwrap();
    let rule: Rule = format!("GET {}", server.url()).parse().unwrap();
    let owner = Owner {
        tenant: "local".to_owned(),
        servo: "bench".to_owned(),
        driver: "none".to_owned(),
        ..Owner::default()
    };
    let rules = HttpRules::new([(rule, true, None)]).unwrap();
    gate.lane(owner, rules).unwrap()
}
