//! A plain folder of images, with no classes: enough where labels do not matter.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{Content, below, is_image, name, sorted};
use crate::item::Task;
use crate::source::{FileItem, Source};
use crate::{Error, Result, Truth};

/// Bytes of a file of captions.
const CAPTIONS: u64 = 1 << 20;

/// The images right in a folder, or in its test part, with the lines of the text files of the same
/// names as captions; nothing where there are none.
pub(crate) fn open(root: &Path) -> Result<Option<Content>> {
    let images = |folder: &Path| -> Result<Vec<PathBuf>> {
        Ok(sorted(folder)?.into_iter().filter(|path| is_image(path) && path.is_file()).collect())
    };
    let mut found = if root.is_dir() { images(root)? } else { Vec::new() };
    if found.is_empty()
        && let Some(test) = below(root, &["test"])
    {
        found = images(&test)?;
    }
    let item = |path: PathBuf| {
        let captions = Truth::Captions(captions(&path.with_extension("txt"))?);
        let key = name(&path);
        Ok(FileItem::new(path, key, captions))
    };
    let items = found.into_iter().map(item).collect::<Result<Vec<_>>>()?;
    let content = |source| Content::of(Task::Retrieval, source);
    Ok((!items.is_empty()).then(|| content(Source::files(items))))
}

fn captions(path: &Path) -> Result<Vec<String>> {
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let text = clip_guard::read_whole(file, CAPTIONS).map_err(|e| Error::io(path, e))?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect())
}
