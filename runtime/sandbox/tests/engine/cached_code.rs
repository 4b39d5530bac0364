//! What lies in the cache is loaded as it was written, or not at all: then it
//! is compiled anew, which is seen by its origin, and recorded once.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::common::{PROGRAM, World, compiler, driver, failure, script};
use proptest::test_runner::{Config, TestRunner};
use servo_artifact::{Artifact, CacheKey, CodeCache};
use servo_audit::Reason;
use servo_sandbox::{CodeOrigin, Sandbox};
use tokio::runtime::Runtime;

/// A driver with its entry in the cache, and a compiler that answers for this
/// driver what the true one did, so that hundreds of compilations take no time.
struct Kept {
    world: World,
    runtime: Runtime,
    sandbox: Sandbox,
    artifact: Artifact,
    entry: PathBuf,
    whole: Vec<u8>,
}

impl Kept {
    fn new() -> Self {
        let (world, artifact) = (World::new(), driver(""));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let answer = world.code().with_file_name("answer");
        let keep = format!("{PROGRAM} \"$0\" \"$@\" | tee {}", answer.display());
        let first = world.sandbox(script(&keep));
        runtime.block_on(first.load(&artifact)).unwrap();
        let again = format!("exec cat {}", answer.display());
        let entry = world.entries().remove(0);
        Self {
            sandbox: world.sandbox(script(&again)),
            whole: fs::read(&entry).unwrap(),
            world,
            runtime,
            artifact,
            entry,
        }
    }

    fn load(&self) -> CodeOrigin {
        let loaded = self.runtime.block_on(self.sandbox.load(&self.artifact));
        loaded.unwrap().code_origin()
    }

    /// The entry is refused, compiled anew, recorded once, and good again.
    #[track_caller]
    fn is_refused(&self, says: &str) {
        assert_eq!(self.load(), CodeOrigin::Compiled);
        let record = self.world.records.one(&self.artifact, Reason::Altered);
        assert!(record.what.contains(says), "{}", record.what);
        assert_eq!(fs::read(&self.entry).unwrap(), self.whole);
        assert_eq!(self.load(), CodeOrigin::Cached);
        assert_eq!(self.world.records.take(), []);
    }

    fn put(&self, bytes: &[u8]) {
        put(&self.entry, bytes);
    }
}

fn put(file: &Path, bytes: &[u8]) {
    fs::write(file, bytes).unwrap();
    fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
}

const ALTERED: &str = "authentication code does not match";

#[test]
fn h5_one_bit_anywhere_and_it_is_compiled_anew() {
    let kept = Kept::new();
    let flip = |bit: usize| {
        let mut bytes = kept.whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        kept.put(&bytes);
        kept.is_refused(ALTERED);
    };
    // Our header, and the head of the code's own format after it.
    (0..(48 + 64) * 8).step_by(3).for_each(flip);
    let config = Config {
        cases: 128,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&(0..kept.whole.len() * 8), |bit| {
            flip(bit);
            Ok(())
        })
        .unwrap();
}

#[test]
fn h5_cut_lengthened_and_emptied_entries_are_compiled_anew() {
    let kept = Kept::new();
    for length in [0, 1, 47, 48, 49, kept.whole.len() / 2, kept.whole.len() - 1] {
        kept.put(&kept.whole[..length]);
        kept.is_refused(ALTERED);
    }
    kept.put(&[&kept.whole[..], b"\0"].concat());
    kept.is_refused(ALTERED);
}

#[test]
fn h5_entries_that_others_can_reach_are_compiled_anew() {
    let kept = Kept::new();
    fs::set_permissions(&kept.entry, Permissions::from_mode(0o620)).unwrap();
    kept.is_refused("others may use it");
    let aside = kept.world.code().with_file_name("aside");
    fs::hard_link(&kept.entry, &aside).unwrap();
    kept.is_refused("a second name");
    fs::rename(&kept.entry, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &kept.entry).unwrap();
    kept.is_refused("symbolic link");
    // Only root can give a file away.
    if std::os::unix::fs::chown(&kept.entry, Some(65534), None).is_ok() {
        kept.is_refused("another user");
    }
}

