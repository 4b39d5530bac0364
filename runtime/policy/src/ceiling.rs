//! What no grant may exceed, and no setting either.
//!
//! Grants are written by whoever runs a servo, a ceiling by whoever answers for
//! the machine. A grant wider than its ceiling is refused when it is read and
//! never clipped: a servo that silently gets less than it was granted fails at
//! night, and its owner looks in the wrong place.
//!
//! A section that is absent is no ceiling on its matter. A section that is
//! there lists all that is allowed, so an empty one allows nothing: empty must
//! never mean everything. For the same reason a key without a value, which is
//! what remains when its lines are commented out, is an error.

mod check;
mod setting;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::folder::absolute;
use crate::{
    Access, Advice, ByteSize, HeaderName, LimitsSpec, Networks, PolicyError, PolicyErrors, Rule,
    present,
};

use self::setting::SettingCeiling;
pub use self::setting::{SettingCeilingSpec, SettingValue};

/// `ceiling:` as it is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CeilingSpec {
    /// Requests that grants may allow: each rule of a grant must lie within
    /// these. Absent: any; an empty list: none.
    #[serde(
        default,
        deserialize_with = "present::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub http: Option<Vec<HttpCeilingSpec>>,
    /// Folders that grants may show. Absent: any; an empty list: none.
    #[serde(
        default,
        deserialize_with = "present::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub folders: Option<Vec<FolderCeilingSpec>>,
    /// The largest `/scratch`; `0B`: none.
    #[serde(
        default,
        deserialize_with = "present::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub scratch: Option<ByteSize>,
    /// The largest value of each limit that is named; a usual value above it
    /// must be lowered in the grants.
    #[serde(
        default,
        deserialize_with = "present::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub limits: Option<LimitsSpec>,
    /// May rules have credentials and client certificates?
    #[serde(
        default,
        deserialize_with = "present::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub credentials: Option<bool>,
    /// The programs that actions may run, by their absolute paths. Absent: any; an
    /// empty list: none.
    #[serde(
        default,
        deserialize_with = "present::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub actions: Option<Vec<PathBuf>>,
    /// The settings that may be changed and the values they may take, by
    /// `component.setting`. Absent: any; a setting that is not listed: none.
    #[serde(
        default,
        deserialize_with = "present::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub settings: Option<BTreeMap<String, SettingCeilingSpec>>,
}

/// A rule of a ceiling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpCeilingSpec {
    /// As in a grant, without placeholders.
    #[schemars(extend("examples" = ["GET,PUT https://*.shop.example/"]))]
    pub rule: String,
    /// May grants within it reach loopback, private and similar addresses?
    #[serde(default)]
    pub private: bool,
    /// The networks that grants within it may reach beside public addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<Vec<String>>,
    /// The headers that grants within it may let drivers set; none, unless said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
}

/// A folder of a ceiling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderCeilingSpec {
    /// The folder on the host that grants may show, or folders in it; relative to
    /// the file that holds the ceiling.
    pub path: PathBuf,
    /// What grants may allow there; reading, unless said.
    #[serde(default)]
    pub access: Access,
}

/// A ceiling in which nothing is left to interpret. The default limits nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ceiling {
    http: Option<Vec<HttpCeiling>>,
    folders: Option<Vec<FolderCeiling>>,
    scratch: Option<ByteSize>,
    limits: LimitsSpec,
    credentials: Option<bool>,
    actions: Option<Vec<PathBuf>>,
    settings: Option<BTreeMap<String, SettingCeiling>>,
}

#[derive(Clone, Debug, PartialEq)]
struct HttpCeiling {
    rule: Rule,
    private: bool,
    networks: Vec<IpNet>,
    headers: Vec<HeaderName>,
}

#[derive(Clone, Debug, PartialEq)]
struct FolderCeiling {
    path: PathBuf,
    access: Access,
}

impl CeilingSpec {
    /// Makes paths absolute against `base` (the folder of the file that holds
    /// the ceiling), and checks every value.
    ///
    /// # Errors
    /// All that is wrong, by key, such as `ceiling.http[0].rule`.
    pub fn resolve(&self, base: &Path, networks: &Networks) -> Result<Ceiling, PolicyErrors> {
        let mut wrong = Vec::new();
        if *self == Self::default() {
            let advice = Advice::new(
                "the ceiling limits nothing",
                "write one of its sections, or remove the key",
            );
            refuse(&mut wrong, "ceiling", advice);
        }
        let http = self.http.as_ref().map(|rules| {
            rules
                .iter()
                .enumerate()
                .filter_map(|(index, spec)| spec.resolve(index, networks, &mut wrong))
                .collect()
        });
        let folders = self.folders.as_ref().map(|folders| {
            let one = |(index, spec): (usize, &FolderCeilingSpec)| {
                let path = absolute(&base.join(&spec.path));
                if path.is_none() {
                    let advice = Advice::new(
                        "this does not lead to a folder below the root",
                        "write an absolute path, or one relative to the file",
                    );
                    refuse(
                        &mut wrong,
                        &format!("ceiling.folders[{index}].path"),
                        advice,
                    );
                }
                Some(FolderCeiling {
                    path: path?,
                    access: spec.access,
                })
            };
            folders.iter().enumerate().filter_map(one).collect()
        });
        for (index, program) in self.actions.iter().flatten().enumerate() {
            if absolute(program).is_none_or(|straight| straight != *program) {
                let advice = Advice::new(
                    "a program is named by its absolute path",
                    "write it without `.` and `..`",
                );
                refuse(&mut wrong, &format!("ceiling.actions[{index}]"), advice);
            }
        }
        let limits = self.limits.clone().unwrap_or_default();
        if self.limits.is_some() && limits == LimitsSpec::default() {
            let advice = Advice::new("no limit is named", "name one, or remove the key");
            refuse(&mut wrong, "ceiling.limits", advice);
        }
        limits.check_ranges("ceiling.limits", &mut wrong);
        let settings = self.settings.as_ref().map(|settings| {
            settings
                .iter()
                .filter_map(|(name, spec)| {
                    let key = format!("ceiling.settings.{name}");
                    match spec.resolve(name) {
                        Ok(ceiling) => Some((name.clone(), ceiling)),
                        Err(advice) => {
                            refuse(&mut wrong, &key, advice);
                            None
                        }
                    }
                })
                .collect()
        });
        match PolicyErrors::of(wrong) {
            Some(errors) => Err(errors),
            None => Ok(Ceiling {
                http,
                folders,
                scratch: self.scratch,
                limits,
                credentials: self.credentials,
                actions: self.actions.clone(),
                settings,
            }),
        }
    }
}

