//! Why a file cannot be used.

use std::io;

use crate::failure::Failure;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operator grants no folder of this name.
    #[error(
        "no folder is granted under the name `{name}`: add `{{ name: {name}, path: … }}` to `grants.folders`, with `access: write` if it is to be written"
    )]
    NotGranted {
        /// The name.
        name: String,
    },
    /// The path leads out of the folder, or names nothing in it.
    #[error("{path:?} is no path inside the folder `{name}`: it must be relative and without `..`")]
    Outside {
        /// The folder.
        name: String,
        /// The path.
        path: String,
    },
    /// The folder is granted, and the system refuses.
    #[error("/{name}/{path}: {source}{}", hint(.source))]
    Io {
        /// The folder.
        name: String,
        /// The path in it.
        path: String,
        /// Why.
        source: io::Error,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; to write there the grant needs `access: write`"
        }
        _ => "",
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = Self::failed(error.to_string());
        match error {
            Error::NotGranted { .. } => failure.reason("denied"),
            Error::Outside { .. } | Error::Io { .. } => failure,
        }
    }
}
