//! What `servo driver inspect` tells about an artifact, as data and as text.
//!
//! Written for the person who must decide whether to run a stranger's driver,
//! so it speaks of what the driver may do to them and not of WebAssembly.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;
use servo_policy::{Access, Asked, Budget, HeaderName};

use crate::artifact::Artifact;
use crate::digest::Digest;
use crate::manifest::{AskedHeader, CancelSupport, DriverKind, HttpAsk};

/// All that is known about an artifact without running it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// Measure or adjust.
    pub kind: DriverKind,
    /// The driver's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence by its author.
    pub description: String,
    /// SHA-256 of the artifact.
    pub digest: Digest,
    /// Size of the artifact in bytes.
    pub size: u64,
    /// The contract it was built for.
    pub world: String,
    /// What it imports, by package.
    pub imports: Vec<ImportGroup>,
    /// How it takes being cancelled.
    pub cancel: CancelSupport,
    /// Whether it takes up an adjustment that was cut short.
    pub recover: bool,
    /// What it asks the operator for.
    pub asks: Vec<Ask>,
}

/// The interfaces imported from one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportGroup {
    /// The package, for example `wasi:http`.
    pub package: String,
    /// What that package is for.
    pub meaning: &'static str,
    /// The interfaces imported from it, with their versions.
    pub interfaces: Vec<String>,
}

/// One wish of a driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ask {
    /// The line as it would stand in `grants`.
    pub rule: String,
    /// What it means.
    pub meaning: String,
    /// The rule filled in from the driver's configuration, or why it cannot be.
    pub resolved: Option<String>,
    /// What the driver says it is for; limits carry no reason.
    pub why: Option<String>,
    /// The driver does useful work without it.
    pub optional: bool,
}

impl Artifact {
    /// All that is known about it without running it. With the driver's
    /// section of the configuration, the rules it asks for are filled in.
    pub fn inspect(&self, config: Option<&Value>) -> Inspection {
        let manifest = self.manifest();
        let mut packages: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for import in self.imports() {
            let name = format!("{}@{}", import.name, import.version);
            packages.entry(&import.package).or_default().push(name);
        }
        Inspection {
            kind: manifest.kind,
            name: manifest.name.to_string(),
            version: manifest.version.to_string(),
            description: manifest.description.to_string(),
            digest: self.digest(),
            size: self.bytes().len() as u64,
            world: manifest.world.to_string(),
            imports: packages
                .into_iter()
                .map(|(package, interfaces)| ImportGroup {
                    package: package.to_owned(),
                    meaning: meaning_of(package, &interfaces),
                    interfaces,
                })
                .collect(),
            cancel: manifest.cancel,
            recover: manifest.recover,
            asks: asks(self, config),
        }
    }
}

fn meaning_of(package: &str, interfaces: &[String]) -> &'static str {
    match package {
        "servo:driver" if interfaces.iter().any(|name| name.starts_with("fetch@")) => {
            "its configuration, progress, log, state and actions; HTTP requests that a granted rule allows"
        }
        "servo:driver" => "its configuration, progress, log, state and actions",
        "wasi:cli" => "standard output and error; no environment, no arguments",
        "wasi:clocks" => "the time",
        "wasi:filesystem" => "files in granted folders, otherwise none",
        "wasi:http" => "HTTP requests that a granted rule allows, otherwise none",
        "wasi:io" => "waiting and moving bytes",
        "wasi:random" => "random numbers",
        "wasi:sockets" => "always refused when used",
        _ => "",
    }
}

