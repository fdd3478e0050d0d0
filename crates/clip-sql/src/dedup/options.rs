//! What is deduplicated, and by what.

use std::path::PathBuf;
use std::sync::Arc;

/// Looks at candidates: whether two images show the same.
pub trait Compare: Send + Sync {
    /// What is kept of an encoded image, at most some 12 KB; nothing when it cannot be decoded.
    fn thumb(&self, image: &[u8]) -> Option<Vec<u8>>;
    /// Whether the images of two thumbs are copies.
    fn alike(&self, a: &[u8], b: &[u8]) -> bool;
}

/// Of images with the same bytes, or that are near copies of a chain of others, the largest stays,
/// then the one with the longest caption, then the first.
///
/// Near copies have perceptual hashes within `radius` bits, and are alike for `compare` where there
/// is one. The others are dropped as `exact_duplicate` or `near_duplicate`, and as `in_corpus` what
/// a `known` corpus has. An image behind more URLs or captions than `placeholder_limit` shows
/// nothing of what they say ("image not available"): all of its rows are dropped as `placeholder`.
/// Flat images (black frames, plain logos) have hashes that say nothing and are compared by their
/// bytes alone. Every row gains `cluster` (the row that stays) and `captions` (where a cluster has
/// several images: its captions, the kept one's first, each once).
///
/// SQL finds equal bytes and whom to keep. It spills, and so does the search for near hashes:
/// memory does not grow with the number of images, but for `compare`, which takes some 60 bytes
/// for each image that has a neighbour, and for the hashes of `known`.
#[derive(Clone)]
pub struct Deduplicate {
    /// Bits of 64; 0 leaves only files with the same bytes.
    pub radius: u32,
    /// Captions of those that are dropped that go to the one that stays, its own included; 0 for
    /// none.
    pub max_captions: usize,
    /// Different URLs or captions that an image may have; 0 for any number.
    pub placeholder_limit: usize,
    /// Parquet tables of corpora that exist already, with `sha256`, and `phash` where near copies
    /// count.
    pub known: Vec<PathBuf>,
    /// Looks at candidates; without it hashes decide.
    pub compare: Option<Arc<dyn Compare>>,
}

impl Default for Deduplicate {
    /// Files with the same bytes, whatever their number.
    fn default() -> Self {
        let (known, compare) = (Vec::new(), None);
        Self { radius: 0, max_captions: 0, placeholder_limit: 0, known, compare }
    }
}

impl Deduplicate {
    /// The query files that decide.
    pub const QUERIES: [&str; 4] =
        ["30_exact_files", "31_known_files", "32_keep_best", "33_cluster_captions"];
}
