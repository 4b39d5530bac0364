//! What an operator grants to one driver: as written, and as understood.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http_grant::Surroundings;
use crate::{
    Action, ActionSpec, Advice, Budget, ByteSize, FolderGrant, FolderSpec, HttpGrantSpec,
    HttpRules, LimitsSpec, Networks, PolicyError, PolicyErrors, action, exposure, folder,
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
    /// Programs of the operator that the driver may have run, by name. This
    /// version of servo does not run any yet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub actions: BTreeMap<String, ActionSpec>,
    /// Limits that differ from the defaults.
    #[serde(default)]
    pub limits: LimitsSpec,
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
    /// Programs that the driver may have run.
    pub actions: Vec<Action>,
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
        self.resolve_within(config, base, &Networks::default())
    }

    /// The same where networks have names.
    ///
    /// # Errors
    /// All that is wrong, by key.
    pub fn resolve_within(
        &self,
        config: &serde_json::Value,
        base: &Path,
        networks: &Networks,
    ) -> Result<Grants, PolicyErrors> {
        let (mut wrong, mut wrong_limits) = (Vec::new(), Vec::new());
        let budget = self.limits.resolve_into(&mut wrong_limits);
        let around = Surroundings {
            config,
            base,
            networks,
            budget: Some(&budget).filter(|_| wrong_limits.is_empty()),
        };
        let rules: Vec<_> = self
            .http
            .iter()
            .enumerate()
            .filter_map(|(index, spec)| {
                spec.resolve(&format!("grants.http[{index}]"), &around, &mut wrong)
            })
            .collect();
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
        exposure::check(&http, &folders, &mut wrong);
        if let Some(scratch) = self.scratch
            && (scratch < ByteSize::kib(4) || scratch > SCRATCH_TOP)
        {
            wrong.push(PolicyError::Grant {
                key: "grants.scratch".to_owned(),
                advice: Advice::new(format!("{scratch} is out of range"), format!("use a size from 4KiB to {SCRATCH_TOP}, or leave the key out for no scratch folder")),
            });
        }
        let actions = action::resolve(&self.actions, &folders, around.budget, &mut wrong);
        wrong.append(&mut wrong_limits);
        match PolicyErrors::of(wrong) {
            Some(errors) => Err(errors),
            None => Ok(Grants {
                http,
                folders,
                scratch: self.scratch,
                actions,
                budget,
            }),
        }
    }
}
