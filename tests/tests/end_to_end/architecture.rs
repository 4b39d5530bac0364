//! The map of the house and the house itself.

use std::collections::BTreeSet;
use std::fs;

use servo_tests::components::tree;

/// The rows of the table below a heading, without its own head.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let (_, section) = page
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("ARCHITECTURE.md has no `{heading}`"));
    let section = section.split("\n## ").next().unwrap();
    section
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect()
}

fn page() -> String {
    fs::read_to_string(tree().join("ARCHITECTURE.md")).unwrap()
}

#[test]
fn every_place_that_is_named_is_there() {
    let page = page();
    let changes = rows(&page, "## Where to change what");
    assert!(changes.len() >= 20, "{} rows", changes.len());
    let map = rows(&page, "## The map");
    let mut looked_at = 0;
    for row in changes.iter().chain(&map) {
        for path in row.split('`').skip(1).step_by(2) {
            if !path.contains('/') {
                continue;
            }
            looked_at += 1;
            let path = path.trim_end_matches('*');
            let place = tree().join(path);
            assert!(place.exists(), "{path} is not there: {row}");
        }
    }
    assert!(looked_at > 40, "{looked_at} paths");
}

#[test]
fn every_crate_is_on_the_map() {
    let page = page();
    let map = rows(&page, "## The map").join("\n");
    let manifest = fs::read_to_string(tree().join("Cargo.toml")).unwrap();
    let members = manifest
        .lines()
        .skip_while(|line| !line.starts_with("members"))
        .skip(1)
        .take_while(|line| !line.starts_with(']'))
        .filter_map(|line| line.split('"').nth(1));
    for member in members.filter(|member| !member.starts_with("drivers/")) {
        let on_it = map.contains(&format!("`{member}`")) || map.contains(&format!("`{member}/`"));
        assert!(on_it || member == "tests/hostile/guest", "{member}");
    }
}

#[test]
fn the_glossary_is_short_and_says_each_word_once() {
    let page = page();
    let words = rows(&page, "## Words");
    assert!(words.len() <= 25, "{} words", words.len());
    let once: BTreeSet<&str> = words
        .iter()
        .filter_map(|row| row.split('|').nth(1))
        .collect();
    assert_eq!(once.len(), words.len());
}
