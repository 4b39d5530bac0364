//! Behaviours that take memory, here or on the host's side.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use servo_driver::Failure;
use wasip2::cli::stdout::get_stdout;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::filesystem::preopens::get_directories;
use wasip2::http::types::Fields;

use super::note;
use crate::{Findings, Handle};

/// Handles tried before giving up; far above any limit.
const MOST: u32 = 10_000_000;

pub(super) fn grow(crash: bool) -> Findings {
    const PAGE: usize = 64 << 10;
    while core::arch::wasm32::memory_grow::<0>(1) != usize::MAX {}
    let bytes = core::arch::wasm32::memory_size::<0>() * PAGE;
    if crash {
        core::arch::wasm32::unreachable();
    }
    note("memory", bytes)
}

/// Takes all the memory there is, a mebibyte at a time, and writes to it.
pub(super) fn grow_and_fill() -> Findings {
    const PIECE: usize = 1 << 20;
    let mut pieces: Vec<Vec<u8>> = Vec::with_capacity(4096);
    loop {
        let mut piece = Vec::new();
        if piece.try_reserve_exact(PIECE).is_err() {
            break;
        }
        piece.resize(PIECE, 1);
        pieces.push(black_box(piece));
    }
    // The last pages are too few for a piece.
    while core::arch::wasm32::memory_grow::<0>(1) != usize::MAX {}
    let taken = pieces.len();
    drop(pieces);
    note("pieces", taken)
}

#[inline(never)]
pub(super) fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    recurse(frame.iter().sum()) + black_box(frame).iter().sum::<u64>()
}

pub(super) fn hold(handle: Handle) -> Result<Findings, Failure> {
    for _ in 0..MOST {
        match handle {
            Handle::Pollable => std::mem::forget(subscribe_duration(u64::MAX)),
            Handle::Fields => std::mem::forget(Fields::new()),
            Handle::Stream => std::mem::forget(get_stdout()),
            Handle::Folder => std::mem::forget(get_directories()),
        }
    }
    Err(Failure::failed("no limit in sight"))
}

pub(super) fn fields(count: u32, bytes: usize) -> Findings {
    let value = vec![b'x'; bytes];
    let fields = Fields::new();
    for index in 0..count {
        if let Err(error) = fields.append(&format!("x-{index}"), &value) {
            return note("refused", format!("{index}: {error:?}"));
        }
    }
    note("taken", count)
}

static MARK: AtomicU64 = AtomicU64::new(0);

pub(super) fn remember() -> Findings {
    let scratch = std::path::Path::new("/scratch/mark");
    let mut found = note("global", MARK.swap(0xfeed, Ordering::Relaxed));
    found.extend(note("file", scratch.exists()));
    found.extend(note("written", std::fs::write(scratch, "mark").is_ok()));
    found
}
