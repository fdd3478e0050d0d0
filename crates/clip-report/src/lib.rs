//! HTML reports: one self-contained page, with its images and charts inside.
//!
//! Every section is a function from what a run left on disk to a [`Section`]; a page shows those
//! that have parts.
//!
//! ```
//! use clip_report::{Page, Section, Table};
//!
//! # fn main() -> clip_report::Result<()> {
//! let folder = tempfile::tempdir().unwrap();
//! let mut page = Page::new("A corpus");
//! let mut table = Table::new(["stage", "pairs"]);
//! table.push(["fetch".into(), 9120.into()]);
//! page.add(&Section::new("Funnel", "Pairs after each stage.").table(&table));
//! page.write(&folder.path().join("report.html"))?;
//! # Ok(())
//! # }
//! ```

mod balance;
mod chart;
mod compare;
mod copies;
mod error;
mod frequency;
mod funnel;
mod histograms;
mod hosts;
mod image;
mod markup;
mod near;
mod page;
mod quality;
mod retrained;
mod samples;
mod scores;
mod section;
mod select;
mod sheet;
mod survey;
mod table;
mod texts;
mod training;

pub use balance::{balance, tail_chart};
pub use chart::{Axis, Line, Scale, line_chart};
pub use compare::compare;
pub use copies::{Images, contamination, shown_copies, stored};
pub use error::{Error, Result};
pub use frequency::frequency;
pub use funnel::{funnel, funnel_with};
pub use histograms::{ScoreSpread, histograms, rows_at_ends, spreads};
pub use hosts::{hosts, reasons};
pub use image::{image_tag, small_image};
pub use markup::{escape, grouped, percent, percent_fine};
pub use page::{Page, STYLE};
pub use quality::{QualityGate, QualityModel, quality, quality_gates, rows_near_limits};
pub use retrained::retrained;
pub use samples::samples;
pub use scores::{KeptClasses, OTHER_CORPUS, ScoreFile, ScoredPart, UNAUDITED};
pub use section::Section;
pub use select::{rows_near_cuts, select};
pub use sheet::{PAIR_KEYS, borderline, sheet};
pub use survey::{
    CAPTION_COLUMNS, Counts, Duplicates, Place, Reading, Record, Spread, Survey, URL_COLUMNS,
    add_list, browse, list_columns,
};
pub use table::{Cell, Table};
pub use training::training;
