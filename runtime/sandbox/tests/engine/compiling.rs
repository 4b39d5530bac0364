//! Compiling in a child: what comes back is code for the driver that was asked
//! for, or a named reason and nothing in the cache.

use std::process::Command;
use std::time::Duration;

use crate::common::{PROGRAM, World, compiler, driver, failure, refusal, script};
use servo_audit::{Capability, Reason, Verdict};
use servo_sandbox::{CodeOrigin, CompileError, CompileLimits, Compiler, compile_limits};

const SHORT: CompileLimits = CompileLimits {
    memory: 1 << 30,
    cpu: 20,
    wall: Duration::from_millis(300),
    code: 1 << 20,
};

#[tokio::test]
async fn a_driver_is_compiled_once_and_then_loaded() {
    let world = World::new();
    let artifact = driver("");
    let sandbox = world.sandbox(compiler());
    let origin = sandbox.load(&artifact).await.unwrap().code_origin();
    assert_eq!(origin, CodeOrigin::Compiled);
    // A program that cannot compile: what is cached needs no compiler.
    for sandbox in [sandbox, world.sandbox(script("exit 1"))] {
        let origin = sandbox.load(&artifact).await.unwrap().code_origin();
        assert_eq!(origin, CodeOrigin::Cached);
    }
    assert_eq!(world.records.take(), []);
    assert_eq!(world.entries().len(), 1);
}

/// Two that are loaded at once take one turn each, and the second finds what
/// the first has made.
#[tokio::test]
async fn the_same_driver_loaded_at_once_is_compiled_once() {
    let world = World::new();
    let (artifact, sandbox) = (driver(""), world.sandbox(compiler()));
    let (one, two) = tokio::join!(sandbox.load(&artifact), sandbox.load(&artifact));
    let mut origins = [one, two].map(|loaded| loaded.unwrap().code_origin() == CodeOrigin::Cached);
    origins.sort_unstable();
    assert_eq!(origins, [false, true]);
}

#[tokio::test]
async fn h4_a_child_that_answers_wrongly_is_not_believed() {
    let world = World::new();
    let artifact = driver("");
    let answers = world.code().with_file_name("answer");
    // The answer to another driver, as the true compiler gives it.
    let keep = format!("{PROGRAM} \"$0\" \"$@\" | cat > {}", answers.display());
    let another = driver("(global i32 (i32.const 7))");
    let kept = world.sandbox(script(&keep)).load(&another).await;
    failure(kept);
    world.records.take();
    assert!(
        std::fs::read(&answers)
            .unwrap()
            .starts_with(b"servo-compiled-1")
    );

    let other = format!("cat {}", answers.display());
    let short = format!("head -c 100 {}", answers.display());
    for (answer, problem) in [
        ("", "it is cut short"),
        (
            "echo 'the quick brown fox'",
            "it is no answer of the compiler",
        ),
        (&*other, "it is for another component"),
        (&*short, "it is for another component"),
    ] {
        // It does not read what it is given, either.
        let loaded = world.sandbox(script(answer)).load(&artifact).await;
        match failure(loaded) {
            CompileError::WrongAnswer(found) => assert_eq!(found, problem, "{answer}"),
            other => panic!("{answer}: {other}"),
        }
        let record = world.records.one(&artifact, Reason::Compiler);
        assert!(record.what.contains("wrong answer"), "{}", record.what);
        assert_eq!(world.entries(), [] as [std::path::PathBuf; 0]);
    }
    // And the next one that is asked does its work.
    world.sandbox(compiler()).load(&artifact).await.unwrap();
    assert_eq!(world.entries().len(), 1);
}

#[tokio::test]
async fn h4_a_child_that_crashes_is_named_by_how_it_ended() {
    let world = World::new();
    let artifact = driver("");
    for (does, says) in [
        ("kill -SEGV $$", "SIGSEGV"),
        ("exit 9", "exit status: 9"),
        (
            "echo the compiler is sad >&2; exit 73",
            "the compiler is sad",
        ),
        // A terminal is not the place for what a driver may have had a say in.
        (
            "printf '\\033[2Jx\\nsecond line' >&2; exit 73",
            "\\u{1b}[2Jx",
        ),
    ] {
        let loaded = world.sandbox(script(does)).load(&artifact).await;
        let error = failure(loaded);
        assert!(matches!(error, CompileError::Crashed(_)), "{does}: {error}");
        let text = error.to_string();
        assert!(text.contains(says) && !text.contains("second"), "{text}");
        world.records.one(&artifact, Reason::Compiler);
    }
    assert_eq!(world.entries(), [] as [std::path::PathBuf; 0]);
    world.sandbox(compiler()).load(&artifact).await.unwrap();
}

