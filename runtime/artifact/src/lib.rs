//! Where a driver comes from: its `.wasm` bytes, what they say about
//! themselves, and the code compiled from them.
//!
//! A driver's author is the enemy until the operator says otherwise, so an
//! artifact is judged here before anything of it runs: bounded in size before
//! it is read, hashed and used from one and the same buffer, and refused by
//! name when it is not a component of our world. What it is and what it asks
//! for stands in its [`Manifest`], a custom section that is read as data.
//!
//! Nothing in this crate executes, compiles or instantiates a component: the
//! engine does that, behind its own limits. Compiled code goes through the
//! [`CodeCache`], which hands back only bytes that this installation wrote.
#![forbid(unsafe_code)]

mod artifact;
mod cache;
mod digest;
mod error;
mod inspection;
pub mod manifest;
mod scan;
mod user;
mod world;

pub use artifact::{Artifact, DEFAULT_MAX_SIZE};
pub use cache::{CacheError, CacheKey, CodeCache, DEFAULT_CACHE_LIMIT, RefusedEntry};
pub use digest::{Digest, ParseDigestError};
pub use error::ArtifactError;
pub use inspection::{Ask, ImportGroup, Inspection};
pub use manifest::{Asks, CancelSupport, DriverKind, HttpAsk, Manifest, ManifestError};
pub use scan::NotAComponent;
pub use user::user_cache_folder;
pub use world::{Interface, WORLD};
