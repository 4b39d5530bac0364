//! The fields of a manifest, each a type that cannot hold anything else.
//!
//! Checking where a value is parsed gives two things for nothing: whoever
//! holds a [`Name`] need not ask again whether it is one, and the error of a
//! `driver.toml` points at the very value that is wrong.
//!
//! Texts end up on an operator's terminal and page, so they may hold no control
//! characters and none of the marks that change the direction of text.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};
use servo_policy::{HeaderClass, HeaderName, LimitsSpec, header_row};

use crate::manifest::{FolderAsk, HttpAsk};
use crate::world;

/// Gives a checked text type its conversions.
macro_rules! text_type {
    ($name:ident $(<const $max:ident: usize>)?) => {
        impl $(<const $max: usize>)? $name$(<$max>)? {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl $(<const $max: usize>)? fmt::Display for $name$(<$max>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl $(<const $max: usize>)? From<$name$(<$max>)?> for String {
            fn from(text: $name$(<$max>)?) -> String {
                text.0
            }
        }

        impl $(<const $max: usize>)? std::str::FromStr for $name$(<$max>)? {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::try_from(text.to_owned())
            }
        }
    };
}

/// A driver's or folder's name: `[a-z][a-z0-9-]{0,62}`, as host names allow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Name, String> {
        let body = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
        match starts && text.len() <= 63 && text.bytes().all(body) {
            true => Ok(Name(text)),
            false => Err(
                "a name begins with a lower-case letter and has at most 63 lower-case letters, digits and hyphens"
                    .to_owned(),
            ),
        }
    }
}

text_type!(Name);

/// One line of text for people, of 1 to `MAX` characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Line<const MAX: usize>(String);

impl<const MAX: usize> TryFrom<String> for Line<MAX> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("say it in one sentence; it may not be empty".to_owned());
        }
        let length = text.chars().count();
        if length > MAX {
            return Err(format!("{length} characters; at most {MAX} are allowed"));
        }
        match text.chars().find(|&c| servo_text::unprintable(c)) {
            Some(c) => Err(format!(
                "the character {} is not allowed: one line of plain text, please",
                c.escape_unicode()
            )),
            None => Ok(Line(text)),
        }
    }
}

text_type!(Line<const MAX: usize>);

/// The contract a driver was built for: `servo:driver@<version>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct World(semver::Version);

impl World {
    /// The version of the contract.
    pub fn version(&self) -> &semver::Version {
        &self.0
    }
}

impl Default for World {
    /// The world that this build of servo serves.
    fn default() -> World {
        World(semver::Version::new(0, 2, 0))
    }
}

impl TryFrom<String> for World {
    type Error = String;

    fn try_from(text: String) -> Result<World, String> {
        text.strip_prefix("servo:driver@")
            .and_then(|version| semver::Version::parse(version).ok())
            .filter(world::served)
            .map(World)
            .ok_or_else(|| {
                let shown: String = text.chars().take(60).collect();
                format!(
                    "the world {shown:?} is not known here; this servo serves {}: build the driver \
                     again with its SDK, or take the servo that knows that world",
                    world::WORLD
                )
            })
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "servo:driver@{}", self.0)
    }
}

impl From<World> for String {
    fn from(world: World) -> String {
        world.to_string()
    }
}

/// A rule as a driver asks for it: the grammar of `grants.http`, in which
/// `${config.a.b}` may stand for text out of the driver's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AskedRule(String);

text_type!(AskedRule);

impl AskedRule {
    /// The members of the driver's configuration that the rule names, such as
    /// `endpoint` or `backend.url`, in order.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.0
            .split("${config.")
            .skip(1)
            .filter_map(|rest| rest.split_once('}').map(|(path, _)| path))
    }
}

impl TryFrom<String> for AskedRule {
    type Error = String;

    /// With its placeholders filled in, it must be a rule.
    fn try_from(text: String) -> Result<AskedRule, String> {
        let line = Line::<1024>::try_from(text)?;
        match filled(&line)?.parse::<servo_policy::Rule>() {
            Ok(_) => Ok(AskedRule(line.0)),
            Err(error) => Err(format!("{}; {}", error.problem, error.hint)),
        }
    }
}

