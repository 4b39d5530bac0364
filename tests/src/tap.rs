//! A relay in front of a server that writes down what is asked of it.
//!
//! What a driver touched is not a question for the host that ran it, nor for
//! the server, which knows what it understood and not what was sent. So the
//! driver is given the address of this relay, which hands every byte on as it
//! comes and keeps the request lines.
//!
//! It is for requests without a body: of others the body would be taken for
//! the next request, and a test would show it as one that nobody expects.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A request as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// Path and query, as on the wire.
    pub target: String,
}

impl Asked {
    /// The path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        let end = self.target.find('?');
        self.target
            .get(..end.unwrap_or(self.target.len()))
            .unwrap_or_default()
    }

    /// Names and values of the query, decoded as servers do.
    #[must_use]
    pub fn parameters(&self) -> Vec<(String, String)> {
        let url = Url::parse("http://tap").and_then(|base| base.join(&self.target));
        url.map(|url| url.query_pairs().into_owned().collect())
            .unwrap_or_default()
    }

    /// The value of a parameter; none when it is not there exactly once.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut found = self.parameters().into_iter().filter(|(key, _)| key == name);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value)
    }
}

type Book = Arc<Mutex<Vec<Asked>>>;

/// The relay while it runs. It ends, with its connections, when dropped.
#[derive(Debug)]
pub struct Tap {
    address: SocketAddr,
    book: Book,
    relay: JoinHandle<()>,
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

impl Tap {
    /// Starts it on a free port of loopback, in front of `server`.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let book = Book::default();
        let kept = Arc::clone(&book);
        let relay = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(relay(client, server, Arc::clone(&kept)));
            }
        });
        Ok(Self {
            address,
            book,
            relay,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as drivers are told it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked since the last look. A request is written down before it
    /// is handed on, so none that was answered is missing.
    #[must_use]
    pub fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn relay(client: TcpStream, server: SocketAddr, book: Book) {
    // A server that is gone looks to the client as if it were not there.
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    let answers = async {
        // How a connection ends is the business of its two ends.
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
    };
    tokio::select! {
        () = listen(from_client, to_server, book) => {}
        () = answers => {}
    }
}

async fn listen(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, book: Book) {
    let mut heads = Vec::new();
    let mut piece = [0; 8192];
    while let Ok(size @ 1..) = client.read(&mut piece).await {
        let Some(piece) = piece.get(..size) else {
            return;
        };
        heads.extend_from_slice(piece);
        write_down(&mut heads, &book);
        if server.write_all(piece).await.is_err() {
            return;
        }
    }
}

/// Takes the whole heads out of what has come so far.
fn write_down(heads: &mut Vec<u8>, book: &Book) {
    const END: &[u8] = b"\r\n\r\n";
    while let Some(end) = heads.windows(END.len()).position(|window| window == END) {
        let head: Vec<u8> = heads.drain(..end + END.len()).collect();
        let head = String::from_utf8_lossy(&head);
        let mut words = head.lines().next().unwrap_or_default().split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let asked = Asked {
            method: word(),
            target: word(),
        };
        book.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(asked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines_are_kept_whole_however_the_bytes_come() {
        let book = Book::default();
        let mut heads = Vec::new();
        let wire = b"GET /a?x=1%2B2&y=%26 HTTP/1.1\r\nhost: h\r\n\r\nGET /b HTTP/1.1\r\n\r\nGET /c";
        for byte in wire {
            heads.push(*byte);
            write_down(&mut heads, &book);
        }
        let asked = book.lock().unwrap().clone();
        let lines: Vec<_> = asked
            .iter()
            .map(|one| (one.method.as_str(), one.path()))
            .collect();
        assert_eq!(lines, [("GET", "/a"), ("GET", "/b")]);
        assert_eq!(asked[0].parameter("x").as_deref(), Some("1+2"));
        assert_eq!(asked[0].parameter("y").as_deref(), Some("&"));
        assert_eq!(asked[1].parameter("x"), None);
        assert_eq!(heads, b"GET /c");
    }
}
