//! Bodies in both directions: their lengths, their caps, and what is kept of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::*;
use bytes::Bytes;
use futures_util::stream;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use servo_egress::{Body, BodyError, CallMeter, SendError, Timeouts, full};
use servo_policy::Budget;
use tokio::io::AsyncWriteExt;

/// A body of pieces whose length is not known beforehand.
fn pieces(pieces: Vec<Result<Frame<Bytes>, BodyError>>) -> Body {
    StreamBody::new(stream::iter(pieces)).boxed_unsync()
}

fn data(text: &'static str) -> Result<Frame<Bytes>, BodyError> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

#[tokio::test]
async fn a_body_of_unknown_length_is_sent_in_chunks_without_empty_ones() {
    let server = Server::ok().await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-trailer", "dropped".parse().unwrap());
    let body = pieces(vec![
        data(""),
        data("hello "),
        data(""),
        data("world"),
        Ok(Frame::trailers(trailers)),
    ]);
    let response = send(&lane_to(&server), post(&server.url("/"), None, body))
        .await
        .unwrap();
    assert_eq!(text(response).await.unwrap(), "ok");
    let sent = server.requests().remove(0);
    assert!(sent.contains("transfer-encoding: chunked\r\n"), "{sent}");
    assert!(
        sent.ends_with("\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"),
        "{sent}"
    );
}

#[tokio::test]
async fn c13_lengths_that_lie_before_anything_is_sent() {
    let server = Server::ok().await;
    let lane = lane_to(&server);
    let mut twice = post(&server.url("/"), Some("2"), pieces(vec![data("ok")]));
    twice
        .headers_mut()
        .append("content-length", "3".parse().unwrap());
    let mut chunked = post(&server.url("/"), Some("2"), pieces(vec![data("ok")]));
    chunked
        .headers_mut()
        .append("transfer-encoding", "chunked".parse().unwrap());
    let mut requests = vec![twice, chunked];
    for length in ["-1", "+2", " ", "2,2", "0x2", "99999999999999999999", "two"] {
        requests.push(post(
            &server.url("/"),
            Some(length),
            pieces(vec![data("ok")]),
        ));
    }
    requests.push(post(&server.url("/"), Some("3"), full("ok")));
    for request in requests {
        let headers = format!("{:?}", request.headers());
        let error = send(&lane, request).await.err();
        assert!(
            matches!(error, Some(SendError::Request(_))),
            "{headers}: {error:?}"
        );
    }
    assert_eq!(server.opened(), 0);
}

#[tokio::test]
async fn c13_a_stream_of_another_length_closes_the_connection() {
    for (length, body) in [
        ("5", vec![data("ok")]),
        ("2", vec![data("ok"), data("GET /admin HTTP/1.1\r\n\r\n")]),
    ] {
        let server = Server::ok().await;
        let lane = lane_to(&server);
        let result = send(&lane, post(&server.url("/"), Some(length), pieces(body))).await;
        assert!(matches!(result, Err(SendError::Request(_))), "{result:?}");
        settle(|| server.closed() == server.opened()).await;
        assert!(server.requests().is_empty(), "no whole request came");
    }
}

#[tokio::test]
async fn request_bodies_are_capped() {
    let budget = Budget {
        request_bytes: 8,
        ..Budget::default()
    };
    let server = Server::ok().await;
    let lane = lane_to(&server);
    let call = CallMeter::new(&budget);
    // Known to be too large: refused before anything is sent.
    for request in [
        post(&server.url("/"), None, full("123456789")),
        post(&server.url("/"), Some("9"), pieces(vec![data("123456789")])),
    ] {
        let error = lane.send(request, &call, Timeouts::default()).await.err();
        assert!(
            matches!(error, Some(SendError::TooLarge { limit: 8 })),
            "{error:?}"
        );
    }
    assert_eq!(server.opened(), 0);
    // Found out on the way.
    let long = pieces(vec![data("12345678"), data("9")]);
    let error = lane
        .send(
            post(&server.url("/"), None, long),
            &call,
            Timeouts::default(),
        )
        .await
        .err();
    assert!(
        matches!(error, Some(SendError::TooLarge { limit: 8 })),
        "{error:?}"
    );
    settle(|| server.closed() == 1).await;
    assert!(
        server.requests().is_empty(),
        "the request never became whole"
    );
    let exact = lane
        .send(
            post(&server.url("/"), None, full("12345678")),
            &call,
            Timeouts::default(),
        )
        .await;
    assert!(exact.is_ok());
    assert_eq!(call.usage().bytes_out, 16);
}

#[tokio::test]
async fn a_body_that_its_sender_gives_up_aborts_the_request() {
    let server = Server::ok().await;
    let body = pieces(vec![
        data("half"),
        Err(BodyError::Aborted("the guest trapped".into())),
    ]);
    let error = send(&lane_to(&server), post(&server.url("/"), None, body))
        .await
        .unwrap_err();
    assert!(matches!(error, SendError::Request(_)), "{error}");
    assert!(!error.to_string().contains("trapped"));
    settle(|| server.closed() == 1).await;
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn c16_a_response_is_capped_and_its_connection_closed() {
    let server = Server::endless().await;
    let budget = Budget {
        response_bytes: 1 << 20,
        ..Budget::default()
    };
    let call = CallMeter::new(&budget);
    let lane = lane_to(&server);
    let response = lane
        .send(get(&server.url("/")), &call, Timeouts::default())
        .await
        .unwrap();
    let mut body = response.into_body();
    let mut received = 0;
    let error = loop {
        match body.frame().await.unwrap() {
            Ok(frame) => received += frame.into_data().unwrap().len(),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, BodyError::TooLarge { limit: 1_048_576 }),
        "{error}"
    );
    assert!(received <= 1 << 20, "{received}");
    assert_eq!(
        call.in_flight(),
        0,
        "the place is free before the body is dropped"
    );
    settle(|| server.closed() == 1).await;
}

#[tokio::test]
async fn c16_nothing_is_buffered_for_a_reader_that_does_not_read() {
    static WRITTEN: AtomicUsize = AtomicUsize::new(0);
    let (stalled, when_stalled) = tokio::sync::oneshot::channel();
    let stalled = std::sync::Mutex::new(Some(stalled));
    let stalled = Arc::new(stalled);
    let server = Server::serving(move |mut stream, _| {
        let stalled = Arc::clone(&stalled);
        async move {
            read_request(&mut stream, &mut Vec::new()).await?;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n")
                .await?;
            // On the paused clock this time is over when nothing moves any more.
            while let Ok(done) =
                tokio::time::timeout(Duration::from_millis(1), stream.write_all(&[b'x'; 65_536]))
                    .await
            {
                done?;
                WRITTEN.fetch_add(65_536, Ordering::SeqCst);
            }
            stalled.lock().unwrap().take().map(|tell| tell.send(()));
            std::future::pending().await
        }
    })
    .await;
    let response = send(&lane_to(&server), get(&server.url("/")))
        .await
        .unwrap();
    tokio::time::pause();
    when_stalled.await.unwrap();
    // What the kernel holds for both ends of a loopback connection, and no more.
    let written = WRITTEN.load(Ordering::SeqCst);
    assert!(
        written < 32 << 20,
        "{written} bytes were taken from a server nobody listens to"
    );
    drop(response);
}

#[tokio::test]
async fn c16_no_piece_is_large_however_fast_the_server_is() {
    let server = Server::endless().await;
    let call = CallMeter::new(&Budget {
        response_bytes: 1 << 34,
        ..Budget::default()
    });
    let lane = lane_to(&server);
    let sent = lane.send(get(&server.url("/")), &call, Timeouts::default());
    let mut body = sent.await.unwrap().into_body();
    for _ in 0..500 {
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        // The bar is 256 KiB a stream: this one, and one that waits behind it.
        assert!(piece.len() <= 64 << 10, "{}", piece.len());
        // Lets the server get ahead.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn c16_a_compressed_body_is_handed_over_as_it_is() {
    let server = Server::answering(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f_zz",
    )
    .await;
    let response = send(&lane_to(&server), get(&server.url("/")))
        .await
        .unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(text(response).await.unwrap(), "\x1f_zz");
    let sent = server.requests().remove(0);
    assert!(!sent.contains("accept-encoding"), "{sent}");
}
