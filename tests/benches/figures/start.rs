//! `servo run` until its HELLO has reached the service, and after a kill -9
//! until the result that was not delivered has.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::json;
use servo_agent::{Accepted, CallId, FileJournal, Journal};
use servo_tests::workspace::Workspace;

use crate::house::House;
use crate::samples::{Case, interleave};
use crate::table::{Bar, Table};

const RUNS: usize = 9;

/// What the service says to a greeting.
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
    content-length: 15\r\n\r\n{\"status\":\"ok\"}";

/// Longer than any start; the child is dead when this is over.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn figures(table: &mut Table) {
    let workspace = Workspace::new().unwrap();
    let stub = Stub::start("HELLO");
    workspace.write("servo.yaml", config()).unwrap();
    let killed = Workspace::new().unwrap();
    let report = Stub::start("MEASUREMENT");
    killed.write("servo.yaml", config()).unwrap();
    leave_a_report(&killed);
    let warm = workspace.path().join("warm");
    let mut colds = 0;
    let [version, cached, compiled, resumed] = interleave(
        RUNS,
        [
            Case::new(|| {
                let mut command = workspace.servo(["--version"]).unwrap();
                command.stdout(Stdio::null());
                let begun = Instant::now();
                assert!(command.status().unwrap().success());
                begun.elapsed()
            }),
            Case::new(|| stub.heard(&workspace, &warm)),
            Case::new(|| {
                colds += 1;
                stub.heard(&workspace, &workspace.path().join(format!("cold-{colds}")))
            }),
            // Each run is killed before the answer, so the next one has the
            // same to deliver.
            Case::new(|| report.heard(&killed, &warm)),
        ],
    );
    let baseline = "servo --version";
    table.times(
        "servo run to HELLO, code cached",
        &cached,
        baseline,
        &version,
        Bar::None,
    );
    table.times(
        "servo run to HELLO, ab and http compiled",
        &compiled,
        baseline,
        &version,
        Bar::None,
    );
    table.times(
        "servo run after kill -9 to the unsent result",
        &resumed,
        baseline,
        &version,
        Bar::None,
    );
}

/// A journal as a servo leaves it that was killed while it sent a result.
fn leave_a_report(workspace: &Workspace) {
    let folder = workspace.path().join(".servo/journal/shop");
    let command = json!({ "cmd": "MEASURE", "param": { "control": {} }, "cmd_uid": "1" });
    let report = json!({
        "event": "MEASUREMENT",
        "param": { "status": "ok", "metrics": { "m": { "value": 1 } }, "cmd_uid": "1" },
    });
    let report = serde_json::from_value(report).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (journal, _) = FileJournal::open(&folder, "shop").unwrap();
        let call = CallId::new("1");
        let accepted = Accepted {
            call: call.clone(),
            command,
        };
        journal.accepted(&accepted).await.unwrap();
        journal.ended(&call, &report).await.unwrap();
    });
}

fn config() -> String {
    let source = |name| House::component(name).display().to_string();
    format!(
        "drivers:
  measure:
    source: {}
    config: {{ test_url: 'http://127.0.0.1:9/' }}
    grants:
      http: [{{ rule: 'GET,HEAD http://127.0.0.1:9/', private: true }}]
      limits: {{ requests: 20000000, request_rate: 1000000, concurrent_requests: 64, cpu: 10m, wall: 30m, step_wall: 30m }}
  adjust:
    source: {}
    config:
      endpoint: 'http://127.0.0.1:9/settings'
      component: app
      settings: {{ workers: {{ type: range, min: 1, max: 8, step: 1 }} }}
    grants:
      http: [{{ rule: 'GET,PUT http://127.0.0.1:9/settings', private: true }}]
",
        source("ab"),
        source("http")
    )
}

/// A service that answers until it hears what it waits for, and says nothing
/// more.
struct Stub {
    address: SocketAddr,
    heard: Receiver<Instant>,
}

impl Stub {
    fn start(awaited: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (hears, heard) = channel();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut request = Vec::new();
                let mut piece = [0; 4096];
                while let Ok(size @ 1..) = stream.read(&mut piece) {
                    request.extend_from_slice(&piece[..size]);
                    let text = String::from_utf8_lossy(&request);
                    if text.contains(awaited) {
                        // Nobody listens any more once the figures are done.
                        let _ = hears.send(Instant::now());
                        break;
                    }
                    if text.contains("HELLO") && text.ends_with('}') {
                        request.clear();
                        if stream.write_all(OK).is_err() {
                            break;
                        }
                    }
                }
                // Until the child is killed: an answer would have it go on, an
                // early end would have it try again.
                while let Ok(1..) = stream.read(&mut piece) {}
            }
        });
        Self { address, heard }
    }

    fn heard(&self, workspace: &Workspace, cache: &Path) -> Duration {
        let stderr = workspace.path().join("stderr");
        let url = format!("http://{}/servo", self.address);
        let mut command: Command = workspace
            .servo(["run", "shop", "--no-auth", "--url", &url])
            .unwrap();
        command
            .env("XDG_CACHE_HOME", cache)
            .stdout(Stdio::null())
            .stderr(File::create(&stderr).unwrap());
        let begun = Instant::now();
        let mut child = command.spawn().unwrap();
        let heard = self.heard.recv_timeout(PATIENCE);
        child.kill().unwrap();
        child.wait().unwrap();
        match heard {
            Ok(heard) => heard - begun,
            Err(_) => panic!(
                "nothing heard in {PATIENCE:?}; servo said: {}",
                std::fs::read_to_string(&stderr).unwrap_or_default()
            ),
        }
    }
}
