//! What the files of a checkpoint hold, by their blake3: a byte that changed on disk must not train
//! on.

use std::collections::BTreeMap;
use std::path::Path;

use clip_corpus::hash_file;

use crate::{Error, Result};

/// The blake3 of every file below a folder, by its name there.
pub(crate) type Files = BTreeMap<String, String>;

/// Reads all files below a folder.
pub(crate) fn seal(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let entry = entry.map_err(|e| Error::io(folder, e))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            files.extend(
                seal(&path)?.into_iter().map(|(inner, hash)| (format!("{name}/{inner}"), hash)),
            );
        } else {
            files.insert(name, hash_file(&path)?.0);
        }
    }
    Ok(files)
}

/// Fails, naming the first file, unless all are as they were.
pub(crate) fn check(folder: &Path, files: &Files) -> Result<()> {
    for (name, hash) in files {
        let path = clip_corpus::below(folder, name).map_err(|e| Error::file(folder, e))?;
        let reason = match hash_file(&path) {
            Ok((found, _)) if found == *hash => continue,
            Ok(_) => "its content is not what was written (blake3 differs)",
            Err(_) if !path.exists() => "it is gone",
            Err(error) => return Err(error.into()),
        };
        return Err(Error::damaged(folder, &path, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_and_a_missing_one_are_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("ema")).unwrap();
        let [a, b] = ["a", "ema/b"].map(|name| folder.path().join(name));
        std::fs::write(&a, "first").unwrap();
        std::fs::write(&b, "second").unwrap();
        let files = seal(folder.path()).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["a", "ema/b"]);
        check(folder.path(), &files).unwrap();
        std::fs::write(&b, "Second").unwrap();
        let error = check(folder.path(), &files).unwrap_err();
        assert!(matches!(&error, Error::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("ema/b: "), "{error}");
        std::fs::write(&b, "second").unwrap();
        std::fs::remove_file(&a).unwrap();
        let message = check(folder.path(), &files).unwrap_err().to_string();
        assert!(message.contains("/a: it is gone\nhint: move "), "{message}");
    }
}
