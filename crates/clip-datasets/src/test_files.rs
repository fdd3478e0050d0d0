//! Folders of files for tests.

use std::path::Path;

/// Writes files below `root`, each with its name as its content.
pub(crate) fn write(root: &Path, names: &[&str]) {
    for name in names {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, name).unwrap();
    }
}
