//! What a driver says it is and what it asks for, as data.
//!
//! The author writes `driver.toml`; the build embeds it in the component as
//! the custom section `servo-driver-manifest`, so that one file is the whole
//! driver and an operator can read what it asks for without running it. The
//! manifest only asks: what is granted stands in the operator's own file.
//!
//! The embedded form is JSON of at most 64 KiB with its members in one fixed
//! order. JSON, because every language has a reader for it; one order, so that
//! the same manifest always gives the same bytes and so the same digest.

mod field;
mod shape;
mod toml_text;

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use servo_policy::{
    Access, Advice, Asked, CredentialKind, LimitsSpec, PolicyError, asked_headers, resolve_ask,
};
use servo_text::shown;

pub use field::{AskedHeader, AskedRule, Line, Name, World};
pub use toml_text::{from_toml, schema};

use crate::scan::{self, MANIFEST_SECTION, NotAComponent, Section};

/// Largest manifest in bytes. Hand-written ones have one or two thousand; the
/// cap keeps a section made to fill memory or a terminal from being parsed.
pub const MAX_MANIFEST: usize = 64 * 1024;

/// What a driver says it is and asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its name: lower-case letters, digits and hyphens, at most 63.
    pub name: Name,
    /// Its own version.
    pub version: semver::Version,
    /// Measure or adjust. Agrees with the interface it exports.
    pub kind: DriverKind,
    /// One sentence for people.
    pub description: Line<200>,
    /// How it takes being cancelled.
    #[serde(default)]
    pub cancel: CancelSupport,
    /// Whether it takes up an adjustment that was cut short. Adjust only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recover: bool,
    /// The contract it was built for.
    pub world: World,
    /// What it would like to be granted.
    #[serde(default, skip_serializing_if = "Asks::is_empty")]
    pub asks: Asks,
}

/// Which of the two worlds a driver belongs to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum DriverKind {
    /// It measures an application.
    Measure,
    /// It changes an application's settings.
    Adjust,
}

impl DriverKind {
    /// `measure` or `adjust`: also the name of the interface it exports.
    pub fn as_str(self) -> &'static str {
        match self {
            DriverKind::Measure => "measure",
            DriverKind::Adjust => "adjust",
        }
    }
}

impl fmt::Display for DriverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happens when a call is cancelled while a step runs. Between two steps
/// the host stops a call by itself, whatever stands here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CancelSupport {
    /// It takes no notice; the step is dropped after the grace period.
    #[default]
    None,
    /// It asks the host how things stand and stops in good order.
    Report,
    /// Like `Report`, and it has a step that undoes what it began.
    Step,
}

impl CancelSupport {
    /// `none`, `report` or `step`.
    pub fn as_str(self) -> &'static str {
        match self {
            CancelSupport::None => "none",
            CancelSupport::Report => "report",
            CancelSupport::Step => "step",
        }
    }
}

impl fmt::Display for CancelSupport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a driver would like to be granted. Asking gives it nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asks {
    /// HTTP requests it wants to make.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "field::requests"
    )]
    pub http: Vec<HttpAsk>,
    /// Folders it wants to see.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "field::folders"
    )]
    pub folder: Vec<FolderAsk>,
    /// What it needs beyond the default limits.
    #[serde(
        default,
        skip_serializing_if = "is_default",
        deserialize_with = "field::limits"
    )]
    pub limits: LimitsSpec,
}

fn is_default(limits: &LimitsSpec) -> bool {
    *limits == LimitsSpec::default()
}

impl Asks {
    /// Whether it asks for nothing at all.
    pub fn is_empty(&self) -> bool {
        self.http.is_empty() && self.folder.is_empty() && is_default(&self.limits)
    }

    /// The requests it asks for, as far as the driver's configuration tells
    /// which they are.
    pub fn requests(&self, config: &Value) -> Vec<Asked> {
        let asks = self.http.iter();
        asks.filter_map(|ask| ask.resolve(config, "asks.http").ok().flatten())
            .collect()
    }
}

