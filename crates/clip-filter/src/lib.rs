//! Which pairs of a pool a model is trained on: DataComp's baselines by name, SQL conditions, exact
//! fractions by a score, SemDeDup. All of it reads tables and embeddings that are there, and
//! fetches nothing. [`SelectStage`] and [`SemanticStage`] are the same as stages of a build.
//!
//! ```
//! use clip_filter::Preset;
//!
//! let preset: Preset = "clip_score".parse().unwrap();
//! assert!(preset.needs_score() && !preset.needs_language());
//! ```

mod account;
mod caption;
mod centroids;
mod cut;
mod error;
mod filter;
mod gate_report;
mod gates;
mod npz;
mod pool;
mod preset;
mod radix;
mod report;
mod scan;
mod select;
mod selection;
mod semantic;
mod stage;

pub use centroids::Centroids;
pub use cut::Top;
pub use error::{Error, Result};
pub use filter::run;
pub use gate_report::{GateReport, Histogram, Near};
pub use gates::{Gate, Gates};
pub use pool::{Pool, PoolFile};
pub use preset::{Cut, Preset, Settings};
pub use report::{Dropped, FilterReport, ScoreBin};
pub use select::Select;
pub use semantic::{Clustering, Clusters, Keep, Semantic, SemanticAccount, SemanticStage};
pub use stage::{SelectAccount, SelectStage};
