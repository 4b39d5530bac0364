//! What is asked for, before and after it is put in order.

use http::{HeaderMap, Uri};
use http_body::Body as _;
use servo_policy::{Allowed, Method, RequestHead};
use url::Url;

use crate::body::Body;
use crate::error::SendError;
use crate::headers::{Wishes, clean_request};

/// A request that nobody has decided on.
pub(crate) struct Ask<'a> {
    pub(crate) head: RequestHead<'a>,
    /// Its fields, or why they are none.
    pub(crate) headers: Result<HeaderMap, SendError>,
    pub(crate) body: Body,
    /// The most bytes of a response's body that its receiver has room for.
    pub(crate) room: u64,
}

/// A method as the HTTP client takes it.
pub(crate) fn sent_as(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
        Method::Options => http::Method::OPTIONS,
    }
}

/// What a request's head says once it is in order.
pub(crate) struct Checked {
    pub(crate) wishes: Wishes,
    /// The length of the body, where it is known.
    pub(crate) declared: Option<u64>,
    pub(crate) uri: Uri,
}

/// Puts a head in order; the lengths that it and the body state must agree.
pub(crate) fn check(
    headers: &mut HeaderMap,
    body: &Body,
    limit: u64,
    allowed: &Allowed,
) -> Result<Checked, SendError> {
    let wishes = clean_request(headers)?;
    let exact = body.size_hint().exact();
    let declared = match (wishes.length, exact) {
        (Some(declared), Some(exact)) if declared != exact => {
            return Err(SendError::Request(
                "the body is not as long as its content-length says",
            ));
        }
        (declared, exact) => declared.or(exact),
    };
    if declared.is_some_and(|declared| declared > limit) {
        return Err(SendError::TooLarge { limit });
    }
    Ok(Checked {
        wishes,
        declared,
        uri: uri(allowed)?,
    })
}

/// What was matched, as the HTTP client takes it. Should a second parser, the
/// one that browsers agree on, read anything else into it, it is not sent.
fn uri(allowed: &Allowed) -> Result<Uri, SendError> {
    let text = allowed.target.url();
    Url::parse(&text)
        .ok()
        .filter(|url| url.as_str() == text)
        .and_then(|_| text.parse().ok())
        .ok_or(SendError::Request("its URL has more than one meaning"))
}

/// What was matched, for a record.
pub(crate) fn summary(allowed: &Allowed) -> String {
    let path: String = allowed.target.path().chars().take(200).collect();
    format!(
        "{} {}{path}",
        allowed.method.as_str(),
        allowed.target.origin()
    )
}
