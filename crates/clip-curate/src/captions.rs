//! Cleaning captions, and dropping those that say nothing.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use clip_corpus::columns;
use clip_pipeline::{Error, Map, PartSink, Result};
use clip_text::CaptionFilter;

/// Fixes broken text, unescapes HTML and folds white space, then applies the caption filter.
///
/// `uid` stays as collected: it names the pair by the words of the page.
pub struct Captions {
    filter: CaptionFilter,
}

impl Captions {
    /// Name of the stage.
    pub const STAGE: &'static str = "captions";

    /// With the rules of `[caption]`.
    pub fn new(filter: CaptionFilter) -> Self {
        Self { filter }
    }
}

impl Map for Captions {
    fn apply(&self, batch: RecordBatch, out: &mut PartSink) -> Result<()> {
        let captions = text_column(&batch, Self::STAGE, columns::CAPTION)?;
        let cleaned: Vec<String> =
            captions.iter().map(|c| clip_text::clean(c.unwrap_or(""))).collect();
        let reasons: Vec<_> = cleaned
            .iter()
            .map(|caption| self.filter.reject(caption))
            .map(|reason| reason.map(|reason| (reason.to_owned(), String::new())))
            .collect();
        let column: ArrayRef = Arc::new(StringArray::from(cleaned));
        let batch = columns::with_column(&batch, columns::CAPTION, false, column);
        out.split(&batch.map_err(|e| Error::arrow(Self::STAGE, e))?, &reasons)
    }
}

/// A text column that a stage cannot do without.
pub(crate) fn text_column<'a>(
    batch: &'a RecordBatch,
    stage: &str,
    name: &str,
) -> Result<&'a StringArray> {
    columns::text(batch, name)
        .ok_or_else(|| Error::stage(stage, format!("the input lacks the text column `{name}`")))
}
