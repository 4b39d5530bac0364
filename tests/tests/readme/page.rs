//! What a page in Markdown tells its reader to do, in order.

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// Type a command, and see these lines.
    Command {
        /// Line of the page, from 1.
        line: usize,
        /// The command; lines that a backslash joins are one.
        text: String,
        /// What the page shows of its output, without empty lines.
        output: Vec<String>,
    },
    /// Change a file as the lines of a diff say.
    Edit {
        /// The file.
        file: String,
        /// The diff without headers.
        diff: Vec<String>,
    },
    /// Write a whole file.
    File {
        /// The file.
        file: String,
        /// What is in it.
        text: String,
    },
    /// Open an address in a browser.
    Open(String),
}

/// Everything the page tells to do: ```` ```console ```` blocks, blocks after a
/// comment `<!-- edit: FILE -->` or `<!-- file: FILE -->`, and
/// `open <http://…>`.
pub(crate) fn items(page: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut mark: Option<(&str, &str)> = None;
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some((_, rest)) = line.split_once("open <http") {
            let address = rest.split('>').next().unwrap();
            items.push(Item::Open(format!("http{address}")));
        }
        if let Some(inside) = line
            .strip_prefix("<!-- ")
            .and_then(|l| l.strip_suffix(" -->"))
        {
            mark = inside.split_once(": ");
        }
        let Some(kind) = line.strip_prefix("```") else {
            continue;
        };
        let block: Vec<(usize, &str)> = lines
            .by_ref()
            .take_while(|(_, line)| *line != "```")
            .collect();
        let text = || block.iter().map(|(_, line)| (*line).to_owned());
        match (kind, mark.take()) {
            ("console", None) => commands(&block, &mut items),
            ("diff", Some(("edit", file))) => items.push(Item::Edit {
                file: file.to_owned(),
                diff: text().collect(),
            }),
            (_, Some(("file", file))) => items.push(Item::File {
                file: file.to_owned(),
                text: text().map(|line| line + "\n").collect(),
            }),
            (kind, mark) => panic!("line {}: a block {kind:?} after {mark:?}", number + 1),
        }
    }
    items
}

fn commands(block: &[(usize, &str)], items: &mut Vec<Item>) {
    let mut lines = block.iter();
    while let Some((number, line)) = lines.next() {
        if let Some(first) = line.strip_prefix("$ ") {
            let mut text = first.to_owned();
            while text.ends_with('\\') {
                text.push('\n');
                text.push_str(lines.next().expect("a line after a backslash").1);
            }
            items.push(Item::Command {
                line: number + 1,
                text,
                output: Vec::new(),
            });
            continue;
        }
        match items.last_mut() {
            Some(Item::Command { output, .. }) if !line.trim().is_empty() => {
                output.push((*line).to_owned());
            }
            Some(Item::Command { .. }) => {}
            _ => panic!("line {}: output before any command", number + 1),
        }
    }
}

/// The text with a diff applied: the lines with `-` or a space must stand in
/// it once, one after the other.
pub(crate) fn edited(text: &str, diff: &[String]) -> String {
    let side = |without: char| -> String {
        diff.iter()
            .filter(|line| !line.starts_with(without))
            .map(|line| line.get(1..).unwrap_or_default().to_owned() + "\n")
            .collect()
    };
    let (old, new) = (side('+'), side('-'));
    assert_eq!(
        text.matches(&old).count(),
        1,
        "to be found once:\n{old}in:\n{text}"
    );
    text.replace(&old, &new)
}

/// A line of output without what differs from run to run: numbers with their
/// sign and unit of size, digests, and how wide a column is.
pub(crate) fn stable(line: &str) -> String {
    // An exit code is not a figure.
    if line.starts_with("exit code ") {
        return line.to_owned();
    }
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        let word = match word.split_once("sha256:") {
            Some((before, _)) => format!("{before}sha256:0"),
            None => number_free(word),
        };
        let unit = matches!(word.as_str(), "B" | "KiB" | "MiB");
        let after_number = words.last().is_some_and(|last| last == "0");
        words.push(if unit && after_number {
            "B".to_owned()
        } else {
            word
        });
    }
    words.join(" ")
}

fn number_free(word: &str) -> String {
    let mut out = String::new();
    for (at, c) in word.char_indices() {
        match c {
            '0'..='9' => {
                if !out.ends_with('0') {
                    out.push('0');
                }
            }
            // Within a number, or its sign.
            '.' if out.ends_with('0') => {}
            '+' | '-' if at == 0 && word.len() > 1 && !word.starts_with("--") => {}
            // A rule of a table is as long as the table is wide.
            '-' if out.ends_with('-') => {}
            _ => out.push(c),
        }
    }
    out
}

#[test]
fn a_page_is_read_in_order() {
    let page = "text\n```console\n$ one \\\n    more\nout  1\n\n$ two &\n```\nNow open <http://a/>.\n\
                <!-- edit: a.rs -->\n```diff\n-x\n+y\n```\n<!-- file: b.yaml -->\n```yaml\na: 1\n```\n";
    let command = |line, text: &str, output: &[&str]| Item::Command {
        line,
        text: text.to_owned(),
        output: output.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(
        items(page),
        [
            command(3, "one \\\n    more", &["out  1"]),
            command(7, "two &", &[]),
            Item::Open("http://a/".to_owned()),
            Item::Edit {
                file: "a.rs".to_owned(),
                diff: vec!["-x".to_owned(), "+y".to_owned()],
            },
            Item::File {
                file: "b.yaml".to_owned(),
                text: "a: 1\n".to_owned(),
            },
        ]
    );
}

#[test]
fn an_edit_replaces_what_stands_there() {
    let diff = [" a", "-b", "+c", "+d"].map(str::to_owned);
    assert_eq!(edited("x\na\nb\nz\n", &diff), "x\na\nc\nd\nz\n");
}

#[test]
fn stable_lines_differ_in_words_but_not_in_figures() {
    for (one, other, same) in [
        (
            "trial  1/12  batch=14  +220.6 %",
            "trial 2/2 batch=3 -1 %",
            true,
        ),
        ("x    439 B", "x 1.4 KiB", true),
        ("-----  ---", "--- -------", true),
        ("d sha256:0aff", "d sha256:13be", true),
        ("http://127.0.0.1:9000/a", "http://127.0.0.1:34567/a", true),
        ("exit code 1", "exit code 0", false),
        ("  pass  describe", "  fail  describe", false),
        ("best of a", "trial 1 of a", false),
    ] {
        assert_eq!(stable(one) == stable(other), same, "{one} | {other}");
    }
}