fn asks(artifact: &Artifact, config: Option<&Value>) -> Vec<Ask> {
    let asks = &artifact.manifest().asks;
    let http = asks.http.iter().enumerate().map(|(index, ask)| {
        let resolve = |config| {
            let key = format!("asks.http[{index}].rule");
            match ask.resolve(config, &key) {
                Ok(Some(asked)) => filled(&asked),
                Ok(None) => "nothing, because it is not configured".to_owned(),
                Err(error) => error.to_string(),
            }
        };
        Ask {
            rule: format!("http: {}", ask.rule),
            meaning: explain(ask),
            resolved: config.map(resolve),
            why: Some(ask.why.to_string()),
            optional: ask.optional,
        }
    });
    let folders = asks.folder.iter().map(|ask| {
        let (access, verbs) = match ask.access {
            Access::Read => ("read", "read files"),
            Access::Write => ("write", "read, create, change and remove files"),
        };
        Ask {
            rule: format!("folder: {} ({access})", ask.name),
            meaning: format!(
                "{verbs} in a folder of your choice, which it sees as /{}",
                ask.name
            ),
            resolved: None,
            why: Some(ask.why.to_string()),
            optional: ask.optional,
        }
    });
    let beyond = asks.limits.beyond(&Budget::default());
    let limits = beyond.into_iter().map(|(name, value, usual)| Ask {
        meaning: format!("use up to {value} of `{name}` where {usual} is usual"),
        rule: format!("limits: {name} {value}"),
        resolved: None,
        why: None,
        optional: false,
    });
    http.chain(folders).chain(limits).collect()
}

fn filled(asked: &Asked) -> String {
    if asked.headers.is_empty() {
        return asked.rule.to_string();
    }
    let names: Vec<&str> = asked.headers.iter().map(HeaderName::as_str).collect();
    format!("{} with the headers {}", asked.rule, names.join(", "))
}

fn explain(ask: &HttpAsk) -> String {
    let rule = ask.rule.as_str();
    let (methods, url) = rule.split_once(' ').unwrap_or(("", rule));
    let methods = methods.replace(',', ", ");
    let mut out = format!("send {methods} requests to {url}");
    if url.ends_with('/') {
        out.push_str(" and everything below it");
    }
    if let Some(kind) = ask.credential {
        out.push_str(&format!(
            ", with {}, which you give and the host adds",
            kind.describe()
        ));
    }
    if !ask.headers.is_empty() {
        let names: Vec<&str> = ask.headers.iter().map(AskedHeader::as_str).collect();
        out.push_str(&format!(", with the headers {}", names.join(", ")));
    }
    if ask.reads {
        out.push_str(", which only read");
    }
    out
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.kind {
            DriverKind::Measure => "measures an application",
            DriverKind::Adjust => "changes an application's settings",
        };
        let cancel = match self.cancel {
            CancelSupport::None => "not noticed inside a step; the step is dropped after its grace",
            CancelSupport::Report => "noticed; it stops in good order",
            CancelSupport::Step => "noticed, and it undoes what it began",
        };
        writeln!(f, "{} {} - {role}", self.name, self.version)?;
        writeln!(f, "  {}", self.description)?;
        writeln!(f)?;
        writeln!(f, "digest   {}", self.digest)?;
        writeln!(f, "size     {} bytes", self.size)?;
        writeln!(f, "world    {}", self.world)?;
        writeln!(f, "cancel   {}: {cancel}", self.cancel)?;
        if self.kind == DriverKind::Adjust {
            let recover = match self.recover {
                true => "yes: after a crash it looks what is in force and goes on",
                false => "no: an adjustment that a crash cuts short is reported as failed",
            };
            writeln!(f, "recover  {recover}")?;
        }
        writeln!(f)?;
        if self.asks.is_empty() {
            writeln!(f, "It asks for nothing.")?;
        } else {
            writeln!(f, "It asks for (and has none of it until you grant it):")?;
        }
        for ask in &self.asks {
            let optional = if ask.optional { " (optional)" } else { "" };
            writeln!(f, "  - {}{optional}", ask.rule)?;
            writeln!(f, "    to {}", ask.meaning)?;
            if let Some(resolved) = &ask.resolved {
                writeln!(f, "    here that is: {resolved}")?;
            }
            if let Some(why) = &ask.why {
                writeln!(f, "    it says: {why}")?;
            }
        }
        writeln!(f)?;
        writeln!(f, "It can reach nothing but:")?;
        for group in &self.imports {
            writeln!(f, "  {:<16} {}", group.package, group.meaning)?;
        }
        Ok(())
    }
}
