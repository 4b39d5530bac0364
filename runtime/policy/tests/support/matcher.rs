//! The reference: slow, on nothing but split and decoded strings. Tests and fuzz
//! targets share it, so that the two cannot drift apart.

/// The IPv6 addresses that requests are made of.
pub const LITERALS: &[&str] = &["[fd00:1::5]", "[fd00:1::6]", "[fd00:2::5]"];

/// The verdict of the reference: is this request allowed by this rule's text?
pub fn reference(rule: &str, method: &str, scheme: &str, authority: &str, path: &str) -> bool {
    let (methods, url) = rule.split_once(' ').unwrap();
    let (rule_scheme, rest) = url.split_once("://").unwrap();
    let (rule_authority, rule_path) = parts(rest);

    if !methods.split(',').any(|m| m == method) || rule_scheme != scheme {
        return false;
    }
    let (Some((rule_host, rule_port)), Some((host, port))) = (
        authority_of(rule_authority, scheme),
        authority_of(authority, scheme),
    ) else {
        return false;
    };
    let host_matches = match rule_host.strip_prefix("*.") {
        None if rule_host.starts_with('{') => in_network(&rule_host, &host),
        None => rule_host == host,
        Some(base) => match host.split_once('.') {
            Some((first, rest)) => !first.is_empty() && rest == base,
            None => false,
        },
    };
    let (Some(prefix), Some(path)) = (
        segments(rule_path),
        segments(path.split('?').next().unwrap()),
    ) else {
        return false;
    };
    if !host_matches || host.contains('*') || rule_port != port {
        return false;
    }
    // A star of the rule is one that is not escaped.
    let stars: Vec<bool> = rule_path.split('/').skip(1).map(|raw| raw == "*").collect();
    let fits = |count: usize| {
        path.len() >= count
            && (0..count).all(|at| match stars[at] {
                true => !path[at].is_empty(),
                false => path[at] == prefix[at],
            })
    };
    // `/v1/` is [v1, ""]: it matches what begins with [v1] and has one more.
    match prefix.split_last() {
        Some((last, head)) if last.is_empty() => path.len() > head.len() && fits(head.len()),
        _ => path.len() == prefix.len() && fits(prefix.len()),
    }
}

/// Authority and path of a rule: the path begins at the first slash that is not
/// in braces.
pub fn parts(rest: &str) -> (&str, &str) {
    let braces = rest.find('}').unwrap_or(0);
    rest.split_at(braces + rest[braces..].find('/').unwrap())
}

/// The bits of an address, from the most significant one, by counting.
fn bits(address: &str) -> Option<String> {
    let groups: Vec<String> = if address.contains('.') {
        let parts: Vec<&str> = address.split('.').collect();
        let byte = |part: &&str| {
            let number: u8 = part.parse().ok()?;
            (number.to_string() == **part).then(|| format!("{number:08b}"))
        };
        let bytes: Option<Vec<String>> = parts.iter().map(byte).collect();
        bytes.filter(|bytes| bytes.len() == 4)?
    } else {
        let (head, tail) = address.split_once("::")?;
        let words = |text: &str| -> Option<Vec<String>> {
            let words = text.split(':').filter(|word| !word.is_empty());
            words
                .map(|w| Some(format!("{:016b}", u16::from_str_radix(w, 16).ok()?)))
                .collect()
        };
        let (head, tail) = (words(head)?, words(tail)?);
        let zeros = vec!["0".repeat(16); 8 - head.len() - tail.len()];
        [head, zeros, tail].concat()
    };
    Some(groups.concat())
}

fn in_network(braced: &str, host: &str) -> bool {
    let (network, length) = braced[1..braced.len() - 1].split_once('/').unwrap();
    let length: usize = length.parse().unwrap();
    let host = host.trim_matches(['[', ']']);
    match (bits(network), bits(host)) {
        (Some(network), Some(host)) => {
            network.len() == host.len() && network[..length] == host[..length]
        }
        _ => false,
    }
}

fn authority_of(text: &str, scheme: &str) -> Option<(String, u16)> {
    let braced = text.starts_with('{');
    if text.chars().any(|c| {
        ("@/\\?#% \t".contains(c) && !(braced && c == '/')) || !c.is_ascii() || c.is_control()
    }) {
        return None;
    }
    // The colons of an address are in brackets or braces.
    let from = text.find([']', '}']).unwrap_or(0);
    let (literal, rest) = text.split_at(from);
    let (host, port) = match rest
        .split_once(':')
        .map(|(more, port)| (&text[..literal.len() + more.len()], port))
    {
        None => (text, if scheme == "https" { 443 } else { 80 }),
        Some((host, port)) => {
            let number: u16 = port.parse().ok()?;
            if number == 0 || number.to_string() != port {
                return None;
            }
            (host, number)
        }
    };
    if braced || host.starts_with('[') {
        let ends = host.ends_with(if braced { '}' } else { ']' });
        let known = braced || LITERALS.contains(&host.to_ascii_lowercase().as_str());
        return (ends && known).then(|| (host.to_ascii_lowercase(), port));
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if host.ends_with(|c: char| c.is_ascii_digit())
        && !LITERALS.contains(&text.split(':').next().unwrap())
    {
        // Near misses of an address are not the matter of this reference.
        let last = host.rsplit('.').next().unwrap();
        if last.bytes().all(|b| b.is_ascii_digit()) {
            return bits(&host)
                .filter(|_| !text.contains(".:") && !text.ends_with('.'))
                .map(|_| (host, port));
        }
    }
    let labels: Vec<&str> = host.split('.').collect();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let all_fine = labels.iter().all(|l| {
        (1..64).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && (*l == "*" || l.bytes().all(plain))
    });
    let last = labels.last().unwrap();
    let hex = last
        .strip_prefix("0x")
        .is_some_and(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
    (all_fine && !hex && host.len() <= 253).then_some((host, port))
}

/// Decoded segments, or nothing when the path has more than one reading.
fn segments(path: &str) -> Option<Vec<String>> {
    let path = if path.is_empty() { "/" } else { path };
    let raw: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let mut out = Vec::new();
    for (index, segment) in raw.iter().enumerate() {
        let bytes = segment.as_bytes();
        let mut decoded = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at] == b'%' {
                let pair = segment.get(at + 1..at + 3)?;
                if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return None;
                }
                decoded.push(u8::from_str_radix(pair, 16).unwrap());
                at += 3;
            } else if bytes[at].is_ascii() {
                decoded.push(bytes[at]);
                at += 1;
            } else {
                return None;
            }
        }
        let text = String::from_utf8(decoded).ok()?;
        let twice = text.match_indices('%').any(|(at, _)| {
            segment.contains("%25")
                && text
                    .as_bytes()
                    .get(at + 1..at + 3)
                    .is_some_and(|p| p.iter().all(u8::is_ascii_hexdigit))
        });
        let last = index + 1 == raw.len();
        if text
            .chars()
            .any(|c| "/\\;#?".contains(c) && !(c == '?' || c == '#') || c.is_control())
            || segment.contains(['#', '?'])
            || twice
            || (text.is_empty() && !last)
            || (!text.is_empty() && text.chars().all(|c| c == '.' || c == ' '))
        {
            return None;
        }
        out.push(text);
    }
    Some(out)
}

pub fn query_is_fine(query: &str) -> bool {
    let escapes = query
        .split('%')
        .skip(1)
        .all(|tail| tail.len() >= 2 && tail.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit));
    escapes
        && query
            .chars()
            .all(|c| c.is_ascii() && !c.is_control() && c != '#')
}
