//! Grants that would hand over what another grant keeps back.
//!
//! A secret whose file lies in a folder that the driver may read is no secret
//! from it, and a certificate authority or a program that the driver may change
//! is the driver's. Each grant looks harmless alone; together they are refused.
//! Paths are compared as written; whoever opens them looks at links.

use std::path::Path;

use crate::folder::absolute;
use crate::{Access, Credential, FolderGrant, HttpRules, PolicyError, SecretSource};

/// Refuses files of a credential inside the folders.
pub(crate) fn check(http: &HttpRules, folders: &[FolderGrant], wrong: &mut Vec<PolicyError>) {
    for grant in http.iter() {
        let mut refuse = |name: &str, path: &Path, access: Access, what: &str| {
            let Some(path) = absolute(path) else { return };
            let inside = |folder: &&FolderGrant| {
                path.starts_with(&folder.path)
                    && (access == Access::Read || folder.access == Access::Write)
            };
            if let Some(folder) = folders.iter().find(inside) {
                wrong.push(PolicyError::Grant {
                    key: format!("grants.http[{}].{name}", grant.id.0),
                    problem: format!(
                        "{} lies in the granted folder {:?}, so the driver could {what} it; move \
                         it elsewhere, or grant a smaller folder",
                        path.display(),
                        folder.name
                    ),
                });
            }
        };
        if let Some(ca) = &grant.ca {
            refuse("ca", ca, Access::Write, "change");
        }
        if let Some(identity) = &grant.identity {
            let certificate = &identity.certificate;
            refuse(
                "client_certificate.certificate",
                certificate,
                Access::Write,
                "change",
            );
            refuse(
                "client_certificate.key",
                &identity.key,
                Access::Read,
                "read",
            );
        }
        let Some(credential) = &grant.credential else {
            continue;
        };
        for (name, source) in sources(credential) {
            match source {
                SecretSource::File(path) => {
                    refuse(&format!("{name}.file"), path, Access::Read, "read");
                }
                SecretSource::Command(argv) => {
                    if let Some(program) = argv.first() {
                        let program = Path::new(program);
                        refuse(&format!("{name}.command"), program, Access::Write, "change");
                    }
                }
                SecretSource::Env(_) => {}
            }
        }
        if let Credential::OAuth2 { ca: Some(ca), .. } = credential {
            refuse("oauth2.ca", ca, Access::Write, "change");
        }
    }
}

/// The secrets of a credential, each under its key.
pub(crate) fn sources(credential: &Credential) -> Vec<(&'static str, &SecretSource)> {
    match credential {
        Credential::Bearer(secret) => vec![("bearer", secret)],
        Credential::Basic { password, .. } => vec![("basic.password", password)],
        Credential::Header { secret, .. } => vec![("header.secret", secret)],
        Credential::SigV4 {
            access_key_id,
            secret_access_key,
            session_token,
            ..
        } => [
            ("sigv4.access_key_id", Some(access_key_id)),
            ("sigv4.secret_access_key", Some(secret_access_key)),
            ("sigv4.session_token", session_token.as_ref()),
        ]
        .into_iter()
        .filter_map(|(name, secret)| Some((name, secret?)))
        .collect(),
        Credential::OAuth2 { client_secret, .. } => vec![("oauth2.client_secret", client_secret)],
    }
}

impl Credential {
    /// The key of the rule under which it is written.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::Bearer(_) => "bearer",
            Self::Basic { .. } => "basic",
            Self::Header { .. } => "header",
            Self::SigV4 { .. } => "sigv4",
            Self::OAuth2 { .. } => "oauth2",
        }
    }
}
