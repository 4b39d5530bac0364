//! Why the store cannot be used, and what to do about it.

use std::path::PathBuf;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is a file where the folder should be: the database of an earlier
    /// version, most likely.
    #[error("{} is a file, and the data of the service is a folder; {}", path.display(), super::file::how_to_move(path))]
    IsAFile {
        /// The file.
        path: PathBuf,
    },
    /// The folder cannot be made.
    #[error("the folder {} cannot be made: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be opened or created.
    #[error("the database {} cannot be opened: {source}; is the folder writable?", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is something in the place of the database, or of a file that
    /// SQLite keeps beside it, that is no file with content.
    #[error(
        "{} is {what}, and the database has to be a regular file; remove it or choose another folder", path.display()
    )]
    NotAFile {
        /// What is in the way.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Another process has it.
    #[error(
        "the database {} is in use by another process; stop that one or choose another folder", path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A later version of the program has written it.
    #[error(
        "the database has layout {found}, this program knows up to {known}; use the newer program"
    )]
    TooNew {
        /// What was found.
        found: u32,
        /// What is known.
        known: u32,
    },
    /// SQLite refused.
    #[error("the database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// Something that is to be stored has no JSON form.
    #[error("a record cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}
