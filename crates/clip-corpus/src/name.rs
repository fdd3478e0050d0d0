//! Names that come out of files and become paths: only plain ones below the folder that they belong
//! to.

use std::path::{Component, Path, PathBuf};

use clip_format::{Classify, ErrorClass};

/// Longest part of a name, as file systems have it.
const LONGEST: usize = 255;

/// A name that leads out of its folder, or that no file of ours has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a plain relative name")]
pub struct BadName {
    /// The name.
    pub name: String,
}

impl Classify for BadName {
    fn class(&self) -> Option<ErrorClass> {
        Some(ErrorClass::Damaged)
    }
}

/// The path of `name` below `folder`.
///
/// A name is one or more parts between slashes. None is empty, `.` or `..`, begins with a slash,
/// holds a control character or a backslash, or is longer than 255 bytes: a manifest, a table or an
/// archive from elsewhere must not name a file outside its folder.
pub fn below(folder: &Path, name: &str) -> Result<PathBuf, BadName> {
    check_name(name)?;
    Ok(folder.join(name))
}

/// Whether a name may become a path: see [`below`].
pub fn check_name(name: &str) -> Result<(), BadName> {
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.len() <= LONGEST
            && !part.contains(|c: char| c.is_control() || c == '\\')
    };
    let relative = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if relative && name.split('/').all(plain) {
        Ok(())
    } else {
        Err(BadName { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_below_the_folder_are_paths() {
        let folder = Path::new("/run");
        assert_eq!(
            below(folder, "images/part-00001.parquet").unwrap(),
            folder.join("images/part-00001.parquet")
        );
        assert!(below(folder, "000000012").is_ok() && below(folder, "a..b").is_ok());
        let long = "x".repeat(256);
        for name in [
            "",
            ".",
            "..",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a//b",
            "a/",
            "./a",
            "a\\b",
            "a\nb",
            "\0",
            &long,
        ] {
            assert!(below(folder, name).is_err(), "{name:?}");
        }
    }
}
