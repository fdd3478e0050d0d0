//! A corpus: its tables, filters on them, and the images of rows.

mod filter;
mod images;
mod source;
mod tables;

pub(crate) use filter::{FIELDS, caption_column, condition, score_columns};
pub(crate) use images::{ShardIndexes, image_of_row};
pub(crate) use source::Source;
pub(crate) use tables::Tables;
