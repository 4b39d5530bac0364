//! What is no driver is refused by name, before anything of it is used.

use std::io::Write as _;

use crate::common::{ADJUST, DRIVER_TOML, MEASURE, component, driver, manifest, with_section};
use proptest::prelude::*;
use servo_artifact::manifest::embed;
use servo_artifact::{Artifact, ArtifactError, Digest, DriverKind};

const SECTION: &str = "servo-driver-manifest";

#[test]
fn a_whole_driver_is_accepted_and_digested() {
    let bytes = driver();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bytes).unwrap();
    let artifact = Artifact::read(file.path()).unwrap();
    assert_eq!(artifact.bytes(), bytes);
    assert_eq!(artifact.digest(), Digest::of(&bytes));
    assert_eq!(artifact.kind(), DriverKind::Measure);
    assert_eq!(artifact.manifest(), &manifest(DRIVER_TOML));
    assert_eq!(artifact.export().to_string(), MEASURE);
    assert!(artifact.imports_package("wasi:http"));
    assert!(!artifact.imports_package("wasi:filesystem"));
}

/// One table: the bytes, and the words an operator is told.
#[test]
fn each_kind_of_wrong_file_has_its_own_message() {
    let whole = driver();
    let json = serde_json::to_vec(&manifest(DRIVER_TOML)).unwrap();
    let bare = component(&[], &[MEASURE]);
    let manifest_of = |json: &[u8]| with_section(bare.clone(), SECTION, json);
    let edited = |from: &str, to: &str| {
        let text = String::from_utf8(json.clone()).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        manifest_of(text.replacen(from, to, 1).as_bytes())
    };
    let embedded = |imports: &[&str], exports: &[&str]| {
        embed(&component(imports, exports), &manifest(DRIVER_TOML)).unwrap()
    };
    let mut future_layer = whole.clone();
    future_layer[6] = 2;
    let mut preview = whole.clone();
    preview[4] = 12;
    let nested = {
        let inner = with_section(component(&[], &[]), SECTION, &json);
        let mut outer = wasm_encoder::Component::new();
        outer.section(&wasm_encoder::RawSection {
            id: 4,
            data: &inner,
        });
        let mut bytes = outer.finish();
        bytes.extend_from_slice(&component(&[], &[MEASURE])[8..]);
        bytes
    };
    let mut bad_name = whole.clone();
    let at = whole
        .windows(SECTION.len())
        .position(|w| w == SECTION.as_bytes());
    bad_name[at.unwrap()] = 0xff;

    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", vec![], "the file is empty"),
        ("three bytes", whole[..3].to_vec(), "truncated"),
        ("the magic alone", whole[..4].to_vec(), "truncated"),
        (
            "cut in its last section",
            whole[..whole.len() - 1].to_vec(),
            "truncated",
        ),
        (
            "text format",
            b"(component)".to_vec(),
            "text, not a compiled component",
        ),
        (
            "a web page",
            b"<!doctype html>\n".to_vec(),
            "text, not a compiled component",
        ),
        (
            "core module",
            crate::common::core_module(),
            "core WebAssembly module",
        ),
        (
            "native",
            b"\x7fELF\x02\x01\x01\xc8rest".to_vec(),
            "precompiled native code",
        ),
        (
            "future layer",
            future_layer,
            "unknown form (version 13, layer 2)",
        ),
        (
            "old component layer",
            preview,
            "unknown form (version 12, layer 1)",
        ),
        (
            "random",
            vec![0x9c, 0xee, 0x01, 0x00, 0x77],
            "not WebAssembly",
        ),
        (
            "no manifest",
            bare.clone(),
            "built without a manifest; build it with `servo driver build`",
        ),
        (
            "manifest of an inner component",
            nested,
            "built without a manifest",
        ),
        (
            "manifest twice",
            with_section(whole.clone(), SECTION, &json),
            "2 manifest sections",
        ),
        (
            "manifest too big",
            manifest_of(&vec![b' '; 65537]),
            "65537 bytes",
        ),
        (
            "manifest not UTF-8",
            manifest_of(b"{\"name\":\"\xff\"}"),
            "not UTF-8 text (byte 9)",
        ),
        ("section name not UTF-8", bad_name, "damaged component"),
        ("manifest not JSON", manifest_of(b"name = 1"), "wrong at"),
        (
            "manifest and more",
            manifest_of(&[&json[..], b"{}"].concat()),
            "trailing characters",
        ),
        (
            "unknown member",
            edited("\"name\"", "\"grants\":[],\"name\""),
            "unknown field `grants`",
        ),
        (
            "doubled member",
            edited("\"name\"", "\"cancel\":\"none\",\"name\""),
            "duplicate field",
        ),
        (
            "no world",
            edited(",\"world\":\"servo:driver@0.2.0\"", ""),
            "missing field `world`",
        ),
        (
            "unknown world",
            edited("driver@0.2.0", "driver@0.9.0"),
            "this servo serves servo:driver@0.2.0",
        ),
        (
            "past world",
            edited("driver@0.2.0", "driver@0.1.0"),
            "this servo serves servo:driver@0.2.0: build the driver again with its SDK",
        ),
        (
            "bad rule",
            edited("GET $", "GET,$"),
            "wrong at `asks.http[0].rule`",
        ),
        (
            "kind disagrees",
            edited("\"measure\"", "\"adjust\""),
            "kind = \"adjust\"",
        ),
        (
            "imports a model",
            embedded(&["wasi:nn/graph@0.2.0"], &[MEASURE]),
            "wasi:nn/graph@0.2.0",
        ),
        (
            "imports a function",
            embedded(&["exec"], &[MEASURE]),
            "what no driver may have: exec",
        ),
        (
            "a name made to fool",
            embedded(&["a\u{1b}[2Jb"], &[MEASURE]),
            "a\\u{1b}[2Jb",
        ),
        (
            "no export of ours",
            embedded(&[], &["wasi:cli/run@0.2.0"]),
            "exports wasi:cli/run@0.2.0",
        ),
        (
            "both",
            embedded(&[], &[MEASURE, ADJUST]),
            "more than one driver interface",
        ),
        (
            "two versions",
            embedded(&[], &[MEASURE, "servo:driver/measure@0.2.1"]),
            "more than one",
        ),
        (
            "past contract",
            embedded(&[], &["servo:driver/measure@0.1.0"]),
            "build the driver with the SDK of this version",
        ),
        (
            "future contract",
            embedded(&[], &["servo:driver/measure@0.3.0"]),
            "speaks servo:driver/measure@0.3.0",
        ),
    ];
    for (what, bytes, expected) in table {
        let error = match Artifact::from_bytes(bytes) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("{what}: was accepted"),
        };
        assert!(error.contains(expected), "{what}: {error}");
        assert!(!error.chars().any(char::is_control), "{what}: {error:?}");
    }
}

