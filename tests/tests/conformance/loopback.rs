//! The scripted service behind a real socket, for what only a socket shows:
//! addresses, headers, and programs that cannot be reached otherwise.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::stage::Script;

/// The service on loopback. It ends when dropped.
pub struct Loopback {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    server: JoinHandle<()>,
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Desk = (Arc<Script>, Arc<Mutex<Vec<(String, HeaderMap)>>>);

async fn take(
    State((script, heads)): State<Desk>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    heads.lock().unwrap().push((uri.to_string(), headers));
    let (status, answer) = script.take(&serde_json::from_slice(&body).unwrap());
    (StatusCode::from_u16(status).unwrap(), answer)
}

impl Loopback {
    pub async fn start(script: &Arc<Script>) -> Self {
        let heads = Arc::new(Mutex::new(Vec::new()));
        let desk: Desk = (Arc::clone(script), Arc::clone(&heads));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(take).with_state(desk);
        let server = tokio::spawn(async move {
            // Without it the next request fails, and the test says so.
            let _ = axum::serve(listener, router).await;
        });
        Self {
            address,
            heads,
            server,
        }
    }

    /// An address of the service; every path is.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Path and headers of every request.
    pub fn heads(&self) -> Vec<(String, HeaderMap)> {
        self.heads.lock().unwrap().clone()
    }
}
