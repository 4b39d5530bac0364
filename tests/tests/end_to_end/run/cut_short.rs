//! kill -9 in the middle of a step of an adjustment, by the driver that says
//! `recover = true`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::response::Json;
use axum::routing::get;
use serde_json::{Value, json};
use servo_tests::service::{Scene, Service};
use servo_tests::workspace::Workspace;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use super::world::{finish, link, report, soon, start};

/// An application that answers no write, so that the driver's step goes on
/// until the servo is killed.
struct Application {
    address: SocketAddr,
    held: Arc<Held>,
}

struct Held {
    document: Mutex<Value>,
    /// Whether a write counts.
    takes: bool,
    writes: Mutex<u32>,
    written: Notify,
}

impl Application {
    async fn start(takes: bool) -> Self {
        let held = Arc::new(Held {
            document: Mutex::new(json!({ "workers": 4 })),
            takes,
            writes: Mutex::new(0),
            written: Notify::new(),
        });
        let router = Router::new()
            .route("/settings", get(read).put(write))
            .with_state(Arc::clone(&held));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, held }
    }

    /// A folder with `./adjust` as a link to `http`.
    fn folder(&self) -> Workspace {
        let folder = Workspace::new().unwrap();
        link(&folder, "http", "adjust");
        let config = json!({ "http": {
            "endpoint": format!("http://{}/settings", self.address),
            "settings": { "workers": { "min": 1, "max": 16, "step": 1 } },
        }});
        folder.write("config.yaml", config.to_string()).unwrap();
        let grants = "drivers:\n  adjust:\n    grants:\n      http:\n        \
                      - { rule: \"GET,PUT ${config.endpoint}\", private: true }\n";
        folder.write("servo.yaml", grants).unwrap();
        folder
    }
}

async fn read(State(held): State<Arc<Held>>) -> Json<Value> {
    Json(held.document.lock().unwrap().clone())
}

async fn write(State(held): State<Arc<Held>>, Json(body): Json<Value>) -> Json<Value> {
    *held.writes.lock().unwrap() += 1;
    if held.takes {
        *held.document.lock().unwrap() = body;
    }
    held.written.notify_one();
    std::future::pending().await
}

/// The report of an adjustment to 6 workers whose servo was killed while the
/// application had the write in hand, and how often it was written.
async fn killed_while_writing(takes: bool) -> (Value, u32) {
    let app = Application::start(takes).await;
    let folder = app.folder();
    let state = json!({ "application": { "components": { "app": { "settings": {
        "workers": { "value": 6 } } } } } });
    let scene = Scene::adjust(json!({ "state": state, "control": {} }));
    let service = Service::start(vec![scene], None).await.unwrap();
    let servo = start(&folder, &service, &[]);
    soon(&service, &servo, app.held.written.notified()).await;
    servo.kill().await.unwrap();
    service.killed();

    let servo = start(&folder, &service, &[]);
    let ran = finish(&service, servo).await;
    assert!(ran.stderr.contains("going on: ADJUST"), "{}", ran.stderr);
    let writes = *app.held.writes.lock().unwrap();
    (report(&service, "ADJUSTMENT"), writes)
}

fn workers(report: &Value) -> &Value {
    &report["state"]["application"]["components"]["app"]["settings"]["workers"]["value"]
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_a_step_of_an_adjustment_that_took_effect_is_found_out() {
    let (report, writes) = killed_while_writing(true).await;
    assert_eq!(report["status"], "ok", "{report}");
    assert_eq!(workers(&report), 6);
    assert_eq!(writes, 1, "it was not written again");
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_a_step_of_an_adjustment_without_effect_says_what_is_in_force() {
    let (report, writes) = killed_while_writing(false).await;
    assert_eq!(report["status"], "failed", "{report}");
    assert_eq!(workers(&report), 4, "{report}");
    assert_eq!(writes, 1, "it was not written again");
}
