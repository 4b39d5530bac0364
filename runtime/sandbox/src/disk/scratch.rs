//! The folder of one step, and its end.
//!
//! The guest has shaped what is to be removed, so the usual recursive removal
//! is out of the question: it holds one descriptor and one stack frame for
//! each level, and paths longer than the system takes. Here each folder is
//! moved up beside its parent before it is emptied, so that nothing is ever
//! deeper than two levels, whatever the guest built.

use std::io;
use std::path::{Path, PathBuf};

/// How often a folder is emptied again in which something appeared meanwhile:
/// an engine thread may still end the last thing the guest asked for.
const RETRIES: u32 = 100;

/// A folder that is gone, with all that is in it, when this is dropped. That
/// blocks; where it matters, drop it on a thread for blocking work.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// Ours, with the guest's folder in it.
    outer: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> io::Result<Self> {
        let outer = tempfile::Builder::new()
            .prefix("servo-scratch-")
            .tempdir()?
            .keep();
        let scratch = Self { outer };
        std::fs::create_dir(scratch.path())?;
        Ok(scratch)
    }

    /// The folder the guest gets.
    pub(crate) fn path(&self) -> PathBuf {
        self.outer.join("scratch")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.outer, self.path()) {
            tracing::warn!(
                "the scratch folder {} is left behind: {error}",
                self.outer.display()
            );
        }
    }
}

fn remove(outer: &Path, guest: PathBuf) -> io::Result<()> {
    let (mut folders, mut moved, mut retries) = (vec![guest], 0_u64, 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                moved += 1;
                let beside = outer.join(moved.to_string());
                std::fs::rename(entry.path(), &beside)?;
                folders.push(beside);
            } else {
                std::fs::remove_file(entry.path())?;
            }
        }
        match std::fs::remove_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && retries < RETRIES => {
                retries += 1;
                folders.push(folder);
            }
            removed => removed?,
        }
    }
    std::fs::remove_dir(outer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f4_a_tree_deeper_than_a_path_is_long_is_removed() {
        let scratch = Scratch::new().unwrap();
        let (outer, guest) = (scratch.outer.clone(), scratch.path());
        // Built from the inside out: each round puts the tree into a new folder.
        for round in 0..3_000 {
            let (next, inner) = (outer.join("next"), outer.join("next/1"));
            std::fs::create_dir(&next).unwrap();
            std::fs::write(next.join("file"), "x").unwrap();
            match round {
                0 => std::fs::create_dir(&inner).unwrap(),
                _ => std::fs::rename(outer.join("tree"), &inner).unwrap(),
            }
            std::fs::rename(&next, outer.join("tree")).unwrap();
        }
        std::fs::rename(outer.join("tree"), guest.join("tree")).unwrap();
        drop(scratch);
        assert!(!outer.exists());
    }
}
