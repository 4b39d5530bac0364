//! H: what is handed in as a driver, and the code that is made of it.
//!
//! Refused means: before anything of it runs, with a reason that a person can
//! act on. The texts are kept and reviewed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::components::{ADJUST, MEASURE, bare, importing, manifest, with_manifest};
use crate::expect::assert_text;
use crate::guest;
use crate::host::{Compiling, HostUnderTest};
use crate::shapes::{Shape, custom_section};
use crate::stage::Stage;

const MANIFEST: &[u8] = b"servo-driver-manifest";

async fn refused<H: HostUnderTest>(stage: &Stage<H>, name: &str, bytes: &[u8]) -> String {
    let Err(why) = stage.host.load(bytes).await else {
        panic!("{name} was loaded");
    };
    assert_text(name, &why);
    why
}

/// What is no component at all, each kind with its own message.
pub async fn h1_what_is_no_driver_is_refused_by_name<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let whole = guest::artifact().bytes();
    let module = [&b"\0asm\x01\0\0\0"[..]].concat();
    let mut layer = whole.to_vec();
    layer[6] = 2;
    let random: Vec<u8> = (0..4096_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for (name, bytes) in [
        ("h1-empty", &[][..]),
        ("h1-random", &random),
        ("h1-truncated", &whole[..100_000]),
        ("h1-begun", &whole[..3]),
        ("h1-core-module", &module),
        ("h1-layer", &layer),
        ("h1-text", b"(component)"),
        ("h1-native", b"\x7fELF\x02\x01\x01\xc8rest"),
        ("h1-no-manifest", &Shape::default().component().unwrap()),
    ] {
        refused(&stage, name, bytes).await;
    }
    stage
        .run(json!({ "do": "nothing" }), json!({}))
        .await
        .assert_answered();
}

/// Two gigabytes: the size is looked at before anything is read.
pub async fn h1_a_large_file_is_not_read<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.wasm");
    fs::write(&file, guest::artifact().bytes()).unwrap();
    // Sparse: to read it would take two gigabytes of memory.
    fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(2 << 30)
        .unwrap();
    let Err(why) = stage.host.load_file(&file).await else {
        panic!("it was loaded");
    };
    assert_text(
        "h1-large",
        &why.replace(&file.display().to_string(), "FILE"),
    );
}

/// Names outside of the contract.
pub async fn h2_foreign_imports_and_exports_are_named<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let why = refused(
        &stage,
        "h2-imports",
        &importing(&[
            "wasi:nn/graph@0.2.0",
            "evil:host/exec@1.0.0",
            "wasi:io/poll@0.2.0",
        ]),
    )
    .await;
    for name in ["wasi:nn/graph@0.2.0", "evil:host/exec@1.0.0"] {
        assert!(why.contains(name), "{why}");
    }
    assert!(!why.contains("wasi:io/poll"), "{why}");
    for (name, exports) in [
        ("h2-two-exports", &[MEASURE, ADJUST][..]),
        ("h2-two-versions", &[MEASURE, "servo:driver/measure@0.2.1"]),
        ("h2-unknown-version", &["servo:driver/measure@0.9.0"]),
        ("h2-no-export", &["wasi:cli/run@0.2.0"]),
    ] {
        refused(&stage, name, &with_manifest(&bare(&[], exports))).await;
    }
}

/// An interface of a name that is allowed, with functions that are not.
pub async fn h2_functions_that_do_not_exist_are_refused<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let shape = Shape {
        wit: Some((
            "package wasi:cli@0.2.0 {
                interface environment { set-environment: func(name: string, value: string); }
            }",
            "import wasi:cli/environment@0.2.0;",
        )),
        imports: r#"(import "wasi:cli/environment@0.2.0" "set-environment"
            (func $set (param i32 i32 i32 i32)))"#,
        describe: "(call $set (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))".to_owned(),
        ..Shape::default()
    };
    refused(&stage, "h2-function", &shape.bytes().unwrap()).await;
}

/// Entries of a cache folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "code"))
        .collect();
    entries.sort();
    entries
}

