//! How a set is opened.

use crate::item::{Frames, Split};
use crate::registry::Protocol;

/// How to open a set.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Its name; a dataset of the registry brings classes, prompts and metric.
    pub name: Option<String>,
    /// Whose prompts and class order; by default the folder's own where it has some, else the
    /// paper's.
    pub protocol: Option<Protocol>,
    /// The part.
    pub split: Split,
    /// What stands for a video.
    pub frames: Frames,
    /// The layout, by name, where it shall not be recognised.
    pub loader: Option<String>,
    /// The fold, from 0, of a dataset that has several ([`crate::EvalSet::folds`]); the first by
    /// default.
    pub fold: Option<usize>,
}
