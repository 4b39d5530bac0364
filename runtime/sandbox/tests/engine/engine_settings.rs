//! The engine's settings, by what they refuse: each component here is refused
//! on the way that every driver takes, and nothing of it is kept.
//!
//! Advisories about wasmtime that an embedder can influence by settings, and
//! what stands against each (the tests are of this file unless they name
//! another):
//!
//! | advisory | setting | test |
//! |---|---|---|
//! | GHSA-rc4p-x33f-vpr2, GHSA-2674-w29h-wqvj | `gc` and `threads` compiled in | `the_engine_is_built_with_gc_and_threads` |
//! | GHSA-43j2-gcp4-m22g, GHSA-wvgq-g5hf-6gm6, GHSA-3982-jqvv-277m, GHSA-cfhf-m2cr-62wj, GHSA-m63x-6p34-q65x | garbage collection and function references off, no fuel | `b14_proposals_that_are_off_are_refused`, `engine.rs` |
//! | GHSA-p79w-pv2r-29qp, GHSA-hw8m-q44c-ggrf | exceptions off | `b14_proposals_that_are_off_are_refused` |
//! | GHSA-q8hx-mm92-4wvg | tail calls off | `b14_proposals_that_are_off_are_refused` |
//! | GHSA-hc7m-r6v8-hg9q | threads and shared memory off | `b13_threads_are_refused` |
//! | GHSA-xrvr-8678-5wp8, GHSA-32h6-97mm-8q3c, GHSA-9pvw-hwfg-92h5, GHSA-63h4-6cx9-pjfj, GHSA-93g3-36p8-x2gc, GHSA-x84v-gj2h-g759 | component async not compiled in | `component_async_is_refused` |
//! | GHSA-p8xm-42r7-89xg | sizes of the pool | `what_does_not_fit_in_the_pool_is_refused` |
//! | GHSA-xx5w-cvp6-jv83, GHSA-q49f-xg75-m9xw, GHSA-f984-pcp8-v2p7, GHSA-m9w2-8782-2946 (Winch) | Cranelift only; Winch is not compiled in | `engine.rs` |
//! | GHSA-jhxm-h53p-jm7w, GHSA-mghf-wjfp-p5xm (miscompiled code in a cache) | full version in the cache's key | `engine.rs`, `cached_code.rs` |
//! | GHSA-wjc8-633q-pwxr, deep variants, slow alias analysis | compiled in a child | `bombs.rs`, `compiling.rs` |
//! | GHSA-394w-hwhg-8vgm, GHSA-54p9-vhhq-8f7q (strings between components) | compiled in a child | `a_composed_component_does_no_harm` |
//! | GHSA-hgjw-h833-99q9, GHSA-qw58-7h65-crq2 (two engines) | one engine runs, the one that compiles has a process of its own | `compiling.rs` |

use crate::common::{World, artifact, compiler, refusal};
use servo_artifact::{Artifact, ArtifactError, NotAComponent};
use servo_sandbox::Sandbox;

const EXPORT: &str = r#"(instance $api) (export "servo:driver/measure@0.2.0" (instance $api))"#;

/// A component in the text format, with what a driver exports by name.
fn component(items: &str) -> Artifact {
    artifact(&wat::parse_str(format!("(component {items} {EXPORT})")).unwrap())
}

/// The engine's words about each, none of which is kept.
async fn are_refused(items: &[(&str, &str)]) {
    let world = World::new();
    let sandbox = world.sandbox(compiler());
    for (item, says) in items {
        let text = refusal(sandbox.load(&component(item)).await);
        assert!(text.contains(says), "{item}: {text}");
        assert_eq!(world.records.take().len(), 1, "{item}");
    }
    assert_eq!(world.entries(), [] as [std::path::PathBuf; 0]);
    is_compiled(&sandbox, "(core module (memory 1) (table 1 funcref))").await;
    assert_eq!(world.entries().len(), 1);
}

/// It passes the compiler, and is no driver only because it exports nothing.
async fn is_compiled(sandbox: &Sandbox, items: &str) {
    let text = refusal(sandbox.load(&component(items)).await);
    assert!(text.contains("export"), "{text}");
}

#[tokio::test]
async fn b13_threads_are_refused() {
    are_refused(&[
        ("(core module (memory 1 1 shared))", "threads"),
        (
            "(core module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))",
            "threads",
        ),
    ])
    .await;
}

