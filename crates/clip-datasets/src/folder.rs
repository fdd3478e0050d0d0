//! One folder of images for each class (torchvision's `ImageFolder`).

use std::path::{Path, PathBuf};

use crate::error::lines;
use crate::{DEFAULT_TEMPLATE, Error, EvalItem, EvalSet, Label, Result, Source, name_of};

const IMAGES: [&str; 6] = ["jpg", "jpeg", "png", "webp", "gif", "bmp"];

pub(crate) fn open(path: &Path) -> Result<EvalSet> {
    let below = ["test", "val"].iter().map(|part| path.join(part)).find(|part| part.is_dir());
    let root = below.unwrap_or_else(|| path.to_path_buf());
    let mut files = Vec::new();
    let mut folders = Vec::new();
    for folder in sorted(&root)?.into_iter().filter(|entry| entry.is_dir()) {
        let images: Vec<PathBuf> =
            sorted(&folder)?.into_iter().filter(|file| is_image(file)).collect();
        if !images.is_empty() {
            files.extend(images.into_iter().map(|file| (file, Label(folders.len()))));
            folders.push(folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    if files.is_empty() {
        return Err(Error::layout(path, "no evaluation set"));
    }
    let names = path.join("classnames.txt");
    let classes = if names.exists() {
        lines(&names)?
    } else {
        folders.iter().map(|name| name.replace('_', " ")).collect()
    };
    if classes.len() != folders.len() {
        let reason = format!("{} names for {} folders", classes.len(), folders.len());
        return Err(Error::layout(&names, reason));
    }
    let templates = vec![DEFAULT_TEMPLATE.to_owned()];
    Ok(EvalSet { name: name_of(path), classes, templates, source: Source::Files(files) })
}

pub(crate) fn items(
    files: &[(PathBuf, Label)],
) -> impl Iterator<Item = Result<EvalItem>> + Send + '_ {
    files.iter().map(|(path, label)| {
        let image = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let part =
            |p: Option<&std::ffi::OsStr>| p.unwrap_or_default().to_string_lossy().into_owned();
        let class = part(path.parent().and_then(Path::file_name));
        let key = format!("{class}/{}", part(path.file_name()));
        Ok(EvalItem { key, image, label: *label })
    })
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    IMAGES.contains(&extension.as_str())
}

#[cfg(test)]
mod tests {
    use crate::{Label, open};

    #[test]
    fn classes_are_folders_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "test/polar_bear/2.png",
            "test/polar_bear/1.png",
            "test/ant/1.JPG",
            "test/ant/notes.txt",
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        let set = open(dir.path()).unwrap();
        assert_eq!(set.classes, ["ant", "polar bear"]);
        let items: Vec<_> = set.items().map(|item| item.unwrap()).collect();
        assert_eq!(items.len(), 3);
        assert_eq!((items[1].key.as_str(), items[1].label), ("polar_bear/1.png", Label(1)));
        assert_eq!(set.prompts(Label(0)), ["a photo of a ant."]);
    }

    #[test]
    fn an_unknown_folder_shows_the_layouts() {
        let dir = tempfile::tempdir().unwrap();
        let message = open(dir.path()).unwrap_err().to_string();
        assert!(
            message.contains("hint: known are") && message.contains("nshards.txt"),
            "{message}"
        );
    }
}
