//! Compiled code, kept between runs and believed only when it is our own.
//!
//! Loading compiled code means executing whatever the file holds, so whoever
//! can write a cache entry would own the agent. Three things stand against
//! that. The folder must belong to us alone, which is asked of the opened
//! folder and not of its name. Every entry carries an HMAC-SHA-256 under a key
//! that only this installation has, over the entry's key and its bytes, so
//! that neither a changed entry nor one moved to another name is accepted. And
//! the code is checked in the very buffer that is handed out: nothing is
//! mapped, so nothing can change afterwards.
//!
//! All files are opened relative to the folder's handle and never through a
//! symbolic link. A bad entry is removed and named to the caller, who records
//! it and compiles again. A cache may always be deleted.

mod folder;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::digest::{Digest, hex};
use folder::Folder;

/// How much compiled code is kept unless the caller says otherwise: 512 MiB.
/// A Rust driver compiles to 0.4 MB and a Python one to 40, so this holds a
/// large installation several versions over and never fills a small disk.
pub const DEFAULT_CACHE_LIMIT: u64 = 512 << 20;

/// Begins every entry; the number changes with the form of the entries.
const MAGIC: &[u8; 16] = b"servo-code-v1\0\0\0";
const MAC_LEN: usize = 32;
const HEADER_LEN: usize = MAGIC.len() + MAC_LEN;
const KEY_FILE: &str = "key";
const KEY_LEN: usize = 32;

/// What an entry was compiled from, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheKey {
    text: String,
}

impl CacheKey {
    /// `engine` must differ whenever code of the one engine must not be loaded
    /// by the other: full version, settings, CPU features, our own ABI number.
    pub fn new(artifact: Digest, engine: &str) -> CacheKey {
        CacheKey {
            text: format!("{artifact}\n{engine}"),
        }
    }

    /// The artifact's digest and the engine, one line each.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn file_name(&self) -> String {
        format!("{}.code", Digest::of(self.text.as_bytes()).hex())
    }
}

/// Why a cache cannot be used. A bad entry is not among the reasons.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The system refused something.
    #[error("code cache {}: cannot {action}: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody else could have written there.
    #[error("code cache {}: {problem}; {remedy}", path.display())]
    Unsafe {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        remedy: String,
    },
}

/// A folder of compiled code that this installation wrote. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CodeCache(Arc<Inner>);

struct Inner {
    folder: Folder,
    key: [u8; KEY_LEN],
    limit: u64,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeCache")
            .field("folder", &self.folder.path())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// An entry that this installation did not write for the key that was asked
/// for. It is removed, if it can be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {name} of the code cache: {problem}")]
pub struct RefusedEntry {
    /// The file's name in the folder of the cache.
    pub name: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Why an entry was not used.
#[derive(Debug)]
enum Bad {
    Absent,
    Foreign(String),
    Altered,
}

impl CodeCache {
    /// Opens the cache in `path`, creating the folder (mode 0700) and its key
    /// file (mode 0600) when they are missing. At most `limit` bytes are kept.
    ///
    /// # Errors
    /// When the folder or the key file is not ours alone, or cannot be used.
    pub fn open(path: impl AsRef<Path>, limit: u64) -> Result<CodeCache, CacheError> {
        let folder = Folder::open_or_create(path.as_ref())?;
        let key = installation_key(&folder)?;
        Ok(CodeCache(Arc::new(Inner { folder, key, limit })))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.folder.path()
    }

    /// The code stored under `key`, or nothing.
    ///
    /// # Errors
    /// There is an entry, and it was not written by this installation for
    /// exactly this key. It is removed: the next one who asks finds nothing.
    pub fn get(&self, key: &CacheKey) -> Result<Option<Vec<u8>>, RefusedEntry> {
        let name = key.file_name();
        let problem = match self.load(key, &name) {
            Ok(code) => return Ok(Some(code)),
            Err(Bad::Absent) => return Ok(None),
            Err(Bad::Foreign(problem)) => problem,
            Err(Bad::Altered) => "its authentication code does not match".to_owned(),
        };
        if let Err(error) = self.0.folder.remove(&name) {
            tracing::warn!("cannot remove {name} from the code cache: {error}");
        }
        Err(RefusedEntry { name, problem })
    }

