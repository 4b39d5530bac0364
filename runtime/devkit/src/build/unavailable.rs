//! What a driver's own code asks of a system that it does not have.
//!
//! A component has one thread, no environment, no programs and no sockets. The
//! standard library offers all of them nevertheless: the code compiles and
//! fails when it runs, in front of an operator. So the sources are read before,
//! and each such place is told with its line.
//!
//! They are read as a row of words: comments, texts, tests and what is compiled
//! only elsewhere are left out, and names are followed through `use`. Macros,
//! `use …::*` and other crates are not looked into; a warning may also stand at
//! a line that is never reached. So it warns and does not refuse.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::words::{Word, words};

/// A place in a driver's sources that fails when it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unavailable {
    /// The file, below the driver's folder.
    pub file: PathBuf,
    /// The line, beginning with 1.
    pub line: usize,
    /// What is used there.
    pub used: String,
    /// Why it fails, and what to use instead.
    pub why: &'static str,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            used,
            why,
        } = self;
        write!(
            f,
            "{}:{line}: `{used}` fails in a driver: {why}",
            file.display()
        )
    }
}

const THREADS: &str = "a component has one thread; for many requests at once use `http::Batch`, to wait return `Step::wait`";
const ENVIRONMENT: &str = "it has no environment and no arguments; make it a key of the driver's `Config`, which the operator writes";
const PROGRAMS: &str =
    "it cannot start programs; ask the operator for an action and use `cx.actions()`";
const SOCKETS: &str = "it has no sockets; use `cx.http()`";

/// What is not there, by the beginning of its path.
const MISSING: &[(&[&str], &str)] = &[
    (&["std", "thread", "spawn"], THREADS),
    (&["std", "thread", "scope"], THREADS),
    (&["std", "thread", "Builder"], THREADS),
    (&["std", "env", "var"], ENVIRONMENT),
    (&["std", "env", "var_os"], ENVIRONMENT),
    (&["std", "env", "vars"], ENVIRONMENT),
    (&["std", "env", "vars_os"], ENVIRONMENT),
    (&["std", "env", "args"], ENVIRONMENT),
    (&["std", "env", "args_os"], ENVIRONMENT),
    (&["std", "process", "Command"], PROGRAMS),
    (&["std", "net", "TcpStream"], SOCKETS),
    (&["std", "net", "TcpListener"], SOCKETS),
    (&["std", "net", "UdpSocket"], SOCKETS),
    (&["std", "net", "ToSocketAddrs"], SOCKETS),
];