/// A driver of its own digest.
fn numbered(number: usize) -> Vec<u8> {
    let shape = Shape {
        describe: format!("(drop (i32.const {number}))"),
        ..Shape::default()
    };
    shape.bytes().unwrap()
}

/// Loads on a host of its own with this cache; whether the code came from it.
async fn loads_from_cache<H: HostUnderTest>(cache: &Path, driver: &[u8]) -> (bool, Stage<H>) {
    let stage = Stage::<H>::with_cache(cache);
    let driver = stage.host.load(driver).await.unwrap();
    let bound = stage.bind(&driver, json!({}), json!({}));
    bound.describe().await.assert_answered();
    (stage.host.is_from_cache(&driver), stage)
}

/// A folder as a cache wants it: its owner's alone.
fn cache_folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Components that are small to send and large to compile: each is refused or
/// compiled within the limits of the child, and the host goes on.
pub async fn h3_a_bomb_is_stopped_at_the_limits_of_compiling<H: HostUnderTest>() {
    let folder = cache_folder();
    let cache = folder.path().join("code");
    let long =
        "(local.set $x (i32.xor (i32.mul (local.get $x) (i32.const 3)) (i32.load (local.get $x))))"
            .repeat(60_000);
    let nested = format!("{}{}", "(block ".repeat(50_000), ")".repeat(50_000));
    let bombs = [
        (
            "a long function",
            format!("(func $long (local $x i32) {long})"),
            true,
        ),
        (
            "very many locals",
            format!(
                "(func $locals {})",
                "(local i32 i64 f32 f64 i32 i64)".repeat(20_000)
            ),
            true,
        ),
        ("nested blocks", format!("(func $nested {nested})"), false),
        (
            "very many types",
            (0..10_000)
                .map(|n| format!("(type (func (param {})))", "i32 ".repeat(n % 100)))
                .collect(),
            false,
        ),
        (
            "very many segments",
            "(data (i32.const 2048) \"x\")".repeat(32_000),
            false,
        ),
    ];
    let limits = Compiling {
        cpu: Some(1),
        ..Compiling::default()
    };
    let stage = Stage::<H>::compiling(&cache, limits);
    for (what, items, refused) in bombs {
        let shape = Shape {
            items,
            ..Shape::default()
        };
        let kept = entries(&cache).len();
        let loaded = stage.host.load(&shape.bytes().unwrap()).await;
        match loaded {
            Err(why) => {
                assert!(!why.is_empty(), "{what}");
                assert_eq!(entries(&cache).len(), kept, "{what}: something was kept");
            }
            Ok(_) => assert!(!refused, "{what} was loaded"),
        }
    }
    let hits: u64 = ["compile_cpu", "compile_memory", "compile_wall"]
        .map(|limit| stage.host.limit_hits(limit))
        .iter()
        .sum();
    assert!(hits > 0, "no limit was hit");
    let records = stage.records.refusals();
    assert!(
        records.iter().any(|r| r.reason == "compiler"),
        "{records:?}"
    );
    // The host is there.
    let fine = stage.host.load(&numbered(7)).await.unwrap();
    let bound = stage.bind(&fine, json!({}), json!({}));
    bound.describe().await.assert_answered();
}

/// A child that does anything but compile.
pub async fn h4_a_child_that_misbehaves_leaves_nothing<H: HostUnderTest>() {
    let folder = cache_folder();
    let cache = folder.path().join("code");
    let good = numbered(1);
    loads_from_cache::<H>(&cache, &good).await;
    let before = entries(&cache);
    let kept = fs::read(&before[0]).unwrap();
    let theirs = before[0].display().to_string();
    for (what, script) in [
        ("ends", "exit 0".to_owned()),
        ("fails", "exit 7".to_owned()),
        ("crashes", "kill -SEGV $$".to_owned()),
        ("hangs", "exec sleep 1000".to_owned()),
        (
            "writes garbage",
            "exec head -c 100000 /dev/urandom".to_owned(),
        ),
        ("never stops", "exec cat /dev/zero".to_owned()),
        (
            "writes the code of another driver",
            format!("exec cat {theirs}"),
        ),
    ] {
        let compiling = Compiling {
            script: Some(script),
            wall: Some(Duration::from_millis(500)),
            ..Compiling::default()
        };
        let stage = Stage::<H>::compiling(&cache, compiling);
        let Err(why) = stage.host.load(&numbered(2)).await else {
            panic!("{what}: it was loaded");
        };
        assert!(!why.is_empty(), "{what}");
        assert_eq!(entries(&cache), before, "{what}");
        let records = stage.records.refusals();
        assert!(
            records.iter().any(|r| r.capability == "code"),
            "{what}: {records:?}"
        );
        // What was kept before is as it was, and no child is asked for it.
        assert_eq!(fs::read(&before[0]).unwrap(), kept, "{what}");
        let good = stage.host.load(&good).await.unwrap();
        assert!(stage.host.is_from_cache(&good), "{what}");
    }
}

