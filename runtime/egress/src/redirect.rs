//! Redirects that a rule lets the host follow.
//!
//! A redirect is a request that somebody else wrote. So it is followed only where it
//! can do no more than the request it answers: with GET and HEAD, to the same
//! scheme, host and port, and under the same rule, whose credential then goes where
//! it went before. Every hop goes through the whole gate, and is counted and
//! recorded. What is not followed is handed back as the answer it is.

use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Response, StatusCode, Uri, header};
use servo_policy::{Allowed, HttpRules, Method, Redirects, RequestHead};
use url::Url;

use crate::body::Body;

/// Redirects that are followed in a row.
pub(crate) const MOST: usize = 5;

/// May any rule of these be redirected? If not, nothing is kept for a second request.
pub(crate) fn followed(rules: &HttpRules) -> bool {
    rules
        .iter()
        .any(|grant| grant.redirects == Redirects::SameOrigin)
}

/// A request that is made because of a redirect.
pub(crate) struct Hop {
    method: &'static str,
    uri: Uri,
}

impl Hop {
    /// Where this answer leads, if it is to be followed.
    pub(crate) fn of(
        response: &Response<Body>,
        allowed: &Allowed,
        rules: &HttpRules,
    ) -> Option<Self> {
        let grant = rules.get(allowed.rule)?;
        let follows = grant.redirects == Redirects::SameOrigin
            && matches!(allowed.method, Method::Get | Method::Head);
        if !follows || !is_redirect(response.status()) {
            return None;
        }
        let from = Url::parse(&allowed.target.url()).ok()?;
        let url = from.join(location(response.headers())?).ok()?;
        let plain = url.username().is_empty() && url.password().is_none();
        if !plain || url.origin() != from.origin() {
            return None;
        }
        let hop = Self {
            method: allowed.method.as_str(),
            uri: url.as_str().parse().ok()?,
        };
        let decided = rules.decide(&hop.head()).ok()?;
        (decided.rule == allowed.rule).then_some(hop)
    }

    pub(crate) fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: self.method,
            scheme: self.uri.scheme_str().unwrap_or_default(),
            authority: self.uri.authority().map_or("", Authority::as_str),
            path_and_query: self.uri.path_and_query().map_or("", PathAndQuery::as_str),
        }
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

/// The one place that an answer names.
fn location(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::LOCATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()
}
