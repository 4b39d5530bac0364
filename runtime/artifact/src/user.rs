//! Where things that can be made again are kept for the person who runs us.

use std::path::PathBuf;

/// `servo` in `XDG_CACHE_HOME`, or in `~/.cache`. None when neither is known.
#[must_use]
pub fn user_cache_folder() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".cache")))
        .map(|cache| cache.join("servo"))
}
