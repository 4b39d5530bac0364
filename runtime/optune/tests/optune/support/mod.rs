//! A servo in forty lines: plain sockets, so that a test can say exactly what
//! is sent and when the connection breaks.
#![allow(dead_code, unreachable_pub)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

/// What a request was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Sends bytes and reads until the other side closes.
pub fn raw(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    // The other side may close before everything is written.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        head.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let answer = raw(address, format!("{head}\r\n{body}").as_bytes());
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer to {method} {path}: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

pub const PATH: &str = "/accounts/acme/applications/shop/servo";

/// One event of a servo; the answer must be 200 and JSON.
pub fn event(address: SocketAddr, name: &str, param: Value) -> Value {
    let body = json!({"event": name, "param": param}).to_string();
    let answer = request(
        address,
        "POST",
        PATH,
        &[("Content-Type", "application/json")],
        &body,
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

pub fn next(address: SocketAddr) -> Value {
    event(address, "WHATS_NEXT", Value::Null)
}

/// A change by the operator; the study as it stands then.
pub fn change(address: SocketAddr, what: &str) -> Answer {
    let path = format!("/api/v1/accounts/acme/applications/shop/{what}");
    let json = [("Content-Type", "application/json")];
    request(address, "POST", &path, &json, "{}")
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path, &[], "")
}

pub fn descriptor() -> Value {
    json!({
        "application": {"components": {"web": {"settings": {
            "cpu": {"type": "range", "min": 0.5, "max": 4, "step": 0.5, "value": 1, "unit": "cores"},
            "gc": {"type": "enum", "values": ["serial", "parallel", "g1"], "value": "serial"},
        }}}},
        "measurement": {"metrics": {"requests throughput": {"unit": "rps"}, "p95": {"unit": "ms"}}},
        "optimization": {"perf": "m['requests throughput'] / p95"},
    })
}

/// The description of an application that runs with these settings.
pub fn described(in_force: &Value) -> Value {
    let mut descriptor = descriptor();
    for setting in ["cpu", "gc"] {
        let at = format!("/application/components/web/settings/{setting}/value");
        *descriptor.pointer_mut(&at).unwrap() = in_force.pointer(&at).unwrap().clone();
    }
    descriptor
}

/// What the imaginary application measures with these settings.
pub fn metrics(state: &Value) -> Value {
    let settings = &state["application"]["components"]["web"]["settings"];
    let cpu = settings["cpu"]["value"].as_f64().unwrap();
    let throughput = 100.0 * cpu
        + if settings["gc"]["value"] == "g1" {
            80.0
        } else {
            0.0
        };
    json!({"requests throughput": {"value": throughput}, "p95": {"value": 20}})
}

/// The settings found at the start.
pub fn found() -> Value {
    json!({"application": {"components": {"web": {"settings": {"cpu": {"value": 1}, "gc": {"value": "serial"}}}}}})
}

/// The final report of a servo that does as it is told, without `status` as
/// the original sends it.
pub fn report(command: &Value, in_force: &mut Value) -> (&'static str, Value) {
    match command["cmd"].as_str().unwrap() {
        "DESCRIBE" => (
            "DESCRIPTION",
            json!({"status": "ok", "descriptor": described(in_force)}),
        ),
        "MEASURE" => ("MEASUREMENT", json!({"metrics": metrics(in_force)})),
        "ADJUST" => {
            *in_force = command["param"]["state"].clone();
            ("ADJUSTMENT", json!({"state": in_force}))
        }
        other => panic!("{other}"),
    }
}
