//! Folders with all that they hold, whatever links lead where.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// A folder, and the files in it, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its path, which begins with that of the folder that was walked.
    pub path: PathBuf,
    /// Plain files, and links to such; no pipe, socket or device.
    pub files: Vec<PathBuf>,
}

/// The folders below `root`, and itself, each before those that it holds, in the order of names.
///
/// A link to a folder is followed when it leads out of `root`, to what was not there yet: what is
/// below `root` has its own name, and a link to a folder that holds `root` would never end.
///
/// # Errors
/// When a folder cannot be read, with its path.
pub fn walk(root: &Path) -> Result<Vec<Folder>, (PathBuf, io::Error)> {
    let real = |path: &Path| path.canonicalize().map_err(|e| (path.to_path_buf(), e));
    let top = real(root)?;
    let (mut seen, mut found) = (HashSet::new(), Vec::new());
    let mut waiting = vec![root.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let place = real(&path)?;
        let repeats = path.is_symlink() && (place.starts_with(&top) || top.starts_with(&place));
        if path != root && repeats || !seen.insert(place) {
            continue;
        }
        let failed = |e| (path.clone(), e);
        let entries = std::fs::read_dir(&path).map_err(failed)?;
        let entries: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
        let mut entries = entries.map_err(failed)?;
        entries.sort();
        waiting.extend(entries.iter().rev().filter(|path| path.is_dir()).cloned());
        entries.retain(|path| path.is_file());
        found.push(Folder { path, files: entries });
    }
    Ok(found)
}

/// The plain files at any depth below `root`, sorted, by the same rules.
///
/// # Errors
/// As [`walk`].
pub fn files(root: &Path) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let mut files: Vec<PathBuf> = walk(root)?.into_iter().flat_map(|folder| folder.files).collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Every folder and file below `root`, by name.
    fn names(root: &Path) -> Vec<String> {
        let folders = walk(root).unwrap();
        let paths = folders.iter().flat_map(|f| std::iter::once(&f.path).chain(&f.files));
        let name = |path: &PathBuf| path.strip_prefix(root).unwrap().display().to_string();
        paths.map(name).collect()
    }

    #[test]
    fn each_folder_is_walked_once_whatever_links_lead_to_it() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::create_dir(outside.path().join("c")).unwrap();
        std::fs::write(outside.path().join("c/3.png"), b"").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("set");
        std::fs::create_dir_all(root.join("b/inner")).unwrap();
        for file in ["b/2.png", "b/inner/1.png", "z.png"] {
            std::fs::write(root.join(file), b"").unwrap();
        }
        let plain = ["", "z.png", "b", "b/2.png", "b/inner", "b/inner/1.png"];
        assert_eq!(names(&root), plain);
        // To itself, up, beyond the root, to a folder with its own name, to a file, to nothing.
        symlink(".", root.join("a")).unwrap();
        symlink("..", root.join("b/up")).unwrap();
        symlink("../..", root.join("b/far")).unwrap();
        symlink("inner", root.join("b/also")).unwrap();
        symlink("/", root.join("b/inner/all")).unwrap();
        symlink("nothing", root.join("broken")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        assert_eq!(names(&root), plain);
        // Out of the root, twice, and from there back.
        symlink(&root, outside.path().join("c/back")).unwrap();
        symlink(outside.path(), root.join("x")).unwrap();
        symlink(outside.path().join("c"), root.join("y")).unwrap();
        assert_eq!(names(&root), [&plain[..], &["x", "x/c", "x/c/3.png"]].concat());
        // The root itself may be a link.
        symlink(&root, folder.path().join("link")).unwrap();
        assert_eq!(names(&folder.path().join("link")).len(), plain.len() + 3);
        let all = files(&root).unwrap();
        let all: Vec<_> = all.iter().map(|file| file.strip_prefix(&root).unwrap()).collect();
        assert_eq!(all, ["b/2.png", "b/inner/1.png", "x/c/3.png", "z.png"].map(Path::new));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        assert_eq!(walk(&missing).unwrap_err().0, missing);
    }
}
