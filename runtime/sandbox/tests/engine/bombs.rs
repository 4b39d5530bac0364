//! Components that are made to be compiled for ever. The compiler is ended at
//! its limit and the reason has a name, nothing is kept, and the next driver is
//! loaded as if nothing had been.
//!
//! The limits here are a small part of those that stand in the product, so that
//! a bomb takes seconds; that a bomb would go on without them is measured:
//! many locals alone take a minute and two gigabytes.

use std::path::PathBuf;
use std::time::Duration;

use crate::common::{World, compiler, component_of, driver, failure, refusal};
use servo_artifact::Artifact;
use servo_audit::Reason;
use servo_sandbox::{CodeOrigin, CompileLimits};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, Function, FunctionSection, InstructionSink,
    MemArg, MemorySection, MemoryType, Module, TypeSection, ValType,
};

const MIB: u64 = 1 << 20;

fn limits(memory: u64, cpu: u64) -> CompileLimits {
    CompileLimits {
        memory,
        cpu,
        // Never what ends a bomb here, however busy the machine is.
        wall: Duration::from_secs(3600),
        code: 64 * MIB,
    }
}

/// A module of one function with a memory.
fn one_function(locals: u32, write: impl FnOnce(&mut InstructionSink<'_>)) -> Artifact {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let memories = memory(1);
    let mut function = Function::new([(locals, ValType::I32)]);
    write(&mut function.instructions());
    function.instructions().end();
    let mut code = CodeSection::new();
    code.function(&function);
    module
        .section(&types)
        .section(&functions)
        .section(&memories)
        .section(&code);
    component_of(&[module])
}

fn memory(pages: u64) -> MemorySection {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: pages,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    memories
}

fn at(offset: u64) -> MemArg {
    MemArg {
        offset,
        align: 2,
        memory_index: 0,
    }
}

/// Straight on, for seven megabytes.
fn long() -> Artifact {
    one_function(1, |write| {
        for i in 0..700_000_u64 {
            write.i32_const(0).local_get(0).i32_store(at(i % 60_000));
        }
    })
}

/// Many variables, each alive through many loops.
fn many_locals() -> Artifact {
    const LOCALS: u32 = 49_000;
    one_function(LOCALS, |write| {
        for i in 0..400 {
            write.loop_(BlockType::Empty);
            for j in 0..300 {
                let local = (i * 300 + j) * 7 % LOCALS;
                write
                    .local_get(local)
                    .i32_const(1)
                    .i32_add()
                    .local_set(local);
            }
            write.local_get(i).br_if(0).end();
        }
    })
}

fn nested_blocks() -> Artifact {
    const DEPTH: u32 = 100_000;
    one_function(1, |write| {
        for _ in 0..DEPTH {
            write.block(BlockType::Empty).local_get(0).br_if(0);
        }
        for _ in 0..DEPTH {
            write.end();
        }
    })
}

fn many_types() -> Artifact {
    let mut types = TypeSection::new();
    for i in 0..1_000_000_u32 {
        let params = (0..20).map(|bit| match i >> bit & 1 {
            0 => ValType::I32,
            _ => ValType::F64,
        });
        types.ty().function(params, []);
    }
    let mut module = Module::new();
    module.section(&types);
    component_of(&[module])
}

fn many_segments() -> Artifact {
    let memories = memory(8192);
    let mut data = DataSection::new();
    for i in 0..32_000 {
        data.active(0, &ConstExpr::i32_const(i * 16_000), [1]);
    }
    let mut module = Module::new();
    module.section(&memories).section(&data);
    component_of(&[module])
}

/// Ended at the limit of that key, and nothing else has changed.
async fn is_ended(bomb: Artifact, limits: CompileLimits, limit: &str) {
    let world = World::new();
    let sandbox = world.sandbox(compiler().with_limits(limits));
    let error = failure(sandbox.load(&bomb).await);
    assert_eq!(error.limit(), Some(limit), "{error}");
    assert!(error.to_string().contains("; build it smaller"), "{error}");
    world.records.one(&bomb, Reason::Compiler);
    let hits = world.audit.counters().limit_hits();
    assert_eq!(hits.get(limit), Some(&1));
    assert_eq!(world.entries(), [] as [PathBuf; 0]);
    // The agent lives, and so does its compiler.
    let next = sandbox.load(&driver("")).await.unwrap();
    assert_eq!(next.code_origin(), CodeOrigin::Compiled);
}

const MEMORY: &str = "compile_memory";
const CPU: &str = "compile_cpu";

#[tokio::test]
async fn h3_a_long_function_is_ended_by_its_memory() {
    is_ended(long(), limits(256 * MIB, 60), MEMORY).await;
}

#[tokio::test]
async fn h3_many_locals_are_ended_by_their_memory() {
    is_ended(many_locals(), limits(256 * MIB, 60), MEMORY).await;
}

#[tokio::test]
async fn h3_many_locals_are_ended_by_their_time() {
    is_ended(many_locals(), limits(1 << 30, 1), CPU).await;
}

#[tokio::test]
async fn h3_deep_blocks_are_ended_by_their_time() {
    is_ended(nested_blocks(), limits(1 << 30, 1), CPU).await;
}

#[tokio::test]
async fn h3_a_million_types_are_ended_by_their_memory() {
    is_ended(many_types(), limits(256 * MIB, 60), MEMORY).await;
}

#[tokio::test]
async fn h3_32_000_data_segments_are_ended_by_their_memory() {
    is_ended(many_segments(), limits(256 * MIB, 60), MEMORY).await;
}

/// What the engine's own parser counts is refused in its words.
#[tokio::test]
async fn h3_what_is_over_the_limits_of_the_format_is_refused() {
    let world = World::new();
    let sandbox = world.sandbox(compiler());
    let too_long = one_function(0, |write| {
        for _ in 0..50_000_000 {
            write.nop();
        }
    });
    for (bomb, says) in [
        (one_function(1_000_000, |_| ()), "too many locals"),
        (too_long, "function body size count exceeds limit"),
    ] {
        let text = refusal(sandbox.load(&bomb).await);
        assert!(text.contains(says), "{text}");
        world.records.one(&bomb, Reason::Compiler);
    }
    sandbox.load(&driver("")).await.unwrap();
}
