//! The folder and the file of the database, before SQLite sees them.
//!
//! SQLite opens what it is given by its path and blocks on a FIFO, so whatever
//! bears one of the names that it will open is looked at first.

use std::fs::{DirBuilder, File, FileType, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::StoreError;

/// Name of the database in its folder.
pub(super) const NAME: &str = "optune.db";
/// What SQLite may open beside it.
const BESIDE: [&str; 3] = ["-wal", "-journal", "-shm"];

/// Makes the folder, for its owner only. One that exists is taken as it is.
pub(super) fn create_folder(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| StoreError::Folder {
            path: path.to_owned(),
            source,
        })
}

/// Sees to it that the database is a regular file, readable by its owner only
/// where it is made, and that nothing else lies where SQLite keeps its log.
pub(super) fn prepare(path: &Path) -> Result<(), StoreError> {
    for end in BESIDE {
        let beside = PathBuf::from(format!("{}{end}", path.display()));
        match std::fs::metadata(&beside) {
            Ok(found) => regular(&beside, found.file_type())?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => {
                return Err(StoreError::Open {
                    path: beside,
                    source,
                });
            }
        }
    }
    if let Ok(found) = std::fs::metadata(path) {
        regular(path, found.file_type())?;
    }
    // What has changed since then does not hold us up either.
    let found = create(path)
        .and_then(|file| file.metadata())
        .map_err(|source| StoreError::Open {
            path: path.to_owned(),
            source,
        })?;
    regular(path, found.file_type())
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
}

fn regular(path: &Path, found: FileType) -> Result<(), StoreError> {
    let what = if found.is_file() {
        return Ok(());
    } else if found.is_dir() {
        "a folder"
    } else if found.is_fifo() {
        "a FIFO"
    } else if found.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(StoreError::NotAFile {
        path: path.to_owned(),
        what,
    })
}

/// How to go on with the database of an earlier version.
pub(super) fn how_to_move(path: &Path) -> String {
    let file = path.display();
    let wal = PathBuf::from(format!("{file}-wal"));
    let log = if wal.exists() {
        format!(" && mv {file}-wal {file}.d/{NAME}-wal")
    } else {
        String::new()
    };
    format!(
        "name another one, or keep what the file holds: mkdir -m 700 {file}.d && mv {file} {file}.d/{NAME}{log}, and name {file}.d"
    )
}
