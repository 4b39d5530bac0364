//! The reference for operators, as Markdown, made from the types that read the
//! files.
//!
//! What a key is and what it takes is said by its type and its comment, through
//! the schema. What a schema does not say (the default in words, the unit, an
//! example) stands in rows beside it: those of the rules in the policy, those of
//! the files here. The tests compare rows and schemas in both directions and put
//! each example through its parser.

mod kind;
mod rows;
mod table;

use std::fmt::Write as _;

use schemars::{JsonSchema, schema_for};
use serde_json::Value;
use servo_policy::reference::{KEY_SECTIONS, RULE_GRAMMAR};
use servo_policy::{Budget, CredentialKind, HeaderClass, header_table};

use crate::ceiling;
use crate::file::{DriverSection, DriversSection, OptuneSection, Sections};

pub use rows::{DRIVER_TOML, FILES, Row, Section};

/// The whole reference. The schema of `driver.toml` is given, for this crate does
/// not read that file.
#[must_use]
pub fn markdown(driver_toml: &Value) -> String {
    let mut out = String::from(
        "# Reference\n\nPrinted by `servo config reference` from the code that reads these files; a \
         test compares the two.\n\n\
         - [Rules](#rules)\n- [Credentials](#credentials)\n\
         - [Headers that a driver may set](#headers-that-a-driver-may-set)\n\
         - [Limits](#limits)\n- [`servo.yaml`](#servoyaml)\n- [`driver.toml`](#drivertoml)\n",
    );
    rules(&mut out);
    credentials(&mut out);
    headers(&mut out);
    limits(&mut out);
    out.push_str(
        "\n## `servo.yaml`\n\nPaths in it are relative to it. Anchors, aliases and merge keys are refused, \
         and so is a key that is not listed here. A size is a whole number and one of B, KiB, MiB, GiB; a \
         time is a whole number and one of ms, s, m, h.\n",
    );
    for section in FILES {
        let schema = schema_of(section.place);
        table::section(&mut out, section, &schema, &schema);
    }
    for section in KEY_SECTIONS {
        table::policy(&mut out, section);
    }
    out.push_str(
        "\n## `driver.toml`\n\nWritten by the author of a driver; it becomes part of the `.wasm`. It only \
         asks: what is granted stands in `servo.yaml`.\n",
    );
    for section in DRIVER_TOML {
        if let Some(schema) = driver_toml.pointer(section.schema) {
            table::section(&mut out, section, driver_toml, schema);
        }
    }
    out
}

/// The schema of a mapping in one of the operator's files.
#[must_use]
pub fn schema_of(place: &str) -> Value {
    fn of<T: JsonSchema>() -> Value {
        schema_for!(T).to_value()
    }
    match place {
        "optune" => of::<OptuneSection>(),
        "drivers" => of::<DriversSection>(),
        "drivers.measure, drivers.adjust" => of::<DriverSection>(),
        "the file of --ceiling" => of::<ceiling::Sections>(),
        _ => of::<Sections>(),
    }
}

fn rules(out: &mut String) {
    out.push_str(
        "\n## Rules\n\nA rule is one line: `METHODS SCHEME://HOST[:PORT]/PATH`.\n\n\
         | part | is | examples |\n|---|---|---|\n",
    );
    for part in RULE_GRAMMAR {
        let examples: Vec<String> = part
            .examples
            .iter()
            .map(|example| format!("`{example}`"))
            .collect();
        row(out, &[part.name, part.meaning, &examples.join("<br>")]);
    }
}

fn credentials(out: &mut String) {
    out.push_str(
        "\n## Credentials\n\nThe host adds a credential to the requests of the rule under which it \
         stands; the driver never sees it. A secret comes from a `file`, from a variable (`env`) or from \
         what a `command` prints. A rule has at most one of them, and a `client_certificate` beside it.\n",
    );
    for kind in CredentialKind::ALL {
        let _ = write!(
            out,
            "\n`{}`, {}:\n\n```yaml\nrule: \"GET https://a.example/v1/\"\n{}\n```\n",
            kind.key(),
            kind.describe(),
            kind.example()
        );
    }
}

fn headers(out: &mut String) {
    out.push_str(
        "\n## Headers that a driver may set\n\nA star stands for the rest of a name. A header that is \
         not listed is sent only where the rule names it in `headers`.\n\n\
         | header | is | because it |\n|---|---|---|\n",
    );
    for header in header_table() {
        let class = match header.class {
            HeaderClass::Harmless => "sent",
            HeaderClass::Gate => "read by the host, which writes it itself",
            HeaderClass::Dropped => "left out",
            HeaderClass::ByName => "sent only where the rule names it",
            HeaderClass::Refused => "refused, with the whole request",
        };
        row(out, &[&format!("`{}`", header.name), class, header.reason]);
    }
}

fn limits(out: &mut String) {
    out.push_str(
        "\n## Limits\n\nThe keys of `grants.limits`, of `ceiling.limits` and of `asks.limits` in \
         `driver.toml`. `servo limits` prints them too.\n\n\
         | key | default | least | most | what it is |\n|---|---|---|---|---|\n",
    );
    for limit in Budget::describe() {
        row(
            out,
            &[
                &format!("`{}`", limit.key),
                &format!("`{}`", limit.default),
                &format!("`{}`", limit.low),
                &format!("`{}`", limit.high),
                &limit.reason,
            ],
        );
    }
}

/// One line of a table.
fn row(out: &mut String, cells: &[&str]) {
    out.push('|');
    for cell in cells {
        // Writing to a string cannot fail.
        let _ = write!(out, " {} |", cell.replace('\n', " ").replace('|', "\\|"));
    }
    out.push('\n');
}
