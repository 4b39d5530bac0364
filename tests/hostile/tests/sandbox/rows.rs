//! Every row has a test, and every case of the kit is run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use servo_hostile::catalogue::{ROWS, row};
use servo_hostile::tree;

/// Rows that wait, each with what it waits for.
const WAITING: &[(&str, &str)] = &[
    ("H7", "registries come with the distribution of drivers"),
    ("H8", "registries come with the distribution of drivers"),
    ("H9", "signatures come with the distribution of drivers"),
    ("H10", "signatures come with the distribution of drivers"),
    ("H11", "bundles come with the distribution of drivers"),
];

/// Names of functions in the sources below a folder, each with its file.
fn functions(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let shown = path.strip_prefix(tree()).unwrap().display().to_string();
        for line in fs::read_to_string(&path).unwrap().lines() {
            let mut words = line.split_whitespace().skip_while(|word| *word != "fn");
            if let Some(name) = words.nth(1) {
                let end = name.find(['(', '<']).unwrap_or(name.len());
                found.insert(name[..end].to_owned(), shown.clone());
            }
        }
    }
}

/// Whether a name stands for the row; a name may stand for several.
fn stands_for(name: &str, prefix: &str) -> bool {
    name.split_inclusive('_')
        .take_while(|part| {
            let mut letters = part.chars();
            letters.next().is_some_and(|c| c.is_ascii_lowercase())
                && letters.next().is_some_and(|c| c.is_ascii_digit())
        })
        .any(|part| part == prefix)
}

/// The tests of this suite: cases that it calls, and functions of its own.
fn tests() -> BTreeMap<String, String> {
    let mut cases = BTreeMap::new();
    functions(&tree().join("tests/hostile/src/cases"), &mut cases);
    let groups = fs::read_to_string(tree().join("tests/hostile/tests/sandbox/groups.rs")).unwrap();
    let called: BTreeSet<&str> = groups
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .collect();
    cases.retain(|name, _| called.contains(name.as_str()));
    functions(&tree().join("tests/hostile/tests/sandbox"), &mut cases);
    cases
}

#[test]
fn every_row_has_a_test() {
    let tests = tests();
    let mut without = vec![];
    for row in ROWS {
        let prefix = row.prefix();
        let has = tests.keys().any(|name| stands_for(name, &prefix));
        let waits = WAITING.iter().any(|(name, _)| *name == row.name);
        assert!(!(has && waits), "{} waits and has a test", row.name);
        if !has && !waits {
            without.push(row.name);
        }
    }
    assert!(without.is_empty(), "rows without a test: {without:?}");
    for (name, _) in WAITING {
        assert!(row(name).is_some(), "{name} is no row");
    }
}

#[test]
fn every_case_of_the_kit_is_run() {
    let mut cases = BTreeMap::new();
    functions(&tree().join("tests/hostile/src/cases"), &mut cases);
    cases.retain(|name, _| ROWS.iter().any(|row| stands_for(name, &row.prefix())));
    assert!(cases.len() > 60, "{}", cases.len());
    let tests = tests();
    let forgotten: Vec<_> = cases
        .keys()
        .filter(|case| !tests.contains_key(*case))
        .collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}

/// Prints a row, its outcome, and its tests, as a table in Markdown:
/// `cargo test -p servo-hostile --test sandbox -- scorecard --nocapture`.
#[test]
#[allow(clippy::print_stdout)]
fn scorecard() {
    let tests = tests();
    println!("| row | attack | outcome | tests |\n|---|---|---|---|");
    for row in ROWS {
        let prefix = row.prefix();
        let of: Vec<_> = tests
            .keys()
            .filter(|name| stands_for(name, &prefix))
            .map(|name| format!("`{name}`"))
            .collect();
        let shown = match WAITING.iter().find(|(name, _)| *name == row.name) {
            Some((_, why)) => format!("waits: {why}"),
            None => of.join(" "),
        };
        println!(
            "| {} | {} | {} | {shown} |",
            row.name, row.attack, row.outcome
        );
    }
}
