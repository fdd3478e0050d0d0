//! CLIP's text side: caption cleaning, BPE tokenizer, language identification, classifiers.
//!
//! ```
//! use clip_text::{CaptionFilter, Tokenizer, clean};
//!
//! // What ftfy and CLIP's own tokenizer give.
//! assert_eq!(clean("caf\u{c3}\u{a9} &amp; bar"), "café & bar");
//! assert_eq!(Tokenizer::new().encode("a photo of a cat"), [320, 1125, 539, 320, 2368]);
//! assert_eq!(CaptionFilter::default().reject("IMG_2041.jpg"), Some("file_name"));
//! ```

mod classifier;
mod clean;
mod edit_distance;
mod error;
mod fasttext;
mod filter;
mod fix_text;
mod language;
mod language_names;
mod tokenizer;

pub use classifier::train::{TrainLoss, TrainOptions, Trained, train as train_classifier};
pub use classifier::{Classifier, ClassifierWorkspace};
pub use clean::clean;
pub use edit_distance::edit_distance;
pub use error::{Error, Result};
pub use filter::{CaptionFilter, CaptionPreset};
pub use language::{LanguageId, LanguageWorkspace};
pub use tokenizer::Tokenizer;