/// A wish to make HTTP requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpAsk {
    /// Methods, host and path; `${config.x}` stands for a member of the
    /// driver's own section of the configuration.
    #[schemars(with = "String")]
    pub rule: AskedRule,
    /// What for, in one sentence.
    #[schemars(with = "String")]
    pub why: Line<200>,
    /// The driver does useful work without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// The credential that the server wants; the host adds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "credential_kinds")]
    pub credential: Option<CredentialKind>,
    /// Headers that the driver sets beside those that every driver may.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "field::at_most::<32, _, _>"
    )]
    #[schemars(with = "Vec<String>")]
    pub headers: Vec<AskedHeader>,
    /// The requests only read, whatever their method: a dry run needs them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reads: bool,
}

/// The kinds of credentials, as the policy has them.
fn credential_kinds(_: &mut SchemaGenerator) -> Schema {
    let keys = CredentialKind::ALL.map(CredentialKind::key);
    json_schema!({ "type": "string", "enum": keys })
}

impl HttpAsk {
    /// What is asked for, filled in from the driver's configuration; none when it
    /// is optional and not configured.
    ///
    /// # Errors
    /// The placeholder that cannot be filled, or what is no rule once it is.
    pub fn resolve(&self, config: &Value, key: &str) -> Result<Option<Asked>, PolicyError> {
        let rule = resolve_ask(self.rule.as_str(), self.optional, config, key)?;
        Ok(rule.map(|rule| Asked {
            rule,
            credential: self.credential,
            headers: asked_headers(self.headers.iter().map(AskedHeader::as_str), config),
            reads: self.reads,
        }))
    }
}

/// A wish to see a folder of the operator's choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderAsk {
    /// The name under which the driver finds it: `/<name>`.
    #[schemars(with = "String")]
    pub name: Name,
    /// Read, or read and write.
    pub access: Access,
    /// What for, in one sentence.
    #[schemars(with = "String")]
    pub why: Line<200>,
    /// The driver does useful work without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// Why there is no usable manifest.
#[derive(Debug)]
#[non_exhaustive]
pub enum ManifestError {
    /// The component has no manifest section.
    Missing,
    /// It has several, and no rule says which one counts.
    Several(usize),
    /// Over [`MAX_MANIFEST`].
    TooLarge(usize),
    /// Not UTF-8.
    NotUtf8(usize),
    /// A member is missing, unknown, doubled or wrong.
    Json {
        /// The member, for example `asks.http[0].rule`.
        key: String,
        /// What is wrong with it.
        message: String,
    },
    /// The same, in a `driver.toml`.
    Toml(TomlError),
    /// Not a component, so there is nothing to read it from or embed it in.
    NotAComponent(NotAComponent),
}

impl ManifestError {
    /// What is wrong, and what to do.
    pub fn advice(&self) -> Advice {
        const AGAIN: &str = "build it again with `servo driver build`";
        match self {
            Self::Missing => Advice::new(
                "built without a manifest",
                "build it with `servo driver build`, which embeds driver.toml",
            ),
            Self::Several(count) => Advice::new(
                format!("has {count} manifest sections where exactly one is allowed"),
                AGAIN,
            ),
            Self::TooLarge(size) => Advice::new(
                format!("its manifest has {size} bytes, and at most {MAX_MANIFEST} are accepted"),
                "ask for less in driver.toml",
            ),
            Self::NotUtf8(at) => {
                Advice::new(format!("its manifest is not UTF-8 text (byte {at})"), AGAIN)
            }
            Self::Json { key, message } => Advice::new(
                format!(
                    "its manifest is wrong at `{}`: {}",
                    shown(key),
                    shown(message)
                ),
                AGAIN,
            ),
            Self::Toml(error) => error.advice.clone(),
            Self::NotAComponent(error) => error.advice(),
        }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Toml(error) => error.fmt(f),
            other => other.advice().fmt(f),
        }
    }
}

