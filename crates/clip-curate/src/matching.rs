//! Matching captions against the query list.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, RecordBatch, UInt32Builder};
use clip_corpus::columns;
use clip_pipeline::{Error, Map, PartSink, Result};
use clip_query::{LanguageMatcher, Workspace};

use crate::captions::text_column;

/// Adds `queries`, the ascending ids of the queries of its language that a caption contains; drops
/// nothing.
///
/// Whether a pair without a query may stay is the balance's to say.
pub struct Matches {
    matcher: LanguageMatcher,
    places: bool,
}

impl Matches {
    /// Name of the stage.
    pub const STAGE: &'static str = "match";

    /// With a matcher over the lists. With `places`, `query_places` says where each query is
    /// first: two numbers a query, its first character in the caption and the one after its
    /// last, counted from 0.
    pub fn new(matcher: LanguageMatcher, places: bool) -> Self {
        Self { matcher, places }
    }
}

/// Where each of `queries` is in the caption.
const PLACES: &str = "query_places";

impl Map for Matches {
    fn apply(&self, batch: RecordBatch, out: &mut PartSink) -> Result<()> {
        let captions = text_column(&batch, Self::STAGE, columns::CAPTION)?;
        let by_language = self.matcher.needs_language();
        let languages = by_language.then(|| text_column(&batch, Self::STAGE, columns::LANGUAGE));
        let languages = languages.transpose()?;
        let mut queries = ListBuilder::new(UInt32Builder::new());
        let mut places = ListBuilder::new(UInt32Builder::new());
        let mut workspace = Workspace::default();
        let (mut ids, mut found) = (Vec::new(), Vec::new());
        for (row, caption) in captions.iter().enumerate() {
            let caption = caption.unwrap_or("");
            let language = languages.map_or("", |languages| languages.value(row));
            if self.places {
                self.matcher.find_places(language, caption, &mut workspace, &mut found);
                for place in &found {
                    queries.values().append_value(place.query);
                    places.values().append_slice(&[place.start, place.end]);
                }
            } else {
                self.matcher.find(language, caption, &mut workspace, &mut ids);
                queries.values().append_slice(&ids);
            }
            queries.append(true);
            places.append(true);
        }
        let arrow = |e| Error::arrow(Self::STAGE, e);
        let column: ArrayRef = Arc::new(queries.finish());
        let mut batch =
            columns::with_column(&batch, columns::QUERIES, false, column).map_err(arrow)?;
        if self.places {
            let column: ArrayRef = Arc::new(places.finish());
            batch = columns::with_column(&batch, PLACES, false, column).map_err(arrow)?;
        }
        out.keep(batch)
    }
}
