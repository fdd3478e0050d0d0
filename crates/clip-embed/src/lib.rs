//! Embeddings of images and texts, in clip-retrieval's layout: `img_emb/img_emb_0000.npy`,
//! `text_emb/text_emb_0000.npy` and `metadata/metadata_0000.parquet`, row by row the same items.

mod encoder;
mod error;
mod input;
mod npy;
mod run;

pub use encoder::Encoder;
pub use error::{Error, Result};
pub use input::{Input, Item, Part};
pub use npy::{Npy, NumberType};
pub use run::{Options, Summary, run};
