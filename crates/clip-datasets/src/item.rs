//! One item of an evaluation set, and what is true of it.

/// What is true of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// Its class, as an index into the set's classes.
    Class(usize),
    /// For each class 1 where it is present, -1 where it is not, 0 where that is not judged.
    Marks(Vec<i8>),
    /// Its captions.
    Captions(Vec<String>),
}

impl Truth {
    /// The class, where there is exactly one.
    pub fn class(&self) -> Option<usize> {
        match self {
            Self::Class(class) => Some(*class),
            _ => None,
        }
    }
}

/// One item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvalItem {
    /// Its key, unique in the set.
    pub key: String,
    /// Its encoded image.
    pub image: Vec<u8>,
    /// What is true of it.
    pub truth: Truth,
    /// The group that it counts for (a region, an income), where the set has groups.
    pub group: Option<String>,
    /// The video that it is a frame of, where several items make one example.
    pub video: Option<String>,
}

impl EvalItem {
    pub(crate) fn new(key: String, image: Vec<u8>, truth: Truth) -> Self {
        Self { key, image, truth, group: None, video: None }
    }
}

/// What a set asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// One class an item.
    Classification,
    /// Any number of classes an item.
    MultiLabel,
    /// Which caption belongs to which image.
    Retrieval,
}

/// A part of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What a probe is fitted on.
    Train,
    /// What its strength is chosen on.
    Val,
    /// What is scored.
    #[default]
    Test,
}

impl Split {
    /// `train`, `val` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

/// Which frames of a video stand for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Frames {
    /// The middle one (paper, table 11).
    #[default]
    Middle,
    /// All of them, each an item that names its video (paper, table 15).
    All,
}
