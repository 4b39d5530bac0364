//! Values of settings: what an ADJUST asks for and what is then in force
//! (protocol sections 4.5, 5.3, 15.1).

use serde::{Deserialize, Serialize};

use crate::{Members, Named, Scalar};

/// The `state` of an ADJUST and of its report.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// The values by component and setting.
    #[serde(default)]
    pub application: AppliedApplication,
    /// Members this version does not know.
    #[serde(flatten)]
    pub extra: Members,
}

/// Values by component.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct AppliedApplication {
    /// The components named.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub components: Named<AppliedComponent>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub extra: Members,
}

/// Values by setting.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct AppliedComponent {
    /// The settings named.
    #[serde(default)]
    pub settings: Named<AppliedSetting>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub extra: Members,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppliedSetting {
    /// The value; null only in reports, where it is not known.
    pub value: Option<Scalar>,
    /// Members this version does not know, for example `index`.
    #[serde(flatten)]
    pub extra: Members,
}

impl AppliedApplication {
    /// Builds it from (component, setting, value). A repeated name takes the
    /// last value.
    pub fn from_values<C, S>(values: impl IntoIterator<Item = (C, S, Scalar)>) -> Self
    where
        C: Into<String>,
        S: Into<String>,
    {
        let mut application = Self::default();
        for (component, setting, value) in values {
            application
                .components
                .entry(component.into())
                .or_default()
                .settings
                .insert(
                    setting.into(),
                    AppliedSetting {
                        value: Some(value),
                        extra: Members::new(),
                    },
                );
        }
        application
    }

    /// Every (component, setting, value), in order. Unknown values are left out.
    pub fn values(&self) -> impl Iterator<Item = (&str, &str, &Scalar)> {
        self.components.iter().flat_map(|(component, applied)| {
            applied
                .settings
                .iter()
                .filter_map(move |(setting, applied)| {
                    let value = applied.value.as_ref()?;
                    Some((component.as_str(), setting.as_str(), value))
                })
        })
    }

    /// Whether no setting is named at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.components
            .values()
            .all(|component| component.settings.is_empty())
    }
}

impl From<AppliedApplication> for State {
    fn from(application: AppliedApplication) -> Self {
        Self {
            application,
            extra: Members::new(),
        }
    }
}
