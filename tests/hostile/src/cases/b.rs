//! B: memory of the guest, and of the host on its behalf.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::expect::{assert_denied, assert_killed, assert_text};
use crate::host::{Ended, HostUnderTest};
use crate::memory;
use crate::server::Server;
use crate::shapes::Shape;
use crate::stage::Stage;

/// A guest asks for memory until it is refused, and goes on or crashes.
pub async fn b1_growth_is_refused_at_the_cap<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let grants = || json!({ "limits": { "memory": "8MiB" } });
    let grow = |crash: bool| json!({ "do": "grow", "crash": crash });
    let step = stage.run(grow(false), grants()).await;
    assert_eq!(step.note("memory"), (8 << 20).to_string());
    assert_eq!(step.used.memory, 8 << 20);

    let step = stage.run(grow(true), grants()).await;
    assert_killed(&stage, &step, "memory");
    assert_eq!(step.used.memory, 8 << 20);
}

/// The whole process grows by no more than the guest may have. The suite runs
/// this in a process of its own.
pub async fn b1_the_process_grows_by_no_more_than_the_cap<H: HostUnderTest>() {
    const CAP: u64 = 128 << 20;
    let stage = Stage::<H>::new();
    let grants = json!({ "limits": { "memory": "128MiB", "cpu": "60s" } });
    let bound = stage
        .behaving(json!({ "do": "grow-and-fill" }), grants)
        .await;
    // Everything that is made once is made.
    bound.describe().await.assert_answered();
    let before = memory::peak();
    for _ in 0..3 {
        assert_eq!(bound.measure().await.used.memory, CAP);
    }
    let grown = memory::peak() - before;
    assert!(grown > CAP / 2, "the guest took nothing: {grown}");
    assert!(grown <= CAP + CAP / 10, "{grown}");
}

/// Thirty memories, each just below the cap.
pub async fn b2_many_memories_are_refused<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    // In one module, and in a module each.
    refused(&stage, "b2", "1", &"(memory 1000)".repeat(29)).await;
    let shape = Shape {
        further: vec!["(module (memory 1000))"; 29],
        ..Shape::default()
    };
    let Err(why) = stage.host.load(&shape.bytes().unwrap()).await else {
        panic!("it was loaded");
    };
    assert_text("b2-modules", &why);
}

/// Two memories are allowed in number, and refused at their sum.
pub async fn b2_two_memories_share_one_cap<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let grants = || json!({ "limits": { "memory": "1MiB" } });
    let shape = |further| Shape {
        memory: "10",
        further: vec![further],
        ..Shape::default()
    };
    let fits = shape("(module (memory 6))");
    let step = stage.shaped(&fits, grants()).await.describe().await;
    step.assert_answered();
    assert_eq!(step.used.memory, 1 << 20);
    let together = shape("(module (memory 7))");
    let step = stage.shaped(&together, grants()).await.describe().await;
    assert_killed(&stage, &step, "memory");
    assert_eq!(step.used.memory, 10 << 16);
}

/// A memory that begins above the limit of the call.
pub async fn b3_a_memory_that_begins_above_the_cap_is_not_made<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let step = stage
        .run(
            json!({ "do": "nothing" }),
            json!({ "limits": { "memory": "64KiB" } }),
        )
        .await;
    assert_killed(&stage, &step, "memory");
    assert_eq!(step.used.memory, 0);

    let shape = Shape {
        memory: "2000",
        ..Shape::default()
    };
    let with = |memory: &str| json!({ "limits": { "memory": memory } });
    let step = stage.shaped(&shape, with("64MiB")).await.describe().await;
    assert_killed(&stage, &step, "memory");
    assert_eq!(step.used.memory, 0);
    let step = stage.shaped(&shape, with("128MiB")).await.describe().await;
    step.assert_answered();
}

/// A limit that the host could not keep.
pub async fn b3_a_memory_above_what_the_host_has_is_refused_when_bound<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let why = stage
        .unbindable(json!({ "limits": { "memory": "4GiB" } }))
        .await;
    assert!(why.contains("grants.limits.memory"), "{why}");
}

/// A memory that is larger than any call may have.
pub async fn b3_a_memory_larger_than_the_host_has_is_refused_when_loaded<H: HostUnderTest>() {
    refused(&Stage::<H>::new(), "b3", "9000", "").await;
}

