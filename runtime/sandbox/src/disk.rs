//! What a guest may put on the host's disk.
//!
//! The engine's `wasi:filesystem` has no quota: a folder that may be written
//! may be filled, and a file of a terabyte costs a guest one call. So every
//! function of that interface goes through [`DiskView`], which charges a quota
//! before it hands the call on. The traits are implemented in full rather than
//! single functions replaced: a function that a later engine adds does not
//! compile until somebody has said what it may cost.

mod listing;
mod quota;
mod record;
mod scratch;
mod stream;

use std::collections::HashMap;
use std::fs::File as HostFile;
use std::sync::{Arc, Weak};

use servo_audit::Attempts;
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::filesystem::{Descriptor, File, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, ErrorCode, Filesize, Host, HostDescriptor, HostDirectoryEntryStream,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use self::listing::{Listing, Next};
pub(crate) use self::quota::{Account, Quota};
pub(crate) use self::scratch::Scratch;
use self::stream::{Full, MeteredStream, Position};
use crate::fixed::OPEN_FILES;
use crate::host::CallState;
use crate::records::Records;

/// Name of the scratch folder, as the guest sees it.
pub(crate) const SCRATCH: &str = "/scratch";

/// The quotas of one store, and which of them each open descriptor is under.
pub(crate) struct Disk {
    scratch: Account,
    folders: Account,
    records: Arc<Records>,
    held_back: Option<HeldBack>,
    /// By the descriptor's number: where it leads.
    places: HashMap<u32, Place>,
    /// Everything that was opened and is still open: a stream keeps a file open
    /// when its descriptor is gone.
    open: Vec<Weak<HostFile>>,
}

/// What a dry run opens for reading alone.
pub(crate) struct HeldBack {
    /// Takes what was attempted.
    pub(crate) attempts: Attempts,
    /// The folders that are granted for writing.
    pub(crate) folders: Vec<String>,
}

/// Where a descriptor leads.
#[derive(Clone)]
struct Place {
    /// The granted folder it was reached through.
    folder: Arc<str>,
    /// The whole of its path, as the guest named it; cut.
    path: Arc<str>,
}

impl Disk {
    pub(crate) fn new(
        scratch: Account,
        folders: Account,
        records: Arc<Records>,
        held_back: Option<HeldBack>,
    ) -> Self {
        Self {
            scratch,
            folders,
            records,
            held_back,
            places: HashMap::new(),
            open: Vec::new(),
        }
    }

    fn place(&self, fd: &Resource<Descriptor>) -> Result<&Place, ErrorCode> {
        self.places.get(&fd.rep()).ok_or(ErrorCode::BadDescriptor)
    }

    /// Whether one more may be opened.
    fn may_open(&mut self) -> Result<(), ErrorCode> {
        if self.open.len() >= OPEN_FILES {
            self.open.retain(|file| file.strong_count() > 0);
        }
        if self.open.len() >= OPEN_FILES {
            self.records.limit_hit("open_files");
            return Err(ErrorCode::Quota);
        }
        Ok(())
    }

    fn account(&self, fd: &Resource<Descriptor>) -> Result<&Account, ErrorCode> {
        Ok(match &*self.place(fd)?.folder {
            SCRATCH => &self.scratch,
            _ => &self.folders,
        })
    }
}

/// `wasi:filesystem` of one store, under its quotas.
pub(crate) struct DiskView<'a> {
    inner: WasiFilesystemCtxView<'a>,
    disk: &'a mut Disk,
}

/// Names [`DiskView`] to the linker.
pub(crate) struct Metered;

impl HasData for Metered {
    type Data<'a> = DiskView<'a>;
}

pub(crate) fn view(state: &mut CallState) -> DiskView<'_> {
    DiskView {
        inner: WasiFilesystemCtxView {
            ctx: state.wasi.filesystem(),
            table: &mut state.table,
        },
        disk: &mut state.disk,
    }
}

type Fd = Resource<Descriptor>;

/// A second name for a descriptor that is about to be handed on.
fn again(fd: &Fd) -> Fd {
    Resource::new_borrow(fd.rep())
}

