//! The counters of a servo that runs, as a monitoring system collects them.

use std::net::{Ipv4Addr, TcpListener};

use servo_tests::service::{Scene, Service};

use super::world::{Metrics, finish, prom_folder, seconds, soon, start};
use crate::support::client;

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_counted_and_served_while_it_runs() {
    let metrics = Metrics::start().await;
    let folder = prom_folder(metrics.address());
    let scenes = vec![Scene::describe(), Scene::measure(seconds(1))];
    let service = Service::start(scenes, None).await.unwrap();
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let servo = start(&folder, &service, &["--metrics", &address]);
    soon(&service, &servo, service.played()).await;

    let page = client().get(format!("http://{address}/metrics"));
    let page = page.send().await.unwrap();
    assert!(page.status().is_success(), "{page:?}");
    let page = page.text().await.unwrap();
    let allowed = "servo_decisions_total{capability=\"http\",verdict=\"allowed\",reason=\"-\"} ";
    let allowed = page.lines().find_map(|line| line.strip_prefix(allowed));
    let allowed: usize = allowed.unwrap_or_else(|| panic!("{page}")).parse().unwrap();
    assert_eq!(allowed, metrics.asked().len(), "{page}");
    // Nothing that a driver or an operator names becomes a label.
    assert!(!page.contains("prom"), "{page}");
    finish(&service, servo).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_found_at_the_start() {
    let metrics = Metrics::start().await;
    let folder = prom_folder(metrics.address());
    let service = Service::start(vec![], None).await.unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let servo = start(&folder, &service, &["--metrics", &address]);
    let ran = servo.end().await.unwrap();
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains(&format!("--metrics {address}")),
        "{}",
        ran.stderr
    );
    assert!(
        service.events().is_empty(),
        "nothing was said to the service"
    );
}
