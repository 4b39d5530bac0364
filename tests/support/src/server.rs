//! Servers on loopback that count what reaches them.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// An answer of 200 with the text `ok`.
pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// An answer of 200 with this text.
#[must_use]
pub fn ok(text: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    )
}

/// A server that counts its connections and keeps the requests it read.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Connections opened, and how many of them the client has closed.
    pub seen: watch::Receiver<(usize, usize)>,
    requests: Arc<Mutex<Vec<String>>>,
}

/// Where a server keeps what it read.
#[derive(Clone, Debug)]
pub struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    /// Reads one request and keeps it; none when the client is gone.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn request<S: AsyncRead + Unpin>(
        &self,
        stream: &mut S,
        rest: &mut Vec<u8>,
    ) -> io::Result<Option<String>> {
        let request = read_request(stream, rest).await?;
        if let Some(request) = &request {
            self.keep(request.clone());
        }
        Ok(request)
    }

    /// Keeps what was read in another way.
    ///
    /// # Panics
    /// Another connection of the server crashed.
    pub fn keep(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

impl Server {
    /// Runs `serve` on every connection to a free port.
    pub async fn serving<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream, Heard) -> Fut + Send + 'static,
        Fut: Future<Output = io::Result<()>> + Send + 'static,
    {
        Self::on("127.0.0.1:0", serve).await
    }

    /// The same at an address.
    ///
    /// # Panics
    /// It cannot listen there.
    pub async fn on<F, Fut>(address: &str, serve: F) -> Self
    where
        F: Fn(TcpStream, Heard) -> Fut + Send + 'static,
        Fut: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (count, seen) = watch::channel((0, 0));
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let heard = Heard(Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.send_modify(|(opened, _)| *opened += 1);
                let count = count.clone();
                let work = serve(stream, heard.clone());
                tokio::spawn(async move {
                    let _ = work.await;
                    count.send_modify(|(_, closed)| *closed += 1);
                });
            }
        });
        Self {
            address,
            seen,
            requests,
        }
    }

    /// Answers every request with the same bytes and keeps the connection.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<Vec<u8>> = Arc::new(answer.into());
        Self::serving(move |stream, heard| {
            let answer = Arc::clone(&answer);
            async move { answer_all(stream, &heard, |_| answer.to_vec()).await }
        })
        .await
    }

    /// Answers every request with what `answer` makes of its text.
    pub async fn replying(answer: fn(&str) -> Vec<u8>) -> Self {
        Self::serving(move |stream, heard| async move { answer_all(stream, &heard, answer).await })
            .await
    }

    /// Answers every request with [`OK`].
    pub async fn ok() -> Self {
        Self::answering(OK).await
    }

    /// Answers with a body that it says has 10 GB, as fast as it is read.
    pub async fn endless() -> Self {
        Self::serving(|mut stream, heard| async move {
            heard.request(&mut stream, &mut Vec::new()).await?;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n")
                .await?;
            loop {
                stream.write_all(&[b'x'; 65_536]).await?;
            }
        })
        .await
    }

    /// Reads and never answers.
    pub async fn silent() -> Self {
        Self::answering("").await
    }

    /// Begins a body that never ends.
    pub async fn half() -> Self {
        Self::answering("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nhalf").await
    }

    /// Connections opened.
    #[must_use]
    pub fn opened(&self) -> usize {
        self.seen.borrow().0
    }

    /// Connections that are over.
    #[must_use]
    pub fn closed(&self) -> usize {
        self.seen.borrow().1
    }

    /// The requests that were read, heads and bodies.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// A path on it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Grants for everything on this server.
    #[must_use]
    pub fn grant(&self) -> Value {
        let rule = format!("GET,POST,PUT,HEAD http://{}/", self.address);
        json!([{ "rule": rule, "private": true }])
    }

    /// Returns once `reached` holds for connections opened and closed.
    ///
    /// # Panics
    /// The server is gone.
    pub async fn until(&self, reached: impl FnMut(&(usize, usize)) -> bool) {
        self.seen.clone().wait_for(reached).await.unwrap();
    }
}

/// Answers every request on a connection until the client closes it.
///
/// # Errors
/// The connection broke.
pub async fn answer_all<S>(
    mut stream: S,
    heard: &Heard,
    answer: impl Fn(&str) -> Vec<u8>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut rest = Vec::new();
    while let Some(request) = heard.request(&mut stream, &mut rest).await? {
        stream.write_all(&answer(&request)).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// One request, head and body, as text; none when the client has closed. What
/// came after it stays in `rest`.
///
/// # Errors
/// The connection broke.
///
/// # Panics
/// Its length is no number.
pub async fn read_request<S: AsyncRead + Unpin>(
    stream: &mut S,
    rest: &mut Vec<u8>,
) -> io::Result<Option<String>> {
    loop {
        let text = String::from_utf8_lossy(rest).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            let head = text[..end].to_ascii_lowercase();
            let length = head
                .split("\r\n")
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |value| value.trim().parse().unwrap());
            let whole = if head.contains("transfer-encoding: chunked") {
                text.find("0\r\n\r\n").map_or(usize::MAX, |at| at + 5)
            } else {
                end + 4 + length
            };
            if rest.len() >= whole {
                let request = String::from_utf8_lossy(&rest[..whole]).into_owned();
                rest.drain(..whole);
                return Ok(Some(request));
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await? {
            0 => return Ok(None),
            size => rest.extend_from_slice(&piece[..size]),
        }
    }
}
