//! Embeddings of images and texts, and scores of pairs by them.
//!
//! Embeddings are in clip-retrieval's layout: `img_emb/img_emb_0000.npy`,
//! `text_emb/text_emb_0000.npy` and `metadata/metadata_0000.parquet`, row by row the same items.

mod batch;
mod done;
mod encoder;
mod error;
mod head;
mod input;
mod npy;
mod run;
mod score_run;
mod scorer;

pub use done::Summary;
pub use encoder::Encoder;
pub use error::{Error, Result};
pub use head::LoadedHead;
pub use input::{Input, Item, Part};
pub use npy::{Npy, NumberType};
pub use run::{Options, run};
pub use score_run::{ScoreOptions, score};
pub use scorer::Scorer;