/// Tables grow in the same way.
pub async fn b4_tables_grow_up_to_their_cap<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let shape = Shape {
        items: "(table $t 1 funcref)".to_owned(),
        describe: "(if (i32.eq (i32.const -1)
            (table.grow $t (ref.null func) (i32.const 10000000))) (then unreachable))"
            .to_owned(),
        ..Shape::default()
    };
    let step = stage.shaped(&shape, json!({})).await.describe().await;
    assert_killed(&stage, &step, "table_elements");
}

/// A table that begins larger than the host has, also with a number that
/// overflows when it is multiplied (GHSA-p8xm-42r7-89xg).
pub async fn b4_a_table_too_large_is_refused_when_loaded<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    for (name, items) in [
        ("b4", "(table 1000000 funcref)"),
        ("b4-absurd", "(table 0xffffffff funcref)"),
    ] {
        refused(&stage, name, "1", items).await;
    }
}

/// Frames of a compiler lie in the guest's own memory.
pub async fn b5_recursion_ends<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let bound = stage.behaving(json!({ "do": "recurse" }), json!({})).await;
    for _ in 0..3 {
        bound.measure().await.assert_trapped();
        bound.describe().await.assert_answered();
    }
}

/// Frames of the engine's stack only, and many of them.
pub async fn b5_recursion_ends_at_the_stack_limit<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let shape = Shape {
        items: "(func $down (param i64) (result i64) (i64.mul (local.get 0)
            (call $down (i64.add (local.get 0) (i64.const 1)))))"
            .to_owned(),
        describe: "(drop (call $down (i64.const 1)))".to_owned(),
        ..Shape::default()
    };
    let bound = stage.shaped(&shape, json!({})).await;
    for _ in 0..3 {
        assert_killed(&stage, &bound.describe().await, "stack");
        bound.measure().await.assert_answered();
    }
}

/// Every kind of handle, without giving one back.
pub async fn b6_handles_are_limited_whatever_they_are<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    for handle in ["pollable", "fields", "stream", "folder"] {
        let folder = tempfile::tempdir().unwrap();
        let grants = json!({
            "folders": [{ "name": "data", "path": folder.path() }],
            "limits": { "handles": 64 },
        });
        let hold = json!({ "do": "hold", "handle": handle });
        let step = stage.run(hold, grants).await;
        assert_killed(&stage, &step, "handles");
    }
}

/// A set of header fields that is not sent.
pub async fn b7_header_fields_are_limited<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let run_with = async |count: u32, bytes: usize| {
        let fields = json!({ "do": "fields", "count": count, "bytes": bytes });
        stage
            .run(fields, json!({ "limits": { "cpu": "60s" } }))
            .await
    };
    assert_eq!(run_with(8, 1 << 10).await.note("taken"), "8");
    // Together above the limit of one set, and one value above what is copied
    // at all.
    for (count, bytes) in [(64, 1 << 10), (1_000_000, 1), (1, 64 << 10), (1, 3 << 20)] {
        run_with(count, bytes).await.assert_trapped();
    }
    assert_killed(&stage, &run_with(1, 8 << 20).await, "hostcall_bytes");
}

/// Fields that are within every limit of the engine, and too many for a request.
pub async fn b7_a_request_with_too_many_fields_is_not_sent<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let server = Server::ok().await;
    let fields: Vec<_> = (0..150).map(|n| json!([format!("x-{n}"), "v"])).collect();
    let request = json!({
        "scheme": "http", "authority": server.address.to_string(), "path": "/", "headers": fields,
    });
    let step = stage
        .run(
            json!({ "do": "raw", "requests": [request] }),
            json!({ "http": server.grant() }),
        )
        .await;
    assert!(step.note("0").contains("header fields"), "{:?}", step.end);
    assert_eq!(server.opened(), 0);
}

/// Answers above what a result may have, and above what is copied at all.
pub async fn b8_a_large_result_is_not_taken<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let large = async |bytes: usize| {
        stage
            .run(json!({ "do": "result", "bytes": bytes }), json!({}))
            .await
    };
    large(1 << 10).await.assert_answered();
    assert_killed(&stage, &large(2 << 20).await, "result_bytes");
    assert_killed(&stage, &large(8 << 20).await, "hostcall_bytes");
}

/// The same with the state of a pause.
pub async fn b8_a_large_state_is_not_kept<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let pause = async |bytes: usize| {
        stage
            .run(json!({ "do": "pause", "state_bytes": bytes }), json!({}))
            .await
    };
    pause(1 << 10).await.assert_answered();
    assert_killed(&stage, &pause(65 << 10).await, "state_bytes");
}