#[tokio::test]
async fn b14_proposals_that_are_off_are_refused() {
    are_refused(&[
        ("(core module (type (struct (field i32))))", "gc"),
        ("(core module (type (array i8)))", "gc"),
        (
            "(core module (func (param (ref func))))",
            "function references",
        ),
        ("(core module (func (param i31ref)))", "gc"),
        ("(core module (tag))", "exceptions"),
        ("(core module (memory i64 1))", "memory64"),
        (
            "(core module (func (param v128 v128) (result v128)
               (i8x16.relaxed_swizzle (local.get 0) (local.get 1))))",
            "relaxed SIMD",
        ),
        ("(core module (func $f (return_call $f)))", "tail calls"),
        ("(core module (memory 1 (pagesize 1)))", "custom page sizes"),
        (
            "(core module (func (param i64 i64) (result i64 i64)
               (i64.mul_wide_s (local.get 0) (local.get 1))))",
            "wide arithmetic",
        ),
        (
            "(core module (type $f (func)) (type (cont $f)))",
            "stack switching",
        ),
    ])
    .await;
}

#[tokio::test]
async fn component_async_is_refused() {
    are_refused(&[
        ("(type (stream u8))", "async"),
        ("(type (future string))", "async"),
        ("(core func (canon backpressure.inc))", "async"),
    ])
    .await;
}

#[tokio::test]
async fn what_does_not_fit_in_the_pool_is_refused() {
    let times = |count: usize, module: &str| {
        let instances = "(core instance (instantiate $m))".repeat(count);
        format!("(core module $m {module}) {instances}")
    };
    are_refused(&[
        ("(core module (memory 8193))", "memory"),
        ("(core module (memory 1) (memory 1))", "memories"),
        ("(core module (table 20001 funcref))", "table"),
        (&times(1, &"(table 1 funcref)".repeat(5)), "tables"),
        (&times(17, ""), "core module instances"),
        (&times(3, "(memory 1)"), "memories"),
        (&times(3, &"(table 1 funcref)".repeat(4)), "tables"),
    ])
    .await;
}

/// The glue between two components in one has the memories of both.
#[tokio::test]
async fn a_composed_component_does_no_harm() {
    let world = World::new();
    let libc = r#"(memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 16)"#;
    let composed = format!(
        r#"(component $callee
             (core module $m {libc} (func (export "f") (param i32 i32)))
             (core instance $i (instantiate $m))
             (func (export "f") (param "s" string) (canon lift (core func $i "f")
               (memory $i "memory") (realloc (func $i "realloc")))))
           (component $caller
             (import "f" (func $f (param "s" string)))
             (core module $libc {libc})
             (core instance $libc (instantiate $libc))
             (core func $lowered (canon lower (func $f) (memory $libc "memory")))
             (core module $m (import "" "f" (func (param i32 i32)))
               (func (export "g") (call 0 (i32.const 0) (i32.const 1))))
             (core instance $i (instantiate $m
               (with "" (instance (export "f" (func $lowered))))))
             (func (export "g") (canon lift (core func $i "g"))))
           (instance $one (instantiate $callee))
           (instance $two (instantiate $caller (with "f" (func $one "f"))))"#
    );
    is_compiled(&world.sandbox(compiler()), &composed).await;
    assert_eq!(world.entries().len(), 1);
}

#[tokio::test]
async fn core_modules_from_outside_are_refused() {
    let world = World::new();
    let taking = component(
        r#"(import "wasi:cli/environment@0.2.0" (instance $i (export "m" (core module))))
           (alias export $i "m" (core module $m))
           (core instance (instantiate $m))"#,
    );
    let text = refusal(world.sandbox(compiler()).load(&taking).await);
    assert_eq!(text, "it takes core modules from outside");
}

/// What never gets as far as the compiler.
#[test]
fn h1_what_is_no_component_is_refused_by_its_name() {
    let module = wat::parse_str("(module)").unwrap();
    let mut config = wasmtime::Config::new();
    config.gc_support(false);
    let engine = wasmtime::Engine::new(&config).unwrap();
    let precompiled = engine.precompile_module(&module).unwrap();
    let refused = |bytes: &[u8]| match Artifact::from_bytes(bytes) {
        Err(ArtifactError::NotAComponent(what)) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&precompiled), NotAComponent::NativeCode);
    assert_eq!(refused(&module), NotAComponent::CoreModule);
    assert_eq!(refused(b"(component)"), NotAComponent::Text);
}

/// Builds without them can be aborted by a guest; they are off by setting.
#[test]
fn the_engine_is_built_with_gc_and_threads() {
    let workspace = include_str!("../../../../Cargo.toml");
    let (_, engine) = workspace.split_once("\nwasmtime = ").unwrap();
    let (features, _) = engine.split_once("] }").unwrap();
    for (feature, wanted) in [
        ("gc", true),
        ("threads", true),
        ("winch", false),
        ("wat", false),
        ("cache", false),
        ("component-model-async", false),
        ("parallel-compilation", false),
        ("profiling", false),
    ] {
        assert_eq!(
            features.contains(&format!("\"{feature}\"")),
            wanted,
            "{feature}"
        );
    }
}
