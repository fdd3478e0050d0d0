//! Folders: of shards, of tables, or of images with what is beside them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clip_format::ImageFormat;

use super::{CorpusRow, Unit, UnitKind, Visit, kind_of};
use crate::{Error, Result};

/// Images of a folder that make one unit.
const IMAGES_A_UNIT: usize = 10_000;

/// Shards where there are any, else tables, else images.
///
/// # Errors
/// When there is none of them, or a shard is gone of which there are statistics or a table.
pub(super) fn units(folder: &Path) -> Result<Vec<Unit>> {
    let mut files = clip_guard::files(folder).map_err(|(path, e)| Error::file(path, e))?;
    for kind in [UnitKind::Shard, UnitKind::Table] {
        let own = |file: &&PathBuf| kind_of(file) == Some(kind);
        let found: Vec<&PathBuf> = files.iter().filter(own).collect();
        // img2dataset's files layout has a table beside each folder of images: the images say more.
        let images = kind == UnitKind::Table && files.iter().any(|file| is_image(file));
        if !found.is_empty() && !images {
            let folders: BTreeSet<&Path> = found.iter().filter_map(|f| f.parent()).collect();
            folders.into_iter().try_for_each(clip_corpus::require_shards)?;
            let unit = |file: &PathBuf| {
                let (place, files) = (file.display().to_string(), vec![file.clone()]);
                Unit { place, files, kind }
            };
            return Ok(found.into_iter().map(unit).collect());
        }
    }
    files.retain(|file| is_image(file));
    if files.is_empty() {
        let hint = "hint: shards (.tar), tables (.parquet) or images are looked for, at any depth";
        return Err(Error::file(folder, format!("no corpus\n{hint}")));
    }
    let unit = |files: &[PathBuf]| {
        let place = folder.display().to_string();
        Unit { place, files: files.to_vec(), kind: UnitKind::Folder }
    };
    Ok(files.chunks(IMAGES_A_UNIT).map(unit).collect())
}

fn is_image(path: &Path) -> bool {
    ImageFormat::of_path(path).is_some()
}

/// The image at `path`, named by its way from `root`.
pub(super) fn each(root: &Path, path: &Path, visit: &mut Visit) -> Result<bool> {
    let image = std::fs::read(path).map_err(|e| Error::file(path, e))?;
    let beside = |extension: &str| std::fs::read(path.with_extension(extension)).ok();
    let json = beside("json").and_then(|json| clip_corpus::json::from_slice(&json).ok());
    let meta = |key: &str| json.as_ref().and_then(|json: &serde_json::Value| json[key].as_str());
    let text = beside("txt").or_else(|| beside("caption"));
    let text = text.map(|text| String::from_utf8_lossy(&text).trim().to_owned());
    let caption = text.unwrap_or_else(|| meta("caption").unwrap_or_default().to_owned());
    let url = meta("url").unwrap_or_default().to_owned();
    let id = path.strip_prefix(root).unwrap_or(path).display().to_string();
    // Of the file as it came, before it was resized.
    let files = meta("sha256").map(str::to_lowercase).into_iter().collect();
    visit(CorpusRow { id, image: Some(image), files, phash: None, url, caption })
}