impl DiskView<'_> {
    /// The file behind a descriptor, if it is one that may be written.
    fn writable(&self, fd: &Fd) -> FsResult<&File> {
        match self.inner.table.get(fd)? {
            Descriptor::File(file) if file.perms.write_not_permitted() => {
                Err(ErrorCode::NotPermitted.into())
            }
            Descriptor::File(file) => Ok(file),
            Descriptor::Dir(_) => Err(ErrorCode::BadDescriptor.into()),
        }
    }

    /// Charges what a file would grow by if it reached to `end`.
    fn charge_growth(&self, fd: &Fd, end: u64) -> FsResult<()> {
        let length = length(self.writable(fd)?)?;
        Ok(self.disk.account(fd)?.grow(end.saturating_sub(length))?)
    }

    /// Charges a new name in a folder that may be written.
    fn charge_entry(&self, fd: &Fd) -> FsResult<()> {
        match self.inner.table.get(fd)? {
            Descriptor::Dir(folder) if !folder.perms.write_not_permitted() => {
                Ok(self.disk.account(fd)?.add()?)
            }
            Descriptor::Dir(_) => Err(ErrorCode::NotPermitted.into()),
            Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
        }
    }

    fn stream_at(&mut self, fd: &Fd, offset: u64) -> FsResult<Resource<DynOutputStream>> {
        let length = length(self.writable(fd)?)?;
        let stream = self.inner.write_via_stream(again(fd), offset)?;
        self.metered(fd, Position::At { offset, length }, stream)
    }

    fn stream_at_end(&mut self, fd: &Fd) -> FsResult<Resource<DynOutputStream>> {
        self.writable(fd)?;
        let stream = self.inner.append_via_stream(again(fd))?;
        self.metered(fd, Position::End, stream)
    }

    fn metered(
        &mut self,
        fd: &Fd,
        position: Position,
        stream: Resource<DynOutputStream>,
    ) -> FsResult<Resource<DynOutputStream>> {
        let account = self.disk.account(fd)?.clone();
        let inner = self.inner.table.delete(stream)?;
        let metered: DynOutputStream = Box::new(MeteredStream::new(inner, account, position));
        Ok(self.inner.table.push(metered)?)
    }
}

/// An open file's length is in memory, so asking for it blocks nobody.
fn length(file: &File) -> FsResult<u64> {
    Ok(file.file.metadata()?.len())
}

impl preopens::Host for DiskView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        let folders = preopens::Host::get_directories(&mut self.inner)?;
        for (fd, name) in &folders {
            let path: Arc<str> = Arc::from(name.as_str());
            let folder = Arc::clone(&path);
            self.disk.places.insert(fd.rep(), Place { folder, path });
        }
        Ok(folders)
    }
}

impl Host for DiskView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        self.inner.convert_error_code(error)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        if self.inner.table.get(&error)?.is::<Full>() {
            return Ok(Some(ErrorCode::Quota));
        }
        self.inner.filesystem_error_code(error)
    }
}

