//! The other side of an AWS signature (version 4): works it out from a request
//! as it was received, and from nothing that its sender says besides.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// # Panics
/// The request is not signed with `key`, or not all of it is.
pub fn assert_signed(request: &str, key: &str, region: &str, service: &str) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap();
    let mut fields = BTreeMap::<String, Vec<String>>::new();
    for field in lines {
        let (name, value) = field.split_once(':').unwrap();
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        fields
            .entry(name.to_ascii_lowercase())
            .or_default()
            .push(value);
    }
    let authorization = &fields["authorization"];
    assert_eq!(authorization.len(), 1, "{request}");
    let part = |name: &str| {
        let from = authorization[0].find(name).unwrap() + name.len();
        let rest = &authorization[0][from..];
        rest[..rest.find(',').unwrap_or(rest.len())].to_owned()
    };
    let signed = part("SignedHeaders=");
    for name in ["host", "x-amz-date"] {
        assert!(signed.split(';').any(|known| known == name), "{signed}");
    }
    let date = &fields["x-amz-date"][0];
    let scope = format!("{}/{region}/{service}/aws4_request", &date[..8]);
    assert!(part("Credential=").ends_with(&scope), "{authorization:?}");

    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut pairs: Vec<_> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            format!("{}={}", recoded(name), recoded(value))
        })
        .collect();
    pairs.sort();
    let headers: String = signed
        .split(';')
        .map(|name| format!("{name}:{}\n", fields[name].join(",")))
        .collect();
    let payload = hex(&Sha256::digest(body.as_bytes()));
    if let Some(said) = fields.get("x-amz-content-sha256") {
        assert_eq!(
            said,
            std::slice::from_ref(&payload),
            "the hash is of another body"
        );
    }
    let canonical = format!(
        "{method}\n{}\n{}\n{headers}\n{signed}\n{payload}",
        // A path is encoded once more than it is sent, except for storage.
        path.replace('%', "%25"),
        pairs.join("&")
    );
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let mut signing = format!("AWS4{key}").into_bytes();
    for step in [&date[..8], region, service, "aws4_request"] {
        signing = mac(&signing, step);
    }
    let expected = hex(&mac(&signing, &to_sign));
    assert_eq!(part("Signature="), expected, "{request}\n{canonical}");
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A part of a query, decoded and encoded as signatures have it.
fn recoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut at, mut decoded) = (0, vec![]);
    while at < bytes.len() {
        if bytes[at] == b'%' {
            decoded.push(u8::from_str_radix(&text[at + 1..at + 3], 16).unwrap());
            at += 3;
        } else {
            decoded.push(bytes[at]);
            at += 1;
        }
    }
    decoded
        .iter()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(*byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
