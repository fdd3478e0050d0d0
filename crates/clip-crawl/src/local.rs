//! Images that are on this machine: a file, or a stretch of a shard.
//!
//! A source of local images names each in the column [`clip_corpus::columns::LOCATION`]: the file's
//! path below the folder that all files of the source share, percent-encoded, and for a member of a
//! shard `#offset,size`. So a corpus that was moved is the same corpus. Only such a source gives
//! that column: a URL never names a file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use clip_pipeline::config::source::SourceConfig;
use clip_pipeline::{Error, Result};
use url::Url;

use crate::error::{FetchError, Kind};
use crate::pair_reader::files;

/// The deepest folder that all of `folders` are, or are in.
fn common(folders: &[&Path]) -> PathBuf {
    let mut common = folders.first().map_or_else(PathBuf::new, |first| first.to_path_buf());
    while !folders.iter().all(|folder| folder.starts_with(&common)) && common.pop() {}
    common
}

/// The name of a file below `folder`, percent-encoded; nothing where it is not below it.
pub(crate) fn name(folder: &Path, file: &Path) -> Option<String> {
    let below = file.strip_prefix(folder).ok()?;
    let url = Url::from_file_path(Path::new("/").join(below)).ok()?;
    Some(url.path().trim_start_matches('/').to_owned())
}

/// The names of shards, as [`name`] gives them, without what follows a `?` of a URL.
pub(crate) fn names(shards: &[PathBuf]) -> Result<Vec<String>> {
    let common = common(&shards.iter().filter_map(|shard| shard.parent()).collect::<Vec<_>>());
    let mut known = HashMap::new();
    let mut names = Vec::with_capacity(shards.len());
    for shard in shards {
        let text = shard.to_string_lossy();
        let path = match text.split_once('?') {
            Some((path, _)) if clip_store::is_remote(&text) => Path::new(path),
            _ => shard.as_path(),
        };
        let name = name(&common, path).unwrap_or_else(|| path.to_string_lossy().into_owned());
        if let Some(other) = known.insert(name.clone(), shard)
            && other != shard
        {
            let hint = "hint: what follows a ? of a URL does not distinguish shards";
            let message = format!("source.paths: two shards are called {name}\n{hint}");
            return Err(Error::Config(message));
        }
        names.push(name);
    }
    Ok(names)
}

/// Where the files of a source are that the column of locations names.
#[derive(Debug)]
pub(crate) enum Located {
    /// The source has no local images.
    Nowhere,
    /// Below a folder.
    Below(PathBuf),
    /// Shards by name, here or behind a URL, each with the copy that was made of it.
    Shards(HashMap<String, (PathBuf, OnceLock<PathBuf>)>),
}

impl Located {
    /// Of a source; paths are relative to `base`.
    pub fn of(config: &SourceConfig, base: &Path) -> Result<Self> {
        Ok(match config {
            SourceConfig::Folder(corpus) => Self::Below(folder(&corpus.paths, base)),
            SourceConfig::Webdataset(corpus) => {
                let shards = files(&corpus.paths, base, &[".tar"])?;
                let shards = names(&shards)?.into_iter().zip(shards);
                Self::Shards(shards.map(|(name, path)| (name, (path, OnceLock::new()))).collect())
            }
            SourceConfig::Web(_)
            | SourceConfig::List(_)
            | SourceConfig::Wat(_)
            | SourceConfig::Warc(_)
            | SourceConfig::Coco(_)
            | SourceConfig::VisualGenome(_)
            | SourceConfig::Yfcc100m(_)
            | SourceConfig::Wit(_) => Self::Nowhere,
        })
    }

    /// The file of a name.
    fn file(&self, name: &str) -> Option<PathBuf> {
        match self {
            Self::Nowhere => None,
            Self::Shards(shards) => {
                let (shard, copy) = shards.get(name)?;
                if copy.get().is_none() {
                    let _ = copy.set(clip_corpus::local(shard).ok()?);
                }
                copy.get().cloned()
            }
            Self::Below(folder) => {
                let url = Url::parse(&format!("file:///{name}")).ok()?;
                let path = url.to_file_path().ok()?;
                let below = path.strip_prefix("/").ok()?;
                let plain = below.components().all(|part| matches!(part, Component::Normal(_)));
                plain.then(|| folder.join(below))
            }
        }
    }

