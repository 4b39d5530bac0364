//! From the socket to the routes.
//!
//! The usual server of the HTTP crate keeps every connection for as long as
//! the client likes. Here a head has to come within some seconds, what is
//! quiet goes (see [`super::connections`]), and buffers are small.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::Front;
use super::connections::{Connection, Connections, Place, Stage};

/// How long a head may take, and how long a connection is kept for the next
/// one.
const HEAD: Duration = Duration::from_secs(15);
/// Largest head, and largest read at a time, in bytes.
const BUFFER: usize = 32 * 1024;
/// Most fields of a head.
const FIELDS: usize = 64;
/// How long nothing is accepted after the system refused, if there is nobody
/// to let go.
const REFUSED: Duration = Duration::from_millis(250);

/// How often it is looked whether there is something to tell the log.
const REPORTS: Duration = Duration::from_secs(5);

/// Takes connections in until it is told to stop, and then until the last one
/// has ended. Dropping it ends them all.
pub(crate) async fn serve(listener: TcpListener, front: Front, mut stopped: watch::Receiver<bool>) {
    let connections = Connections::new(front.limits);
    let mut reports = tokio::time::interval(REPORTS);
    let mut tasks = JoinSet::new();
    let mut full = false;
    loop {
        let accepted = tokio::select! {
            biased;
            // Also when the service was dropped.
            _ = stopped.wait_for(|stop| *stop) => break,
            Some(_) = tasks.join_next() => continue,
            _ = reports.tick() => {
                front.guesses.report();
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match connections.admit(peer.ip()) {
                Some(place) => {
                    full = false;
                    tasks.spawn(talk(stream, place, front.router.clone(), stopped.clone()));
                }
                None if full => {}
                None => {
                    full = true;
                    tracing::warn!("all connections are at work; others are closed");
                }
            },
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                if !full {
                    tracing::warn!(%error, "no connection could be taken in");
                }
                full = true;
                connections.make_room();
                tokio::time::sleep(REFUSED).await;
            }
        }
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// One connection, from its first byte to its last.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    place: Place,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let connection = place.connection();
    let io = TokioIo::new(Watched {
        stream,
        connection: Arc::clone(connection),
    });
    let service = service_fn(|request: Request<Incoming>| {
        answer(request, router.clone(), Arc::clone(connection))
    });
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(BUFFER)
            .max_headers(FIELDS)
            .serve_connection(io, service)
    );
    let mut over = pin!(connection.is_over());
    let mut stopping = false;
    loop {
        tokio::select! {
            // How a client ends is its own affair.
            _ = served.as_mut() => return,
            () = over.as_mut() => return,
            _ = stopped.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    router: Router,
    connection: Arc<Connection>,
) -> Result<Response, Infallible> {
    let (mut head, body) = request.into_parts();
    head.extensions.insert(Arc::clone(&connection));
    let body = Body::new(Arriving {
        body,
        connection: Arc::clone(&connection),
    });
    if body.is_end_stream() {
        connection.now_in(Stage::Working);
    }
    let response = match router.oneshot(Request::from_parts(head, body)).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let streaming = response.extensions().get::<Streams>().is_some();
    connection.progressed();
    connection.now_in(if streaming {
        Stage::Streaming
    } else {
        Stage::Waiting
    });
    Ok(response)
}

/// Marks an answer that has no end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams;

/// A body whose end makes the request one that is worked on.
struct Arriving {
    body: Incoming,
    connection: Arc<Connection>,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.connection.now_in(Stage::Working);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that notes when something was read or written.
struct Watched<S> {
    stream: S,
    connection: Arc<Connection>,
}

impl<S> Watched<S> {
    fn note<T>(&self, polled: &Poll<T>) {
        if polled.is_ready() {
            self.connection.progressed();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.note(&polled);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::time::Instant;

    use super::super::connections::Limits;
    use super::*;
    use crate::hub::Hub;
    use crate::options::ServiceOptions;

    /// A client whose connection is served, and what is left of the service.
    fn client() -> (
        DuplexStream,
        tokio::task::JoinHandle<()>,
        watch::Sender<bool>,
    ) {
        let options = ServiceOptions::default();
        let (stop, stopped) = watch::channel(false);
        let hub = Arc::new(Hub::open(&options).unwrap());
        let front = super::super::front(hub, &options, stopped.clone());
        let limits = Limits {
            whole: 8,
            per_address: 4,
        };
        let place = Connections::new(limits)
            .admit(Ipv4Addr::LOCALHOST.into())
            .unwrap();
        let (client, server) = tokio::io::duplex(1024 * 1024);
        let task = tokio::spawn(talk(server, place, front.router, stopped));
        (client, task, stop)
    }

    /// Whatever a client leaves half done, its connection ends.
    #[tokio::test(start_paused = true)]
    async fn a_connection_that_comes_to_no_end_is_ended() {
        let post = "POST /servo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{";
        let get = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
        for (sent, seconds) in [
            ("", HEAD.as_secs()),
            ("POST /servo HTTP/1.1\r\nHost: lo", HEAD.as_secs()),
            (post, 10),
            (get, HEAD.as_secs()),
        ] {
            let (mut client, task, _stop) = client();
            let began = Instant::now();
            client.write_all(sent.as_bytes()).await.unwrap();
            task.await.unwrap();
            let after = began.elapsed();
            assert_eq!(after.as_secs(), seconds, "{sent}");
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer.starts_with("HTTP/1.1 200"), sent == get, "{answer}");
        }
    }

    /// One that sends a byte now and then ends as well.
    #[tokio::test(start_paused = true)]
    async fn a_head_that_drips_is_ended() {
        let (mut client, task, _stop) = client();
        let began = Instant::now();
        let head = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ".bytes();
        for byte in head.chain(std::iter::repeat(b'x')) {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if client.write_all(&[byte]).await.is_err() {
                break;
            }
        }
        task.await.unwrap();
        assert!(began.elapsed() <= HEAD + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_ends_its_connection() {
        let (mut client, task, _stop) = client();
        // More requests than their answers have room for.
        let get = "GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200);
        client.write_all(get.as_bytes()).await.unwrap();
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_what_waits() {
        let (_client, task, stop) = client();
        tokio::task::yield_now().await;
        let began = Instant::now();
        stop.send(true).unwrap();
        task.await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
