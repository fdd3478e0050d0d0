//! Where things are kept that can be had again.

use std::path::PathBuf;

/// A folder below `CLIP_DATA_CACHE`, or below the user's cache folder; nothing where there is
/// neither.
pub fn cache_folder(name: &str) -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let user = || {
        let folder =
            variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
        Some(folder.join("clip-data"))
    };
    Some(variable("CLIP_DATA_CACHE").or_else(user)?.join(name))
}
