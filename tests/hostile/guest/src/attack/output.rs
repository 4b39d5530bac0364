//! Behaviours that talk too much.

use std::io::Write;

use super::note;
use crate::Findings;

pub(super) fn print(bytes: usize, text: &str) -> Findings {
    let chunk = vec![b'x'; 64 << 10];
    let mut failed = 0;
    for stream in [
        &mut std::io::stdout() as &mut dyn Write,
        &mut std::io::stderr(),
    ] {
        let mut left = bytes;
        failed += u32::from(writeln!(stream, "{text}").is_err());
        while let Some(part) = chunk.get(..left.min(chunk.len()))
            && !part.is_empty()
        {
            failed += u32::from(stream.write_all(part).is_err());
            left -= part.len();
        }
        let _ = stream.flush();
    }
    note("failed", failed)
}

pub(super) fn log(lines: u32, bytes: usize) -> Findings {
    let line = "x".repeat(bytes);
    for _ in 0..lines {
        log::info!("{line}");
    }
    note("logged", lines)
}
