//! Fingerprints: what a stage's output depends on, as one hash.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Result, StageSpec};

/// What decides a stage's output; written beside it, so that a later plan can say what changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The stage's name.
    pub stage: String,
    /// The version of its code.
    pub version: u32,
    /// Its configuration.
    pub config: serde_json::Value,
    /// Its resources: name and hash.
    pub resources: Vec<(String, String)>,
    /// The run's seed.
    pub seed: u64,
    /// Hash of the stage before it.
    pub input: Option<String>,
}

impl Fingerprint {
    /// The fingerprint of a stage after `input`.
    pub fn new(spec: &StageSpec, seed: u64, input: Option<String>) -> Self {
        Self {
            stage: spec.name.clone().into_owned(),
            version: spec.version,
            config: sorted(&spec.config),
            resources: spec.resources.clone(),
            seed,
            input,
        }
    }

    /// The hash, as 64 hex digits.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("clip-data 2026 stage fingerprint v1");
        hasher.update(serde_json::json!(self).to_string().as_bytes());
        hasher.finalize().to_hex().to_string()
    }

    /// What differs from an older fingerprint, for people: `min_prob 0.5 -> 0.6`.
    pub fn changes(&self, old: &Fingerprint) -> Vec<String> {
        let mut changes = Vec::new();
        if self.version != old.version {
            changes.push(format!("code version {} -> {}", old.version, self.version));
        }
        if self.seed != old.seed {
            changes.push(format!("seed {} -> {}", old.seed, self.seed));
        }
        differences("", &old.config, &self.config, &mut changes);
        for (name, hash) in &self.resources {
            if !old.resources.iter().any(|(n, h)| n == name && h == hash) {
                changes.push(format!("{name} has other content"));
            }
        }
        changes
    }
}

/// Objects with their keys in order, so that the order in a file does not matter.
fn sorted(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect()
        }
        serde_json::Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

fn differences(
    at: &str,
    old: &serde_json::Value,
    new: &serde_json::Value,
    changes: &mut Vec<String>,
) {
    if let (Some(a), Some(b)) = (old.as_object(), new.as_object()) {
        let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            let null = serde_json::Value::Null;
            differences(&path, a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null), changes);
        }
    } else if old != new && !differ_in_the_last_bit(old, new) {
        changes.push(format!("{at} {} -> {}", short(old), short(new)));
    }
}

/// Letters of a value that are shown.
const SHOWN: usize = 60;

/// A value, or of a long one what it is: hundreds of marks are no line.
fn short(value: &serde_json::Value) -> String {
    let text = value.to_string();
    match value {
        serde_json::Value::Array(items) if text.len() > SHOWN => {
            format!("[{} entries]", items.len())
        }
        _ if text.chars().count() > SHOWN => text.chars().take(SHOWN).chain(['…']).collect(),
        _ => text,
    }
}

/// Reading a fraction back from JSON may cost its last bit, which is no change.
fn differ_in_the_last_bit(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    let fraction = |value: &serde_json::Value| value.as_f64().filter(|_| value.is_f64());
    match (fraction(a), fraction(b)) {
        (Some(a), Some(b)) => (a - b).abs() <= 2.0 * f64::EPSILON * a.abs(),
        _ => false,
    }
}

/// Hash of a resource: a file's content, or for a folder the names and content of its files. Hidden
/// ones, such as a lock, are read by nothing and do not count.
pub fn hash_resource(path: &Path) -> Result<String> {
    let top = path.canonicalize().map_err(|e| Error::io(path, e))?;
    hash_below(path, &top, &mut HashSet::new())
}

/// `seen` are the folders so far, where they really are: a link may lead to one of them, or to one
/// that holds `top`.
fn hash_below(path: &Path, top: &Path, seen: &mut HashSet<PathBuf>) -> Result<String> {
    let meta = match std::fs::metadata(path) {
        // A link that leads nowhere counts by its name, as does a pipe.
        Err(_) if path.is_symlink() => return Ok(String::new()),
        meta => meta.map_err(|e| Error::io(path, e))?,
    };
    if meta.is_file() {
        return Ok(clip_corpus::hash_file(path)?.0);
    }
    if !meta.is_dir() {
        return Ok(String::new());
    }
    let real = path.canonicalize().map_err(|e| Error::io(path, e))?;
    if (real != top && top.starts_with(&real)) || !seen.insert(real) {
        return Ok(String::new());
    }
    let mut names: Vec<_> = std::fs::read_dir(path)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .map_err(|e| Error::io(path, e))?
        .into_iter()
        .map(|entry| entry.file_name())
        .filter(|name| !name.as_encoded_bytes().starts_with(b"."))
        .collect();
    names.sort();
    let mut hasher = blake3::Hasher::new();
    for name in names {
        hasher.update(name.as_encoded_bytes()).update(&[0]);
        hasher.update(hash_below(&path.join(&name), top, seen)?.as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fingerprint(config: serde_json::Value) -> Fingerprint {
        let (stage, input) = ("language".to_owned(), Some("00".to_owned()));
        Fingerprint {
            stage,
            version: 1,
            config: sorted(&config),
            resources: vec![],
            seed: 1,
            input,
        }
    }

    #[test]
    fn order_of_keys_does_not_matter_and_values_do() {
        let a = fingerprint(json!({"a": 1, "b": {"x": 1, "y": 2}}));
        assert_eq!(a.hash(), fingerprint(json!({"b": {"y": 2, "x": 1}, "a": 1})).hash());
        let c = fingerprint(json!({"a": 1, "b": {"x": 1, "y": 3}}));
        assert_ne!(a.hash(), c.hash());
        assert_eq!(c.changes(&a), ["b.y 2 -> 3"]);
        let (read, written) = (0.980_000_019_073_486_4, 0.980_000_019_073_486_3);
        let changed =
            |old, new| fingerprint(json!({"x": new})).changes(&fingerprint(json!({"x": old})));
        assert_eq!(changed(read, written), Vec::<String>::new());
        assert_eq!(changed(0.98, 0.981), ["x 0.98 -> 0.981"]);
    }

    #[test]
    fn a_folder_hashes_by_names_and_content() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "1").unwrap();
        let first = hash_resource(folder.path()).unwrap();
        std::fs::rename(folder.path().join("a"), folder.path().join("b")).unwrap();
        let plain = hash_resource(folder.path()).unwrap();
        assert_ne!(first, plain);
        for target in [".", "..", "/", "nothing", "link"] {
            std::os::unix::fs::symlink(target, folder.path().join("link")).unwrap();
            assert_ne!(plain, hash_resource(folder.path()).unwrap(), "the link's name counts");
            std::fs::remove_file(folder.path().join("link")).unwrap();
        }
    }
}
