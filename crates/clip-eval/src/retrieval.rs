//! Retrieval between images and captions.

use clip_datasets::{EvalSet, Task, Truth};
use clip_model::Clip;
use clip_text::Tokenizer;
use serde::Serialize;

use crate::metrics::{RetrievalScores, retrieval_scores};
use crate::{Error, FeatureOptions, Result, embed_texts, image_features};

/// The result of a retrieval evaluation.
#[derive(Debug, Serialize)]
pub struct Retrieval {
    /// Name of the evaluation set.
    pub dataset: String,
    /// What stood before each caption.
    pub prompt: String,
    /// Images.
    pub images: u64,
    /// Captions.
    pub captions: u64,
    /// Recall both ways.
    pub scores: RetrievalScores,
    /// Images that could not be decoded and were passed over with their captions: key and reason.
    pub unreadable: Vec<(String, String)>,
    /// Hash of the items.
    pub data_hash: String,
    /// Similarities, captions x images.
    #[serde(skip)]
    pub similarity: Vec<f32>,
    /// Keys of the images.
    #[serde(skip)]
    pub keys: Vec<String>,
    /// The image of each caption.
    #[serde(skip)]
    pub owner: Vec<usize>,
}

/// Evaluates; `prompt` is put before each caption (the paper has "a photo of ", CLIP_benchmark nothing).
pub fn retrieval(
    model: &Clip,
    tokenizer: &Tokenizer,
    set: &EvalSet,
    (prompt, ks): (&str, &[usize]),
    options: FeatureOptions,
    progress: &dyn Fn(usize),
) -> Result<Retrieval> {
    if set.task != Task::Retrieval {
        let reason = "its items have no captions\nhint: clip-data eval zero-shot".to_owned();
        return Err(Error::Task { set: set.name.clone(), reason });
    }
    let images = image_features(model, set, options, progress)?;
    let (mut texts, mut owner) = (Vec::new(), Vec::new());
    for (image, truth) in images.truths.iter().enumerate() {
        if let Truth::Captions(captions) = truth {
            texts.extend(captions.iter().map(|caption| format!("{prompt}{caption}")));
            owner.extend(std::iter::repeat_n(image, captions.len()));
        }
    }
    let captions = embed_texts(model, tokenizer, &texts)?;
    let scores = captions.matmul(&images.tensor.tr());
    let similarity: Vec<f32> = Vec::try_from(scores.contiguous().view([-1]))?;
    let count = images.keys.len();
    let scores = retrieval_scores(&similarity, &owner, count, ks)?;
    Ok(Retrieval {
        dataset: set.name.clone(),
        prompt: prompt.to_owned(),
        images: count as u64,
        captions: texts.len() as u64,
        scores,
        unreadable: images.unreadable,
        data_hash: images.data_hash,
        similarity,
        keys: images.keys,
        owner,
    })
}