impl std::error::Error for ManifestError {}

impl From<NotAComponent> for ManifestError {
    fn from(error: NotAComponent) -> Self {
        Self::NotAComponent(error)
    }
}

impl From<TomlError> for ManifestError {
    fn from(error: TomlError) -> Self {
        Self::Toml(error)
    }
}

/// What is wrong with a `driver.toml`, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TomlError {
    /// The file.
    pub file: std::path::PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The key, for example `asks.http[0].rule`; empty for the whole file.
    pub key: String,
    /// What is wrong with it, and what to write.
    pub advice: Advice,
}

impl fmt::Display for TomlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file.display(), self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "`{}`: ", shown(&self.key))?;
        }
        self.advice.fmt(f)
    }
}

impl std::error::Error for TomlError {}

impl Manifest {
    /// The embedded form.
    ///
    /// # Errors
    /// [`ManifestError::TooLarge`].
    pub fn to_json(&self) -> Result<Vec<u8>, ManifestError> {
        let json = serde_json::to_vec(self).map_err(|error| ManifestError::Json {
            key: String::new(),
            message: error.to_string(),
        })?;
        match json.len() {
            size if size > MAX_MANIFEST => Err(ManifestError::TooLarge(size)),
            _ => Ok(json),
        }
    }
}

/// The component with this manifest in it, in place of any it had before.
///
/// The rest of the component stays as it is, byte for byte, and embedding the
/// same manifest again gives the same bytes.
///
/// # Errors
/// When `component` is not a component or the manifest is too large.
pub fn embed(component: &[u8], manifest: &Manifest) -> Result<Vec<u8>, ManifestError> {
    let json = manifest.to_json()?;
    let old = scan::scan(component)?.manifests;
    let mut out = Vec::with_capacity(component.len() + json.len() + MANIFEST_SECTION.len() + 16);
    let mut from = 0;
    for section in old {
        out.extend_from_slice(component.get(from..section.whole.start).unwrap_or_default());
        from = section.whole.end;
    }
    out.extend_from_slice(component.get(from..).unwrap_or_default());
    wasm_encoder::ComponentSection::append_to_component(
        &wasm_encoder::CustomSection {
            name: MANIFEST_SECTION.into(),
            data: json.into(),
        },
        &mut out,
    );
    Ok(out)
}

/// Reads the manifest of a component without looking at anything else in it.
///
/// # Errors
/// When there is not exactly one valid manifest.
pub fn read(component: &[u8]) -> Result<Manifest, ManifestError> {
    from_sections(&scan::scan(component)?.manifests)
}

pub(crate) fn from_sections(sections: &[Section<'_>]) -> Result<Manifest, ManifestError> {
    match sections {
        [] => Err(ManifestError::Missing),
        [one] => from_json(one.data),
        several => Err(ManifestError::Several(several.len())),
    }
}

fn from_json(data: &[u8]) -> Result<Manifest, ManifestError> {
    if data.len() > MAX_MANIFEST {
        return Err(ManifestError::TooLarge(data.len()));
    }
    let text = str::from_utf8(data).map_err(|e| ManifestError::NotUtf8(e.valid_up_to()))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let wrong = |key: String, message: String| ManifestError::Json { key, message };
    let manifest: Manifest = serde_path_to_error::deserialize(&mut json)
        .map_err(|e| wrong(e.path().to_string(), e.inner().to_string()))?;
    json.end()
        .map_err(|e| wrong(".".to_owned(), e.to_string()))?;
    may_recover(manifest.kind, manifest.recover)
        .map_err(|message| wrong("recover".to_owned(), message.to_owned()))?;
    Ok(manifest)
}

/// A measurement that was cut short is simply measured again.
fn may_recover(kind: DriverKind, recover: bool) -> Result<(), &'static str> {
    match (kind, recover) {
        (DriverKind::Measure, true) => {
            Err("only a driver of kind `adjust` is asked to recover; remove the line")
        }
        _ => Ok(()),
    }
}
