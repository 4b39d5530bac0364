//! A whole request in, a whole response out.
//!
//! Nothing is decided here. The address is cut where its parts end and handed
//! to the pipeline as text, so that the one canonical form, which rules are
//! matched on, is also the only reading of it; the response is collected while
//! it arrives, under the same caps and times as one that is streamed.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use servo_policy::{HeaderClass, RequestHead, header_row};

use crate::ask::Ask;
use crate::body::{Body, empty, full};
use crate::error::{BodyError, SendError};
use crate::headers::MOST_FIELDS;
use crate::lane::Lane;
use crate::meter::{CallMeter, Timeouts};

/// Bytes that are set aside for a body before any of it is there. The other
/// side says how long it is, and may lie.
const AT_FIRST: u64 = 256 << 10;

/// A request, as a guest made it: nothing in it is trusted.
#[derive(Debug, Default)]
pub struct WholeRequest {
    /// The method's name.
    pub method: String,
    /// The absolute address.
    pub url: String,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// The body, if it has one.
    pub body: Option<Vec<u8>>,
    /// The most time for the whole exchange; the limits that hold anyway where
    /// it is absent or longer.
    pub time_limit: Option<Duration>,
    /// The most bytes of the response's body, beside the limits that hold
    /// anyway: what its receiver has room for.
    pub room: u64,
}

/// A response that is there as a whole.
#[derive(Debug)]
pub struct WholeResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

/// A whole response that there is not.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no response.
    #[error("{0}")]
    Send(SendError),
    /// It broke off.
    #[error("{0}")]
    Body(BodyError),
}

impl Lane {
    /// Sends one request, if a rule allows it, and waits for the whole
    /// response. What [`Lane::send`] says holds here too.
    ///
    /// # Errors
    /// Why there is no whole response. Nothing of a part of one is kept.
    pub async fn fetch(
        &self,
        request: WholeRequest,
        call: &CallMeter,
    ) -> Result<WholeResponse, FetchError> {
        let room = request.room;
        let (scheme, authority, path_and_query) = parts(&request.url);
        let ask = Ask {
            head: RequestHead {
                method: &request.method,
                scheme,
                authority,
                path_and_query: &path_and_query,
            },
            headers: fields(request.headers),
            body: request.body.map_or_else(empty, full),
            room,
        };
        let timeouts = Timeouts {
            total: request.time_limit,
            ..Timeouts::default()
        };
        let answered = self.exchange(ask, call, timeouts).await;
        let (parts, body) = answered.map_err(FetchError::Send)?.into_parts();
        let body = collect(body, room).await.map_err(FetchError::Body)?;
        // The connection's own task hands it back to the pool. A guest's next
        // request follows at once, and would open another one before that.
        tokio::task::yield_now().await;
        Ok(WholeResponse {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }
}

/// Scheme, authority, and path with query. What is missing is empty, for the
/// rules to refuse.
fn parts(url: &str) -> (&str, &str, Cow<'_, str>) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = match path.bytes().next() {
        Some(b'?' | b'#') => Cow::Owned(format!("/{path}")),
        _ => Cow::Borrowed(path),
    };
    (scheme, authority, path)
}

fn fields(given: Vec<(String, String)>) -> Result<HeaderMap, SendError> {
    // Beyond some tens of thousands a map of fields panics.
    if given.len() > MOST_FIELDS {
        return Err(SendError::Request("it has more than 100 header fields"));
    }
    let mut headers = HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| SendError::Request("the name of a header field is not valid"))?;
        // A whole request has no connection to wish something of, and says its
        // length by its body.
        let dropped = header_row(name.as_str()).class == HeaderClass::Dropped;
        if dropped || name == header::CONTENT_LENGTH {
            return Err(SendError::Request(
                "it has a header that is the host's to set, such as `host` or `content-length`",
            ));
        }
        let value = HeaderValue::from_maybe_shared(Bytes::from(value))
            .map_err(|_| SendError::Request("the value of a header field is not valid"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// The bytes of a body, each copied once.
async fn collect(mut body: Body, room: u64) -> Result<Vec<u8>, BodyError> {
    let index = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let most = index(room);
    let known = index(body.size_hint().lower().min(AT_FIRST).min(room));
    let mut whole = Vec::with_capacity(known);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        let length = whole.len() + data.len();
        if length > most {
            return Err(BodyError::TooLarge { limit: room });
        }
        if length > whole.capacity() {
            // Twice as much, as usual, and never more than there is room for.
            let capacity = length.max(whole.capacity().saturating_mul(2)).min(most);
            whole.reserve_exact(capacity - whole.len());
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_cut_where_its_parts_end() {
        for (url, expected) in [
            ("http://a.test", ("http", "a.test", "")),
            ("http://a.test/", ("http", "a.test", "/")),
            ("http://a.test:1/b?c=/d", ("http", "a.test:1", "/b?c=/d")),
            ("http://a.test?c=d", ("http", "a.test", "/?c=d")),
            ("http://a.test#f", ("http", "a.test", "/#f")),
            ("http://a\\@b.test/", ("http", "a\\@b.test", "/")),
            ("a.test/b", ("", "a.test", "/b")),
            ("http:a.test", ("", "http:a.test", "")),
            ("://x", ("", "x", "")),
            ("", ("", "", "")),
        ] {
            let (scheme, authority, path) = parts(url);
            assert_eq!((scheme, authority, &*path), expected, "{url}");
        }
    }

    #[test]
    fn fields_that_are_none_are_refused() {
        let one = |name: &str, value: &str| fields(vec![(name.to_owned(), value.to_owned())]);
        for (name, value) in [
            ("", "a"),
            ("a b", "a"),
            ("a\r\nb", "a"),
            ("a:", "a"),
            ("é", "a"),
            ("a", "b\r\nc: d"),
            ("a", "\0"),
            ("a", "\n"),
            ("Host", "a.test"),
            ("Content-Length", "1"),
            ("TE", "trailers"),
            ("Expect", "100-continue"),
        ] {
            assert!(one(name, value).is_err(), "{name:?}: {value:?}");
        }
        for (name, value) in [
            ("a_b", "c"),
            ("X-A", "é"),
            ("connection", "close"),
            ("a", ""),
        ] {
            assert!(one(name, value).is_ok(), "{name:?}: {value:?}");
        }
        let many = vec![("a".to_owned(), String::new()); 100_000];
        assert!(fields(many).is_err());
    }

    #[tokio::test]
    async fn no_more_is_kept_than_there_is_room_for() {
        let body = || full(vec![b'x'; 1_000]);
        assert_eq!(collect(body(), 1_000).await.unwrap().len(), 1_000);
        assert!(matches!(
            collect(body(), 999).await,
            Err(BodyError::TooLarge { limit: 999 })
        ));
    }
}
