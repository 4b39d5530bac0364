//! From the bytes of an artifact to code that can run, through the code cache.
//!
//! This is the one module of the project with `unsafe` in it. Loading compiled
//! code means running whatever the bytes say, and the engine checks versions
//! and settings but not integrity. What makes it sound is where the bytes are
//! from: the compiler's own process, which is locked up and whose answer names
//! the artifact, or the cache, which returns only bytes whose keyed MAC it
//! verified, over the very buffer that is loaded here, from a folder that nobody
//! else may write.

#![allow(unsafe_code)]

use std::sync::Arc;

use servo_artifact::{Artifact, CacheKey, CodeCache};
use servo_audit::{Auditor, Capability, Owner, Reason, Record};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::SandboxError;
use crate::compiler::{self, CONCURRENT, CompileError, Compiler};

/// Where the code of a loaded driver came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeOrigin {
    /// Compiled just now.
    Compiled,
    /// Loaded from the code cache.
    Cached,
}

/// What the cache has.
pub(crate) enum Cached {
    /// The code that was asked for.
    Code(Component),
    /// None of that name.
    Absent,
    /// Something of that name that is not used, which is recorded.
    Refused,
}

/// Where code comes from: the cache, or else the compiler.
pub(crate) struct CodeSource {
    pub(crate) fingerprint: String,
    cache: Option<CodeCache>,
    compiler: Compiler,
    turns: Arc<Semaphore>,
    audit: Auditor,
}

impl CodeSource {
    pub(crate) fn new(
        fingerprint: String,
        cache: Option<CodeCache>,
        compiler: Compiler,
        audit: Auditor,
    ) -> Self {
        Self {
            fingerprint,
            cache,
            compiler,
            turns: Arc::new(Semaphore::new(CONCURRENT)),
            audit,
        }
    }

    /// Waits until there may be one more compilation.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // Nobody closes it.
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }

    /// The code of an artifact, if the cache has it. What it has and may not be
    /// used gives one record. Blocks for the time of reading it.
    pub(crate) fn cached(&self, engine: &Engine, artifact: &Artifact) -> Cached {
        let Some(cache) = &self.cache else {
            return Cached::Absent;
        };
        let loaded = match cache.get(&self.key(artifact)) {
            Ok(None) => return Cached::Absent,
            Ok(Some(code)) => load(engine, &code)
                .map_err(|error| format!("cached code is refused by the engine: {error:#}")),
            Err(entry) => Err(entry.to_string()),
        };
        match loaded {
            Ok(component) => Cached::Code(component),
            Err(problem) => {
                self.denied(artifact, &problem, Reason::Altered);
                Cached::Refused
            }
        }
    }

    /// Compiles an artifact and keeps its code. Blocks: compiling takes tenths
    /// of a second, and as long as its limits let it.
    pub(crate) fn compiled(
        &self,
        engine: &Engine,
        artifact: &Artifact,
    ) -> Result<Component, SandboxError> {
        let code = compiler::compile(&self.compiler, &self.fingerprint, artifact.bytes())
            .map_err(|error| self.failed(artifact, error))?;
        // The engine that compiles has no pool, so what does not fit in a place
        // of the pool is refused here. Only what can be loaded is kept.
        let component = load(engine, &code)
            .map_err(|error| self.failed(artifact, CompileError::Refused(format!("{error:#}"))))?;
        if let Some(cache) = &self.cache
            && let Err(error) = cache.put(&self.key(artifact), &code)
        {
            tracing::warn!(
                "compiled code of {} is not cached: {error}",
                artifact.digest()
            );
        }
        Ok(component)
    }

    fn key(&self, artifact: &Artifact) -> CacheKey {
        CacheKey::new(artifact.digest(), &self.fingerprint)
    }

    fn failed(&self, artifact: &Artifact, error: CompileError) -> SandboxError {
        self.denied(artifact, &error.to_string(), Reason::Compiler);
        if let Some(limit) = error.limit() {
            self.audit.limit_hit(limit);
        }
        let driver = artifact.manifest().name.to_string();
        match error {
            CompileError::Refused(problem) => SandboxError::Refused { driver, problem },
            source => SandboxError::Compile { driver, source },
        }
    }

    /// Code belongs to a driver and to nobody who uses it.
    fn denied(&self, artifact: &Artifact, what: &str, reason: Reason) {
        let owner = Owner {
            driver: artifact.manifest().name.to_string(),
            digest: artifact.digest().to_string(),
            ..Owner::default()
        };
        let record = Record::denied(&owner, "", Capability::Code, what, reason);
        self.audit.record(&record);
    }
}

fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` was made by the compiler of this engine's settings, in a
    // process that is locked up, for this process or for an earlier one. In the
    // second case the cache has verified its MAC over this very buffer; nobody
    // can change the buffer in between.
    unsafe { Component::deserialize(engine, code) }
}
