//! What a set is called.

use std::path::{Path, PathBuf};

use clip_text::edit_distance;

use crate::registry::{self, plain};
use crate::{datacomp, datasets, loader_names};

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

/// What the set of `NAME=PATH`, or of a path alone, is called.
pub fn set_name(text: &str) -> String {
    let (name, path) = parse_named(text);
    name.unwrap_or_else(|| name_of(&path))
}

/// Edits between a name and the dataset's that was likely meant; of short names one.
const EDITS: usize = 2;
/// Letters of a name from which on it is not short.
const LONG: usize = 5;

/// The warning about a name of `NAME=PATH` that is no dataset's but nearly one's: such a set has
/// neither the dataset's prompts nor its metric. A name with more at its end is a variant.
pub fn name_warning(name: &str) -> Option<String> {
    let own = plain(name);
    let is_known = registry::find(name).is_some()
        || registry::find_datacomp(name).is_some()
        || loader_names().iter().any(|known| plain(known) == own);
    if is_known {
        return None;
    }
    let ids = datasets().iter().flat_map(|set| [&set.id].into_iter().chain(&set.aliases));
    let ids = ids.chain(datacomp().iter().map(|task| &task.key));
    let short: Vec<&str> = ids.map(|id| id.rsplit('/').next().unwrap_or(id)).collect();
    if short.iter().any(|known| own.starts_with(&plain(known))) {
        return None;
    }
    let most = if own.chars().count() < LONG { 1 } else { EDITS };
    let near = short.into_iter().map(|known| (edit_distance(&own, &plain(known)), known));
    let (_, known) = near.filter(|(edits, _)| *edits <= most).min()?;
    Some(format!(
        "warning: {name} is no dataset's name: did you mean {known}?\n\
         hint: `clip-data eval datasets` lists the names; a set of another name has its own classes and prompts"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nearly_a_datasets_is_seen() {
        for (name, meant) in [
            ("cifr10", "cifar10"),
            ("CIFAR_11", "cifar10"),
            ("minst", "mnist"),
            ("imagnet-r", "imagenet-r"),
            ("pet", "pets"),
            ("camelion17", "camelyon17"),
        ] {
            let warning = name_warning(name).unwrap_or_default();
            assert!(warning.contains(&format!("did you mean {meant}?")), "{name}: {warning}");
        }
        let own = ["cifar10", "Oxford-IIIT Pets", "geode", "flickr8k", "toys", "mine", "a", "det"];
        for name in own.into_iter().chain(["cifar10.1", "cifar10-c", "imagenet-100", "photos"]) {
            assert_eq!(name_warning(name), None, "{name}");
        }
    }

    #[test]
    fn a_name_and_a_path() {
        assert_eq!(parse_named("cifar10=/data/c"), (Some("cifar10".into()), "/data/c".into()));
        assert_eq!(parse_named("/data/a=b"), (None, "/data/a=b".into()));
        assert_eq!(parse_named("wds/cifar10=/data/c"), (Some("cifar10".into()), "/data/c".into()));
        assert_eq!(parse_named("wds/mine=x"), (Some("mine".into()), "x".into()));
        let grouped = parse_named("wds/vtab/caltech101=/c");
        assert_eq!(grouped, (Some("caltech101".into()), "/c".into()));
        assert_eq!(parse_named("wds/=x").0, None);
        assert_eq!(
            ["/a/wds_cars_test", "toys=/a/cars", "b/cars/"].map(set_name),
            ["cars", "toys", "cars"]
        );
    }
}
