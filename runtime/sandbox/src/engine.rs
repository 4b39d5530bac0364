//! Every setting of the engine, each with its reason.
//!
//! There is one engine per process: engines share nothing, and values of two
//! engines in one store have been a security advisory twice. Settings that
//! decide what compiled code looks like are part of the code cache's key
//! ([`fingerprint`]), so changing one here never loads old code.

use sha2::{Digest as _, Sha256};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, ModuleVersionStrategy, OptLevel,
    PoolingAllocationConfig, Strategy, WasmBacktraceDetails,
};

use crate::SandboxError;

/// The exact engine version this host is built with. The engine's own check of
/// compiled code covers the major version only, so code made by a compiler with
/// a known hole would still load after the update; this makes it stale.
pub const ENGINE_VERSION: &str = "48.0.8";

/// Raised when the host changes what compiled code may assume of it, and with a
/// setting that the engine does not hash (`memory_guaranteed_dense_image_size`).
const ABI: u32 = 1;

/// Length of one epoch tick. A guest that spins is looked at once a tick, so
/// this bounds how late a limit is noticed and how long one guest can keep a
/// worker from the others. 5 ms costs one wake-up of a sleeping thread.
pub(crate) const TICK: std::time::Duration = std::time::Duration::from_millis(5);

/// The largest memory any grant may name; the pool reserves address space for it.
pub(crate) const MAX_MEMORY_BYTES: usize = 512 << 20;

/// A guest's stack: recursion ends in a trap.
pub(crate) const GUEST_STACK: usize = 512 << 10;

/// A step's stack, the guest's included.
pub(crate) const FIBER_STACK: usize = 1 << 20;

/// Memories one driver may have. Rust, C and Python components have one; the
/// second is room for an adapter. A component with more is refused, since the
/// pool has as many for every call.
pub(crate) const MAX_MEMORIES: u32 = 2;

/// Tables one driver may have: the core module's, the shims', a few spare.
pub(crate) const MAX_TABLES: u32 = 8;

/// Core instances in one component: main module, shim and fix-up are three.
pub(crate) const MAX_CORE_INSTANCES: u32 = 16;

/// Largest table of any driver. The pool's slots have this size.
pub(crate) const MAX_TABLE_ELEMENTS: usize = 20_000;

/// Builds the engine for `slots` calls running at the same time.
pub(crate) fn build(slots: u32) -> Result<Engine, SandboxError> {
    let mut config = configure()?;
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(slots)));
    Engine::new(&config).map_err(|error| SandboxError::Engine(format!("{error:#}")))
}

/// Builds the engine of the compiler's process: the same in everything that
/// decides what code looks like, but without a pool, whose address space has no
/// room below that process's limit of memory. Nothing is ever run by it.
pub(crate) fn build_for_compiling() -> Result<Engine, SandboxError> {
    let mut config = configure()?;
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config).map_err(|error| SandboxError::Engine(format!("{error:#}")))
}

/// Everything but how instances are allocated, which compiled code does not
/// depend on.
fn configure() -> Result<Config, SandboxError> {
    let mut config = Config::new();

    // Winch collected four advisories in one round.
    config.strategy(Strategy::Cranelift);
    // `None` is no safer: hostile functions compile slower with it, not faster.
    config.cranelift_opt_level(OptLevel::Speed);
    // The only way to stop a guest that never calls the host.
    config.epoch_interruption(true);
    // Host functions run on what the guest's stack leaves of the fiber's stack;
    // overflowing that aborts the process, so half a megabyte stays theirs.
    config.max_wasm_stack(GUEST_STACK);
    config.async_stack_size(FIBER_STACK);
    // Fiber stacks go from tenant to tenant.
    config.async_stack_zeroing(true);
    // A sparse data segment could make the host build an image of this size.
    config.memory_guaranteed_dense_image_size(4 << 20);
    config.memory_may_move(false);
    // The default reads an environment variable and would parse guest DWARF.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
        .module_version(ModuleVersionStrategy::Custom(format!(
            "{ENGINE_VERSION}/servo-{ABI}"
        )))
        .map_err(|error| SandboxError::Engine(format!("{error:#}")))?;

    // What compilers for drivers do not emit is off: each proposal is surface,
    // and garbage collection, exceptions and threads have had memory-safety
    // advisories this year.
    config.gc_support(false);
    config.wasm_gc(false);
    config.wasm_function_references(false);
    config.wasm_exceptions(false);
    config.wasm_threads(false);
    config.wasm_memory64(false);
    config.wasm_relaxed_simd(false);
    config.wasm_tail_call(false);
    config.wasm_custom_page_sizes(false);
    config.wasm_wide_arithmetic(false);
    config.wasm_stack_switching(false);
    // `wasm_multi_memory` stays on: the glue between composed components needs
    // it, and without it compiling such a component panics. The pool's limits
    // on memories hold instead.
    Ok(config)
}

