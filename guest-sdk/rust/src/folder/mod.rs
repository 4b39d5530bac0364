//! Files in the folders that the operator grants.
//!
//! `std::fs` works too, below `/NAME`. But it knows nothing of grants: of a file
//! in a folder that is not granted it says `No such file`, as of one that is not
//! there. Here the two are told apart.

pub(crate) mod error;

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

pub use self::error::Error;

/// A granted folder, from [`Context::folder`](crate::Context::folder).
///
/// ```
/// # use servo_driver::{Context, Failure};
/// # fn f(cx: &Context) -> Result<(), Failure> {
/// let targets = cx.folder("targets")?.read_to_string("prod/urls.txt")?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Folder {
    name: String,
    root: PathBuf,
}

impl Folder {
    pub(crate) fn new(name: &str, root: Option<PathBuf>) -> Result<Self, Error> {
        let name = name.to_owned();
        match root {
            Some(root) => Ok(Self { name, root }),
            None => Err(Error::NotGranted { name }),
        }
    }

    /// The path of something in it, for the functions of `std::fs`.
    ///
    /// # Errors
    ///
    /// [`Error::Outside`] when the path is absolute or has `..` in it.
    pub fn path(&self, inside: impl AsRef<Path>) -> Result<PathBuf, Error> {
        let inside = inside.as_ref();
        let stays = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if inside.components().all(stays) {
            return Ok(self.root.join(inside));
        }
        Err(Error::Outside {
            name: self.name.clone(),
            path: inside.display().to_string(),
        })
    }

    /// The bytes of a file.
    ///
    /// # Errors
    ///
    /// [`Error::Outside`], [`Error::Io`].
    pub fn read(&self, file: impl AsRef<Path>) -> Result<Vec<u8>, Error> {
        let file = file.as_ref();
        fs::read(self.path(file)?).map_err(|source| self.io(file, source))
    }

    /// The text of a file.
    ///
    /// # Errors
    ///
    /// [`Error::Outside`], [`Error::Io`], also when it is not UTF-8.
    pub fn read_to_string(&self, file: impl AsRef<Path>) -> Result<String, Error> {
        let file = file.as_ref();
        fs::read_to_string(self.path(file)?).map_err(|source| self.io(file, source))
    }

    /// Writes a whole file, in place of what is there.
    ///
    /// # Errors
    ///
    /// [`Error::Outside`], [`Error::Io`], also when the grant is for reading.
    pub fn write(&self, file: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<(), Error> {
        let file = file.as_ref();
        fs::write(self.path(file)?, bytes).map_err(|source| self.io(file, source))
    }

    fn io(&self, file: &Path, source: std::io::Error) -> Error {
        Error::Io {
            name: self.name.clone(),
            path: file.display().to_string(),
            source,
        }
    }
}
