//! Files of the operator: certificates, keys and secrets.
//!
//! Each is looked at before it is used (one `stat`) and read again when it is
//! another one than was read: mounted secrets are exchanged by rename, so the
//! inode counts as well as time and length. Nothing but a regular file is read,
//! and opening never waits: a pipe would wait for its writer, a device has no end.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// Why there is nothing of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system refuses it.
    #[error("it cannot be read: {0}")]
    Io(io::ErrorKind),
    /// A folder, a pipe, a device.
    #[error("it is not a regular file")]
    NotAFile,
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind())
    }
}

/// Changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            length: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// What a file is now.
pub(crate) fn stamp(path: &Path) -> Result<Stamp, FileError> {
    regular(&std::fs::metadata(path)?)
}

/// The first bytes of a file, one more than `most` if it has more, in one
/// buffer that does not grow and is wiped.
pub(crate) fn read(path: &Path, most: usize) -> Result<(Stamp, Zeroizing<Vec<u8>>), FileError> {
    // Opening a device may do something; what is opened may be another one since.
    stamp(path)?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let stamp = regular(&file.metadata()?)?;
    let mut bytes = Zeroizing::new(vec![0; most + 1]);
    let filled = fill(&file, &mut bytes)?;
    bytes.truncate(filled);
    Ok((stamp, bytes))
}

fn regular(meta: &Metadata) -> Result<Stamp, FileError> {
    if meta.is_file() {
        Ok(Stamp::of(meta))
    } else {
        Err(FileError::NotAFile)
    }
}

fn fill(mut file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(size) => filled += size,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
