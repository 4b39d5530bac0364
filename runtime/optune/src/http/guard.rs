//! What every request has to pass, and what every answer carries.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::{Refusal, Shared};

/// The page may load what this service serves, and nothing else, and no other
/// page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// On a loopback address the request must have been made for one.
pub(super) async fn host(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let named = request
        .headers()
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| {
            request
                .uri()
                .authority()
                .map(|authority| authority.as_str())
        });
    if shared.loopback && !named.is_some_and(|host| is_local(host, &shared.hosts)) {
        return Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "this service answers only to loopback names; allow others with its `hosts` option",
        )
        .into_response();
    }
    next.run(request).await
}

/// Whether a `Host` is a loopback name or one of the allowed ones.
fn is_local(host: &str, allowed: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let loopback = name.parse::<IpAddr>().is_ok_and(|ip| match ip {
        IpAddr::V6(six) => six
            .to_ipv4_mapped()
            .map_or(six.is_loopback(), |four: Ipv4Addr| four.is_loopback()),
        IpAddr::V4(four) => four.is_loopback(),
    });
    loopback
        || name.eq_ignore_ascii_case("localhost")
        || allowed.iter().any(|each| each.eq_ignore_ascii_case(name))
}

/// No servo is a browser: a request from a page of another origin is refused.
pub(super) async fn origin(request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    let foreign = request.headers().get(header::ORIGIN).is_some_and(|origin| {
        let origin = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.parse::<Uri>().ok());
        origin
            .as_ref()
            .and_then(Uri::authority)
            .map(|authority| authority.as_str())
            != host
    });
    if foreign {
        return Refusal::new(
            StatusCode::FORBIDDEN,
            "requests from other web pages are not taken",
        )
        .into_response();
    }
    next.run(request).await
}

/// Changes through the API need a JSON content type.
pub(super) async fn content_type(request: Request, next: Next) -> Response {
    let reads = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let json = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if !reads && !json {
        return Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "changes need `Content-Type: application/json`",
        )
        .into_response();
    }
    next.run(request).await
}

/// Headers of every answer.
pub(super) async fn headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_local() {
        let table = [
            ("127.0.0.1:8080", true),
            ("127.0.0.1", true),
            ("127.8.9.1:1", true),
            ("localhost:80", true),
            ("LocalHost", true),
            ("[::1]:8080", true),
            ("[::ffff:127.0.0.1]:8080", true),
            ("optune.internal:8080", true),
            ("", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:8080", false),
            ("evil.example:8080", false),
            ("10.0.0.1:8080", false),
            ("[::2]:80", false),
            ("[::1", false),
        ];
        for (host, expected) in table {
            assert_eq!(
                is_local(host, &["optune.internal".to_owned()]),
                expected,
                "{host}"
            );
        }
    }
}
