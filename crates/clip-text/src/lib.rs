//! CLIP's text side: caption cleaning, BPE tokenizer, language identification.

mod clean;
mod error;
mod fasttext;
mod filter;
mod fix_text;
mod language;
mod tokenizer;

pub use clean::clean;
pub use error::{Error, Result};
pub use filter::{CaptionFilter, CaptionPreset};
pub use language::{LanguageId, LanguageWorkspace};
pub use tokenizer::Tokenizer;
