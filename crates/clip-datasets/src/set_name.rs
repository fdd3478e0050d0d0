//! What a set is called.

use std::path::{Path, PathBuf};

use crate::registry;

/// `NAME=PATH`, or a path alone. CLIP_benchmark's `wds/NAME` and DataComp's `vtab/NAME` are the
/// names that they mean.
pub fn parse_named(text: &str) -> (Option<String>, PathBuf) {
    if let Some((given, path)) = text.split_once('=') {
        let name = given.strip_prefix("wds/").unwrap_or(given);
        let short = name.rsplit('/').next().unwrap_or(name);
        let grouped = || registry::find_datacomp(name).is_some() || registry::find(name).is_some();
        if !short.is_empty() && (short == name || grouped()) {
            return (Some(short.to_owned()), path.into());
        }
    }
    (None, text.into())
}

/// Name of a set: the last part of its path, without CLIP_benchmark's `wds_` before and `_test`
/// after.
pub(crate) fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_prefix("wds_").unwrap_or(&name);
    let name = name.strip_suffix("_test").unwrap_or(name);
    let name = name.strip_suffix(".csv").or_else(|| name.strip_suffix(".tsv")).unwrap_or(name);
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_path() {
        assert_eq!(parse_named("cifar10=/data/c"), (Some("cifar10".into()), "/data/c".into()));
        assert_eq!(parse_named("/data/a=b"), (None, "/data/a=b".into()));
        assert_eq!(parse_named("wds/cifar10=/data/c"), (Some("cifar10".into()), "/data/c".into()));
        assert_eq!(parse_named("wds/mine=x"), (Some("mine".into()), "x".into()));
        let grouped = parse_named("wds/vtab/caltech101=/c");
        assert_eq!(grouped, (Some("caltech101".into()), "/c".into()));
        assert_eq!(parse_named("wds/=x").0, None);
    }
}
