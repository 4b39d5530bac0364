//! The kinds of credentials: what each puts into a request.
//!
//! How a kind is written stands in `servo_policy::credential`. One that is the
//! value of a field needs no more than its line here; one that does more is an
//! [`Authorize`] of its own.

use std::sync::Arc;

use http::HeaderName;
use http::header::AUTHORIZATION;
use servo_policy::{Credential, HttpGrant, header_row};

use super::authorize::Authorize;
use super::authorizer::Authorizer;
use super::field::{Field, Form};
use super::oauth2::OAuth2;
use super::sigv4::SigV4;
use super::transport::Transports;
use crate::error::EgressError;

/// The credential of a rule, if it has one. Reads what can be read without
/// waiting.
pub(crate) fn load(
    grant: &HttpGrant,
    transports: &dyn Transports,
) -> Result<Option<Arc<Authorizer>>, EgressError> {
    let Some(credential) = &grant.credential else {
        return Ok(None);
    };
    let kind = kind(grant, credential, transports)?;
    let decodes = grant.limits.decompressed_bytes.is_some();
    Ok(Some(Authorizer::new(grant.id, kind, decodes)))
}

fn kind(
    grant: &HttpGrant,
    credential: &Credential,
    transports: &dyn Transports,
) -> Result<Box<dyn Authorize>, EgressError> {
    let refuse = |problem: String| EgressError::Credential {
        rule: grant.id.0,
        problem,
    };
    let field = |name: HeaderName, form: Form, secret| -> Result<Box<dyn Authorize>, _> {
        Ok(Box::new(Field::load(name, form, secret).map_err(refuse)?))
    };
    match credential {
        Credential::Bearer(secret) => field(AUTHORIZATION, Form::between("Bearer ", ""), secret),
        Credential::Basic { user, password } => {
            field(AUTHORIZATION, Form::Basic { user: user.clone() }, password)
        }
        Credential::Header {
            name,
            before,
            secret,
            after,
        } => field(
            own_name(name).map_err(refuse)?,
            Form::between(before.trim_start(), after.trim_end()),
            secret,
        ),
        Credential::SigV4 {
            service,
            region,
            access_key_id,
            secret_access_key,
            session_token,
        } => {
            let keys = (access_key_id, secret_access_key, session_token.as_ref());
            let sigv4 = SigV4::load(service, region, keys);
            Ok(Box::new(sigv4.map_err(|error| refuse(error.to_string()))?))
        }
        Credential::OAuth2 {
            token,
            private,
            ca,
            client_id,
            client_secret,
            scope,
        } => Ok(Box::new(OAuth2::load(
            grant.id,
            (token, *private, ca.as_ref()),
            (client_id, client_secret),
            scope,
            transports,
        )?)),
    }
}

/// The name of a field that a credential may have for itself.
fn own_name(name: &str) -> Result<HeaderName, String> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("{name:?} is not the name of a field"))?;
    if !header_row(name.as_str()).may_be_secret() {
        return Err(format!("`{name}` is the host's to set"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn fields_of_the_host_are_refused() {
        for name in [
            "host",
            "Content-Length",
            "connection",
            "x-forwarded-for",
            "range",
            "a b",
        ] {
            let problem = own_name(name).unwrap_err();
            assert!(
                problem.contains("field") || problem.contains("host's"),
                "{problem}"
            );
        }
    }
}
