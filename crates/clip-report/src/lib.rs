//! HTML reports: one self-contained page, with its images and charts inside.
//!
//! Every section is a function from what a run left on disk to HTML; a page is those that have
//! something to say.
//!
//! ```
//! use clip_report::{Page, table};
//!
//! # fn main() -> clip_report::Result<()> {
//! let folder = tempfile::tempdir().unwrap();
//! let mut page = Page::new("A corpus");
//! let rows = table(&["stage", "pairs"], &[vec!["fetch".into(), "9,120".into()]]);
//! page.section("Funnel", "Pairs after each stage.", &rows);
//! page.write(&folder.path().join("report.html"))?;
//! # Ok(())
//! # }
//! ```

mod balance;
mod chart;
mod copies;
mod error;
mod funnel;
mod histograms;
mod hosts;
mod near;
mod page;
mod quality;
mod samples;
mod scores;
mod select;
mod sheet;
mod survey;
mod training;

pub use balance::{balance, tail_chart};
pub use chart::{Line, line_chart};
pub use copies::{Images, contamination, shown_copies, stored};
pub use error::{Error, Result};
pub use funnel::funnel;
pub use histograms::{ScoreSpread, histograms, rows_at_ends, spreads};
pub use hosts::{hosts, reasons};
pub use page::{Page, escape, image_tag, table};
pub use quality::{QualityGate, QualityModel, quality, quality_gates, rows_near_limits};
pub use samples::samples;
pub use scores::scores;
pub use select::{rows_near_cuts, select};
pub use sheet::{borderline, sheet};
pub use survey::{
    Counts, Duplicates, Place, Reading, Record, Spread, Survey, add_list, browse, list_columns,
};
pub use training::training;
