//! Evaluation datasets: class names, prompts and items, from files that are there already.
//!
//! Nothing is downloaded. A folder is recognised by what is in it ([`open`]); a dataset of the
//! registry is opened by its name and a path ([`open_named`]), with its classes, prompts and
//! metric.
//!
//! ```
//! use clip_datasets::{OpenOptions, open_named};
//!
//! let cifar = clip_datasets::dataset("cifar10").unwrap();
//! assert_eq!((cifar.classes, cifar.test), (Some(10), Some(10_000)));
//!
//! let folder = tempfile::tempdir().unwrap();
//! let table = folder.path().join("set.csv");
//! std::fs::write(&table, "image,label\nred.png,fox\nbig.png,bear\n").unwrap();
//! let spec = format!("animals={}", table.display());
//! let set = open_named(&spec, &OpenOptions::default()).unwrap();
//! assert_eq!(set.classes, ["bear", "fox"]);
//! ```

mod claim;
mod class_names;
mod classes;
mod error;
mod export;
mod item;
mod item_hashes;
mod keep_classes;
mod load;
mod matching;
mod open;
mod open_options;
mod registry;
mod set;
mod set_name;
mod source;
mod subset;
#[cfg(test)]
mod test_files;

pub mod choice;

pub use error::{Error, Result};
pub use export::export;
pub use item::{EvalItem, Frames, Split, Task, Truth};
pub use item_hashes::ItemHashes;
pub use load::prompts::read_templates;
pub use load::{loader_names, tree};
pub use matching::ClassMatch;
pub use open::{open, open_named, open_unlabelled, open_with};
pub use open_options::OpenOptions;
pub use registry::{
    DataCompTask, Dataset, Grouping, Metric, NGrams, Prompts, Protocol, datacomp, dataset,
    datasets, find, find_datacomp, models, prompts, visual_n_grams,
};
pub use set::EvalSet;
pub use set_name::{name_warning, parse_named, set_name};
pub use subset::ClassSubset;
