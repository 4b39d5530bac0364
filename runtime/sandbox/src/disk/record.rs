//! What is written down of a guest's use of files.
//!
//! What opens, makes, changes or removes a name is a decision and recorded,
//! however it ends. Reads and writes through what was opened are not, unless
//! they are refused.

use std::sync::Arc;

use servo_audit::{Capability, Reason};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::FsResult;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorFlags, ErrorCode, OpenFlags};

use super::{DiskView, Fd, Place};
use crate::dry_run::held_back;
use crate::records::clean;

/// The words for opening something.
pub(super) fn opening(open: OpenFlags, flags: DescriptorFlags) -> &'static str {
    if open.contains(OpenFlags::TRUNCATE) {
        "open to overwrite"
    } else if open.contains(OpenFlags::CREATE) {
        "open to create"
    } else if flags.intersects(DescriptorFlags::WRITE | DescriptorFlags::MUTATE_DIRECTORY) {
        "open to write"
    } else {
        READING
    }
}

/// What a guest is about to do.
pub(super) struct Act {
    words: String,
    /// Only that it is a dry run keeps it from being done.
    held_back: bool,
    /// It would change something that is granted for reading only.
    read_only: bool,
}

const READING: &str = "open to read";

/// The words for looking into a folder.
pub(super) const LISTING: &str = "list";

impl DiskView<'_> {
    fn read_only(&self, fd: &Fd) -> bool {
        match self.inner.table.get(fd) {
            Ok(Descriptor::File(file)) => file.perms.write_not_permitted(),
            Ok(Descriptor::Dir(folder)) => folder.perms.write_not_permitted(),
            Err(_) => false,
        }
    }

    fn path(&self, fd: &Fd) -> &str {
        self.disk.place(fd).map_or("?", |place| &place.path)
    }

    /// Would a change here be made if this were no dry run?
    fn held_back(&self, fd: &Fd) -> bool {
        let (Some(held_back), Ok(place)) = (&self.disk.held_back, self.disk.place(fd)) else {
            return false;
        };
        held_back.folders.iter().any(|name| **name == *place.folder)
    }

    /// An act on what a descriptor leads to.
    pub(super) fn at(&self, act: &str, fd: &Fd) -> Act {
        Act {
            words: format!("{act} {}", self.path(fd)),
            held_back: act != LISTING && self.held_back(fd),
            read_only: self.read_only(fd),
        }
    }

    /// An act on a name below a descriptor.
    pub(super) fn below(&self, act: &str, fd: &Fd, path: &str) -> Act {
        Act {
            words: format!("{act} {}/{}", self.path(fd), clean(path)),
            held_back: act != READING && self.held_back(fd),
            read_only: act != READING && self.read_only(fd),
        }
    }

    /// Where a name below a descriptor leads.
    pub(super) fn place_below(&self, fd: &Fd, path: &str) -> Result<Place, ErrorCode> {
        let place = self.disk.place(fd)?;
        let path = clean(&format!("{}/{}", place.path, clean(path)));
        Ok(Place {
            folder: Arc::clone(&place.folder),
            path: Arc::from(path.as_str()),
        })
    }

    /// Records what became of an act, and hands it on.
    pub(super) fn decided<T>(&self, act: &Act, ended: FsResult<T>) -> FsResult<T> {
        if ended.is_ok() {
            self.disk.records.allowed(Capability::Files, &act.words, "");
        }
        self.refused(act, ended)
    }

    /// The same for an act that is recorded only when it is refused.
    pub(super) fn refused<T>(&self, act: &Act, ended: FsResult<T>) -> FsResult<T> {
        let code = ended.as_ref().err().and_then(|error| error.downcast_ref());
        let Some(code) = code else {
            return ended;
        };
        let records = &self.disk.records;
        let (files, words) = (Capability::Files, &act.words);
        match reason(*code) {
            Some(Reason::NotGranted | Reason::ReadOnly) if act.held_back => {
                records.denied(files, words, Reason::DryRun);
                if let Some(held_back) = &self.disk.held_back {
                    held_back.attempts.note(files, words, 0);
                }
                self.disk.folders.tell_held_back(held_back(files, words));
            }
            Some(Reason::NotGranted) if act.read_only => {
                records.denied(files, words, Reason::ReadOnly);
            }
            Some(reason) => records.denied(files, words, reason),
            None => records.allowed(files, words, code.name()),
        }
        ended
    }
}

/// Why the host did not do something, if it was the host that did not.
fn reason(code: ErrorCode) -> Option<Reason> {
    match code {
        ErrorCode::ReadOnly => Some(Reason::ReadOnly),
        ErrorCode::NotPermitted | ErrorCode::Access | ErrorCode::CrossDevice => {
            Some(Reason::NotGranted)
        }
        ErrorCode::Quota => Some(Reason::Quota),
        _ => None,
    }
}
