//! The folders that a member's peers may name files in.

use std::path::{Component, Path, PathBuf};

use crate::{Error, Result};

/// Folders, with links resolved.
#[derive(Debug, Clone)]
pub struct Roots(Vec<PathBuf>);

/// A path that a peer named and that is outside of the roots.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path} is outside of {roots}\nhint: `--root DIR` of `clip-data scheduler` and `worker` names a folder with runs and their inputs"
)]
pub struct Outside {
    path: String,
    roots: String,
}

impl Roots {
    /// # Errors
    /// When one of them is not there.
    pub fn new(folders: &[PathBuf]) -> Result<Self> {
        let real =
            |folder: &PathBuf| folder.canonicalize().map_err(|e| Error::io(folder.display(), e));
        folders.iter().map(real).collect::<Result<_>>().map(Self)
    }

    /// Whether a path is one of the roots or below one, wherever its links lead.
    ///
    /// # Errors
    /// [`Outside`], also where that cannot be found out.
    pub fn check(&self, path: &Path) -> std::result::Result<(), Outside> {
        let real = real(path);
        if real.is_some_and(|real| self.0.iter().any(|root| real.starts_with(root))) {
            return Ok(());
        }
        let roots: Vec<_> = self.0.iter().map(|root| root.display().to_string()).collect();
        Err(Outside { path: path.display().to_string(), roots: roots.join(", ") })
    }
}

/// The path without links; of what is not there yet, where it would be.
fn real(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    for there in path.ancestors() {
        // A link to nothing is there, and what is made through it would be elsewhere.
        if there.symlink_metadata().is_ok() {
            let rest = path.strip_prefix(there).ok()?;
            let plain = rest.components().all(|part| matches!(part, Component::Normal(_)));
            return Some(there.canonicalize().ok().filter(|_| plain)?.join(rest));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_what_is_below_a_root_is_inside() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["one/runs", "two", "onerous"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        std::fs::write(at("one/list.csv"), "").unwrap();
        std::fs::write(at("secret"), "").unwrap();
        symlink(at("two"), at("one/other root")).unwrap();
        symlink(at("secret"), at("one/out")).unwrap();
        symlink("/", at("one/all")).unwrap();
        symlink(at("nothing"), at("one/dangling")).unwrap();
        let roots = Roots::new(&[at("one"), at("two")]).unwrap();
        for inside in [
            "one",
            "one/list.csv",
            "one/runs/new/part.parquet",
            "two/x",
            "one/other root/x",
            "one/runs/../list.csv",
            "two/../one/list.csv",
        ] {
            roots.check(&at(inside)).unwrap();
        }
        for outside in [
            "secret",
            "onerous",
            "one/../secret",
            "one/out",
            "one/all/etc/passwd",
            "one/dangling",
            "one/dangling/x",
            "one/new/../../secret",
        ] {
            let message = roots.check(&at(outside)).unwrap_err().to_string();
            assert!(message.contains("is outside of") && message.contains("--root"), "{message}");
        }
        assert!(roots.check(Path::new("/")).is_err() && roots.check(Path::new("/etc")).is_err());
        assert!(Roots::new(&[at("missing")]).is_err());
    }
}
