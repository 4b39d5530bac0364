//! The counters of a process, for a monitoring system to collect.
//!
//! One page in the Prometheus text format and nothing else. It tells what was
//! decided and which limits were hit, in a number of lines that no driver can
//! change; it names neither drivers nor addresses nor paths, so whoever may read
//! it learns how much goes on and not what.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use servo_audit::Auditor;
use tokio::net::TcpListener;

/// The page, and where it is served.
#[derive(Debug)]
pub struct MetricsPage {
    listener: TcpListener,
    auditor: Auditor,
}

impl MetricsPage {
    /// Takes the address, so that one that is in use is found at the start.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(address: SocketAddr, auditor: Auditor) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            auditor,
        })
    }

    /// Where it is served: the port is known here if any was asked for.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves `/metrics` until it is dropped.
    ///
    /// # Errors
    /// What the system says.
    pub async fn serve(self) -> io::Result<()> {
        let router = Router::new()
            .route("/metrics", get(page))
            .with_state(self.auditor);
        axum::serve(self.listener, router).await
    }
}

async fn page(State(auditor): State<Auditor>) -> impl IntoResponse {
    let text = auditor.counters().prometheus();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
