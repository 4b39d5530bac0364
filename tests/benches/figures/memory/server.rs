//! The application and the Prometheus that the measured servos talk to. It is
//! in another process than they are, and keeps connections open as real ones do.

use std::net::SocketAddr;

use axum::Router;
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const JSON: [(axum::http::HeaderName, &str); 1] = [(CONTENT_TYPE, "application/json")];

const SETTINGS: &str = r#"{"workers":2,"batch":1,"cache":0}"#;

const SERIES: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"instance":"10.0.0.7:9100","job":"shop"},"values":[[1700000040,"12"],[1700000100,"12.5"]]}]}}"#;

/// It ends when dropped.
pub(super) struct Server {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Server {
    pub(super) fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/settings", get(async || (JSON, SETTINGS)))
            .route(
                "/settings/once",
                get(async || ([(CONNECTION, "close")], JSON, SETTINGS)),
            )
            .route("/api/v1/query_range", get(async || (JSON, SERIES)))
            .route("/servo", post(async || (JSON, r#"{"status":"ok"}"#)));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            _runtime: runtime,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}
