//! C: the way out. Each case is a guest with a real request, a listener that
//! counts connections, and a resolver that counts questions. A file stands for
//! what the attack aims at.

mod addresses;
mod answers;
mod destination;
mod detours;
mod load;
mod message;
mod tls;

pub use self::addresses::*;
pub use self::answers::*;
pub use self::destination::*;
pub use self::detours::*;
pub use self::load::*;
pub use self::message::*;
pub use self::tls::*;

use serde_json::{Value, json};

use crate::expect::{Told, assert_denied, assert_told};
use crate::host::HostUnderTest;
use crate::server::Server;
use crate::stage::Stage;

/// A request over http, part by part.
fn request(authority: &str, path: &str) -> Value {
    json!({ "scheme": "http", "authority": authority, "path": path })
}

fn to(server: &Server) -> Value {
    request(&server.address.to_string(), "/")
}

fn raw(requests: &[Value]) -> Value {
    json!({ "do": "raw", "requests": requests })
}

/// Grants with one rule.
fn rule(rule: &str) -> Value {
    json!({ "http": [{ "rule": rule, "private": true }] })
}

/// The same with its part of a request changed.
fn with(request: &Value, key: &str, value: Value) -> Value {
    let mut request = request.clone();
    request[key] = value;
    request
}

/// Runs the requests one by one, each in a host of its own: each is answered
/// with a code of a refusal, recorded with `reason`, and nobody hears of it.
async fn nobody_hears_of<H: HostUnderTest>(
    grants: &Value,
    server: &Server,
    reason: &str,
    requests: &[Value],
) {
    for request in requests {
        let stage = Stage::<H>::new();
        let step = stage
            .run(raw(std::slice::from_ref(request)), grants.clone())
            .await;
        let told = step.note("0");
        assert_told(told, Told::Denied);
        assert_eq!(stage.names.asked(), Vec::<String>::new(), "{request}");
        assert_eq!(server.opened(), 0, "{request}");
        assert_eq!(step.used.denied, 1, "{request}");
        assert_denied(&stage, "http", reason, 1);
    }
}
