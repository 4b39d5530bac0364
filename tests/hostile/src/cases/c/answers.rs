//! C, what a server answers: too much, too slowly, or something that is not HTTP.

use std::sync::Arc;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::to;
use crate::expect::beside_a_canary;
use crate::host::HostUnderTest;
use crate::server::Server;
use crate::stage::Stage;

/// A body of ten gigabytes.
pub async fn c16_an_endless_answer_is_capped<H: HostUnderTest>() {
    const CAP: u64 = 1 << 20;
    let server = Server::serving(|mut stream, heard| async move {
        heard.request(&mut stream, &mut Vec::new()).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n")
            .await?;
        loop {
            stream.write_all(&[b'x'; 65_536]).await?;
        }
    })
    .await;
    let stage = Stage::<H>::new();
    let grants = json!({
        "http": server.grant(),
        "limits": { "response_bytes": "1MiB", "cpu": "60s" },
    });
    let drain = json!({ "do": "drain", "request": to(&server) });
    let step = stage.run(drain, grants).await;
    let bytes: u64 = step.note("bytes").parse().unwrap();
    assert!(bytes <= CAP, "{bytes}");
    // It was read up to the cap, whether that is handed on in pieces or not.
    assert!(step.used.bytes_in > CAP / 2, "{}", step.used.bytes_in);
    assert!(step.note("end").contains("Err"), "{}", step.note("end"));
    assert!(stage.host.limit_hits("response_bytes") > 0);
    let records = stage.records.refusals();
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(
        (&*records[0].verdict, &*records[0].reason),
        ("capped", "limit")
    );
    // What was read and not handed on is one piece.
    assert!(
        step.used.bytes_in <= CAP + (512 << 10),
        "{}",
        step.used.bytes_in
    );
    server.until(|(_, closed)| *closed == 1).await;
}

/// A gigabyte of zeroes in a megabyte, where the rule has it undone.
pub async fn c16_a_compressed_bomb_is_capped_by_what_comes_out<H: HostUnderTest>() {
    let server = Server::answering(bomb()).await;
    let stage = Stage::<H>::new();
    let mut grants = server.grant();
    grants[0]["limits"] = json!({ "decompressed_bytes": "1MiB" });
    let limits = json!({ "cpu": "60s" });
    let drain = json!({ "do": "drain", "request": to(&server) });
    let step = stage
        .run(drain.clone(), json!({ "http": grants, "limits": limits }))
        .await;
    let bytes: u64 = step.note("bytes").parse().unwrap();
    assert!(bytes <= 1 << 20, "{bytes}");
    assert!(step.note("end").starts_with("Err"), "{}", step.note("end"));
    assert!(stage.host.limit_hits("decompressed_bytes") > 0);
    let records = stage.records.refusals();
    assert_eq!(
        (&*records[0].verdict, &*records[0].reason),
        ("capped", "limit")
    );
    // Without that it is handed over as it came.
    let stage = Stage::<H>::new();
    let plain = json!({ "http": server.grant(), "limits": limits });
    let step = stage.run(drain, plain).await;
    let bytes: u64 = step.note("bytes").parse().unwrap();
    assert_eq!(bytes, step.used.bytes_in);
    assert!(bytes < 4 << 20, "{bytes}");
}

/// An answer of 256 MiB of zeroes, compressed.
fn bomb() -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    for _ in 0..256 {
        encoder.write_all(&[0; 1 << 20]).unwrap();
    }
    let body = encoder.finish().unwrap();
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend(body);
    answer
}

/// Three ways to be slow, under the deadline of the call.
pub async fn c17_a_slow_server_ends_with_the_call<H: HostUnderTest>() {
    let slow: [(&str, &[u8]); 3] = [
        ("no head", b""),
        ("a head that never ends", b"HTTP/1.1 200 OK\r\nx-"),
        (
            "a body that never ends",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n",
        ),
    ];
    for (what, begin) in slow {
        let server = Server::serving(move |mut stream, heard| async move {
            heard.request(&mut stream, &mut Vec::new()).await?;
            stream.write_all(begin).await?;
            // A byte now and then, until the client is gone.
            loop {
                let mut byte = [0];
                let pause = tokio::time::sleep(std::time::Duration::from_millis(20));
                tokio::select! {
                    _ = stream.read(&mut byte) => return Ok(()),
                    () = pause, if !begin.is_empty() => stream.write_all(b"a").await?,
                }
            }
        })
        .await;
        let stage = Stage::<H>::new();
        let limits = json!({
            "step_wall": "400ms", "request_time": "1h", "connect_time": "120s", "idle_time": "1h",
        });
        let grants = json!({ "http": server.grant(), "limits": limits });
        let drain = json!({ "do": "drain", "request": to(&server) });
        let bound = stage.behaving(drain, grants).await;
        let step = beside_a_canary(&stage, async move { bound.measure().await }).await;
        step.assert_limit("step_wall");
        assert!(
            step.used.cpu < std::time::Duration::from_millis(400),
            "{what}"
        );
        server.until(|(opened, closed)| opened == closed).await;
    }
}

/// Answers that are not HTTP.
pub async fn c19_answers_that_are_not_http<H: HostUnderTest>() {
    let many = "x-a: b\r\n".repeat(1_000);
    let large = format!("x-a: {}\r\n", "b".repeat(1 << 20));
    let flood = "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000);
    for (what, answer) in [
        (
            "a thousand fields",
            format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        ),
        (
            "a field of a megabyte",
            format!("HTTP/1.1 200 OK\r\n{large}\r\n"),
        ),
        ("a bad status", "HTTP/1.1 999999 OK\r\n\r\n".to_owned()),
        ("no status", "HTTP/1.1\r\n\r\n".to_owned()),
        ("something else", "SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned()),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_owned(),
        ),
        (
            "a bad piece",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab\r\n".to_owned(),
        ),
        (
            "a piece of absurd size",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\na"
                .to_owned(),
        ),
        ("a flood of interim answers", flood),
        ("a NUL", "HTTP/1.1 200 OK\r\nx-a: \0\r\n\r\n".to_owned()),
        (
            "an early end",
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc".to_owned(),
        ),
    ] {
        // Each connection gets one answer and is closed.
        let answer: Arc<[u8]> = answer.into_bytes().into();
        let server = Server::serving(move |mut stream, heard| {
            let answer = Arc::clone(&answer);
            async move {
                heard.request(&mut stream, &mut Vec::new()).await?;
                stream.write_all(&answer).await?;
                stream.shutdown().await
            }
        })
        .await;
        let stage = Stage::<H>::new();
        let drain = json!({ "do": "drain", "request": to(&server) });
        let grants = json!({ "http": server.grant() });
        let step = stage.run(drain, grants).await;
        assert!(
            step.note("end").starts_with("Err"),
            "{what}: {:?}",
            step.end
        );
        server.until(|(opened, closed)| opened == closed).await;
        stage
            .run(json!({ "do": "nothing" }), json!({}))
            .await
            .assert_answered();
    }
}