/// One bit of the code, anywhere, is compiled anew and recorded.
pub async fn h5_a_flipped_bit_is_never_loaded<H: HostUnderTest>() {
    let folder = cache_folder();
    let cache = folder.path().join("code");
    let driver = numbered(1);
    assert!(!loads_from_cache::<H>(&cache, &driver).await.0);
    assert!(loads_from_cache::<H>(&cache, &driver).await.0);
    let entry = entries(&cache).remove(0);
    let whole = fs::read(&entry).unwrap();
    for at in [0, 17, 40, 100, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&entry, &flipped).unwrap();
        let (cached, stage) = loads_from_cache::<H>(&cache, &driver).await;
        assert!(!cached, "bit at {at}");
        let records = stage.records.refusals();
        let altered = records.iter().filter(|r| r.reason == "altered").count();
        assert_eq!(altered, 1, "{at}: {records:?}");
        // It was written anew, as it was.
        assert!(loads_from_cache::<H>(&cache, &driver).await.0);
    }
    for (what, bytes) in [("empty", &[][..]), ("cut", &whole[..whole.len() / 2])] {
        fs::write(&entry, bytes).unwrap();
        assert!(!loads_from_cache::<H>(&cache, &driver).await.0, "{what}");
    }
}

/// Good code under the name of other code.
pub async fn h5_swapped_entries_are_never_loaded<H: HostUnderTest>() {
    let folder = cache_folder();
    let cache = folder.path().join("code");
    let (one, two) = (numbered(1), numbered(2));
    loads_from_cache::<H>(&cache, &one).await;
    loads_from_cache::<H>(&cache, &two).await;
    let paths = entries(&cache);
    let codes: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    fs::write(&paths[0], &codes[1]).unwrap();
    fs::write(&paths[1], &codes[0]).unwrap();
    assert!(!loads_from_cache::<H>(&cache, &one).await.0);
    assert!(!loads_from_cache::<H>(&cache, &two).await.0);
}

/// Entries of another installation, which has another key.
pub async fn h5_another_installations_code_is_never_loaded<H: HostUnderTest>() {
    let folder = cache_folder();
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    let driver = numbered(1);
    loads_from_cache::<H>(&ours, &driver).await;
    loads_from_cache::<H>(&theirs, &driver).await;
    fs::copy(&entries(&theirs)[0], &entries(&ours)[0]).unwrap();
    assert!(!loads_from_cache::<H>(&ours, &driver).await.0);
}

/// A folder that is a link, or that others may write to.
pub async fn h5_a_folder_of_others_is_no_cache<H: HostUnderTest>() {
    use std::os::unix::fs::PermissionsExt;

    let folder = cache_folder();
    let driver = numbered(1);
    let real = folder.path().join("real");
    assert!(!loads_from_cache::<H>(&real, &driver).await.0);
    let link = folder.path().join("link");
    symlink(&real, &link).unwrap();
    let why = H::refused_cache(&link).unwrap();
    assert_text(
        "h5-link",
        &why.replace(&link.display().to_string(), "FOLDER"),
    );
    fs::set_permissions(&real, fs::Permissions::from_mode(0o777)).unwrap();
    let why = H::refused_cache(&real).unwrap();
    assert_text(
        "h5-open",
        &why.replace(&real.display().to_string(), "FOLDER"),
    );
}

