//! Who may speak for which application.
//!
//! Tokens are kept as SHA-256 digests: what is compared has a fixed length, so
//! the comparison takes the same time for every guess, and a token cannot leak
//! from memory dumps, debug output or logs of this process. Every entry is
//! compared, whether or not an earlier one matched.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::options::AppKey;

/// Who may speak to the service.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// Everybody who can reach it. Only on a loopback address.
    #[default]
    None,
    /// Whoever has a token, for what the token is for.
    Tokens(Tokens),
}

/// The tokens of a service.
#[derive(Clone, Default)]
pub struct Tokens(Vec<Entry>);

#[derive(Clone)]
struct Entry {
    digest: [u8; 32],
    account: String,
    application: Option<String>,
}

impl Tokens {
    /// No token.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a token for one application, or for a whole account.
    #[must_use]
    pub fn allow(mut self, token: &str, account: &str, application: Option<&str>) -> Self {
        self.0.push(Entry {
            digest: digest(token),
            account: account.to_owned(),
            application: application.map(str::to_owned),
        });
        self
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.0.len())
    }
}

/// What the bearer of a request may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything: there is no authentication.
    All,
    /// Accounts and applications of the matching tokens.
    Some(Vec<(String, Option<String>)>),
}

/// Why there is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No `Authorization: Bearer ...`.
    NoToken,
    /// A token that is not known.
    UnknownToken,
}

impl Scope {
    pub(crate) fn covers(&self, app: &AppKey) -> bool {
        match self {
            Scope::All => true,
            Scope::Some(entries) => entries.iter().any(|(account, application)| {
                account == app.account()
                    && application
                        .as_deref()
                        .is_none_or(|application| application == app.application())
            }),
        }
    }
}

impl Auth {
    /// What the value of an `Authorization` header opens.
    pub(crate) fn scope(&self, header: Option<&str>) -> Result<Scope, Refused> {
        let Auth::Tokens(tokens) = self else {
            return Ok(Scope::All);
        };
        let token = header
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .filter(|token| !token.is_empty())
            .ok_or(Refused::NoToken)?;
        let presented = digest(token);
        let mut entries = Vec::new();
        for entry in &tokens.0 {
            let differs = entry
                .digest
                .iter()
                .zip(&presented)
                .fold(0_u8, |all, (a, b)| all | (a ^ b));
            if std::hint::black_box(differs) == 0 {
                entries.push((entry.account.clone(), entry.application.clone()));
            }
        }
        if entries.is_empty() {
            Err(Refused::UnknownToken)
        } else {
            Ok(Scope::Some(entries))
        }
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_what_it_is_for() {
        let auth = Auth::Tokens(
            Tokens::new()
                .allow("t0k", "acme", Some("shop"))
                .allow("all", "acme", None),
        );
        let app = |account, application| AppKey::new(account, application).unwrap();
        let table = [
            (None, "acme", "shop", Err(Refused::NoToken)),
            (Some("t0k"), "acme", "shop", Err(Refused::NoToken)),
            (Some("Basic t0k"), "acme", "shop", Err(Refused::NoToken)),
            (Some("Bearer "), "acme", "shop", Err(Refused::NoToken)),
            (
                Some("Bearer t0"),
                "acme",
                "shop",
                Err(Refused::UnknownToken),
            ),
            (
                Some("Bearer t0kk"),
                "acme",
                "shop",
                Err(Refused::UnknownToken),
            ),
            (Some("Bearer t0k"), "acme", "shop", Ok(true)),
            (Some("bearer t0k"), "acme", "shop", Ok(true)),
            (Some("Bearer t0k"), "acme", "other", Ok(false)),
            (Some("Bearer all"), "acme", "other", Ok(true)),
            (Some("Bearer all"), "else", "shop", Ok(false)),
        ];
        for (header, account, application, expected) in table {
            let found = auth
                .scope(header)
                .map(|scope| scope.covers(&app(account, application)));
            assert_eq!(found, expected, "{header:?} {account}/{application}");
        }
    }

    #[test]
    fn a_token_is_not_in_the_debug_output() {
        let tokens = Tokens::new().allow("secret-token", "acme", None);
        assert_eq!(format!("{:?}", Auth::Tokens(tokens)), "Tokens(Tokens(1))");
    }
}
