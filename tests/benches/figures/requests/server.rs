//! A server that does as little as it can: one thread for each connection, the
//! same answer of 1 KiB to everything.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// The server; it ends with the process.
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    arrivals: Mutex<Vec<Instant>>,
    connections: AtomicUsize,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let seen = Arc::clone(&shared);
                seen.connections.fetch_add(1, Ordering::Relaxed);
                std::thread::spawn(move || serve(stream, &seen));
            }
        });
        Self { address, seen }
    }

    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    pub(crate) fn take_arrivals(&self) -> Vec<Instant> {
        std::mem::take(&mut self.seen.arrivals.lock().unwrap())
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }
}

fn serve(mut stream: TcpStream, seen: &Seen) {
    stream.set_nodelay(true).unwrap();
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1024\r\n\r\n".to_vec();
    answer.resize(answer.len() + 1024, b'x');
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(size @ 1..) = stream.read(&mut piece) {
        request.extend_from_slice(&piece[..size]);
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        request.clear();
        seen.arrivals.lock().unwrap().push(Instant::now());
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}
