//! A search for what a guest must never hold.

use std::hint::black_box;

use wasip2::cli::environment;

use super::{note, raw};
use crate::{Findings, RawRequest, Through};

/// Sends requests, keeps everything that comes back, and then looks for a text
/// in all of its own memory. The text is given backwards, so that the search
/// does not find what it was told to look for.
pub(super) fn search(
    requests: &[RawRequest],
    through: Through,
    backwards: &str,
    planted: bool,
) -> Findings {
    let told = requests.iter().map(|request| raw::told(request, through));
    let told: Vec<String> = told.collect();
    // One found text shows that the search finds.
    let plant: Option<String> = planted.then(|| backwards.chars().rev().collect());
    let kept = black_box((
        environment::get_environment(),
        environment::get_arguments(),
        plant,
    ));
    let mut found = note("found", occurrences(backwards.as_bytes()));
    drop(black_box(kept));
    for (index, told) in told.into_iter().enumerate() {
        found.extend(note(index.to_string(), told));
    }
    found
}

/// How often the reverse of `backwards` stands in this memory.
#[allow(unsafe_code)]
fn occurrences(backwards: &[u8]) -> usize {
    let end = core::arch::wasm32::memory_size::<0>() << 16;
    let length = backwards.len();
    if length == 0 || end < length {
        return 0;
    }
    // SAFETY: all of the linear memory is there, from the first byte to the
    // last; the volatile reads make nothing of what they find.
    let at = |address: usize| unsafe { std::ptr::read_volatile(address as *const u8) };
    (1024..=end - length)
        .filter(|start| (0..length).all(|index| at(start + index) == backwards[length - 1 - index]))
        .count()
}