    /// The bytes at a location, at most `max_bytes`.
    pub fn read(&self, location: &str, max_bytes: u64) -> std::result::Result<Vec<u8>, FetchError> {
        let (name, stretch) = match location.split_once('#') {
            Some((name, stretch)) => (name, Some(stretch)),
            None => (location, None),
        };
        let bad = || FetchError::new(Kind::Broken, format!("{location}: no file of the source"));
        let path = self.file(name).ok_or_else(bad)?;
        let broken =
            |e: std::io::Error| FetchError::new(Kind::Broken, format!("{}: {e}", path.display()));
        // Opening a pipe would wait for its writer.
        if !std::fs::metadata(&path).map_err(broken)?.is_file() {
            return Err(FetchError::new(Kind::Broken, format!("{}: not a file", path.display())));
        }
        let mut file = File::open(&path).map_err(broken)?;
        let size = match stretch {
            None => file.metadata().map_err(broken)?.len(),
            Some(stretch) => {
                let (offset, size) = stretch.split_once(',').ok_or_else(bad)?;
                let offset = offset.parse().map_err(|_| bad())?;
                file.seek(SeekFrom::Start(offset)).map_err(broken)?;
                size.parse().map_err(|_| bad())?
            }
        };
        if size > max_bytes {
            return Err(FetchError::new(Kind::TooLarge, "file too large"));
        }
        let mut bytes = Vec::with_capacity(size as usize);
        file.take(size).read_to_end(&mut bytes).map_err(broken)?;
        if bytes.len() as u64 == size {
            Ok(bytes)
        } else {
            Err(FetchError::new(Kind::Broken, "file cut off"))
        }
    }
}

/// The folder that the images of a folder source are named below.
pub(crate) fn folder(paths: &[PathBuf], base: &Path) -> PathBuf {
    let folders: Vec<PathBuf> = paths.iter().map(|path| base.join(path)).collect();
    common(&folders.iter().map(PathBuf::as_path).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_stretches_of_them_are_read_within_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a b#c.bin");
        std::fs::write(&path, b"0123456789").unwrap();
        let located = Located::Below(dir.path().to_path_buf());
        let whole = name(dir.path(), &path).unwrap();
        assert_eq!(whole, "a%20b%23c.bin");
        assert_eq!(located.read(&whole, 100).unwrap(), b"0123456789");
        assert_eq!(located.read(&format!("{whole}#3,4"), 100).unwrap(), b"3456");
        assert_eq!(located.read(&whole, 9).unwrap_err().kind, Kind::TooLarge);
        let beyond = format!("{whole}#8,4");
        assert_eq!(located.read(&beyond, 100).unwrap_err().kind, Kind::Broken);
        for none in ["no/such/file", "../a", "%2e%2e/a", "/etc/passwd", ""] {
            assert_eq!(located.read(none, 9).unwrap_err().kind, Kind::Broken, "{none}");
        }
        assert!(Located::Nowhere.read(&whole, 100).is_err());
    }

    #[test]
    fn names_are_below_the_folder_that_all_share() {
        let paths = |names: &[&str]| -> Vec<PathBuf> { names.iter().map(PathBuf::from).collect() };
        let names = |shards: &[&str]| names(&paths(shards)).unwrap();
        assert_eq!(names(&["/x/y/0.tar", "/x/y/1.tar"]), ["0.tar", "1.tar"]);
        assert_eq!(names(&["/x/train/0.tar", "/x/val/0.tar"]), ["train/0.tar", "val/0.tar"]);
        assert_eq!(names(&["https://h/s/0.tar?k=1", "https://h/s/1.tar"]), ["0.tar", "1.tar"]);
        let twice = paths(&["https://h/0.tar?a", "https://h/0.tar?b"]);
        assert!(super::names(&twice).unwrap_err().to_string().contains("called 0.tar"));
        assert_eq!(folder(&paths(&["photos"]), Path::new("/data")), Path::new("/data/photos"));
        assert_eq!(folder(&paths(&["a/x", "b"]), Path::new("/data")), Path::new("/data"));
    }
}