/// A list that has as many elements as the memory has room for, and one that
/// reaches beyond it.
pub async fn b8_a_list_as_long_as_the_memory_is_not_taken<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    // The list at address 1024 begins at 64 KiB; all elements are zero.
    let shape = Shape {
        memory: "512",
        describe: "(i32.store (i32.const 1028) (i32.const 65536))
            (i32.store (i32.const 1032) (i32.const 400000))"
            .to_owned(),
        ..Shape::default()
    };
    let step = stage.shaped(&shape, json!({})).await.describe().await;
    assert_killed(&stage, &step, "hostcall_bytes");
    let shape = Shape {
        describe: "(i32.store (i32.const 1032) (i32.const 0x0fffffff))".to_owned(),
        ..Shape::default()
    };
    let step = stage.shaped(&shape, json!({})).await.describe().await;
    step.assert_trapped();
}

/// JSON text ten thousand levels deep where the contract takes JSON: the state
/// of a pause. It is refused or kept as text; nothing recurses over it.
pub async fn b9_deep_json_overflows_nothing<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    for text in ["[", "{\"a\":"] {
        let pause = json!({ "do": "pause-with", "text": text, "times": 10_000 });
        let grants = json!({ "limits": { "state_bytes": "1MiB" } });
        let step = stage.run(pause, grants).await;
        assert!(
            matches!(step.end, Ended::Answered(_) | Ended::Trap(_)),
            "{:?}",
            step.end
        );
    }
    stage
        .run(json!({ "do": "nothing" }), json!({}))
        .await
        .assert_answered();
}

/// Random bytes come in small portions.
pub async fn b10_random_bytes_come_in_small_portions<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let random = async |bytes: u64| {
        stage
            .run(json!({ "do": "random", "bytes": bytes }), json!({}))
            .await
    };
    let step = random(16 << 10).await;
    assert_eq!(step.note("random"), (16 << 10).to_string());
    for bytes in [(64 << 10) + 1, 1 << 30, u64::MAX] {
        random(bytes).await.assert_trapped();
    }
}

/// Bodies that are begun and not read keep their places, and there are few.
pub async fn b11_bodies_that_are_not_read_hold_their_places<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let server = Server::half().await;
    let grants = json!({
        "http": server.grant(),
        "limits": { "concurrent_requests": 4, "request_time": "10s", "request_rate": 1_000_000 },
    });
    let requests: Vec<Value> = (0..20)
        .map(|_| json!({ "scheme": "http", "authority": server.address.to_string(), "path": "/" }))
        .collect();
    let hold = json!({ "do": "hold-answers", "requests": requests });
    let step = stage.run(hold, grants).await;
    assert_eq!((step.note("held"), step.note("refused")), ("4", "16"));
    assert!(step.note("problem").contains("ConnectionLimitReached"));
    assert_eq!(server.opened(), 4);
    assert_eq!(step.used.denied, 16);
    assert_denied(&stage, "http", "quota", 16);
    // With the step the answers go, and so do their connections.
    server.until(|(_, closed)| *closed == 4).await;
}

/// The same through the client of the SDK, many at a time.
pub async fn b11_many_half_answers_at_once<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let server = Server::half().await;
    let grants = json!({
        "http": server.grant(),
        "limits": {
            "concurrent_requests": 4, "request_time": "500ms", "request_rate": 1_000_000,
        },
    });
    let http = json!({ "do": "http", "url": server.url("/"), "count": 100, "at_once": 100 });
    let step = stage.run(http, grants).await;
    assert_eq!(step.note("answered"), "0");
    assert_eq!(server.opened(), 4);
}

/// Standard output, as far as these cases use it.
const STDOUT: Option<(&str, &str)> = Some((
    "package wasi:io@0.2.0 {
        interface poll { resource pollable; }
        interface streams {
            use poll.{pollable};
            resource output-stream { subscribe: func() -> pollable; }
        }
    }
    package wasi:cli@0.2.0 {
        interface stdout {
            use wasi:io/streams@0.2.0.{output-stream};
            get-stdout: func() -> output-stream;
        }
    }",
    "import wasi:cli/stdout@0.2.0;",
));

