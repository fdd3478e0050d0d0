//! Retrieval between images and captions.

use std::io::Write;
use std::ops::Range;
use std::path::Path;

use clip_datasets::{EvalSet, Task, Truth};
use clip_format::{AtomicFile, PathError, npy};
use clip_model::Clip;
use clip_text::Tokenizer;
use clip_torch::tch::Tensor;
use serde::Serialize;

use crate::metrics::{RetrievalScores, retrieval_scores};
use crate::{Error, FeatureOptions, Result, Sample, embed_texts, image_features};

/// CLIP_benchmark's and DataComp's Ks.
const KS: [usize; 3] = [1, 5, 10];

/// The result of a retrieval evaluation.
#[derive(Debug, Serialize)]
pub struct Retrieval {
    /// Name of the evaluation set.
    pub dataset: String,
    /// What is put before each caption.
    pub prompt: String,
    /// Images.
    pub images: u64,
    /// Captions.
    pub captions: u64,
    /// Recall both ways.
    pub scores: RetrievalScores,
    /// Images that could not be decoded and were skipped with their captions: key and reason.
    pub unreadable: Vec<(String, String)>,
    /// How many of the set's images were taken.
    #[serde(flatten)]
    pub sample: Sample,
    /// Hash of the items.
    pub data_hash: String,
    /// Unit features of the captions and the images.
    #[serde(skip)]
    features: [Tensor; 2],
}

impl Retrieval {
    /// Writes the similarities [captions, images] as `.npy`, some rows at a time.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_similarities(&self, path: &Path) -> Result<()> {
        let failed = |e| PathError::new(path, e);
        let [captions, images] = &self.features;
        let shape = [self.captions as usize, self.images as usize];
        let mut file = AtomicFile::create(path)?;
        file.write_all(&npy::header("'<f4'", &shape)).map_err(failed)?;
        for first in (0..shape[0]).step_by(ROWS) {
            let rows = similarities(captions, images, first..shape[0].min(first + ROWS))?;
            let bytes: Vec<u8> = rows.iter().flat_map(|number| number.to_le_bytes()).collect();
            file.write_all(&bytes).map_err(failed)?;
        }
        Ok(file.commit()?)
    }
}

/// Rows of similarities that are written at a time.
const ROWS: usize = 64;

/// Similarities of some captions to all images, caption by caption.
fn similarities(captions: &Tensor, images: &Tensor, rows: Range<usize>) -> Result<Vec<f32>> {
    let some = captions.narrow(0, rows.start as i64, rows.len() as i64);
    Ok(Vec::try_from(some.matmul(&images.tr()).contiguous().view([-1]))?)
}

/// The same of some images to all captions, image by image.
fn of_images(captions: &Tensor, images: &Tensor, rows: Range<usize>) -> Result<Vec<f32>> {
    let some = images.narrow(0, rows.start as i64, rows.len() as i64);
    // The product as above, so that both ways give the same numbers where one block has all.
    Ok(Vec::try_from(captions.matmul(&some.tr()).tr().contiguous().view([-1]))?)
}

/// Evaluates; `prompt` is put before each caption (the paper has "a photo of ", CLIP_benchmark
/// nothing). Without `ks` they are 1, 5 and 10, as far as there are that many images and captions.
///
/// # Errors
/// A K of 0, or larger than the number of images or captions; output of the model that is not
/// finite.
pub fn retrieval(
    model: &Clip,
    tokenizer: &Tokenizer,
    set: &EvalSet,
    (prompt, ks): (&str, Option<&[usize]>),
    options: FeatureOptions,
    progress: &dyn Fn(usize),
) -> Result<Retrieval> {
    if set.task != Task::Retrieval {
        let reason = "its items have no captions\nhint: clip-data eval zero-shot".to_owned();
        return Err(Error::Task { set: set.name.clone(), reason });
    }
    let size = set.len().map(|n| n.min(options.limit.map_or(n, |limit| limit as u64)));
    check(&set.name, ks.unwrap_or_default(), size.unwrap_or(u64::MAX))?;
    let images = image_features(model, set, options, progress)?;
    let (mut texts, mut owner) = (Vec::new(), Vec::new());
    for (image, truth) in images.truths.iter().enumerate() {
        if let Truth::Captions(captions) = truth {
            texts.extend(captions.iter().map(|caption| format!("{prompt}{caption}")));
            owner.extend(std::iter::repeat_n(image, captions.len()));
        }
    }
    let least = images.keys.len().min(texts.len());
    let ks: Vec<usize> = match ks {
        Some(ks) => ks.to_vec(),
        None => KS.into_iter().filter(|k| *k <= least).collect(),
    };
    check(&set.name, &ks, least as u64)?;
    let captions = embed_texts(model, tokenizer, &texts)?;
    let features = [captions, images.tensor];
    let [u, v] = &features;
    let scores = retrieval_scores(
        |rows| similarities(u, v, rows),
        |rows| of_images(u, v, rows),
        &owner,
        images.keys.len(),
        &ks,
    )?;
    Ok(Retrieval {
        dataset: set.name.clone(),
        prompt: prompt.to_owned(),
        images: images.keys.len() as u64,
        captions: texts.len() as u64,
        scores,
        unreadable: images.unreadable,
        sample: images.sample,
        data_hash: images.data_hash,
        features,
    })
}

/// Recall at K is of K among the answers: there must be that many.
fn check(set: &str, ks: &[usize], answers: u64) -> Result<()> {
    match ks.iter().find(|&&k| k == 0 || k as u64 > answers) {
        None => Ok(()),
        Some(k) => {
            let reason = if *k == 0 {
                "recall at 0 is of no answer: K is from 1".to_owned()
            } else {
                format!("recall at {k} of {answers} images or captions is of all of them")
            };
            Err(Error::Task { set: set.to_owned(), reason })
        }
    }
}