/// The child and what it has started are gone: what they held open is closed.
#[tokio::test]
async fn h4_a_child_that_hangs_is_killed_with_all_that_it_started() {
    let world = World::new();
    let artifact = driver("");
    let held = world.code().with_file_name("held");
    let made = Command::new("mkfifo").arg(&held).status().unwrap();
    assert!(made.success());
    let does = format!("exec 3>{}; sleep 1000000 & sleep 1000000", held.display());
    let ends = tokio::task::spawn_blocking(move || std::fs::read(held).unwrap());
    let sandbox = world.sandbox(script(&does).with_limits(SHORT));
    let loaded = sandbox.load(&artifact).await;
    assert!(matches!(failure(loaded), CompileError::Wall(_)));
    assert_eq!(ends.await.unwrap(), b"");
    world.records.one(&artifact, Reason::Compiler);
    let hits = world.audit.counters().limit_hits();
    assert_eq!(hits.get("compile_wall"), Some(&1));
    // The turn is free again.
    assert!(matches!(
        failure(sandbox.load(&artifact).await),
        CompileError::Wall(_)
    ));
}

#[tokio::test]
async fn h4_a_child_that_never_stops_talking_is_not_listened_to() {
    let world = World::new();
    let artifact = driver("");
    for (does, times) in [
        ("cat /dev/zero", 1),
        ("cat /dev/zero >&2; cat /dev/zero", 2),
    ] {
        let patient = CompileLimits {
            wall: Duration::from_secs(3600),
            ..SHORT
        };
        let loaded = world
            .sandbox(script(does).with_limits(patient))
            .load(&artifact)
            .await;
        // The error stream is closed when it is full, which ends who writes there.
        assert!(matches!(failure(loaded), CompileError::Code(_)), "{does}");
        world.records.one(&artifact, Reason::Compiler);
        let hits = world.audit.counters().limit_hits();
        assert_eq!(hits.get("compile_code"), Some(&times));
    }
}

#[tokio::test]
async fn code_that_is_larger_than_its_limit_is_refused() {
    let world = World::new();
    let limits = CompileLimits {
        code: 1 << 10,
        ..CompileLimits::default()
    };
    let loaded = world
        .sandbox(compiler().with_limits(limits))
        .load(&driver(""))
        .await;
    assert!(matches!(failure(loaded), CompileError::Code(1024)));
}

#[tokio::test]
async fn a_child_is_given_nothing() {
    let world = World::new();
    let seen = world.code().with_file_name("seen");
    let does = format!(
        "exec > {}; wc -c < /proc/$$/environ; readlink /proc/$$/cwd; \
         cut -d ' ' -f 5 /proc/$$/stat | sed \"s/^$$\\$/its own group/\"",
        seen.display()
    );
    failure(world.sandbox(script(&does)).load(&driver("")).await);
    let seen = std::fs::read_to_string(seen).unwrap();
    assert_eq!(seen, "0\n/\nits own group\n");
}

#[tokio::test]
async fn h4_where_a_lock_cannot_be_set_nothing_is_compiled() {
    let world = World::new();
    let artifact = driver("");
    for (without, lock) in [
        ("without=seccomp", "seccomp filter"),
        ("without=prlimit", "limit of core files"),
        ("without=prctl", "parent-death signal"),
    ] {
        let compiler = Compiler::program(PROGRAM, [without]);
        let loaded = world.sandbox(compiler).load(&artifact).await;
        let text = match failure(loaded) {
            CompileError::Unprotected(problem) => problem,
            other => panic!("{other}"),
        };
        assert!(text.starts_with(lock), "{text}");
        world.records.one(&artifact, Reason::Compiler);
    }
    assert_eq!(world.entries(), [] as [std::path::PathBuf; 0]);
}

#[tokio::test]
async fn a_compiler_of_another_build_is_named() {
    let world = World::new();
    let does = format!("exec {PROGRAM} \"$0\" \"$1\" \"$2\" 48.0.7/1/0");
    let loaded = world.sandbox(script(&does)).load(&driver("")).await;
    assert!(matches!(failure(loaded), CompileError::OtherBuild(_)));
    let none = Compiler::program("/nowhere/servo", [] as [&str; 0]);
    let loaded = world.sandbox(none).load(&driver("")).await;
    let text = failure(loaded).to_string();
    assert!(text.contains("/nowhere/servo"), "{text}");
}

#[tokio::test]
async fn what_the_engine_refuses_is_said_in_its_words() {
    let world = World::new();
    let artifact = driver("(func (drop (i64.const 1)) (i32.const 1))");
    let text = refusal(world.sandbox(compiler()).load(&artifact).await);
    assert!(text.contains("values remaining on stack"), "{text}");
    let record = world.records.one(&artifact, Reason::Compiler);
    assert_eq!(record.what, text);
    assert_eq!(
        world
            .audit
            .counters()
            .of(Capability::Code, Verdict::Denied, Reason::Compiler),
        1
    );
}

#[test]
fn limits_have_names_of_their_own() {
    let mut keys = compile_limits().map(|limit| limit.key);
    keys.sort_unstable();
    assert!(keys.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(
        compile_limits()
            .iter()
            .all(|limit| !limit.reason.is_empty())
    );
}
