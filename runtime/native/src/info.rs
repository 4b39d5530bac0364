//! What a driver says about itself: `--info` (protocol section 13.2).

use serde_json::Value;
use servo_agent::DriverFailure;

use crate::answer::Manner;
use crate::message::quote;

/// Most bytes of the answer. It is two facts; one aggregator adds a list of drivers.
pub(crate) const LONGEST: usize = 64 << 10;

/// What a driver says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Its version; empty when it does not say.
    pub version: String,
    /// Whether it ends by itself when it gets SIGUSR1.
    pub has_cancel: bool,
}

impl Info {
    /// Reads the answer. The original fails where `has_cancel` is missing; to
    /// assume that there is no such thing is what everybody expects (section
    /// 22.2, item 21).
    pub(crate) fn read(output: &[u8], manner: Manner) -> Result<Self, DriverFailure> {
        let bad = |problem: String| {
            let line = quote(output.trim_ascii());
            let message = format!("the driver's answer to --info {problem}: {line}");
            manner.failed("invalid-output", message)
        };
        let value: Value = serde_json::from_slice(output)
            .map_err(|error| bad(format!("is not JSON ({error})")))?;
        let members = value
            .as_object()
            .ok_or_else(|| bad("is no JSON object".to_owned()))?;
        let has_cancel = match members.get("has_cancel") {
            None | Some(Value::Null) if !manner.compat => false,
            Some(Value::Bool(has_cancel)) => *has_cancel,
            _ => return Err(bad("lacks `has_cancel`, true or false".to_owned())),
        };
        let version = match members.get("version") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(version)) => version.clone(),
            Some(other) => other.to_string(),
        };
        Ok(Self {
            version,
            has_cancel,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::StderrShare;

    #[test]
    fn answers() {
        let info = |version: &str, has_cancel| {
            Some(Info {
                version: version.to_owned(),
                has_cancel,
            })
        };
        for (output, ours, original) in [
            (
                "{\"version\": \"1.2.0\", \"has_cancel\": true}\n",
                info("1.2.0", true),
                info("1.2.0", true),
            ),
            (
                "{\n \"version\": 2,\n \"has_cancel\": false,\n \"drivers\": []\n}",
                info("2", false),
                info("2", false),
            ),
            ("{}", info("", false), None),
            ("{\"has_cancel\": null}", info("", false), None),
            ("{\"has_cancel\": \"yes\"}", None, None),
            ("[]", None, None),
            ("", None, None),
            ("1.2.0", None, None),
            ("{\"has_cancel\": true} x", None, None),
        ] {
            for (compat, wanted) in [(false, ours), (true, original)] {
                let manner = Manner {
                    stderr: StderrShare::All,
                    compat,
                    describing: false,
                };
                assert_eq!(
                    Info::read(output.as_bytes(), manner).ok(),
                    wanted,
                    "{output}"
                );
            }
        }
    }
}