/// Everything of the kind in the sources of the driver in `folder`.
pub(super) fn find(folder: &Path) -> io::Result<Vec<Unavailable>> {
    let mut files = Vec::new();
    collect(&folder.join("src"), &mut files)?;
    files.sort();
    let mut sources = Vec::new();
    for file in files {
        // Not UTF-8 is for the compiler to complain about.
        let text = String::from_utf8(fs::read(&file)?).unwrap_or_default();
        sources.push((file, words(&text)));
    }
    let only_elsewhere: Vec<PathBuf> = sources
        .iter()
        .flat_map(|(file, words)| elsewhere_modules(file, words))
        .collect();
    let mut found = Vec::new();
    for (file, words) in &sources {
        let left_out =
            |module: &PathBuf| file.starts_with(module) || *file == module.with_extension("rs");
        if only_elsewhere.iter().any(left_out) {
            continue;
        }
        let name = file.strip_prefix(folder).unwrap_or(file);
        for (line, used, why) in uses(&here(words)) {
            found.push(Unavailable {
                file: name.to_owned(),
                line,
                used,
                why,
            });
        }
    }
    Ok(found)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        let path = entry.path();
        if kind.is_dir() {
            collect(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// Where the modules lie that are not compiled into the component, without
/// their extension.
fn elsewhere_modules(file: &Path, words: &[Word]) -> Vec<PathBuf> {
    let folder = match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("lib" | "mod" | "main") | None => file.parent().unwrap_or(file).to_owned(),
        Some(_) => file.with_extension(""),
    };
    let mut found = Vec::new();
    let mut rest = words;
    while let Some((first, tail)) = rest.split_first() {
        match attribute(rest) {
            Some((is_elsewhere, after)) => {
                rest = after;
                if is_elsewhere {
                    let item = rest.get(..item(rest)).unwrap_or_default();
                    let texts: Vec<_> = item.iter().map(|word| word.text.as_str()).collect();
                    if let [.., "mod", name, ";"] = texts.as_slice() {
                        found.push(folder.join(name));
                    }
                }
            }
            None => rest = if first.text.is_empty() { &[] } else { tail },
        }
    }
    found
}

/// The words of a file without items that are not compiled into the component.
fn here(words: &[Word]) -> Vec<Word> {
    let mut kept = Vec::new();
    let mut rest = words;
    while let Some((first, tail)) = rest.split_first() {
        match attribute(rest) {
            Some((true, after)) => rest = after.get(item(after)..).unwrap_or_default(),
            Some((false, after)) => rest = after,
            None => {
                kept.push(first.clone());
                rest = tail;
            }
        }
    }
    kept
}

/// Whether an attribute begins here that keeps its item out of the component,
/// and what follows it.
fn attribute(words: &[Word]) -> Option<(bool, &[Word])> {
    let [hash, open, ..] = words else { return None };
    if hash.text != "#" || open.text != "[" {
        return None;
    }
    let mut depth = 0_usize;
    let end = words.iter().position(|word| {
        match word.text.as_str() {
            "[" => depth += 1,
            "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        word.text == "]" && depth == 0
    })?;
    let (inside, after) = words.split_at(end + 1);
    let inside: Vec<_> = inside.iter().map(|word| word.text.as_str()).collect();
    let elsewhere = match inside.get(2..).unwrap_or_default() {
        ["test", "]"] => true,
        ["cfg", "(", "not", "(", "target_arch", ..] => true,
        ["cfg", rest @ ..] => rest.contains(&"test") && !rest.contains(&"not"),
        _ => false,
    };
    Some((elsewhere, after))
}

/// How many words the item has that begins here, further attributes included.
fn item(words: &[Word]) -> usize {
    let mut depth = 0_usize;
    for (at, word) in words.iter().enumerate() {
        match word.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    words.len()
}

type Use = (usize, String, &'static str);

fn uses(words: &[Word]) -> Vec<Use> {
    let mut names: BTreeMap<String, (Vec<String>, usize)> = BTreeMap::new();
    let mut found: Vec<Use> = Vec::new();
    let mut code = Vec::new();
    let mut rest = words;
    while let Some((first, tail)) = rest.split_first() {
        if first.text == "use" {
            let end = tail.iter().position(|word| word.text == ";");
            let (tree, after) = tail.split_at(end.unwrap_or(tail.len()));
            imports(tree, &mut Vec::new(), &mut names);
            rest = after;
        } else {
            code.push(first);
            rest = tail;
        }
    }
    let mut at = 0;
    while let Some(word) = code.get(at) {
        let mut path = vec![word.text.clone()];
        let mut end = at + 1;
        while let (Some(mark), Some(next)) = (code.get(end), code.get(end + 1))
            && mark.text == "::"
            && next.is_name()
        {
            path.push(next.text.clone());
            end += 2;
        }
        let within = at.checked_sub(1).and_then(|before| code.get(before));
        let is_member = within.is_some_and(|before| before.text == "." || before.text == "::");
        if word.is_name() && !is_member {
            if let Some((full, _)) = path.first().and_then(|first| names.get(first)) {
                path.splice(..1, full.iter().cloned());
            }
            if let Some(why) = missing(&path) {
                found.push((word.line, path.join("::"), why));
            }
        }
        at = end;
    }
    // A name that is only imported is used in some way not seen here.
    for (path, line) in names.values() {
        let text = path.join("::");
        if let Some(why) = missing(path)
            && !found.iter().any(|(_, used, _)| used.starts_with(&text))
        {
            found.push((*line, text, why));
        }
    }
    found.sort();
    found
}

fn missing(path: &[String]) -> Option<&'static str> {
    let begins =
        |known: &[&str]| path.len() >= known.len() && path.iter().zip(known).all(|(a, b)| a == b);
    let (_, why) = MISSING.iter().find(|(known, _)| begins(known))?;
    Some(why)
}

/// The names that a `use` brings, each with its whole path.
fn imports(
    tree: &[Word],
    above: &mut Vec<String>,
    names: &mut BTreeMap<String, (Vec<String>, usize)>,
) {
    for branch in branches(tree) {
        let depth = above.len();
        let mut words = branch.iter();
        let mut renamed = None;
        while let Some(word) = words.next() {
            match word.text.as_str() {
                "::" => {}
                "{" => {
                    let inside = words.as_slice();
                    let inside = inside.get(..inside.len().saturating_sub(1));
                    imports(inside.unwrap_or_default(), above, names);
                    break;
                }
                "as" => renamed = words.next().map(|word| word.text.clone()),
                "self" if above.len() > depth || depth > 0 => {}
                name => above.push(name.to_owned()),
            }
        }
        if branch.last().is_some_and(|word| word.text != "}")
            && let (Some(last), Some(word)) = (above.last(), branch.first())
        {
            let name = renamed.unwrap_or_else(|| last.clone());
            names.insert(name, (above.clone(), word.line));
        }
        above.truncate(depth);
    }
}

/// The parts of a list, by the commas outside of its braces.
fn branches(tree: &[Word]) -> Vec<&[Word]> {
    let mut depth = 0_usize;
    tree.split(|word| {
        match word.text.as_str() {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        word.text == "," && depth == 0
    })
    .filter(|branch| !branch.is_empty())
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, String)> {
        uses(&here(&words(text)))
            .into_iter()
            .map(|(line, used, _)| (line, used))
            .collect()
    }

    #[test]
    fn what_fails_is_found_with_its_line() {
        for (text, expected) in [
            (
                "fn f() {\n std::thread::spawn(|| 1);\n}",
                vec![(2, "std::thread::spawn")],
            ),
            (
                "use std::thread;\nfn f() { thread::spawn(g); }",
                vec![(2, "std::thread::spawn")],
            ),
            (
                "use std::{env, fs, net::{IpAddr, TcpStream as Tcp}};\nfn f() {\n env::var(\"A\");\n Tcp::connect(a) }",
                vec![(3, "std::env::var"), (4, "std::net::TcpStream::connect")],
            ),
            (
                "use std::process::Command;\n\nfn f() { Command::new(\"ls\") }",
                vec![(3, "std::process::Command::new")],
            ),
            (
                "use std::net::ToSocketAddrs;\n",
                vec![(1, "std::net::ToSocketAddrs")],
            ),
            (
                "use std::env::{self, vars};\nfn f() { vars(); env::args() }",
                vec![(2, "std::env::args"), (2, "std::env::vars")],
            ),
        ] {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(line, used)| (line, used.to_owned()))
                .collect();
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_use_is_left_alone() {
        for text in [
            "// std::thread::spawn(f)\n/* std::env::var /* nested */ std::env::var */",
            "/// let x = std::env::var(\"A\");\nfn f() {}",
            r##"fn f() { g("std::thread::spawn"); h(r#"std::env::var "quoted""#); i(b"std::env::vars") }"##,
            "fn f<'a>(c: char) -> bool { c == '\"' } // \" std::env::var",
            "#[cfg(test)]\nmod tests { fn f() { std::thread::spawn(g); } }",
            "#[cfg(test)] use std::process::Command;\n#[test]\nfn f() { std::env::var(\"A\"); }",
            "#[cfg(not(target_arch = \"wasm32\"))]\nfn f() { std::env::var(\"A\"); }",
            "mod thread; fn f() { thread::spawn(); crate::thread::spawn() }",
            "use std::net::IpAddr; fn f() { x.spawn(); std::thread::sleep(d); env!(\"A\"); }",
            "use tokio::net::TcpStream; fn f() { TcpStream::connect() }",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    #[test]
    fn files_of_tests_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let uses = "fn f() { std::env::var(\"A\"); }";
        write("src/lib.rs", "mod load;\n#[cfg(test)]\nmod tests;\n");
        write("src/tests.rs", uses);
        write("src/tests/more.rs", uses);
        write(
            "src/load.rs",
            "#[cfg(test)]\nmod tests;\n\nfn f() { std::env::var(\"A\"); }",
        );
        write("src/load/tests.rs", uses);
        write("tests/outside.rs", uses);
        let found = find(folder.path()).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        let text = found[0].to_string();
        let expected = "src/load.rs:4: `std::env::var` fails in a driver: it has no environment";
        assert!(text.starts_with(expected), "{text}");
    }
}
