//! Where what authors need again is kept: toolchains and compiled plugins, for this user.

use std::path::PathBuf;

use crate::commands::environment;

/// `kiln` in the directory for caches, if the environment says where that is.
pub(crate) fn user_cache() -> Option<PathBuf> {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache"))).map(|caches| caches.join("kiln"))
}