impl HttpCeilingSpec {
    fn resolve(
        &self,
        index: usize,
        named: &Networks,
        wrong: &mut Vec<PolicyError>,
    ) -> Option<HttpCeiling> {
        let key = format!("ceiling.http[{index}]");
        let networks = match &self.networks {
            Some(items) => named.resolve(items, &format!("{key}.networks"), wrong),
            None => Vec::new(),
        };
        if self.private && self.networks.is_some() {
            let advice = Advice::new(
                "`private: true` opens every private address already",
                "keep one of `private` and `networks`",
            );
            refuse(wrong, &format!("{key}.networks"), advice);
        }
        let mut headers = Vec::new();
        for (index, text) in self.headers.iter().enumerate() {
            match HeaderName::parse(text) {
                Ok(name) => headers.push(name),
                Err(advice) => refuse(wrong, &format!("{key}.headers[{index}]"), advice),
            }
        }
        match self.rule.parse() {
            Ok(rule) => Some(HttpCeiling {
                rule,
                private: self.private,
                networks,
                headers,
            }),
            Err(error) => {
                let key = format!("{key}.rule");
                wrong.push(PolicyError::Rule { key, error });
                None
            }
        }
    }
}

impl Ceiling {
    /// Does it limit what cannot be limited for a driver that is an ordinary
    /// program? Settings can be: they are checked before a driver is asked.
    pub fn confines(&self) -> bool {
        let Self {
            http,
            folders,
            scratch,
            limits,
            credentials,
            actions,
            settings: _,
        } = self;
        http.is_some()
            || folders.is_some()
            || scratch.is_some()
            || *limits != LimitsSpec::default()
            || *credentials == Some(false)
            || actions.is_some()
    }

    /// What is allowed at most, in plain words, a line for each matter.
    pub fn explain(&self) -> Vec<String> {
        let list = |matter: &str, items: Vec<String>| {
            if items.is_empty() {
                format!("no {matter}")
            } else {
                format!("{matter} within {}", items.join("; "))
            }
        };
        let http = self.http.as_ref().map(|rules| {
            let one = |ceiling: &HttpCeiling| {
                let reach = if ceiling.private {
                    " (private addresses allowed)".to_owned()
                } else if ceiling.networks.is_empty() {
                    String::new()
                } else {
                    let nets: Vec<_> = ceiling.networks.iter().map(ToString::to_string).collect();
                    format!(" (and addresses in {})", nets.join(", "))
                };
                let headers = if ceiling.headers.is_empty() {
                    String::new()
                } else {
                    let names = ceiling.headers.iter().map(HeaderName::as_str);
                    format!(" with {}", names.collect::<Vec<_>>().join(", "))
                };
                format!("`{}`{reach}{headers}", ceiling.rule)
            };
            list("requests", rules.iter().map(one).collect())
        });
        let folders = self.folders.as_ref().map(|folders| {
            let one = |ceiling: &FolderCeiling| {
                let access = match ceiling.access {
                    Access::Read => "reading",
                    Access::Write => "reading and changing",
                };
                format!("{} ({access})", ceiling.path.display())
            };
            list("folders", folders.iter().map(one).collect())
        });
        let scratch = self
            .scratch
            .map(|size| format!("a temporary folder of {size}"));
        let limits = self.limits.named();
        let limits = (!limits.is_empty()).then(|| {
            let limits: Vec<String> = limits
                .iter()
                .map(|(name, most)| format!("{name} {most}"))
                .collect();
            format!("limits: {}", limits.join(", "))
        });
        let credentials = self.credentials.map(|allowed| {
            let word = if allowed { "any" } else { "no" };
            format!("{word} credentials")
        });
        let actions = self.actions.as_ref().map(|programs| {
            let programs = programs.iter().map(|program| program.display().to_string());
            list("actions", programs.collect())
        });
        let settings = self.settings.as_ref().map(|settings| {
            if settings.is_empty() {
                return "no settings".to_owned();
            }
            let settings: Vec<String> = settings
                .iter()
                .map(|(name, ceiling)| format!("{name} {ceiling}"))
                .collect();
            format!("settings: {}, and no other", settings.join("; "))
        });
        [
            http,
            folders,
            scratch,
            limits,
            credentials,
            actions,
            settings,
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn refuse(wrong: &mut Vec<PolicyError>, key: &str, advice: Advice) {
    wrong.push(PolicyError::Grant {
        key: key.to_owned(),
        advice,
    });
}
