//! The class names and templates that a folder brings itself.

use std::path::{Path, PathBuf};

use crate::error::lines;
use crate::registry::Prompts;
use crate::{Error, Result};

/// The template of sets that bring none: the paper's default (section 3.1.4).
pub(crate) const DEFAULT_TEMPLATE: &str = "a photo of a {c}.";

/// `classnames.txt` of a folder, where it is there.
pub(crate) fn class_list(root: &Path) -> Option<PathBuf> {
    Some(root.join("classnames.txt")).filter(|path| path.is_file())
}

/// Class names, one a line.
///
/// # Errors
/// When there is none, or an empty line among them.
pub(crate) fn read_class_names(path: &Path) -> Result<Vec<String>> {
    let names = lines(path)?;
    if names.is_empty() { Err(Error::file(path, "no class")) } else { Ok(names) }
}

/// Templates, one a line, each with `{c}` for the class.
///
/// # Errors
/// When there is none, an empty line among them, or one without `{c}`.
pub fn read_templates(path: &Path) -> Result<Vec<String>> {
    let templates = lines(path)?;
    if templates.is_empty() {
        return Err(Error::file(path, "no template"));
    }
    if let Some(bad) = templates.iter().find(|template| !template.contains("{c}")) {
        return Err(Error::file(path, format!("no {{c}} in the template {bad:?}")));
    }
    Ok(templates)
}

/// The prompts of `classnames.txt` and `zeroshot_classification_templates.txt` in a folder, where
/// it has the first.
pub(crate) fn own_prompts(root: &Path) -> Result<Option<Prompts>> {
    let Some(listed) = class_list(root) else { return Ok(None) };
    let names = read_class_names(&listed)?.into_iter().map(|name| vec![name]).collect();
    let path = root.join("zeroshot_classification_templates.txt");
    let templates =
        if path.is_file() { read_templates(&path)? } else { vec![DEFAULT_TEMPLATE.to_owned()] };
    Ok(Some(Prompts { names, templates, own: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_without_content_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (classes, templates) = ("classnames.txt", "zeroshot_classification_templates.txt");
        assert_eq!(own_prompts(dir.path()).unwrap(), None);
        for (file, text, part) in [
            (classes, "", "classnames.txt: no class"),
            (classes, "\n\n", "classnames.txt: no class"),
            (classes, "a\n\nb\n", "classnames.txt: line 2 is empty"),
            (templates, "", "zeroshot_classification_templates.txt: no template"),
            (templates, " \n", "zeroshot_classification_templates.txt: no template"),
            (templates, "a {}.\n", "no {c} in the template \"a {}.\""),
        ] {
            std::fs::write(dir.path().join(classes), "a\n").unwrap();
            std::fs::write(dir.path().join(file), text).unwrap();
            let message = own_prompts(dir.path()).unwrap_err().to_string();
            assert!(message.ends_with(part), "{message}");
        }
        std::fs::write(dir.path().join(classes), "\u{feff}ant\r\nowl\r\n").unwrap();
        std::fs::write(dir.path().join(templates), "the {c}\n").unwrap();
        let found = own_prompts(dir.path()).unwrap().unwrap();
        assert_eq!((found.of(0).concat(), found.names.len()), (vec!["the ant".to_owned()], 2));
    }
}
