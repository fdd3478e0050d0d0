//! Embeddings of texts, by the process that scores pairs.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use clip_curate::PairScorer;
use clip_format::npy;
use clip_image::{Rgb, encode_png};
use clip_pipeline::config::score::Score;
use clip_score::Pair;
use clip_serve::TextEncoder;
use serde_json::json;

use crate::score_process::ScoreProcess;

/// Asks a model's process for the embedding of a caption, with an image that does not count.
pub struct ScoredText {
    process: ScoreProcess,
    image: Vec<u8>,
}

impl ScoredText {
    /// By a model, whose process starts with the first text.
    ///
    /// # Errors
    /// When the options make no scorer.
    pub fn new(model: PathBuf, model_name: Option<String>) -> anyhow::Result<Self> {
        let options = json!({"model": model, "model_name": model_name, "embeddings": true});
        let score: Score = serde_json::from_value(options)?;
        let image = encode_png(&Rgb { width: 8, height: 8, data: vec![128; 8 * 8 * 3] })?;
        Ok(Self { process: ScoreProcess::new(Path::new(""), &score), image })
    }
}

impl TextEncoder for ScoredText {
    fn encode(&self, text: &str) -> Result<Vec<f32>, String> {
        let image = Cow::Borrowed(self.image.as_slice());
        let pair = Pair { image, captions: vec![Cow::Borrowed(text)] };
        let scored = self.process.score(&[pair], &|| false).map_err(|e| e.to_string())?;
        let scores = scored.into_iter().next().ok_or("the model gave no answer")?;
        let scores = scores.map_err(|fault| fault.detail().to_owned())?;
        let embeddings = scores.embeddings.ok_or("the model gave no embeddings")?;
        Ok(embeddings.text.as_chunks::<2>().0.iter().map(|half| npy::half(*half)).collect())
    }
}
