//! Why a credential cannot be had, for the operator. None of these texts holds a
//! value, or anything that a program or a server said.

use std::fmt;
use std::path::PathBuf;

use super::secret::BadSecret;
use crate::error::SendError;
use crate::file::FileError;

/// What is wrong with a source; never what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("{0}")]
    Bad(#[from] BadSecret),
    #[error("{0}")]
    File(#[from] FileError),
    #[error("there is no such variable in the environment of servo")]
    NoVariable,
    #[error("there is no such program")]
    NoProgram,
    #[error("it cannot be run: {0}")]
    Run(std::io::ErrorKind),
    #[error("it failed; run it by hand to see why")]
    Failed,
    #[error("its output is more than 64 KiB")]
    TooMuch,
    #[error("it took longer than 30 seconds")]
    TooSlow,
    #[error("it did not answer before the request's own time was over")]
    Late,
}

/// A source that gives no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub(crate) struct SourceError {
    pub(super) place: Place,
    pub(super) problem: Problem,
}

/// A source by its name. Of a command only the program is told: an argument
/// may be a secret too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    Variable(String),
    Command(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Variable(name) => write!(f, "the variable {name}"),
            Self::Command(program) => write!(f, "the command {program}"),
        }
    }
}

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    #[error("the token's server cannot be asked: {0}")]
    Asked(&'static str),
    #[error("the token's server refuses the client's id or secret (invalid_client)")]
    Client,
    #[error("the token's server refuses the scope (invalid_scope)")]
    Scope,
    #[error("the token's server does not give this client tokens of this kind ({0})")]
    Grant(&'static str),
    #[error("the token's server answers with status {0}")]
    Status(u16),
    #[error("the answer of the token's server is not one of RFC 6749")]
    Answer,
    #[error("the token is not one for `Authorization: Bearer`")]
    Kind,
    #[error("the token cannot be used: {0}")]
    Token(BadSecret),
    #[error("no token came before the request's own time was over")]
    Late,
}

/// Why a credential was not added to a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum AuthorizeError {
    #[error("{0}")]
    Source(#[from] SourceError),
    #[error("{0}")]
    Token(#[from] TokenError),
    #[error("the request could not be signed")]
    Signature,
    #[error("the secret cannot be looked for in answers")]
    Patterns,
    /// The request itself is at fault.
    #[error("{0}")]
    Request(SendError),
}
