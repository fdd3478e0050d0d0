//! Some of a set's classes.

use crate::Result;
use crate::item::{EvalItem, Truth};

/// Classes that are kept of a set's (paper, section 3.3: shifted sets have some of ImageNet's).
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct ClassSubset {
    /// What was asked for: a file, a subset that is known by name, or names.
    pub name: String,
    /// Classes that are kept.
    pub classes: usize,
    /// Classes of the whole set.
    pub of: usize,
    /// For each class of the whole set its place among those kept.
    #[serde(skip)]
    pub(crate) places: Vec<Option<usize>>,
}

impl ClassSubset {
    /// The item with its class renumbered; none where its class is left out. Of an item with marks
    /// the marks of other classes are left out: an item of none of the kept classes is a
    /// negative of each.
    pub(crate) fn keep(&self, item: Result<EvalItem>) -> Result<Option<EvalItem>> {
        let mut item = item?;
        item.truth = match item.truth {
            Truth::Class(class) => match self.places[class] {
                Some(place) => Truth::Class(place),
                None => return Ok(None),
            },
            Truth::Marks(marks) => {
                let kept = marks.iter().zip(&self.places).filter(|(_, place)| place.is_some());
                Truth::Marks(kept.map(|(mark, _)| *mark).collect())
            }
            captions @ Truth::Captions(_) => captions,
        };
        Ok(Some(item))
    }
}