/// A rule of this kind, as an example of those it may become.
fn filled(line: &Line<1024>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = line.as_str();
    while let Some((before, after)) = rest.split_once('$') {
        let (path, after) = after
            .strip_prefix("{config.")
            .and_then(|after| after.split_once('}'))
            .unwrap_or_default();
        if !is_config_path(path) {
            return Err(
                "`$` begins a placeholder: write ${config.key} or ${config.key.inner}".to_owned(),
            );
        }
        filled.push_str(before);
        filled.push_str(match (before.chars().next_back(), after) {
            (Some(' '), "") => "http://placeholder.example/",
            (Some(' '), _) => "http://placeholder.example",
            (Some(':'), _) => "1",
            _ => "placeholder",
        });
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// A header that a driver asks to set: a name, or `${config.key}` for those that
/// stand there in the driver's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AskedHeader(String);

text_type!(AskedHeader);

impl TryFrom<String> for AskedHeader {
    type Error = String;

    fn try_from(text: String) -> Result<AskedHeader, String> {
        if let Some(path) = text
            .strip_prefix("${config.")
            .and_then(|rest| rest.strip_suffix('}'))
        {
            return match is_config_path(path) {
                true => Ok(AskedHeader(text)),
                false => Err("write ${config.key} or ${config.key.inner}".to_owned()),
            };
        }
        let name = HeaderName::parse(&text).map_err(|advice| advice.to_string())?;
        let row = header_row(&text);
        match row.class {
            HeaderClass::ByName => Ok(AskedHeader(text)),
            HeaderClass::Harmless => Err(format!("every driver may set `{name}`; remove it")),
            _ => Err(format!(
                "`{name}` cannot be asked for, because it {}; remove it",
                row.reason
            )),
        }
    }
}

/// What is asked of requests; what is said to read must be able to do more.
pub(super) fn requests<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<HttpAsk>, D::Error> {
    let list: Vec<HttpAsk> = at_most::<64, _, _>(deserializer)?;
    for ask in list.iter().filter(|ask| ask.reads) {
        let rule = Line::try_from(ask.rule.as_str().to_owned()).and_then(|line| filled(&line));
        let rule = rule
            .ok()
            .and_then(|text| text.parse::<servo_policy::Rule>().ok());
        if let Some(problem) = rule.and_then(|rule| rule.reads_in_vain()) {
            return Err(de::Error::custom(format_args!(
                "`reads` of {}: {problem}",
                ask.rule
            )));
        }
    }
    Ok(list)
}

fn is_config_path(path: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    path.split('.')
        .all(|part| !part.is_empty() && part.chars().all(word))
}

/// A list of at most `MAX`: an operator is to read all of it.
pub(super) fn at_most<'de, const MAX: usize, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list = Vec::<T>::deserialize(deserializer)?;
    match list.len() {
        count if count > MAX => Err(de::Error::custom(format_args!(
            "{count} entries; at most {MAX} are allowed"
        ))),
        _ => Ok(list),
    }
}

/// Folders are told apart by their names.
pub(super) fn folders<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<FolderAsk>, D::Error> {
    let list: Vec<FolderAsk> = at_most::<16, _, _>(deserializer)?;
    if list.iter().any(|folder| folder.name.as_str() == "scratch") {
        return Err(de::Error::custom(
            "`scratch` is the name of the temporary folder; choose another",
        ));
    }
    let mut names: Vec<&Name> = list.iter().map(|folder| &folder.name).collect();
    names.sort();
    match names.windows(2).find(|pair| pair.first() == pair.last()) {
        Some([name, ..]) => Err(de::Error::custom(format_args!(
            "the folder `{name}` stands there twice"
        ))),
        _ => Ok(list),
    }
}

/// Limits within the ranges that a grant may have.
pub(super) fn limits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LimitsSpec, D::Error> {
    let limits = LimitsSpec::deserialize(deserializer)?;
    match limits.resolve() {
        Ok(_) => Ok(limits),
        Err(error) => Err(de::Error::custom(error)),
    }
}
