//! Files of a run that carry a version: a newer one is refused by name, an older one is read.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Content of a JSON file with a version, `format`.
pub(crate) trait Format: Serialize + DeserializeOwned {
    /// The version that this executable writes, and the newest that it reads. Raised when an older
    /// executable would misread what is written.
    const VERSION: u32;

    /// Reads a file; nothing where there is none.
    ///
    /// # Errors
    /// [`Error::Newer`] for a version that this executable does not know, and damage for what is
    /// no such file.
    fn read(path: &Path) -> Result<Option<Self>> {
        match std::fs::read(path) {
            Ok(bytes) => Self::parse(path, &bytes).map(Some),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(path, e)),
        }
    }

    /// The content of a file.
    fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let damaged = |e: serde_json::Error| {
            let (path, reason) = (path.to_path_buf(), e.to_string());
            Error::Corpus(clip_corpus::Error::Damaged { path, reason })
        };
        let Version { format } = serde_json::from_slice(bytes).map_err(damaged)?;
        if format > Self::VERSION {
            return Err(Error::Newer { path: path.to_path_buf(), format, known: Self::VERSION });
        }
        serde_json::from_slice(bytes).map_err(damaged)
    }

    /// The file's text.
    fn text(&self) -> String {
        format!("{:#}\n", serde_json::json!(Versioned { format: Self::VERSION, content: self }))
    }

    /// Writes the file, whole or not at all.
    fn write(&self, path: &Path) -> Result<()> {
        Ok(clip_format::write_atomic(path, self.text().as_bytes())?)
    }
}

#[derive(Deserialize)]
struct Version {
    /// Files from before there were versions have none.
    #[serde(default)]
    format: u32,
}

#[derive(Serialize)]
struct Versioned<'a, T> {
    format: u32,
    #[serde(flatten)]
    content: &'a T,
}
