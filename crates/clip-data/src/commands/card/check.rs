//! Whether what a card says is still what its files say.

use std::path::Path;

use clip_corpus::{Verified, hash_file};
use rayon::prelude::*;
use serde_json::Value;

use super::Card;
use super::files::FileHash;

/// Hashes every file of a card, or of the one in a folder, and makes the card anew from them.
///
/// # Errors
/// When the file is no card.
pub fn check(path: &Path) -> anyhow::Result<Verified> {
    let inner = path.join(super::FILE);
    let path = if path.is_dir() { &inner } else { path };
    let card = Card::open(path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut found = Verified::default();
    let files: Vec<&FileHash> = card.files.iter().chain(&card.documents).collect();
    let hashed: Vec<_> = files.par_iter().map(|file| hash_file(&folder.join(&file.path))).collect();
    for (file, hashed) in files.into_iter().zip(hashed) {
        let path = folder.join(&file.path);
        match hashed {
            Ok((blake3, bytes)) => {
                found.files += 1;
                found.bytes += bytes;
                if blake3 != file.blake3 {
                    found.bad(
                        &path,
                        "it is not the file that the card was made from (blake3 differs)",
                    );
                }
            }
            Err(error) => found.failed(&path, &error),
        }
    }
    match Card::read(folder, card.inputs.clone()) {
        Ok(made) => {
            // As it is read again: a number may lose its last bit on the way.
            let now: Card = serde_json::from_str(&serde_json::to_string(&made)?)?;
            let mut differ = Vec::new();
            for (part, says, is) in [
                ("data", serde_json::to_value(&card.data)?, serde_json::to_value(&now.data)?),
                ("model", serde_json::to_value(&card.model)?, serde_json::to_value(&now.model)?),
                ("files", serde_json::to_value(&card.files)?, serde_json::to_value(&now.files)?),
            ] {
                differences(part, &says, &is, &mut differ);
            }
            for difference in differ.into_iter().take(MOST) {
                found.bad(path, difference);
            }
            // Another version may write the same facts in other words.
            if card.clip_data == now.clip_data {
                for (name, text) in made.render() {
                    let own = FileHash::of_bytes(name, text.as_bytes());
                    if !card.documents.contains(&own) {
                        found.bad(&folder.join(name), "it does not say what card.json says");
                    }
                }
            }
        }
        Err(error) => found.bad(path, format!("what it was made from cannot be read: {error:#}")),
    }
    Ok(found)
}

/// Differences that are listed.
const MOST: usize = 20;

/// Appends where two values differ, and what they are there.
fn differences(at: &str, says: &Value, is: &Value, found: &mut Vec<String>) {
    match (says, is) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let value = |of: &serde_json::Map<String, Value>| {
                    of.get(key).cloned().unwrap_or(Value::Null)
                };
                differences(&format!("{at}.{key}"), &value(a), &value(b), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (number, (says, is)) in a.iter().zip(b).enumerate() {
                differences(&format!("{at}.{number}"), says, is, found);
            }
        }
        (says, is) if says != is => {
            let short = |value: &Value| value.to_string().chars().take(80).collect::<String>();
            found.push(format!("{at} is {}, and by its files {}", short(says), short(is)));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_are_named_by_their_place() {
        let says = json!({"a": [1, {"b": 2}], "c": "x", "d": null});
        let is = json!({"a": [1, {"b": 3}], "c": "x", "e": [1]});
        let mut found = Vec::new();
        differences("data", &says, &is, &mut found);
        assert_eq!(
            found,
            ["data.a.1.b is 2, and by its files 3", "data.e is null, and by its files [1]"]
        );
    }
}
