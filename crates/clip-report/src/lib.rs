//! HTML reports: one page that stands alone, with its pictures and charts inside.
//!
//! Every section is a function from what a run left on disk to HTML; a page is those that have something to say.

mod chart;
mod copies;
mod error;
mod funnel;
mod page;
mod samples;
mod scores;
mod survey;
mod training;

pub use chart::{Line, line_chart};
pub use copies::contamination;
pub use error::{Error, Result};
pub use funnel::{balance, funnel};
pub use page::Page;
pub use samples::samples;
pub use scores::scores;
pub use survey::{Counts, Duplicates, Place, Reading, Record, Spread, Survey, browse};
pub use training::training;
