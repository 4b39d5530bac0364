//! What a driver may do, said once and decided in one place.
//!
//! This crate is pure: it opens nothing, resolves nothing and has no clock, so
//! that every decision can be tried with a table, a property test or a fuzzer,
//! and so that the program that *explains* a grant (`inspect`, `check`) and
//! the one that *enforces* it cannot disagree: they call the same functions.
//!
//! - [`GrantsSpec`] is the operator's text; [`GrantsSpec::resolve`] turns it
//!   into [`Grants`], in which nothing is left to interpret.
//! - [`HttpRules::decide`] answers for one request, in one canonical form: the
//!   [`Target`] it returns is what was matched, and what must be sent.
//! - [`address_class`] says what an address is, whatever it is dressed as.
//! - [`Budget`] holds every limit of a call, each with its default and reason.

#![forbid(unsafe_code)]

mod action;
mod address;
mod asked;
mod budget;
mod ceiling;
mod check;
mod client_certificate;
pub mod credential;
mod credential_kind;
mod denial;
mod error;
mod explain;
mod exposure;
mod folder;
mod grants;
mod header;
mod host;
mod http_grant;
mod index;
mod network;
mod path;
mod path_pattern;
mod placeholder;
mod plaintext;
mod present;
pub mod reference;
mod rule;
mod rule_limits;
mod rules;
mod secret;
mod suggestion;
mod units;

pub use action::{Action, ActionRefusal, ActionSpec, HoleSpec};
pub use address::{AddressClass, address_class, is_allowed};
pub use asked::{Asked, Lack};
pub use budget::{Budget, LimitRow, LimitsSpec};
pub use ceiling::{
    Ceiling, CeilingSpec, FolderCeilingSpec, HttpCeilingSpec, SettingCeilingSpec, SettingValue,
};
pub use client_certificate::{ClientCertificate, ClientCertificateSpec};
pub use credential::Credential;
pub use credential_kind::CredentialKind;
pub use denial::{Denial, DenialReason};
pub use error::{Advice, PlaceholderFault, PolicyError, PolicyErrors, RuleError};
pub use explain::ChangedLimit;
pub use folder::{Access, FolderGrant, FolderOverlap, FolderSpec, check_overlap};
pub use grants::{Grants, GrantsSpec};
pub use header::{HeaderClass, HeaderName, HeaderRow, header_row, header_table};
pub use host::{Host, HostPattern};
pub use http_grant::HttpGrantSpec;
pub use network::Networks;
pub use path_pattern::PathPattern;
pub use placeholder::{asked_headers, fill, resolve_ask};
pub use rule::{Method, Methods, Rule, Scheme};
pub use rule_limits::{Rate, RateError, RuleLimits, RuleLimitsSpec};
pub use rules::{Allowed, HttpGrant, HttpRules, Redirects, RequestHead, RuleId, Target};
pub use secret::{SecretSource, SecretSpec};
pub use suggestion::GrantLine;
pub use units::{ByteSize, Span};
