//! The small figures: a decision, a load from the code cache, the end of an
//! endless loop.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use serde_json::json;
use servo_policy::{HttpRules, RequestHead};
use servo_sandbox::{End, Limit, Silent};
use tokio_util::sync::CancellationToken;
use wasmtime::component::Component;

use crate::house::House;
use crate::raw;
use crate::samples::{Case, interleave};
use crate::table::{Bar, Table};

/// A decision is too short for the clock; so many are timed together.
const BATCH: u32 = 100;

/// Computing time that the endless loop is given.
const LEASE: Duration = Duration::from_millis(50);

fn rules(count: usize) -> HttpRules {
    let line = |n: usize| {
        let rule = format!("GET,POST https://h{n}.example.com/api/v{n}/");
        (rule.parse().unwrap(), false, None)
    };
    HttpRules::new((100 - count..100).map(line)).unwrap()
}

/// A request that the last rule allows.
const HEAD: RequestHead<'static> = RequestHead {
    method: "GET",
    scheme: "https",
    authority: "h99.example.com",
    path_and_query: "/api/v99/query?query=up&time=1",
};

pub(crate) fn criterion(c: &mut Criterion) {
    let mut group = c.benchmark_group("decide");
    for count in [1, 100] {
        let rules = rules(count);
        group.bench_function(format!("{count} rules"), |b| {
            b.iter(|| rules.decide(black_box(&HEAD)).is_ok());
        });
    }
    group.finish();
}

pub(crate) fn decide(table: &mut Table) {
    let (one, many) = (rules(1), rules(100));
    let batch = |rules: &HttpRules| {
        let begun = Instant::now();
        for _ in 0..BATCH {
            black_box(rules.decide(black_box(&HEAD))).unwrap();
        }
        begun.elapsed() / BATCH
    };
    let [of_one, of_many] = interleave(
        2_000,
        [Case::new(|| batch(&one)), Case::new(|| batch(&many))],
    );
    table.times(
        "rule decision, 100 rules",
        &of_many,
        "the same with 1 rule",
        &of_one,
        Bar::P50(Duration::from_micros(1)),
    );
}

pub(crate) fn load(house: &House, table: &mut Table) {
    let engine = raw::engine();
    for name in House::components() {
        let path = House::component(&name);
        let bytes = std::fs::read(&path).unwrap();
        let [cached, compiled] = interleave(
            300,
            [
                Case::new(|| {
                    let begun = Instant::now();
                    let driver = house.runtime.block_on(house.host.load(&path)).unwrap();
                    let time = begun.elapsed();
                    drop(driver);
                    time
                }),
                Case::every(100, || {
                    let begun = Instant::now();
                    let component = Component::new(&engine, &bytes).unwrap();
                    let time = begun.elapsed();
                    drop(component);
                    time
                }),
            ],
        );
        table.times(
            format!("load {name} from the code cache, verified"),
            &cached,
            "compile it",
            &compiled,
            Bar::P50(Duration::from_millis(5)),
        );
    }
}

/// How long after its limit an endless loop ends.
pub(crate) fn kill(house: &House, table: &mut Table) {
    let driver = house.load("hostile");
    let spinning = house.bind(
        &driver,
        json!({ "at": "describe", "behaviour": { "do": "spin" } }),
        json!({ "limits": { "cpu": format!("{}ms", LEASE.as_millis()) } }),
    );
    let [killed, slept] = interleave(
        100,
        [
            Case::new(|| {
                let call = spinning
                    .bound()
                    .begin(Arc::new(Silent), CancellationToken::new());
                let begun = Instant::now();
                let step = house.runtime.block_on(call.describe_metrics("app"));
                let time = begun.elapsed();
                let limit = Limit::Cpu;
                assert!(
                    matches!(&step.end, End::Limit { limit: hit, .. } if *hit == limit),
                    "{:?}",
                    step.end
                );
                time
            }),
            Case::new(|| {
                let begun = Instant::now();
                house
                    .runtime
                    .block_on(async { tokio::time::sleep(LEASE).await });
                begun.elapsed()
            }),
        ],
    );
    table.times(
        format!("kill of an endless loop after {} ms", LEASE.as_millis()),
        &killed,
        "a sleep of that time",
        &slept,
        Bar::P50(LEASE + Duration::from_millis(20)),
    );
}
