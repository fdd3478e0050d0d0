//! Where shards are: files, or behind URLs.

use std::path::{Path, PathBuf};

use crate::contents::Stamp;
use crate::{Error, Result};

/// A shard's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Local(PathBuf),
    Remote(String),
}

impl Place {
    /// All shards of a specification: files, folders, globs, braces, and URLs of object storage or
    /// https, which are not downloaded here.
    pub fn all(spec: &str) -> Result<Vec<Self>> {
        let local = |spec: &str| -> Result<Vec<Self>> {
            Ok(clip_corpus::expand(spec)?.into_iter().map(Self::Local).collect())
        };
        if Path::new(spec).exists() {
            return local(spec);
        }
        let mut places = Vec::new();
        for name in clip_corpus::names(spec)? {
            if clip_store::is_remote(&name) {
                let urls = clip_store::names(&name, ".tar");
                let urls = urls.map_err(|e| Error::io(Path::new(&shown(&name)), e))?;
                places.extend(urls.into_iter().map(Self::Remote));
            } else {
                places.extend(local(&name)?);
            }
        }
        Ok(places)
    }

    /// Path or URL.
    pub fn name(&self) -> String {
        match self {
            Self::Local(path) => path.display().to_string(),
            Self::Remote(url) => url.clone(),
        }
    }

    /// The same for messages: without what gives access.
    pub fn shown(&self) -> PathBuf {
        match self {
            Self::Local(path) => path.clone(),
            Self::Remote(url) => shown(url).into(),
        }
    }

    /// The URL of a file beside a shard; none where the URL does not end in `.tar`.
    pub fn url_beside(&self, ending: &str) -> Option<String> {
        let Self::Remote(url) = self else { return None };
        Some(format!("{}{ending}", url.strip_suffix(".tar")?))
    }

    /// Length and time of a file; neither is asked of what is behind a URL.
    pub fn stamp(&self) -> Result<Option<Stamp>> {
        match self {
            Self::Local(path) => Stamp::at(path).map(Some),
            Self::Remote(_) => Ok(None),
        }
    }
}

fn shown(url: &str) -> String {
    clip_store::redacted(url).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_expanded_and_not_asked_for() {
        let places = Place::all("https://host/a/{0..1}.tar?x=1::s3://bucket/b.tar").unwrap();
        let names: Vec<String> = places.iter().map(Place::name).collect();
        assert_eq!(
            names,
            ["https://host/a/0.tar?x=1", "https://host/a/1.tar?x=1", "s3://bucket/b.tar"]
        );
        assert_eq!(places[2].url_beside(".idx").unwrap(), "s3://bucket/b.idx");
        assert_eq!(places[0].url_beside(".idx"), None);
        assert_eq!(places[0].stamp().unwrap(), None);
    }
}
