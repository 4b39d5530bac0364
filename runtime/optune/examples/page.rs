//! Fills a service with an imaginary study and keeps it up, to look at the
//! page: `cargo run -p servo-optune --example page [trials to play]`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../tests/optune/support/mod.rs"]
mod support;

use serde_json::{Value, json};
use servo_optune::{Service, ServiceOptions, StudyOptions};

/// A checkout service: more CPU and the right collector help, too little
/// memory for the pool kills it.
fn measure(state: &Value, noise: f64) -> Option<f64> {
    let settings = &state["application"]["components"]["checkout"]["settings"];
    let cpu = settings["cpu"]["value"].as_f64()?;
    let mem = settings["mem"]["value"].as_f64()?;
    let pool = settings["pool"]["value"].as_f64()?;
    if mem < pool / 10.0 {
        return None;
    }
    let gc = match settings["gc"]["value"].as_str()? {
        "g1" => 1.12,
        "parallel" => 1.05,
        _ => 0.9,
    };
    let workers = 1.0 - ((pool - 30.0) / 60.0).powi(2);
    Some(420.0 * cpu.sqrt() * workers * gc * (1.0 + noise) / (1.0 + 0.04 * mem))
}

#[tokio::main]
async fn main() {
    let trials: usize = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(100);
    let study = StudyOptions {
        trials: 40,
        seed: 4,
        ..StudyOptions::default()
    };
    let service = Service::start(ServiceOptions {
        study,
        ..ServiceOptions::default()
    })
    .await
    .unwrap();
    println!("{}", service.page_url());
    let address = service.local_addr();
    let played = tokio::task::spawn_blocking(move || {
        let descriptor = json!({
            "application": {"components": {"checkout": {"settings": {
                "cpu": {"min": 0.5, "max": 4, "step": 0.25, "value": 1, "unit": "cores"},
                "mem": {"min": 1, "max": 8, "step": 0.5, "value": 2, "unit": "GiB"},
                "pool": {"min": 4, "max": 64, "step": 4, "value": 16},
                "gc": {"type": "enum", "values": ["serial", "parallel", "g1"], "value": "serial"},
            }}}},
            "measurement": {"metrics": {"requests throughput": {"unit": "rps"}}},
        });
        let mut state = json!({"application": {"components": {"checkout": {"settings": {
            "cpu": {"value": 1}, "mem": {"value": 2}, "pool": {"value": 16}, "gc": {"value": "serial"}}}}}});
        support::event(address, "HELLO", json!({"agent": "example"}));
        let mut measured = 0;
        loop {
            let command = support::next(address);
            match command["cmd"].as_str().unwrap() {
                "DESCRIBE" => drop(support::event(
                    address,
                    "DESCRIPTION",
                    json!({"status": "ok", "descriptor": descriptor}),
                )),
                "ADJUST" => {
                    state = command["param"]["state"].clone();
                    support::event(address, "ADJUSTMENT", json!({"state": state}));
                }
                "MEASURE" if measured > trials => {
                    support::event(
                        address,
                        "MEASUREMENT",
                        json!({"progress": 40, "message": "sending requests"}),
                    );
                    return;
                }
                "MEASURE" => {
                    measured += 1;
                    let noise = f64::from((measured * 7919_usize % 61) as u32) / 61.0 * 0.06 - 0.03;
                    let param = match measure(&state, noise) {
                        Some(rps) => json!({"metrics": {"requests throughput": {"value": rps}}}),
                        None => {
                            json!({"status": "rejected", "reason": "unstable", "message": "the pod was killed: out of memory"})
                        }
                    };
                    support::event(address, "MEASUREMENT", param);
                }
                _ => return,
            }
        }
    });
    played.await.unwrap();
    println!("ready");
    std::future::pending::<()>().await;
}
