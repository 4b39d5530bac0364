//! From a file to its text.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{ConfigError, Stretch};

/// Most that a file may weigh.
const FILE_LIMIT: u64 = 1 << 20;

/// How a file of the operator is parsed.
pub(crate) fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_anchors: 0, max_aliases: 0 },
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Error,
        strict_booleans: true,
        // YAML 1.2 has no underscores in numbers: `1_000` is a text.
        underscored_numbers_as_strings: true,
    }
}

/// The folder to which relative paths of a file belong. Grants and ceilings
/// speak of absolute paths only.
pub(crate) fn absolute_base(path: &Path) -> PathBuf {
    let base = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::path::absolute(base).unwrap_or_else(|_| base.to_owned())
}

/// The text of a file that may be used as configuration.
pub(crate) fn read_text(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |error: std::io::Error| {
        ConfigError::new(
            path,
            error.to_string(),
            "check the path and its permissions",
        )
    };
    let too_large = |size: &str| {
        ConfigError::new(
            path,
            format!("{size} bytes are too many for a configuration"),
            "keep it below 1 MiB",
        )
    };
    let file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    if size > FILE_LIMIT {
        return Err(too_large(&size.to_string()));
    }
    // A pipe has no size to ask for beforehand.
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(too_large("more than a million"));
    }
    String::from_utf8(bytes).map_err(|error| not_utf8(path, &error))
}

/// Points at the first byte that is no text.
fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> ConfigError {
    let valid = error.utf8_error().valid_up_to();
    let bytes = error.as_bytes();
    let before = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
    let line = before.matches('\n').count() as u64 + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count() as u64
        + 1;
    ConfigError::new(
        path,
        "the file is not UTF-8 from here on",
        "save it as UTF-8; text in another encoding, or no text at all, cannot be understood",
    )
    .at(
        &String::from_utf8_lossy(bytes),
        Stretch {
            line,
            column,
            length: 1,
        },
    )
}