#[test]
fn h5_code_for_another_engine_processor_or_driver_is_not_taken_for_ours() {
    let kept = Kept::new();
    let cache = CodeCache::open(kept.world.code(), 1 << 30).unwrap();
    let code = &kept.whole[48..];
    let ours = servo_sandbox::ENGINE_VERSION;
    // Written by this installation itself, under the names it gives them.
    for engine in [
        "48.0.7/1/0000".to_owned(),
        format!("{ours}/0/0000"),
        format!("{ours}/1/another-processor"),
    ] {
        let before = kept.world.entries();
        cache
            .put(&CacheKey::new(kept.artifact.digest(), &engine), code)
            .unwrap();
        assert_eq!(kept.load(), CodeOrigin::Cached, "its own is still there");
        let entries = kept.world.entries();
        let other = entries
            .iter()
            .find(|entry| !before.contains(entry))
            .unwrap();
        fs::rename(other, &kept.entry).unwrap();
        kept.is_refused(ALTERED);
    }
    // Two drivers, each in the other's place.
    let another = driver("(global i32 (i32.const 7))");
    let true_one = kept.world.sandbox(compiler());
    kept.runtime.block_on(true_one.load(&another)).unwrap();
    let entries = kept.world.entries();
    let other = entries.iter().find(|&entry| *entry != kept.entry).unwrap();
    let theirs = fs::read(other).unwrap();
    kept.put(&theirs);
    put(other, &kept.whole);
    kept.is_refused(ALTERED);
    let loaded = kept.runtime.block_on(true_one.load(&another)).unwrap();
    assert_eq!(loaded.code_origin(), CodeOrigin::Compiled);
    kept.world.records.one(&another, Reason::Altered);
}

/// Under our own key, so that only the engine can tell.
#[test]
fn h5_code_that_the_engine_refuses_is_compiled_anew() {
    let kept = Kept::new();
    let fingerprint = format!("{:?}", kept.sandbox);
    let fingerprint = fingerprint.split('"').nth(1).unwrap();
    let cache = CodeCache::open(kept.world.code(), 1 << 30).unwrap();
    let key = CacheKey::new(kept.artifact.digest(), fingerprint);
    for no_code in [&b"no code"[..], b"", b"\x7fELF"] {
        cache.put(&key, no_code).unwrap();
        kept.is_refused("refused by the engine");
    }
}

/// What is compiled is what was hashed: the file that a driver was read from
/// is exchanged while the compiler has begun and not yet read.
#[test]
fn h6_a_file_exchanged_while_it_is_compiled_changes_nothing() {
    let (world, honest) = (World::new(), driver(""));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let beside = |name: &str| world.code().with_file_name(name);
    let (file, other, got) = (beside("driver.wasm"), beside("other.wasm"), beside("got"));
    fs::write(&file, honest.bytes()).unwrap();
    // Not even a component any more: it would be refused.
    fs::write(&other, b"\0asm\x01\0\0\0").unwrap();
    let read = Artifact::read(&file).unwrap();
    let does = format!(
        "mv {} {}; tee {} | {PROGRAM} \"$0\" \"$@\"",
        other.display(),
        file.display(),
        got.display()
    );
    let loaded = runtime.block_on(world.sandbox(script(&does)).load(&read));
    assert_eq!(loaded.unwrap().digest(), honest.digest());
    assert_ne!(fs::read(&file).unwrap(), honest.bytes(), "it was exchanged");
    assert_eq!(&fs::read(got).unwrap()[8..], honest.bytes());
    // What is kept is kept for the bytes that were hashed.
    let again = runtime.block_on(world.sandbox(script("exit 1")).load(&honest));
    assert_eq!(again.unwrap().code_origin(), CodeOrigin::Cached);
    assert!(Artifact::read(&file).is_err());
}

/// One bit of the component itself makes another driver of it, or none.
#[test]
fn h6_one_bit_of_a_component_and_its_code_is_not_found() {
    let kept = Kept::new();
    let none = kept.world.sandbox(script("exit 1"));
    for at in (8..kept.artifact.bytes().len()).step_by(101) {
        let mut bytes = kept.artifact.bytes().to_vec();
        bytes[at] ^= 1;
        let Ok(changed) = Artifact::from_bytes(bytes) else {
            continue;
        };
        let loaded = kept.runtime.block_on(none.load(&changed));
        failure(loaded);
    }
}
