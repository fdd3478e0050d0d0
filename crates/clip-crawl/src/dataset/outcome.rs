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

/// The kind of a fault that img2dataset reports in words alone; none for words that it has of a
/// library.
pub(super) fn kind_of(message: &str) -> Option<&'static str> {
    let code = message.strip_prefix("HTTP Error ").and_then(|rest| rest.get(..3));
    Some(match code {
        Some("429") => "http_429",
        Some(code) if code.starts_with('4') => "http_4xx",
        Some(code) if code.starts_with('5') => "http_5xx",
        Some(_) => "http_other",
        None if message.contains("timed out") => "timeout",
        None if message.contains("Name or service") || message.contains("name resolution") => "dns",
        None if message.contains("[SSL") => "tls",
        None if message.contains("refused") || message.contains("unreachable") => "connect",
        None if message.contains("X-Robots-Tag") => "x_robots_tag",
        None if message.contains("unknown url type") => "bad_url",
        None if message == "hash mismatch" => "hash_mismatch",
        None if message == "image too small" => "image_too_small",
        None if message == "image area too large" => "image_area_too_large",
        None if message == "aspect ratio too large" => "aspect_ratio_too_large",
        None if message.contains("decoding") => "undecodable",
        None => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn img2datasets_words_have_kinds() {
        for (message, kind) in [
            ("HTTP Error 404: Not Found", "http_4xx"),
            ("HTTP Error 429: Too Many Requests", "http_429"),
            ("HTTP Error 503: Service Unavailable", "http_5xx"),
            ("<urlopen error timed out>", "timeout"),
            ("<urlopen error [Errno -2] Name or service not known>", "dns"),
            ("<urlopen error [Errno 111] Connection refused>", "connect"),
            (
                "<urlopen error [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)>",
                "tls",
            ),
            ("Use of image disallowed by X-Robots-Tag directive", "x_robots_tag"),
            ("Image decoding error", "undecodable"),
            ("unknown url type: 'ftp'", "bad_url"),
        ] {
            assert_eq!(kind_of(message), Some(kind), "{message}");
        }
    }
}
