//! Grants that would hand over what another grant keeps back.
//!
//! A secret whose file lies in a folder that the driver may read is no secret
//! from it, and a certificate authority or a program that the driver may change
//! is the driver's. Each grant looks harmless alone; together they are refused.
//! Paths are compared as written; whoever opens them looks at links.

use std::path::Path;

use crate::folder::absolute;
use crate::{Access, Advice, FolderGrant, HttpRules, PolicyError, SecretSource};

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
                    advice: Advice::new(
                        format!(
                            "{} lies in the granted folder {:?}, so the driver could {what} it",
                            path.display(),
                            folder.name
                        ),
                        "move it elsewhere, or grant a smaller folder",
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
        for (name, source) in credential.sources() {
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
        if let Some(ca) = credential.own_request().and_then(|request| request.ca) {
            let name = format!("{}.ca", credential.key());
            refuse(&name, ca, Access::Write, "change");
        }
    }
}
