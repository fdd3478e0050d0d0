//! CLIP's text side: caption cleaning, BPE tokenizer, language identification.

mod clean;
mod error;
mod filter;
mod language;
mod mend;
mod tokenizer;

pub use clean::clean;
pub use error::{Error, Result};
pub use filter::CaptionFilter;
pub use language::LanguageId;
pub use tokenizer::Tokenizer;
