//! The memory of the host while a response bomb is read slowly. In a process of
//! its own, because it is the process's memory that is looked at.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "egress/common/mod.rs"]
mod common;

use common::*;
use flate2::{Compress, Compression, FlushCompress};
use http_body_util::BodyExt;
use servo_policy::{HttpGrant, HttpRules, Rule, RuleLimits};
use tokio::io::AsyncWriteExt;

/// What this process holds in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib << 10
}

/// Most that may be held beyond what is held after the first piece.
const MOST: u64 = 4 << 20;

#[tokio::test]
async fn c16_memory_is_flat_while_a_bomb_goes_off() {
    // A mebibyte of zeros in a kilobyte, again and again: 64 KiB on the wire,
    // which arrive at once, are 64 MiB.
    let mut zeros = Vec::with_capacity(8 << 10);
    Compress::new(Compression::best(), false)
        .compress_vec(&vec![0; 1 << 20], &mut zeros, FlushCompress::Full)
        .unwrap();
    let zeros = zeros.repeat(64);
    let server = Server::serving(move |mut stream, _| {
        let zeros = zeros.clone();
        async move {
            read_request(&mut stream, &mut Vec::new()).await?;
            let head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n";
            stream.write_all(head).await?;
            let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03";
            stream.write_all(gzip).await?;
            loop {
                stream.write_all(&zeros).await?;
            }
        }
    })
    .await;
    let rule: Rule = format!("GET http://{}/", server.address).parse().unwrap();
    let limits = RuleLimits {
        decompressed_bytes: Some(1 << 30),
        ..RuleLimits::default()
    };
    let rules = HttpRules::new([HttpGrant {
        limits,
        ..HttpGrant::from((rule, true, None))
    }]);
    let lane = lane(Scripted::new(&[]), rules.unwrap());
    let response = send(&lane, get(&server.url("/"))).await.unwrap();
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    let before = resident();
    let mut came_out = 0;
    let mut peak = 0;
    while came_out < 128 << 20 {
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(piece.len() <= 32 << 10 && piece.iter().all(|b| *b == 0));
        came_out += piece.len() as u64;
        peak = peak.max(resident());
    }
    let grown = peak.saturating_sub(before);
    assert!(grown < MOST, "{grown} bytes for {came_out}");
}
