//! From the bytes of an artifact to code that can run, through the code cache.
//!
//! This is the one module of the project with `unsafe` in it. Loading compiled
//! code means running whatever the bytes say, and the engine checks versions
//! and settings but not integrity. What makes it sound is the cache: it returns
//! only bytes whose keyed MAC it verified, over the very buffer that is loaded
//! here, from a folder that nobody else may write.

#![allow(unsafe_code)]

use servo_artifact::{Artifact, CacheKey, CodeCache};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::SandboxError;

/// Where the code of a loaded driver came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeOrigin {
    /// Compiled just now.
    Compiled,
    /// Loaded from the code cache.
    Cached,
}

/// Compiles the artifact or loads its code from the cache. Blocks: compiling
/// takes tenths of a second.
pub(crate) fn component(
    engine: &Engine,
    cache: Option<&CodeCache>,
    fingerprint: &str,
    artifact: &Artifact,
) -> Result<(Component, CodeOrigin), SandboxError> {
    let refused = |error: wasmtime::Error| SandboxError::Refused {
        driver: artifact.manifest().name.to_string(),
        problem: format!("{error:#}"),
    };
    let Some(cache) = cache else {
        let component = Component::from_binary(engine, artifact.bytes()).map_err(refused)?;
        return Ok((component, CodeOrigin::Compiled));
    };
    let key = CacheKey::new(artifact.digest(), fingerprint);
    if let Some(code) = cache.get(&key) {
        match load(engine, &code) {
            Ok(component) => return Ok((component, CodeOrigin::Cached)),
            Err(error) => tracing::warn!(
                target: "servo::audit",
                digest = %artifact.digest(),
                "cached code refused by the engine, compiling anew: {error:#}"
            ),
        }
    }
    let code = engine
        .precompile_component(artifact.bytes())
        .map_err(refused)?;
    if let Err(error) = cache.put(&key, &code) {
        tracing::warn!(
            "compiled code of {} is not cached: {error}",
            artifact.digest()
        );
    }
    let component = load(engine, &code).map_err(refused)?;
    Ok((component, CodeOrigin::Compiled))
}

fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` was made by this engine's compiler, in this process or in
    // an earlier one. In the second case the cache has verified its MAC over
    // this very buffer; nobody can change the buffer in between.
    unsafe { Component::deserialize(engine, code) }
}