/// A handle that was dropped, one that never was, and one of another kind.
pub async fn b12_handles_that_are_not_there_are_refused<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let body = [
        // Dropped twice.
        "(call $drop (call $stdout)) (call $drop (i32.const 1))",
        // Never made.
        "(call $drop (i32.const 77))",
        "(drop (call $subscribe (i32.const 4000000)))",
        // Used after it was dropped.
        "(local.set $i (call $stdout)) (call $drop (local.get $i))
         (drop (call $subscribe (local.get $i)))",
    ];
    for describe in body {
        let shape = Shape {
            wit: STDOUT,
            imports: r#"
                (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
                (import "wasi:io/streams@0.2.0" "[resource-drop]output-stream"
                    (func $drop (param i32)))
                (import "wasi:io/streams@0.2.0" "[method]output-stream.subscribe"
                    (func $subscribe (param i32) (result i32)))"#,
            describe: describe.to_owned(),
            ..Shape::default()
        };
        let bound = stage.shaped(&shape, json!({})).await;
        bound.describe().await.assert_trapped();
        bound.measure().await.assert_answered();
    }
}

/// A handle kept from one call is nothing in the next.
pub async fn b12_a_handle_of_an_earlier_call_is_not_there<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    // Takes the first handle without asking for one: the call before has.
    let shape = Shape {
        wit: STDOUT,
        imports: r#"
            (import "wasi:cli/stdout@0.2.0" "get-stdout" (func $stdout (result i32)))
            (import "wasi:io/streams@0.2.0" "[resource-drop]output-stream"
                (func $drop (param i32)))"#,
        describe: "(drop (call $stdout))".to_owned(),
        act: "(call $drop (i32.const 1))",
        ..Shape::default()
    };
    let bound = stage.shaped(&shape, json!({})).await;
    let call = bound.begin(&Arc::default());
    call.step(crate::host::Function::DescribeMetrics)
        .await
        .assert_answered();
    call.measure().await.assert_trapped();
}

/// Shared memory.
pub async fn b13_threads_and_shared_memory_are_refused<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    refused(&stage, "b13", "1", "(memory 1 1 shared)").await;
    let atomic = "(func $a (drop (i32.atomic.load (i32.const 0))))";
    refused(&stage, "b13-atomics", "1", atomic).await;
}

/// What the engine's profile does not list.
pub async fn b14_proposals_that_are_off_are_refused<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    for (name, items) in [
        ("b14-memory64", "(memory i64 1)"),
        ("b14-exceptions", "(tag (param i32))"),
        ("b14-gc", "(type (struct (field i32)))"),
        ("b14-tail-calls", "(func $tail (return_call $tail))"),
        (
            "b14-function-references",
            "(type $f (func)) (func $r (param (ref $f)) (call_ref $f (local.get 0)))",
        ),
        (
            "b14-relaxed-simd",
            "(func $s (param v128) (result v128)
                (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))",
        ),
        (
            "b14-wide-arithmetic",
            "(func $w (param i64 i64) (result i64 i64)
                (i64.mul_wide_s (local.get 0) (local.get 1)))",
        ),
        ("b14-page-size", "(memory 1 (pagesize 1))"),
    ] {
        refused(&stage, name, "1", items).await;
    }
}

/// Names of metrics: many, and twice the same.
pub async fn b15_metric_names_are_unique_and_few<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let driver = stage.driver().await;
    for (count, alike, taken) in [
        (1_000, false, true),
        (1_001, false, false),
        (10_000, false, false),
        (2, true, false),
    ] {
        let behaviour = json!({ "do": "metrics", "count": count, "alike": alike });
        let config = json!({ "at": "describe", "behaviour": behaviour });
        let step = stage.bind(&driver, config, json!({})).describe().await;
        match step.end {
            Ended::Answered(answer) => assert!(taken && answer.metrics.len() == 1_000),
            Ended::Trap(text) => assert!(!taken && text.contains("contract"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

/// A shape that the host does not take; the text says why.
async fn refused<H: HostUnderTest>(
    stage: &Stage<H>,
    name: &str,
    memory: &'static str,
    items: &str,
) {
    let shape = Shape {
        memory,
        items: items.to_owned(),
        ..Shape::default()
    };
    let bytes = shape.bytes().unwrap_or_else(|why| panic!("{name}: {why}"));
    let Err(why) = stage.host.load(&bytes).await else {
        panic!("{name} was loaded");
    };
    assert_text(name, &why);
}
