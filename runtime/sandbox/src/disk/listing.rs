//! The content of a folder, a page at a time.
//!
//! The engine reads a folder as a whole before it hands out the first entry:
//! a folder with a million files would be a hundred megabytes of the host. This
//! keeps one page, and ends after so many entries, whatever else there is.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

use rustix::fs::{Dir, FileType, Mode, OFlags};
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};

use crate::fixed::FOLDER_ENTRIES;

/// Entries that are read at once: some KiB of names.
const PAGE: usize = 64;

/// A folder that is being read.
pub(super) struct Listing {
    /// Nothing when all has been read.
    folder: Option<Dir>,
    page: VecDeque<DirectoryEntry>,
    left: usize,
}

/// What comes next.
pub(super) enum Next {
    Entry(DirectoryEntry),
    End,
    /// There is more, which is not shown.
    Cut,
}

impl Listing {
    /// Begins to read. Blocks.
    pub(super) fn open(folder: &Arc<File>) -> Result<Self, ErrorCode> {
        // The engine's handle may only be gone through, not read.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(folder, c".", flags, Mode::empty())
            .and_then(Dir::new)
            .map_err(std::io::Error::from)?;
        Ok(Self {
            folder: Some(folder),
            page: VecDeque::new(),
            left: FOLDER_ENTRIES,
        })
    }

    /// Whether the next entry has to be read first.
    pub(super) fn is_used_up(&self) -> bool {
        self.page.is_empty() && self.folder.is_some()
    }

    /// Reads a page. Blocks.
    pub(super) fn read(mut self) -> Result<Self, ErrorCode> {
        while self.page.len() < PAGE {
            let Some(folder) = &mut self.folder else {
                break;
            };
            let Some(entry) = folder.read() else {
                self.folder = None;
                break;
            };
            let entry = entry.map_err(std::io::Error::from)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let name =
                String::from_utf8(name.to_vec()).map_err(|_| ErrorCode::IllegalByteSequence)?;
            self.page.push_back(DirectoryEntry {
                type_: kind(entry.file_type()),
                name,
            });
        }
        Ok(self)
    }

    /// The next entry of what was read.
    pub(super) fn next(&mut self) -> Next {
        let Some(entry) = self.page.pop_front() else {
            return Next::End;
        };
        if self.left == 0 {
            self.page.clear();
            self.folder = None;
            return Next::Cut;
        }
        self.left -= 1;
        Next::Entry(entry)
    }
}

fn kind(of: FileType) -> DescriptorType {
    match of {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::Unknown => DescriptorType::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f8_folder_entries_are_read_by_the_page_and_cut() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..FOLDER_ENTRIES + 100 {
            std::fs::File::create(folder.path().join(number.to_string())).unwrap();
        }
        // As the engine opens it.
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let open = rustix::fs::open(folder.path(), flags, Mode::empty()).unwrap();
        let open = Arc::new(File::from(open));
        let mut listing = Listing::open(&open).unwrap();
        let (mut shown, mut most) = (0, 0);
        let cut = loop {
            if listing.is_used_up() {
                listing = listing.read().unwrap();
            }
            most = most.max(listing.page.len());
            match listing.next() {
                Next::Entry(entry) => {
                    assert_eq!(entry.type_, DescriptorType::RegularFile);
                    shown += 1;
                }
                Next::End => break false,
                Next::Cut => break true,
            }
        };
        assert!(cut && matches!(listing.next(), Next::End));
        assert_eq!((shown, most), (FOLDER_ENTRIES, PAGE), "of folder_entries");
    }
}
