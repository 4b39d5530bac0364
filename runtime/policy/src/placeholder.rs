//! `${config.a.b}` in a rule: the host that only the operator's config knows.
//!
//! A driver's author writes `GET ${config.endpoint}/api/` and cannot know the
//! endpoint; the operator has written it into the driver's config already. The
//! filled text goes through the same strict parser as any rule. A value may
//! stand for a whole URL, at the front of the URL only. Anywhere else it may
//! not contain what would move the rule to another host or folder.

use serde_json::Value;

use crate::{HeaderClass, HeaderName, PlaceholderFault, PolicyError, Rule, header_row};

/// Fills a rule from the driver's config and parses it. `key` says where the
/// rule stands, for errors.
///
/// # Errors
/// A missing or unfit value, naming the placeholder; or a rule that does not
/// follow the grammar once filled.
pub fn fill(rule: &str, config: &Value, key: &str) -> Result<Rule, PolicyError> {
    let text = substitute(rule, config, key)?;
    text.parse().map_err(|error| PolicyError::Rule {
        key: key.to_owned(),
        error,
    })
}

/// The rule for one method and one URL, filled. Errors show the URL alone, as it
/// was written: the method is ours.
pub(crate) fn fill_url(
    method: &str,
    url: &str,
    config: &Value,
    key: &str,
) -> Result<Rule, PolicyError> {
    let ours = method.len() + 1;
    fill(&format!("{method} {url}"), config, key).map_err(|mut error| {
        let text = match &mut error {
            PolicyError::Rule { error, .. } => {
                error.offset = error.offset.saturating_sub(ours);
                &mut error.rule
            }
            PolicyError::Placeholder { rule, .. } => rule,
            _ => return error,
        };
        *text = text.split_off(ours.min(text.len()));
        error
    })
}

/// Resolves what a manifest asks for. An `optional` ask whose placeholder has
/// no value in the config drops out as `None`: the feature it is for is not
/// configured.
///
/// # Errors
/// As [`fill`].
pub fn resolve_ask(
    rule: &str,
    optional: bool,
    config: &Value,
    key: &str,
) -> Result<Option<Rule>, PolicyError> {
    if optional && names(rule).any(|name| look_up(name, config).is_none()) {
        return Ok(None);
    }
    fill(rule, config, key).map(Some)
}

/// The headers that a driver asks to set. `${config.key}` stands for the names that
/// stand there: the keys of an object, or what is before the colon in a list of
/// `Name: value`. Harmless ones need no grant and are left out, as is what is no
/// name.
pub fn asked_headers<'a>(
    asked: impl IntoIterator<Item = &'a str>,
    config: &Value,
) -> Vec<HeaderName> {
    let before_colon = |text: &Value| {
        let name = text.as_str()?.split(':').next()?;
        Some(name.trim().to_owned())
    };
    let names = asked.into_iter().flat_map(|ask| {
        let Some(name) = names(ask).next() else {
            return vec![ask.to_owned()];
        };
        match look_up(name, config) {
            Some(Value::Object(headers)) => headers.keys().cloned().collect(),
            Some(Value::Array(headers)) => headers.iter().filter_map(before_colon).collect(),
            Some(text) => before_colon(text).into_iter().collect(),
            None => Vec::new(),
        }
    });
    let mut headers: Vec<HeaderName> = names
        .filter(|name| header_row(name).class == HeaderClass::ByName)
        .filter_map(|name| HeaderName::parse(&name).ok())
        .collect();
    headers.sort();
    headers.dedup();
    headers
}

/// The names in the placeholders of a rule, in order.
fn names(rule: &str) -> impl Iterator<Item = &str> {
    rule.split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name)
}

/// The value that `config.a.b` names; absent and null are the same.
fn look_up<'a>(name: &str, config: &'a Value) -> Option<&'a Value> {
    let mut parts = name.split('.');
    if parts.next() != Some("config") {
        return None;
    }
    parts
        .try_fold(config, |value, part| value.get(part))
        .filter(|value| !value.is_null())
}

fn substitute(rule: &str, config: &Value, key: &str) -> Result<String, PolicyError> {
    let mut out = String::with_capacity(rule.len());
    let mut rest = rule;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let (name, tail) = after
            .split_once('}')
            .ok_or_else(|| problem(rule, key, after, PlaceholderFault::Open))?;
        let refuse = |fault| problem(rule, key, name, fault);
        if !name.starts_with("config.") {
            return Err(refuse(PlaceholderFault::NotConfig));
        }
        let value = match look_up(name, config) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(refuse(PlaceholderFault::Kind)),
            None => return Err(refuse(PlaceholderFault::Missing)),
        };
        // The methods come before the only space, the URL after it.
        let at_front = out.ends_with(' ');
        if !out.contains(' ') {
            return Err(refuse(PlaceholderFault::Methods));
        }
        if value.is_empty()
            || value
                .chars()
                .any(|c| c.is_control() || c.is_whitespace() || matches!(c, '*' | '{' | '}'))
        {
            return Err(refuse(PlaceholderFault::Characters));
        }
        if !at_front && value.contains(['/', '\\', '?', '#', '@', '%']) {
            return Err(refuse(PlaceholderFault::Structure));
        }
        // Refused here and not by the rule's parser, whose errors show the text.
        if at_front && authority(&value).contains('@') {
            return Err(refuse(PlaceholderFault::UserInformation));
        }
        out.push_str(&value);
        rest = tail;
        if value.ends_with('/')
            && let Some(shorter) = rest.strip_prefix('/')
        {
            rest = shorter;
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Host and port of a URL, with the credentials that may stand before them.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

fn problem(rule: &str, key: &str, placeholder: &str, fault: PlaceholderFault) -> PolicyError {
    PolicyError::Placeholder {
        key: key.to_owned(),
        rule: rule.to_owned(),
        placeholder: placeholder.to_owned(),
        fault,
    }
}