impl HostDescriptor for DiskView<'_> {
    async fn write(&mut self, fd: Fd, buffer: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        let act = self.at("write", &fd);
        let written = async {
            if !buffer.is_empty() {
                self.charge_growth(&fd, offset.saturating_add(buffer.len() as u64))?;
            }
            self.inner.write(again(&fd), buffer, offset).await
        };
        let written = written.await;
        self.refused(&act, written)
    }

    async fn set_size(&mut self, fd: Fd, size: Filesize) -> FsResult<()> {
        let act = self.at("set size of", &fd);
        let set = async {
            self.charge_growth(&fd, size)?;
            self.inner.set_size(again(&fd), size).await
        };
        let set = set.await;
        self.decided(&act, set)
    }

    fn write_via_stream(
        &mut self,
        fd: Fd,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        let act = self.at("write", &fd);
        let stream = self.stream_at(&fd, offset);
        self.refused(&act, stream)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let act = self.at("append to", &fd);
        let stream = self.stream_at_end(&fd);
        self.refused(&act, stream)
    }

    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: types::PathFlags,
        path: String,
        open_flags: types::OpenFlags,
        flags: types::DescriptorFlags,
    ) -> FsResult<Fd> {
        let act = self.below(record::opening(open_flags, flags), &fd, &path);
        let place = self.place_below(&fd, &path);
        let opened = async {
            let place = place?;
            self.disk.may_open()?;
            if open_flags.contains(types::OpenFlags::CREATE) {
                let known = self
                    .inner
                    .stat_at(again(&fd), path_flags, path.clone())
                    .await;
                if known.is_err() {
                    self.charge_entry(&fd)?;
                }
            }
            let opened = self
                .inner
                .open_at(again(&fd), path_flags, path, open_flags, flags)
                .await?;
            self.disk.places.insert(opened.rep(), place);
            let file = match self.inner.table.get(&opened)? {
                Descriptor::File(file) => &file.file,
                Descriptor::Dir(folder) => &folder.dir,
            };
            self.disk.open.push(Arc::downgrade(file));
            Ok(opened)
        };
        let opened = opened.await;
        self.decided(&act, opened)
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let act = self.below("create folder", &fd, &path);
        let created = async {
            self.charge_entry(&fd)?;
            self.inner.create_directory_at(again(&fd), path).await
        };
        let created = created.await;
        self.decided(&act, created)
    }

    /// Refused: a second name for a file is a second way to let it grow.
    async fn link_at(
        &mut self,
        fd: Fd,
        _: types::PathFlags,
        path: String,
        _: Fd,
        _: String,
    ) -> FsResult<()> {
        let act = self.below("link", &fd, &path);
        self.decided(&act, Err(ErrorCode::NotPermitted.into()))
    }

    /// Refused: a link can lead where the folder's next reader does not expect.
    async fn symlink_at(&mut self, fd: Fd, _: String, path: String) -> FsResult<()> {
        let act = self.below("symbolic link", &fd, &path);
        self.decided(&act, Err(ErrorCode::NotPermitted.into()))
    }

    /// Within one granted folder only, as between two disks.
    async fn rename_at(
        &mut self,
        fd: Fd,
        old_path: String,
        new_fd: Fd,
        new_path: String,
    ) -> FsResult<()> {
        let act = self.below("rename", &fd, &old_path);
        let renamed = async {
            if self.disk.place(&fd)?.folder != self.disk.place(&new_fd)?.folder {
                return Err(ErrorCode::CrossDevice.into());
            }
            self.inner
                .rename_at(again(&fd), old_path, new_fd, new_path)
                .await
        };
        let renamed = renamed.await;
        self.decided(&act, renamed)
    }

    async fn set_times(
        &mut self,
        fd: Fd,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FsResult<()> {
        let act = self.at("set times of", &fd);
        let set = self.inner.set_times(fd, accessed, modified).await;
        self.decided(&act, set)
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        path_flags: types::PathFlags,
        path: String,
        accessed: types::NewTimestamp,
        modified: types::NewTimestamp,
    ) -> FsResult<()> {
        let act = self.below("set times of", &fd, &path);
        let set = self
            .inner
            .set_times_at(fd, path_flags, path, accessed, modified)
            .await;
        self.decided(&act, set)
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let act = self.below("remove folder", &fd, &path);
        let removed = self.inner.remove_directory_at(fd, path).await;
        self.decided(&act, removed)
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let act = self.below("remove", &fd, &path);
        let removed = self.inner.unlink_file_at(fd, path).await;
        self.decided(&act, removed)
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        self.disk.places.remove(&fd.rep());
        HostDescriptor::drop(&mut self.inner, fd)
    }

    // What follows only reads.

    async fn advise(
        &mut self,
        fd: Fd,
        offset: Filesize,
        length: Filesize,
        advice: types::Advice,
    ) -> FsResult<()> {
        self.inner.advise(fd, offset, length, advice).await
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.inner.sync_data(fd).await
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.inner.sync(fd).await
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<types::DescriptorFlags> {
        self.inner.get_flags(fd).await
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<types::DescriptorType> {
        self.inner.get_type(fd).await
    }

    async fn read(
        &mut self,
        fd: Fd,
        length: Filesize,
        offset: Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        self.inner.read(fd, length, offset).await
    }

    fn read_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        self.inner.read_via_stream(fd, offset)
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<types::DirectoryEntryStream>> {
        let act = self.at(record::LISTING, &fd);
        let listed = async {
            self.disk.may_open()?;
            let folder = match self.inner.table.get(&fd)? {
                Descriptor::Dir(folder) => Arc::clone(&folder.dir),
                Descriptor::File(_) => return Err(ErrorCode::NotDirectory.into()),
            };
            let opened = Arc::clone(&folder);
            let listing = blocking(move || Listing::open(&opened)).await?;
            // The engine's own kind of stream cannot be made here; what it is
            // only this interface looks at.
            let listing = self.inner.table.push(Some(listing))?;
            Ok(Resource::new_own(listing.rep()))
        };
        let listed = listed.await;
        self.decided(&act, listed)
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<types::DescriptorStat> {
        self.inner.stat(fd).await
    }

    async fn stat_at(
        &mut self,
        fd: Fd,
        path_flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::DescriptorStat> {
        self.inner.stat_at(fd, path_flags, path).await
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        self.inner.readlink_at(fd, path).await
    }

    async fn is_same_object(&mut self, one: Fd, other: Fd) -> wasmtime::Result<bool> {
        self.inner.is_same_object(one, other).await
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<types::MetadataHashValue> {
        self.inner.metadata_hash(fd).await
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Fd,
        path_flags: types::PathFlags,
        path: String,
    ) -> FsResult<types::MetadataHashValue> {
        self.inner.metadata_hash_at(fd, path_flags, path).await
    }
}

/// A listing in the table of a store; taken out while it is read elsewhere.
type Shown = Option<Listing>;

impl HostDirectoryEntryStream for DiskView<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<types::DirectoryEntryStream>,
    ) -> FsResult<Option<types::DirectoryEntry>> {
        let shown = Resource::<Shown>::new_borrow(stream.rep());
        let mut listing = self
            .inner
            .table
            .get_mut(&shown)?
            .take()
            .ok_or(ErrorCode::Io)?;
        if listing.is_used_up() {
            listing = blocking(move || listing.read()).await?;
        }
        let next = listing.next();
        *self.inner.table.get_mut(&shown)? = Some(listing);
        Ok(match next {
            Next::Entry(entry) => Some(entry),
            Next::End => None,
            Next::Cut => {
                self.disk.records.cut_listing();
                None
            }
        })
    }

    fn drop(&mut self, stream: Resource<types::DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.inner
            .table
            .delete(Resource::<Shown>::new_own(stream.rep()))?;
        Ok(())
    }
}

/// Runs what waits for the disk where it holds no worker.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ErrorCode> + Send + 'static,
) -> FsResult<T> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.unwrap_or(Err(ErrorCode::Io))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::LastDenial;

    #[test]
    fn f5_open_files_are_limited() {
        let records = Arc::new(Records::nobody());
        let account = || {
            let quota = Quota::new("disk_bytes", 0, 0, String::new());
            Account::new(quota, Arc::<LastDenial>::default(), Arc::clone(&records))
        };
        let mut disk = Disk::new(account(), account(), Arc::clone(&records), None);
        let file = || Arc::new(tempfile::tempfile().unwrap());
        let mut held: Vec<Arc<HostFile>> = Vec::new();
        for _ in 0..OPEN_FILES {
            // Those that are closed again do not count.
            for _ in 0..3 {
                assert!(disk.may_open().is_ok());
                disk.open.push(Arc::downgrade(&file()));
            }
            assert!(disk.may_open().is_ok());
            held.push(file());
            disk.open.extend(held.last().map(Arc::downgrade));
        }
        assert!(matches!(disk.may_open(), Err(ErrorCode::Quota)));
        let hits = records.audit().auditor().counters().limit_hits();
        assert_eq!(hits.get("open_files"), Some(&1));
        held.pop();
        assert!(disk.may_open().is_ok());
    }
}