#[test]
fn an_interface_imported_as_something_else_is_refused() {
    let mut imports = wasm_encoder::ComponentImportSection::new();
    imports.import(
        "wasi:io/poll@0.2.0",
        wasm_encoder::ComponentTypeRef::Func(0),
    );
    let mut bytes = component(&[], &[MEASURE]);
    wasm_encoder::ComponentSection::append_to_component(&imports, &mut bytes);
    let bytes = embed(&bytes, &manifest(DRIVER_TOML)).unwrap();
    let error = Artifact::from_bytes(bytes).unwrap_err();
    assert!(
        matches!(error, ArtifactError::ForbiddenImports { .. }),
        "{error}"
    );
}

#[test]
fn a_file_over_the_cap_is_refused_without_being_read() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&driver()).unwrap();
    // Sparse: reading it would need two gigabytes of memory.
    file.as_file().set_len(2 << 30).unwrap();
    let error = Artifact::read(file.path()).unwrap_err();
    assert!(
        matches!(error, ArtifactError::TooLarge { size, max } if size == 2 << 30 && max == 16 << 20),
        "{error}"
    );
}

#[test]
fn a_file_that_lies_about_its_size_is_cut_at_the_cap() {
    // Files of procfs have size 0 and hold something all the same.
    let error = Artifact::read_up_to("/proc/self/maps", 100).unwrap_err();
    assert!(
        matches!(
            error,
            ArtifactError::TooLarge {
                size: 101,
                max: 100
            }
        ),
        "{error}"
    );
}

#[test]
fn folders_pipes_and_missing_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = Artifact::read(dir.path()).unwrap_err();
    assert!(matches!(error, ArtifactError::NotAFile { .. }), "{error}");
    let error = Artifact::read(dir.path().join("absent.wasm")).unwrap_err();
    assert!(error.to_string().contains("absent.wasm"), "{error}");
    // Opening a pipe that nobody writes to would block for ever.
    let pipe = dir.path().join("pipe");
    let owner = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, owner, 0).unwrap();
    let error = Artifact::read(&pipe).unwrap_err();
    assert!(matches!(error, ArtifactError::NotAFile { .. }), "{error}");
}

#[test]
fn long_lists_of_foreign_names_are_cut() {
    let names: Vec<String> = (0..500)
        .map(|i| format!("{i}{}", "x".repeat(500)))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let error = Artifact::from_bytes(component(&names, &[]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("and 488 more; "), "{error}");
    assert!(error.len() < 2000, "{} bytes", error.len());
}

proptest! {
    /// Damage anywhere is survived; what is still accepted is still a driver.
    #[test]
    fn damaged_bytes_never_panic(at in 0_usize..600, bit in 0_u8..8, cut in 0_usize..600) {
        let mut bytes = driver();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        bytes.truncate(cut.max(1));
        if let Ok(artifact) = Artifact::from_bytes(bytes) {
            prop_assert_eq!(artifact.kind(), DriverKind::Measure);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let component = [&b"\0asm\x0d\0\x01\0"[..], &bytes].concat();
        prop_assert!(Artifact::from_bytes(component).is_err());
        prop_assert!(Artifact::from_bytes(bytes).is_err());
    }
}

/// A driver with so many core modules, nested components and functions.
fn driver_with(modules: usize, components: usize, functions: u32) -> Vec<u8> {
    use wasm_encoder::{
        Component, ComponentSection as _, Encode as _, Module, ModuleSection,
        NestedComponentSection, RawSection,
    };

    let mut bytes = driver();
    for _ in 0..components {
        NestedComponentSection(&Component::new()).append_to_component(&mut bytes);
    }
    for index in 0..modules {
        let mut module = Module::new();
        if index == 0 {
            // The head of the section alone: how many functions come.
            let mut data = Vec::new();
            functions.encode(&mut data);
            module.section(&RawSection { id: 3, data: &data });
        }
        ModuleSection(&module).append_to_component(&mut bytes);
    }
    bytes
}

#[test]
fn h3_more_than_any_compiler_makes_is_refused_before_it_is_compiled() {
    // Twice what the largest interpreters have.
    assert!(Artifact::from_bytes(driver_with(60, 16, 60_000)).is_ok());
    assert!(Artifact::from_bytes(driver_with(200, 64, 200_000)).is_ok());
    for (bytes, says) in [
        (driver_with(201, 0, 0), "201 core modules"),
        (driver_with(1, 65, 0), "65 nested components"),
        (driver_with(1, 0, 200_001), "200001 functions"),
    ] {
        let error = Artifact::from_bytes(bytes).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
