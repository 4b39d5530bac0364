//! What an operator grants to one driver: as written, and as understood.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::folder;
use crate::placeholder::fill;
use crate::{
    Budget, ByteSize, FolderGrant, FolderSpec, HttpRules, LimitsSpec, PolicyError, PolicyErrors,
    Scheme,
};

/// The most a scratch folder may hold. It lives in memory or on the host's
/// disk for one call; more is an accident.
const SCRATCH_TOP: ByteSize = ByteSize::mib(4096);

/// Grants as the operator writes them. What is absent is not granted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantsSpec {
    /// Requests the driver may make.
    #[serde(default)]
    pub http: Vec<HttpGrantSpec>,
    /// Folders the driver may see.
    #[serde(default)]
    pub folders: Vec<FolderSpec>,
    /// Size of a writable folder `/scratch`, removed after the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<ByteSize>,
    /// Limits that differ from the defaults.
    #[serde(default)]
    pub limits: LimitsSpec,
}

/// One rule as the operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpGrantSpec {
    /// `GET,POST https://host[:port]/prefix`; may hold `${config.key}`.
    #[schemars(extend("examples" = ["GET https://prometheus.example/api/v1/"]))]
    pub rule: String,
    /// May it reach loopback, private and similar addresses?
    #[serde(default)]
    pub private: bool,
    /// A file with the only certificate authority to trust for this rule;
    /// relative to the file that holds the grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// Grants in which nothing is left to interpret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Requests the driver may make.
    pub http: HttpRules,
    /// Folders the driver may see.
    pub folders: Vec<FolderGrant>,
    /// Size of the writable folder `/scratch`, if there is one.
    pub scratch: Option<ByteSize>,
    /// What one call may use.
    pub budget: Budget,
}

impl Grants {
    /// Nothing at all, under the default budget.
    pub fn none() -> Self {
        Self::default()
    }
}

impl GrantsSpec {
    /// Fills placeholders from the driver's config, makes paths absolute
    /// against `base` (the folder of the file that holds the grants), and
    /// checks every value.
    ///
    /// # Errors
    /// The first thing that is wrong, by key.
    pub fn resolve(&self, config: &serde_json::Value, base: &Path) -> Result<Grants, PolicyError> {
        self.resolve_all(config, base)
            .map_err(PolicyErrors::into_first)
    }

    /// As [`GrantsSpec::resolve`], for a reader who wants to hear everything at
    /// once.
    ///
    /// # Errors
    /// All that is wrong, by key.
    pub fn resolve_all(
        &self,
        config: &serde_json::Value,
        base: &Path,
    ) -> Result<Grants, PolicyErrors> {
        let mut wrong = Vec::new();
        let mut rules = Vec::with_capacity(self.http.len());
        for (index, spec) in self.http.iter().enumerate() {
            let rule = match fill(&spec.rule, config, &format!("grants.http[{index}].rule")) {
                Ok(rule) => rule,
                Err(error) => {
                    wrong.push(error);
                    continue;
                }
            };
            if spec.ca.is_some() && rule.scheme == Scheme::Http {
                wrong.push(PolicyError::Grant {
                    key: format!("grants.http[{index}].ca"),
                    problem: "a plain http rule has no certificate to check; write https, or \
                              remove `ca`"
                        .to_owned(),
                });
            }
            rules.push((rule, spec.private, spec.ca.as_ref().map(|ca| base.join(ca))));
        }
        // The rules' errors count them, so none may be missing.
        let http = if rules.len() == self.http.len() {
            HttpRules::new(rules).unwrap_or_else(|error| {
                wrong.push(error);
                HttpRules::none()
            })
        } else {
            HttpRules::none()
        };
        let folders = folder::resolve(&self.folders, base, &mut wrong);
        if let Some(scratch) = self.scratch
            && (scratch < ByteSize::kib(4) || scratch > SCRATCH_TOP)
        {
            wrong.push(PolicyError::Grant {
                key: "grants.scratch".to_owned(),
                problem: format!(
                    "{scratch} is out of range; use a size from 4KiB to {SCRATCH_TOP}, or leave \
                     the key out for no scratch folder"
                ),
            });
        }
        let budget = self.limits.resolve_into(&mut wrong);
        match PolicyErrors::of(wrong) {
            Some(errors) => Err(errors),
            None => Ok(Grants {
                http,
                folders,
                scratch: self.scratch,
                budget,
            }),
        }
    }
}
