//! What the tests of this suite share: folders, a backend, the way from start
//! to end.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Json;
use rustix::process::Signal;
use serde_json::{Value, json};
use servo_tests::components::component;
use servo_tests::process::Process;
use servo_tests::service::{Event, Service};
use servo_tests::workspace::{Ran, Workspace};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Longest wait for something that should come by itself.
const PATIENCE: Duration = Duration::from_secs(120);

/// As much of Prometheus as the driver `prom` asks for: one series of two
/// points, whatever the query. It remembers the windows it was asked for.
pub(crate) struct Metrics {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Window>>>,
    server: JoinHandle<()>,
}

/// Start and end of a query, in seconds since the Unix epoch.
pub(crate) type Window = (f64, f64);

impl Metrics {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new().fallback(range).with_state(Arc::clone(&asked));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            address,
            asked,
            server,
        }
    }

    pub(crate) fn asked(&self) -> Vec<Window> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn range(State(asked): State<Arc<Mutex<Vec<Window>>>>, request: Request) -> Json<Value> {
    let query = request.uri().query().unwrap().to_owned();
    let parameter = |name: &str| -> f64 {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(key, _)| *key == name).unwrap();
        value.parse().unwrap()
    };
    let (start, end) = (parameter("start"), parameter("end"));
    asked.lock().unwrap().push((start, end));
    let series = json!({ "metric": {}, "values": [[start, "1"], [end, "2"]] });
    Json(json!({
        "status": "success",
        "data": { "resultType": "matrix", "result": [series] },
    }))
}

/// `config.yaml` with a section for `prom`.
pub(crate) fn prom_section(metrics: SocketAddr) -> String {
    format!(
        "prom:\n  prometheus_endpoint: http://{metrics}\n  metrics: {{ rate: {{ query: up }} }}\n"
    )
}

/// `servo.yaml` for `./measure` as `prom`: grants, and nothing else.
pub(crate) const PROM_GRANTS: &str = "\
drivers:
  measure:
    grants:
      http:
        - { rule: \"GET ${config.prometheus_endpoint}/api/v1/\", private: true }
      limits: { wall: 48h }
";

/// A folder with `./measure` as a link to `prom`.
pub(crate) fn prom_folder(metrics: SocketAddr) -> Workspace {
    let folder = Workspace::new().unwrap();
    link(&folder, "prom", "measure");
    folder.write("config.yaml", prom_section(metrics)).unwrap();
    folder.write("servo.yaml", PROM_GRANTS).unwrap();
    folder
}

/// The driver `name` in the place of the original's.
pub(crate) fn link(folder: &Workspace, name: &str, place: &str) {
    symlink(component(name), folder.path().join(place)).unwrap();
}

/// A program in that place.
pub(crate) fn program(folder: &Workspace, place: &str, text: &str) {
    let path = folder.write(place, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

/// A measurement of so many seconds.
pub(crate) fn seconds(duration: u32) -> Value {
    json!({ "control": { "duration": duration, "warmup": 0, "delay": 0 } })
}

/// `servo run shop` against the stub, with these arguments as well.
pub(crate) fn start(folder: &Workspace, service: &Service, more: &[&str]) -> Process {
    let url = service.url();
    let mut arguments = vec!["run", "shop", "--no-auth", "--url", url.as_str()];
    arguments.extend(more);
    Process::start(folder.servo(arguments).unwrap()).unwrap()
}

/// Waits for something of the stub while the servo runs.
pub(crate) async fn soon(service: &Service, servo: &Process, event: impl Future<Output = ()>) {
    tokio::select! {
        () = event => {}
        said = servo.silent() => panic!("the servo ended: {said}"),
        () = tokio::time::sleep(PATIENCE) => {
            panic!("stuck after {:?}; breaches: {:?}", service.events(), service.breaches());
        }
    }
}

/// Waits until the driver `prom` waits for its window to be over: by then the
/// pause is in the journal.
pub(crate) async fn waiting(service: &Service, servo: &Process) {
    let measured = |event: &Event| {
        let message = event.param["message"].as_str();
        message.is_some_and(|message| message.contains("s measured"))
    };
    let heard = service.until(|events| events.iter().any(measured));
    soon(service, servo, heard).await;
}

/// Plays the scenes to their end, stops the servo, and sees that it went well.
pub(crate) async fn finish(service: &Service, servo: Process) -> Ran {
    soon(service, &servo, service.played()).await;
    servo.signal(Signal::TERM).unwrap();
    let ran = servo.end().await.unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(service.breaches(), Vec::<String>::new(), "{}", ran.stderr);
    ran
}

/// The names of the events, progress left out.
pub(crate) fn names(service: &Service) -> Vec<String> {
    let events = service.events().into_iter();
    let told = events.filter(|event| !event.is_progress());
    told.map(|event| match event.param["reason"].as_str() {
        Some(reason) if event.name == "GOODBYE" => format!("GOODBYE {reason}"),
        _ => event.name,
    })
    .collect()
}

/// The final report of that name; there must be one.
pub(crate) fn report(service: &Service, name: &str) -> Value {
    let events = service.events().into_iter();
    let mut found = events.filter(|event| event.name == name && !event.is_progress());
    let first = found.next().unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(found.next(), None, "{name} came twice");
    first.param
}