fn pool(slots: u32) -> PoolingAllocationConfig {
    // Every call may take all that one driver may have: were the pool smaller
    // than the sum, a greedy driver would leave the others without. What is not
    // used is address space only.
    let all = |each: u32| slots.saturating_mul(each);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .max_component_instance_size(1 << 20)
        .max_core_instances_per_component(MAX_CORE_INSTANCES)
        .max_memories_per_component(MAX_MEMORIES)
        .max_tables_per_component(MAX_TABLES)
        .total_core_instances(all(MAX_CORE_INSTANCES))
        .max_core_instance_size(256 << 10)
        .total_memories(all(MAX_MEMORIES))
        .max_memory_size(MAX_MEMORY_BYTES)
        .total_tables(all(MAX_TABLES))
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_tables_per_module(4)
        .max_memories_per_module(1)
        .total_stacks(slots)
        .max_unused_warm_slots(16)
        // Below these sizes clearing by hand is faster than asking the kernel.
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(4 << 10)
        .async_stack_keep_resident(16 << 10)
        // It looks only for pages that are present: a swapped-out page of one
        // tenant would show up in the next one's memory.
        .pagemap_scan(Enabled::No);
    pool
}

/// Names everything that decides what compiled code looks like: the full engine
/// version, our ABI number, and a digest of what the engine itself hashes
/// (settings, WebAssembly features, target, and the features of this processor,
/// which the compiler asks it for).
pub(crate) fn fingerprint(engine: &Engine) -> String {
    use std::hash::Hash;

    let mut state = Sha256State::default();
    engine.precompile_compatibility_hash().hash(&mut state);
    let digest = state.0.finalize();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{ENGINE_VERSION}/{ABI}/{hex}")
}

/// Feeds what is hashed to SHA-256. The hashers of the standard library give 64
/// bits, for which two colliding sets of settings can be found, and promise
/// nothing from one release to the next.
#[derive(Default)]
struct Sha256State(Sha256);

impl std::hash::Hasher for Sha256State {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The first 64 bits of the digest, which nobody asks for.
    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        let first = digest.first_chunk().copied().unwrap_or_default();
        u64::from_le_bytes(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_version_is_the_locked_one() {
        let lock = include_str!("../../../Cargo.lock");
        let wanted = format!("name = \"wasmtime\"\nversion = \"{ENGINE_VERSION}\"");
        assert!(
            lock.contains(&wanted),
            "ENGINE_VERSION does not match Cargo.lock"
        );
    }

    #[test]
    fn fingerprints_of_equal_engines_are_equal() {
        let (one, two) = (build(1).unwrap(), build(7).unwrap());
        assert_eq!(fingerprint(&one), fingerprint(&two));
    }

    #[test]
    fn the_engine_that_compiles_has_the_fingerprint_of_the_one_that_runs() {
        let (runs, compiles) = (build(1).unwrap(), build_for_compiling().unwrap());
        assert_eq!(fingerprint(&runs), fingerprint(&compiles));
    }

    /// As the engine itself shows what is on, so that a proposal that a later
    /// engine turns on by itself is noticed.
    #[test]
    fn b13_b14_nothing_is_on_but_what_compilers_for_drivers_emit() {
        let shown = format!("{:?}", configure().unwrap());
        let mut on: Vec<&str> = shown
            .split(", ")
            .filter_map(|setting| setting.strip_suffix(": true"))
            .filter_map(|setting| setting.split("wasm_").nth(1))
            .collect();
        on.sort_unstable();
        assert_eq!(
            on,
            [
                "bulk_memory",
                "bulk_memory_opt",
                "call_indirect_overlong",
                "component_model",
                "extended_const",
                "floats",
                "multi_memory",
                "multi_value",
                "mutable_global",
                "reference_types",
                "saturating_float_to_int",
                "sign_extension",
                "simd",
            ]
        );
        for set in [
            "strategy: Some(Cranelift)",
            "epoch_interruption: true",
            "parse_wasm_debuginfo: false",
            "memory_may_move: false",
        ] {
            assert!(shown.contains(set), "{set} in {shown}");
        }
        for unset in ["consume_fuel", "signals_based_traps", "debug_", "guard"] {
            assert!(!shown.contains(unset), "{unset} in {shown}");
        }
    }

    /// The fingerprint of an engine that differs in one point from ours.
    fn changed(change: impl FnOnce(&mut Config)) -> String {
        let mut config = configure().unwrap();
        change(&mut config);
        fingerprint(&Engine::new(&config).unwrap())
    }

    #[test]
    fn h5_settings_versions_and_processors_have_fingerprints_of_their_own() {
        let ours = changed(|_| ());
        let version = |text: &str| {
            let version = ModuleVersionStrategy::Custom(text.to_owned());
            changed(|config| {
                config.module_version(version).unwrap();
            })
        };
        let mut others = vec![
            version("48.0.7/servo-1"),
            version("48.0.8/servo-2"),
            changed(|config| {
                config.epoch_interruption(false);
            }),
            changed(|config| {
                config.consume_fuel(true);
            }),
            changed(|config| {
                config.wasm_tail_call(true);
            }),
            changed(|config| {
                config.memory_reservation(1 << 30);
            }),
        ];
        // A named target means a processor with nothing but what all of its kind have.
        #[cfg(target_arch = "x86_64")]
        others.push(changed(|config| {
            config.target("x86_64-unknown-linux-gnu").unwrap();
        }));
        others.push(ours);
        let count = others.len();
        others.sort();
        others.dedup();
        assert_eq!(others.len(), count, "{others:#?}");
    }
}
