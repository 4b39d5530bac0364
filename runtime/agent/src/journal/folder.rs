//! The folder of one journal: owner-only, one writer, whole files.
//!
//! Everything is done through the handle of the opened folder, and no link is
//! followed: what stands in the journal is acted on at the next start, so
//! nobody else may be able to write it. The lock is a lock of the system on a
//! file that is never removed; it ends with the process that holds it, however
//! that ends, and a stale one cannot exist.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use thiserror::Error;

/// The records.
const FILE: &str = "journal.jsonl";

/// What will take its place. One name suffices: there is one writer.
const NEW_FILE: &str = "journal.jsonl.new";

/// Held by the writer.
const LOCK: &str = "lock";

/// Largest file that is read: more than the journal ever writes (see
/// `file::RECORD_LIMIT`), so a larger one is not ours.
const FILE_LIMIT: u64 = 256 << 20;

/// Why a journal cannot be opened. All are the operator's to repair.
#[derive(Debug, Error)]
pub enum JournalOpenError {
    /// The system refuses.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process writes it.
    #[error(
        "the journal in {} is in use by another servo; stop that one, or give each servo a folder \
         of its own", .0.display()
    )]
    InUse(PathBuf),
    /// Others could write it.
    #[error("{}: {problem}; {remedy}", path.display())]
    Unsafe {
        /// Which file or folder.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// It does not hold what was written.
    #[error(
        "{}, line {line}: {problem}; restore the file from a copy, or move it away to start \
         without what it holds (a result that was not delivered is then lost)", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// It belongs to another application.
    #[error(
        "{} belongs to the application `{theirs}`, not to `{ours}`; give each servo a folder of its \
         own", path.display()
    )]
    OtherApp {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        theirs: String,
        /// Who wanted it.
        ours: String,
    },
}

/// The folder, locked. Dropping it frees the lock.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    handle: OwnedFd,
    /// The journal, open for appending.
    file: Option<File>,
    _lock: File,
}

impl Folder {
    /// Opens the folder, makes it when there is none, and takes the lock.
    pub(super) fn open(path: &Path) -> Result<Self, JournalOpenError> {
        // Components drop a final `/` or `/.`, with which a link would be followed.
        let path: PathBuf = path.components().collect();
        let io = |action, source| JournalOpenError::Io {
            action,
            path: path.clone(),
            source,
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| io("create the folder of", e))?;
        }
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(io("create the folder", error));
            }
            _ => {}
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let handle = match rustix::fs::openat(CWD, &path, flags, Mode::empty()) {
            Ok(handle) => handle,
            Err(Errno::LOOP | Errno::NOTDIR) => {
                return Err(JournalOpenError::Unsafe {
                    problem: "it is a symbolic link or no folder".to_owned(),
                    remedy: "name the folder itself".to_owned(),
                    path,
                });
            }
            Err(error) => return Err(io("open the folder", error.into())),
        };
        let stat = rustix::fs::fstat(&handle).map_err(|e| io("look at the folder", e.into()))?;
        ours_alone(&path, &stat, "700")?;
        let lock = lock(&handle, &path)?;
        Ok(Self {
            path,
            handle,
            file: None,
            _lock: lock,
        })
    }

    /// Where the records are, for messages.
    pub(super) fn file_path(&self) -> PathBuf {
        self.path.join(FILE)
    }

    /// Reads the journal and opens it for appending. None: there is none yet.
    pub(super) fn read(&mut self) -> Result<Option<Vec<u8>>, JournalOpenError> {
        let path = self.file_path();
        let io = |action, source| JournalOpenError::Io {
            action,
            path: path.clone(),
            source,
        };
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NONBLOCK;
        let mut file = match open_at(&self.handle, FILE, flags) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(io("open", error.into())),
        };
        let stat = rustix::fs::fstat(&file).map_err(|e| io("look at", e.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(JournalOpenError::Unsafe {
                path,
                problem: "it is not a regular file".to_owned(),
                remedy: "move it away".to_owned(),
            });
        }
        ours_alone(&path, &stat, "600")?;
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > FILE_LIMIT {
            return Err(JournalOpenError::Damaged {
                path,
                line: 1,
                problem: format!("{size} bytes are more than a journal ever has"),
            });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| io("read", e))?;
        self.file = Some(file);
        Ok(Some(bytes))
    }

    /// Cuts the journal off after so many bytes.
    pub(super) fn cut(&mut self, length: u64) -> Result<(), JournalOpenError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        file.set_len(length)
            .and_then(|()| file.sync_all())
            .map_err(|source| JournalOpenError::Io {
                action: "cut off the torn end of",
                path: self.file_path(),
                source,
            })
    }
}

impl Folder {
    fn remove_new(&self) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.handle, NEW_FILE, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds bytes at the end, and returns when they are safe.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self
            .file
            .as_mut()
            .ok_or_else(|| io::Error::other("the journal was never written"))?;
        file.write_all(bytes)?;
        file.sync_data()
    }

    /// Puts bytes in place of everything, whole or not at all, and returns when
    /// they are safe.
    pub(super) fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        // One that a crash left goes first: this one is ours from its making.
        self.remove_new()?;
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL;
        let mut file = open_at(&self.handle, NEW_FILE, flags)?;
        let placed = file
            .write_all(bytes)
            .and_then(|()| file.sync_all())
            .and_then(|()| {
                rustix::fs::renameat(&self.handle, NEW_FILE, &self.handle, FILE)
                    .map_err(io::Error::from)
            });
        if let Err(error) = placed {
            // On a full disk it takes the space that the next attempt needs.
            let _ = self.remove_new();
            return Err(error);
        }
        // From here on the new file is the journal, whatever else fails.
        self.file = Some(file);
        Ok(rustix::fs::fsync(&self.handle)?)
    }
}

fn open_at(folder: &OwnedFd, name: &str, flags: OFlags) -> Result<File, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR).map(File::from)
}

fn lock(folder: &OwnedFd, path: &Path) -> Result<File, JournalOpenError> {
    let io = |source| JournalOpenError::Io {
        action: "take the lock in",
        path: path.to_owned(),
        source,
    };
    let file =
        open_at(folder, LOCK, OFlags::RDWR | OFlags::CREATE).map_err(|error| io(error.into()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalOpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

/// Whether nobody else can have written there.
fn ours_alone(path: &Path, stat: &Stat, mode: &str) -> Result<(), JournalOpenError> {
    let refused = |problem: String, remedy: String| JournalOpenError::Unsafe {
        path: path.to_owned(),
        problem,
        remedy,
    };
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(refused(
            "it belongs to another user, who could have written it".to_owned(),
            "name another folder".to_owned(),
        ));
    }
    let others = stat.st_mode & 0o7777;
    if others & 0o077 != 0 {
        return Err(refused(
            format!("others may use it (mode {others:04o}) and could have written it"),
            format!("look into it, then run: chmod {mode} {}", path.display()),
        ));
    }
    Ok(())
}
