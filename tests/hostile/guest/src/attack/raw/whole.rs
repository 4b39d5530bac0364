//! `servo:driver/fetch` as it is: a whole request in, a whole response out.

use servo_driver::__bindings::fetch;

use crate::RawRequest;

/// An answer that is all there.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

pub(super) fn send(raw: &RawRequest) -> Result<Answer, String> {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    // A part that is not set is not there; what separates it is neither.
    let scheme = raw.scheme.as_ref().map(|scheme| format!("{scheme}://"));
    let url = part(&scheme) + &part(&raw.authority) + &part(&raw.path);
    let method = match raw.method.as_str() {
        "" => "GET",
        method => method,
    };
    let body = raw.body.as_ref();
    let request = fetch::Request {
        method: method.to_owned(),
        url,
        headers: raw.headers.clone(),
        body: body.map(|text| text.repeat(raw.times.max(1) as usize).into_bytes()),
        time_limit: raw.timeout_nanos.map(|nanos| nanos as f64 / 1e9),
    };
    let response = fetch::send(&request).map_err(|error| format!("{error:?}"))?;
    Ok(Answer {
        status: response.status,
        headers: response.headers,
        body: response.body,
    })
}
