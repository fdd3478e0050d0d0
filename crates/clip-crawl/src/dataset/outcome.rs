//! What became of a row: img2dataset's status, and what is known of its image.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Of an image with another hash than the list expects: img2dataset's words, and the kind.
pub(super) const HASH_MISMATCH: &str = "hash mismatch";
pub(super) const HASH_MISMATCH_KIND: &str = "hash_mismatch";

/// img2dataset's three ends of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is in the data set.
    Success,
    /// It did not come.
    FailedToDownload,
    /// It came, but is no image that may stay.
    FailedToResize,
}

impl Status {
    /// img2dataset's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::FailedToDownload => "failed_to_download",
            Self::FailedToResize => "failed_to_resize",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Success, Self::FailedToDownload, Self::FailedToResize]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

/// What became of a row, apart from its image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Done {
    pub status: Status,
    /// Why not, in img2dataset's words; of a row that is there, what is odd about it.
    pub message: Option<String>,
    /// The same in one word.
    pub kind: Option<Cow<'static, str>>,
    pub size: Option<(u32, u32)>,
    pub original: Option<(u32, u32)>,
    pub exif: Option<String>,
    pub hash: Option<String>,
}

impl Done {
    pub fn failed(status: Status, kind: &'static str, message: String) -> Self {
        Self {
            status,
            message: Some(message),
            kind: Some(kind.into()),
            size: None,
            original: None,
            exif: None,
            hash: None,
        }
    }
}

/// Rows that ended in the same way, as the spool records them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ended {
    pub rows: Vec<usize>,
    pub done: Done,
}
