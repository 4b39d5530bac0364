//! Responses that say in more than one way where they end.

use servo_egress::{ProtocolFailure, SendError};

use crate::common::*;

fn answer(fields: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n5\r\nhello\r\n0\r\n\r\n").into_bytes()
}

/// Refused, and the connection is not used for another request, even though a
/// reader who takes one of its meanings finds the answer whole.
#[tokio::test]
async fn an_ambiguous_response_is_refused_and_its_connection_closed() {
    for fields in [
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "content-length: 15\r\ntransfer-encoding: chunked\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: Chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: identity\r\n",
    ] {
        let server = Server::answering(answer(fields)).await;
        let lane = lane_to(&server);
        for connections in 1..=2 {
            let error = send(&lane, get(&server.url("/"))).await.unwrap_err();
            assert!(
                matches!(error, SendError::Protocol(ProtocolFailure::Ambiguous)),
                "{fields:?}: {error:?}"
            );
            assert!(error.to_string().contains("transfer-encoding"), "{error}");
            server.until(|(_, closed)| *closed == connections).await;
            assert_eq!(server.opened(), connections, "{fields:?}");
        }
    }
}

/// These the HTTP library refuses itself.
#[tokio::test]
async fn two_lengths_are_refused_and_their_connection_closed() {
    for fields in [
        "content-length: 15\r\ncontent-length: 5\r\n",
        "content-length: 15, 5\r\n",
        "content-length: +15\r\n",
        "content-length: 0x0f\r\n",
    ] {
        let server = Server::answering(answer(fields)).await;
        let lane = lane_to(&server);
        for connections in 1..=2 {
            let error = send(&lane, get(&server.url("/"))).await.unwrap_err();
            assert!(
                matches!(error, SendError::Protocol(ProtocolFailure::Invalid)),
                "{fields:?}: {error:?}"
            );
            server.until(|(_, closed)| *closed == connections).await;
            assert_eq!(server.opened(), connections, "{fields:?}");
        }
    }
}

#[tokio::test]
async fn a_response_with_one_end_is_read_and_its_connection_kept() {
    for fields in [
        "transfer-encoding: chunked\r\n",
        "Transfer-Encoding:  CHUNKED \r\n",
    ] {
        let server = Server::answering(answer(fields)).await;
        let lane = lane_to(&server);
        for _ in 0..2 {
            let response = send(&lane, get(&server.url("/"))).await.unwrap();
            assert_eq!(text(response).await.unwrap(), "hello", "{fields:?}");
        }
        assert_eq!(server.opened(), 1, "{fields:?}");
    }
}