    fn load(&self, key: &CacheKey, name: &str) -> Result<Vec<u8>, Bad> {
        let foreign = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Bad::Absent,
            _ => Bad::Foreign(error.to_string()),
        };
        let mut file = self.0.folder.open_file(name).map_err(foreign)?;
        let metadata = file.metadata().map_err(foreign)?;
        // An entry is put in place under one name, so somebody else made the other.
        // One that has been replaced since it was opened has none.
        if metadata.nlink() > 1 {
            return Err(Bad::Foreign("it has a second name elsewhere".to_owned()));
        }
        let size = metadata.len();
        if size > self.0.limit {
            return Err(Bad::Foreign(format!("it has {size} bytes")));
        }
        let mut header = [0; HEADER_LEN];
        file.read_exact(&mut header).map_err(|_| Bad::Altered)?;
        let mut code = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        (&mut file)
            .take(self.0.limit)
            .read_to_end(&mut code)
            .map_err(foreign)?;
        let tag = header.strip_prefix(MAGIC).ok_or(Bad::Altered)?;
        self.mac(key, &code)
            .verify_slice(tag)
            .map_err(|_| Bad::Altered)?;
        // What was used last is evicted last. Failing to say so costs nothing.
        let _ = folder::touch(&file);
        Ok(code)
    }

    /// Stores code under `key`, durably and never half written, and removes
    /// the entries used longest ago while the limit is exceeded. Code that is
    /// larger than the limit is not stored.
    ///
    /// # Errors
    /// When it cannot be written. The cache is as it was before.
    pub fn put(&self, key: &CacheKey, code: &[u8]) -> Result<(), CacheError> {
        let size = (HEADER_LEN + code.len()) as u64;
        if size > self.0.limit {
            tracing::debug!(
                size,
                limit = self.0.limit,
                "compiled code is larger than its cache"
            );
            return Ok(());
        }
        let tag = self.mac(key, code).finalize().into_bytes();
        let name = key.file_name();
        self.0
            .folder
            .replace(&name, |file| {
                file.write_all(MAGIC)?;
                file.write_all(&tag)?;
                file.write_all(code)
            })
            .map_err(|source| self.0.folder.io("write an entry", source))?;
        self.0
            .folder
            .evict(self.0.limit, &name)
            .map_err(|source| self.0.folder.io("remove old entries", source))
    }

    fn mac(&self, key: &CacheKey, code: &[u8]) -> Hmac<Sha256> {
        // HMAC fills a short key up with zeros itself; a whole block cannot fail.
        let mut block = [0; 64];
        for (to, from) in block.iter_mut().zip(self.0.key) {
            *to = from;
        }
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(MAGIC);
        // With its length in front, no byte can move between key and code.
        mac.update(&(key.text.len() as u64).to_le_bytes());
        mac.update(key.text.as_bytes());
        mac.update(code);
        mac
    }
}

/// Reads the installation's key, writing a fresh one first when there is none.
fn installation_key(folder: &Folder) -> Result<[u8; KEY_LEN], CacheError> {
    let unsafe_key = |problem: String| CacheError::Unsafe {
        path: folder.path().join(KEY_FILE),
        problem,
        remedy: "delete the folder; it is made anew, and drivers are compiled again".to_owned(),
    };
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file: File = folder.open_file(KEY_FILE)?;
        file.take(KEY_LEN as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut fresh = [0; KEY_LEN];
            getrandom::fill(&mut fresh)
                .map_err(|error| folder.io("draw a key", io::Error::other(error)))?;
            folder
                .create_once(KEY_FILE, &fresh)
                .map_err(|source| folder.io("write the key", source))?;
            // Two that start together both read the one that was first.
            read()
        }
        other => other,
    };
    let bytes = bytes.map_err(|error| unsafe_key(format!("the key cannot be used: {error}")))?;
    let found = bytes.len();
    bytes
        .try_into()
        .map_err(|_| unsafe_key(format!("the key has {found} bytes instead of {KEY_LEN}")))
}

/// A name for a file that is being written.
fn temporary_name() -> io::Result<String> {
    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(format!("{}.tmp", hex(&random)))
}
