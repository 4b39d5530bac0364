//! A folder that is ours alone, used through its handle.
//!
//! Everything is done relative to the opened folder, so that exchanging a
//! parent or the folder itself afterwards changes nothing, and files are
//! opened without following links and then asked who owns them.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW,
};

use super::{CacheError, temporary_name};

/// A temporary file this much older than the newest entry was left by a crash.
const STALE_SECONDS: i64 = 3600;

pub(super) struct Folder {
    path: PathBuf,
    handle: OwnedFd,
}

impl Folder {
    pub(super) fn open_or_create(path: &Path) -> Result<Folder, CacheError> {
        // Components drop a final `/` or `/.`, with which a link would be followed.
        let path: PathBuf = path.components().collect();
        let io = |action, source| CacheError::Io {
            path: path.clone(),
            action,
            source,
        };
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| io("create the folder", e))?;
        }
        match builder.create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(io("create the folder", error));
            }
            _ => {}
        }
        let refused = |problem: &str, remedy: String| CacheError::Unsafe {
            path: path.clone(),
            problem: problem.to_owned(),
            remedy,
        };
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let handle = match rustix::fs::openat(CWD, &path, flags, Mode::empty()) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
                return Err(refused(
                    "it is a symbolic link or no folder",
                    "name the folder itself".to_owned(),
                ));
            }
            Err(error) => return Err(io("open the folder", error.into())),
        };
        let stat = rustix::fs::fstat(&handle).map_err(|e| io("look at the folder", e.into()))?;
        match trouble(&stat) {
            Some(Trouble::Owner) => Err(refused(
                "it belongs to another user, who could put code there",
                "name another folder, or remove it and let servo make it".to_owned(),
            )),
            Some(Trouble::Mode(mode)) => Err(refused(
                &format!("others may use it (mode {mode:04o}) and could put code there"),
                format!(
                    "run: chmod 700 {}, after deleting what is in it",
                    path.display()
                ),
            )),
            None => Ok(Folder { path, handle }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn io(&self, action: &'static str, source: io::Error) -> CacheError {
        CacheError::Io {
            path: self.path.clone(),
            action,
            source,
        }
    }

    /// Opens a regular file of ours that nobody else may use.
    pub(super) fn open_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file =
            rustix::fs::openat(&self.handle, name, flags, Mode::empty()).map_err(|error| {
                match error {
                    rustix::io::Errno::LOOP => io::Error::other("it is a symbolic link"),
                    other => other.into(),
                }
            })?;
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it is not a regular file"));
        }
        match trouble(&stat) {
            Some(Trouble::Owner) => Err(io::Error::other("it belongs to another user")),
            Some(Trouble::Mode(mode)) => Err(io::Error::other(format!(
                "others may use it (mode {mode:04o})"
            ))),
            None => Ok(File::from(file)),
        }
    }

    /// Puts a file in place of any of that name, whole or not at all.
    pub(super) fn replace(
        &self,
        name: &str,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let (temporary, mut file) = self.create_temporary()?;
        let placed = write(&mut file)
            .and_then(|()| file.sync_all())
            .and_then(|()| {
                rustix::fs::renameat(&self.handle, &temporary, &self.handle, name)
                    .map_err(io::Error::from)
            });
        if placed.is_err() {
            let _ = self.remove(&temporary);
        }
        placed
    }

    /// Writes a file unless it is there already: of several that try, one wins,
    /// and what others see is whole.
    pub(super) fn create_once(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (temporary, mut file) = self.create_temporary()?;
        let linked = io::Write::write_all(&mut file, bytes)
            .and_then(|()| file.sync_all())
            .and_then(|()| {
                match rustix::fs::linkat(
                    &self.handle,
                    &temporary,
                    &self.handle,
                    name,
                    AtFlags::empty(),
                ) {
                    Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            });
        let removed = self.remove(&temporary);
        linked.and(removed)
    }

    fn create_temporary(&self) -> io::Result<(String, File)> {
        let name = temporary_name()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.handle, &name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok((name, File::from(file)))
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.handle, name, AtFlags::empty())?)
    }

    /// Removes the entries used longest ago until at most `limit` bytes are
    /// left, sparing `newest`, and what crashed writers left behind.
    pub(super) fn evict(&self, limit: u64, newest: &str) -> io::Result<()> {
        let mut entries = Vec::new();
        let mut temporaries = Vec::new();
        let mut total = 0_u64;
        let mut now = i64::MIN;
        for entry in Dir::read_from(self.handle.as_fd())? {
            let Ok(name) = entry?.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            let is_entry = name.ends_with(".code");
            if !is_entry && !name.ends_with(".tmp") {
                continue;
            }
            // Another process may have removed it since.
            let Ok(stat) = rustix::fs::statat(&self.handle, &name, AtFlags::SYMLINK_NOFOLLOW)
            else {
                continue;
            };
            let used = (stat.st_mtime, stat.st_mtime_nsec);
            if name == newest {
                now = stat.st_mtime;
            }
            if is_entry {
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                total = total.saturating_add(size);
                entries.push((used, size, name));
            } else {
                temporaries.push((stat.st_mtime, name));
            }
        }
        for (time, name) in temporaries {
            if time.saturating_add(STALE_SECONDS) < now {
                let _ = self.remove(&name);
            }
        }
        entries.sort();
        for (_, size, name) in entries {
            if total <= limit {
                break;
            }
            if name == newest {
                continue;
            }
            match self.remove(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => total = total.saturating_sub(size),
            }
        }
        Ok(())
    }
}

enum Trouble {
    Owner,
    Mode(u32),
}

/// Whether anybody but us could have written there.
fn trouble(stat: &Stat) -> Option<Trouble> {
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Some(Trouble::Owner);
    }
    let mode = stat.st_mode & 0o7777;
    (mode & 0o077 != 0).then_some(Trouble::Mode(mode))
}

/// Notes that a file was used now.
pub(super) fn touch(file: &File) -> io::Result<()> {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    Ok(rustix::fs::futimens(file, &times)?)
}