/// An entry that is a link to good code elsewhere.
pub async fn h5_an_entry_that_is_a_link_is_never_loaded<H: HostUnderTest>() {
    let folder = cache_folder();
    let cache = folder.path().join("code");
    let driver = numbered(1);
    loads_from_cache::<H>(&cache, &driver).await;
    let entry = entries(&cache).remove(0);
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&entry, &elsewhere).unwrap();
    symlink(&elsewhere, &entry).unwrap();
    assert!(!loads_from_cache::<H>(&cache, &driver).await.0);
}

/// One bit of the driver makes it another driver: what was compiled of the
/// first is nothing to it.
pub async fn h6_a_changed_driver_is_another_driver<H: HostUnderTest>() {
    let folder = cache_folder();
    let cache = folder.path().join("code");
    let driver = numbered(1);
    loads_from_cache::<H>(&cache, &driver).await;
    // One that is still a driver.
    let mut changed = driver.clone();
    let at = changed
        .windows(12)
        .position(|w| w == b"Made by hand")
        .unwrap();
    changed[at] ^= 0x20;
    assert!(!loads_from_cache::<H>(&cache, &changed).await.0);
    assert_eq!(entries(&cache).len(), 2);
    // Ones that mostly are none.
    let stage = Stage::<H>::with_cache(&cache);
    for at in (8..driver.len()).step_by(driver.len() / 50) {
        let mut changed = driver.clone();
        changed[at] ^= 1;
        if let Ok(driver) = stage.host.load(&changed).await {
            assert!(!stage.host.is_from_cache(&driver), "{at}");
        }
    }
}

/// The file is replaced after it was read: what was read is what is used.
pub async fn h6_the_bytes_that_were_hashed_are_compiled<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("driver.wasm");
    fs::write(&file, numbered(1)).unwrap();
    let loaded = stage.host.load_file(&file).await.unwrap();
    let before = stage.host.digest(&loaded);
    fs::write(&file, numbered(2)).unwrap();
    assert_eq!(stage.host.digest(&loaded), before);
    let bound = stage.bind(&loaded, json!({}), json!({}));
    bound.describe().await.assert_answered();
    let again = stage.host.load_file(&file).await.unwrap();
    assert_ne!(stage.host.digest(&again), before);
}

/// Sections with anything in them.
pub async fn h12_odd_custom_sections_are_refused<H: HostUnderTest>() {
    let stage = Stage::<H>::new();
    let whole = Shape::default().bytes().unwrap();
    let bare = Shape::default().component().unwrap();
    let json = serde_json::to_vec(&manifest()).unwrap();
    let with = |name: &[u8], content: &[u8], to: &[u8]| {
        let mut bytes = to.to_vec();
        custom_section(&mut bytes, name, content);
        bytes
    };
    refused(&stage, "h12-twice", &with(MANIFEST, &json, &whole)).await;
    refused(&stage, "h12-name", &with(b"\xff\xfe", b"", &whole)).await;
    refused(
        &stage,
        "h12-text",
        &with(MANIFEST, b"{\"name\":\"\xff\"}", &bare),
    )
    .await;
    refused(
        &stage,
        "h12-long",
        &with(MANIFEST, &vec![b' '; 1 << 20], &bare),
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.wasm");
    fs::write(&file, with(b"padding", &vec![0; 20 << 20], &whole)).unwrap();
    let Err(why) = stage.host.load_file(&file).await else {
        panic!("it was loaded");
    };
    let why = why.replace(&file.display().to_string(), "FILE");
    assert_text("h12-large", &why);
    // A section that is none of our business is one that is let be.
    let fine = with(b"producers-of-mine", b"anything", &whole);
    stage.host.load(&fine).await.unwrap();
    // One that says it is longer than the file.
    let mut lies = whole.clone();
    lies.extend([0, 0xff, 0xff, 0xff, 0xff, 0x0f, 3, b'a', b'b', b'c']);
    refused(&stage, "h12-lies", &lies).await;
}
