//! One of the measured processes: so many servos in one state, and how much
//! memory that takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use servo_agent::{
    CallLimits, Drivers, FileJournal, HttpAnswer, HttpConfig, Notice, Observer, Servo, ServoConfig,
    Transport, TransportError, parse_url,
};
use servo_protocol::{Envelope, Event, EventName, Hello, Named, Success};
use servo_sandbox::Driver;
use servo_tests::components;
use tempfile::TempDir;
use tokio::sync::watch;

use super::{ALL, Doing};
use crate::house::House;

/// Processes the arguments after [`super::CHILD`], and prints the resident
/// memory in KiB and the number of open descriptors.
pub(crate) fn run(arguments: &[String]) {
    let [doing, count, server] = arguments else {
        panic!("{arguments:?}");
    };
    let (doing, _) = ALL.iter().find(|(_, name)| name == doing).unwrap();
    let count: u64 = count.parse().unwrap();
    raise_descriptors();
    let house = House::new();
    let journals = tempfile::tempdir_in(components::tree().join("target")).unwrap();
    let _kept = match doing {
        Doing::Transport => transports(&house, count, server),
        _ => servos(&house, *doing, count, server, &journals),
    };
    println!("{} {}", resident_kib(), descriptors());
}

/// Of what is allowed all: each kept connection is one.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, all).unwrap();
}

pub(crate) fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    words[1].parse().unwrap()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// What must live until the memory is read.
type Kept = Box<dyn std::any::Any>;

fn transports(house: &House, count: u64, server: &str) -> Kept {
    let hello = Event::Hello(Hello {
        agent: "bench".to_owned(),
        telemetry: Named::new(),
    });
    let hello: Envelope = hello.to_envelope(Success::WithStatus, None).unwrap();
    let all = house.runtime.block_on(async {
        let mut all = Vec::new();
        for _ in 0..count {
            let config = HttpConfig {
                url: parse_url(&format!("http://{server}/servo")).unwrap(),
                token: None,
                allow_plaintext: false,
            };
            let transport = house.host.transport("shop", config).unwrap();
            transport.post(&hello).await.unwrap();
            all.push(transport);
        }
        all
    });
    Box::new(all)
}

fn servos(house: &House, doing: Doing, count: u64, server: &str, journals: &TempDir) -> Kept {
    let load = |name: &str| {
        let path: PathBuf = components::tree().join(format!("target/drivers/{name}.wasm"));
        house.runtime.block_on(house.host.load(&path)).unwrap()
    };
    let both = [load("prom"), load("http")];
    let (there, mut arrived) = watch::channel(0);
    let there = Arc::new(Arrivals { there });
    house.runtime.block_on(async {
        for number in 0..count {
            let journal =
                (doing == Doing::WaitJournal).then(|| journals.path().join(number.to_string()));
            let servo = servo(house, &both, doing, number, server, journal.as_deref());
            tokio::spawn(servo.with_observer(Arc::clone(&there) as _).run());
        }
        arrived.wait_for(|arrived| *arrived >= count).await.unwrap();
    });
    Box::new(both)
}

fn servo(
    house: &House,
    both: &[Driver; 2],
    doing: Doing,
    number: u64,
    server: &str,
    journal: Option<&Path>,
) -> Servo {
    let app = format!("app-{number}");
    let [prom, http] = both;
    let measure = house.bind(
        prom,
        json!({
            "prometheus_endpoint": format!("http://{server}"),
            "metrics": {
                "orders": { "query": "sum(rate(orders_total{env=\"prod\"}[1m]))", "unit": "rps" },
                "p95": { "query": "p95", "unit": "ms", "period": 15 },
            },
        }),
        json!({
            "http": [{ "rule": format!("GET http://{server}/api/v1/"), "private": true }],
            "limits": { "wall": "2h" },
        }),
    );
    // One kept connection each: two of ten thousand are more than most
    // machines let a process have.
    let settings = match doing {
        Doing::Sleep => "/settings",
        _ => "/settings/once",
    };
    let adjust = house.bind(
        http,
        json!({
            "endpoint": format!("http://{server}{settings}"),
            "settings": {
                "workers": { "min": 1, "max": 16, "step": 1 },
                "batch": { "min": 1, "max": 16, "step": 1 },
            },
        }),
        json!({ "http": [
            { "rule": format!("GET,PUT http://{server}/settings"), "private": true },
        ]}),
    );
    let mut config = ServoConfig::new(&app);
    config.measure_limits = CallLimits::from(&measure.bound().grants().budget);
    let drivers = Drivers {
        measure: Some(Arc::new(measure)),
        adjust: Some(Arc::new(adjust)),
    };
    let script = Script {
        doing,
        asked: AtomicU64::new(0),
    };
    let servo = Servo::new(config, drivers, Arc::new(script));
    match journal {
        None => servo,
        Some(folder) => {
            let (journal, _) = FileJournal::open(folder, &app).unwrap();
            servo.with_journal(Arc::new(journal))
        }
    }
}

/// Counts the servos that have come where they are to be.
struct Arrivals {
    there: watch::Sender<u64>,
}

impl Observer for Arrivals {
    fn notice(&self, notice: Notice) {
        match notice {
            Notice::Sleeping { .. } | Notice::Paused { .. } => {
                self.there.send_modify(|there| *there += 1);
            }
            Notice::Ended {
                outcome: Err(failure),
                ..
            } => {
                eprintln!("a servo failed: {failure:?}");
                std::process::exit(1);
            }
            _ => {}
        }
    }
}

/// The service: a description is wanted, then a measurement of an hour, or
/// nothing for an hour.
struct Script {
    doing: Doing,
    asked: AtomicU64,
}

#[async_trait]
impl Transport for Script {
    async fn post(&self, event: &Envelope) -> Result<HttpAnswer, TransportError> {
        let answer: Value = match event.event {
            EventName::WhatsNext => {
                match (self.asked.fetch_add(1, Ordering::Relaxed), self.doing) {
                    (0, _) => json!({ "cmd": "DESCRIBE", "param": {}, "cmd_uid": "1" }),
                    (_, Doing::Sleep) => json!({ "cmd": "SLEEP", "param": { "duration": 3600 } }),
                    _ => json!({
                        "cmd": "MEASURE", "cmd_uid": "2", "param": {
                            "metrics": ["orders", "p95"],
                            "control": { "warmup": 30, "duration": 3600, "delay": 10 },
                        },
                    }),
                }
            }
            _ => json!({ "status": "ok" }),
        };
        Ok(HttpAnswer {
            status: 200,
            body: answer.to_string().into(),
            retry_after: None,
        })
    }
}
