//! Encodings that are undone, up to a size, where a rule says so.

use std::io::Write as _;

use crate::common::*;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use flate2::{Compress, Compression, FlushCompress};
use http_body_util::BodyExt;
use servo_egress::{BodyError, CallMeter, Lane, Timeouts};
use servo_policy::{Budget, HttpGrant, HttpRules, Rule, RuleLimits};
use tokio::io::AsyncWriteExt;

fn rule(server: &Server, decompressed: Option<u64>) -> HttpRules {
    let rule: Rule = format!("GET,HEAD http://{}/", server.address)
        .parse()
        .unwrap();
    let limits = RuleLimits {
        decompressed_bytes: decompressed,
        ..RuleLimits::default()
    };
    HttpRules::new([HttpGrant {
        limits,
        ..HttpGrant::from((rule, true, None))
    }])
    .unwrap()
}

fn undoing(server: &Server) -> Lane {
    lane(Scripted::new(&[]), rule(server, Some(1 << 20)))
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn bare(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A response with this body and these header fields, its length told.
fn answer(fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\n{fields}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn c16_gzip_and_deflate_are_undone_and_nothing_says_so_any_more() {
    let long: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
    for text in ["", "hello", &long] {
        let text = text.as_bytes();
        let two = [gzip(text), gzip(b"and more")].concat();
        let more = [text, b"and more"].concat();
        for (name, body, expected) in [
            ("gzip", gzip(text), text),
            ("X-GZIP", gzip(text), text),
            ("gzip", two, &more),
            ("deflate", zlib(text), text),
            (" Deflate", bare(text), text),
        ] {
            let fields = format!("content-encoding: {name}\r\nx-own: kept\r\n");
            let server = Server::answering(answer(&fields, &body)).await;
            let (lane, records, auditor) =
                recorded(Scripted::new(&[]), rule(&server, Some(1 << 20)));
            let call = meter();
            // The kept connection is found again: the body was read to its end.
            for _ in 0..2 {
                let sent = lane.send(get(&server.url("/")), &call, Timeouts::default());
                let response = sent.await.unwrap();
                assert!(!response.headers().contains_key("content-encoding"));
                assert!(!response.headers().contains_key("content-length"));
                assert_eq!(response.headers()["x-own"], "kept");
                let got = response.into_body().collect().await.unwrap().to_bytes();
                assert!(got == expected, "{name}: {} bytes", got.len());
            }
            assert_eq!(server.opened(), 1);
            // What is counted for the call is what came over the wire.
            assert_eq!(call.usage().bytes_in, 2 * body.len() as u64);
            let end = format!("allowed/- \"200\" 0>{}", body.len());
            assert!(
                records.lines().iter().all(|line| line.ends_with(&end)),
                "{:?}",
                records.lines()
            );
            assert_eq!((records.lines().len(), hits(&auditor)), (2, vec![]));
        }
    }
}

#[tokio::test]
async fn an_encoding_is_asked_for_unless_the_guest_asks_for_one() {
    let server = Server::ok().await;
    let lane = undoing(&server);
    send(&lane, get(&server.url("/"))).await.unwrap();
    let mut own = get(&server.url("/"));
    own.headers_mut()
        .insert("accept-encoding", "br".parse().unwrap());
    send(&lane, own).await.unwrap();
    let seen = server.requests();
    assert!(seen[0].contains("accept-encoding: gzip, deflate\r\n"));
    assert!(seen[1].contains("accept-encoding: br\r\n"), "{}", seen[1]);
}

#[tokio::test]
async fn other_encodings_several_and_parts_are_handed_over_as_they_are() {
    let body = gzip(b"hello");
    for fields in [
        "content-encoding: br\r\n",
        "content-encoding: gzip, gzip\r\n",
        "content-encoding: gzip\r\ncontent-encoding: gzip\r\n",
        "content-encoding: identity\r\n",
        "x-own: kept\r\n",
    ] {
        let server = Server::answering(answer(fields, &body)).await;
        let response = send(&undoing(&server), get(&server.url("/")))
            .await
            .unwrap();
        assert_eq!(
            response.headers().contains_key("content-encoding"),
            fields.contains("content-encoding")
        );
        assert_eq!(response.headers()["content-length"], body.len().to_string());
        let got = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(got, body, "{fields}");
    }
    let part = String::from("HTTP/1.1 206 Part\r\ncontent-encoding: gzip\r\n");
    let part = part + "content-length: 2\r\n\r\nok";
    let server = Server::answering(part).await;
    let response = send(&undoing(&server), get(&server.url("/")))
        .await
        .unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(text(response).await.unwrap(), "ok");
}

#[tokio::test]
async fn c16_a_body_that_is_not_what_its_encoding_says_is_an_error() {
    let good = gzip(b"hello");
    let mut wrong_sum = good.clone();
    let at = wrong_sum.len() - 8;
    wrong_sum[at] ^= 1;
    for (name, body) in [
        ("gzip", b"hello".to_vec()),
        ("gzip", good[..good.len() - 9].to_vec()),
        ("gzip", good[..5].to_vec()),
        ("gzip", wrong_sum),
        ("gzip", [&good[..], b"trailing"].concat()),
        ("deflate", good.clone()),
        ("deflate", zlib(b"hello")[..5].to_vec()),
        ("deflate", [&zlib(b"hello")[..], b"x"].concat()),
        ("deflate", [&bare(b"hello")[..], b"x"].concat()),
    ] {
        let fields = format!("content-encoding: {name}\r\n");
        let server = Server::answering(answer(&fields, &body)).await;
        let (lane, records, _) = recorded(Scripted::new(&[]), rule(&server, Some(1 << 20)));
        let call = meter();
        let sent = lane.send(get(&server.url("/")), &call, Timeouts::default());
        let error = text(sent.await.unwrap()).await.unwrap_err();
        assert!(matches!(error, BodyError::Protocol(_)), "{name}: {error}");
        assert_eq!(call.in_flight(), 0);
        let lines = records.lines();
        assert!(
            lines.len() == 1 && lines[0].contains("not what its content-encoding says"),
            "{lines:?}"
        );
    }
}

/// One mebibyte of zeros in about a kilobyte, which can be repeated.
fn zeros() -> Vec<u8> {
    let mut encoder = Compress::new(Compression::best(), false);
    let mut out = Vec::with_capacity(8 << 10);
    let flush = FlushCompress::Full;
    encoder
        .compress_vec(&vec![0; 1 << 20], &mut out, flush)
        .unwrap();
    out
}

/// Ten gigabytes of zeros in ten megabytes of gzip, as fast as it is read.
async fn bomb() -> Server {
    let zeros = zeros();
    assert!(zeros.len() < 2 << 10, "{}", zeros.len());
    Server::serving(move |mut stream, _| {
        let zeros = zeros.clone();
        async move {
            read_request(&mut stream, &mut Vec::new()).await?;
            let head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n";
            stream.write_all(head).await?;
            let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03";
            stream.write_all(gzip).await?;
            for _ in 0..10_240 {
                stream.write_all(&zeros).await?;
            }
            Ok(())
        }
    })
    .await
}

#[tokio::test]
async fn c16_what_comes_out_is_counted_and_cut() {
    const MOST: u64 = 3 << 20;
    let server = bomb().await;
    let (lane, records, auditor) = recorded(Scripted::new(&[]), rule(&server, Some(MOST)));
    let call = meter();
    let sent = lane.send(get(&server.url("/")), &call, Timeouts::default());
    let mut body = sent.await.unwrap().into_body();
    let mut came_out = 0;
    let error = loop {
        match body.frame().await.unwrap() {
            Ok(frame) => came_out += frame.into_data().unwrap().len() as u64,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(error, BodyError::TooLargeDecoded { limit: MOST }),
        "{error}"
    );
    assert!(
        came_out > MOST - (64 << 10) && came_out <= MOST,
        "{came_out}"
    );
    settle(|| server.closed() == 1).await;
    assert_eq!(call.in_flight(), 0);
    let lines = records.lines();
    assert!(
        lines.len() == 1 && lines[0].contains("capped/limit \"200, the body is larger than"),
        "{lines:?}"
    );
    assert_eq!(hits(&auditor), [("decompressed_bytes", 1)]);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn c16_what_arrives_counts_too() {
    let noise: Vec<u8> = (0..50_000u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let server = Server::answering(answer("content-encoding: gzip\r\n", &gzip(&noise))).await;
    let (lane, _, auditor) = recorded(Scripted::new(&[]), rule(&server, Some(1 << 30)));
    let call = CallMeter::new(&Budget {
        response_bytes: 10_000,
        ..Budget::default()
    });
    let sent = lane.send(get(&server.url("/")), &call, Timeouts::default());
    let error = text(sent.await.unwrap()).await.unwrap_err();
    assert!(
        matches!(error, BodyError::TooLarge { limit: 10_000 }),
        "{error}"
    );
    assert_eq!(hits(&auditor), [("response_bytes", 1)]);
}

#[tokio::test]
async fn a_reader_that_goes_away_before_the_end_is_recorded() {
    let body = gzip(&vec![0; 1 << 18]);
    let server = Server::answering(answer("content-encoding: gzip\r\n", &body)).await;
    let (lane, records, _) = recorded(Scripted::new(&[]), rule(&server, Some(1 << 20)));
    let response = send(&lane, get(&server.url("/"))).await.unwrap();
    let mut body = response.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(records.lines().len(), 0);
    drop(body);
    let lines = records.lines();
    assert!(lines[0].contains("200, not read to its end"), "{lines:?}");
}

#[tokio::test]
async fn a_head_alone_has_nothing_to_undo() {
    let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\n";
    let server = Server::answering(head).await;
    let request = http::Request::head(server.url("/"))
        .body(servo_egress::empty())
        .unwrap();
    let response = send(&undoing(&server), request).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(text(response).await.unwrap(), "");
}
