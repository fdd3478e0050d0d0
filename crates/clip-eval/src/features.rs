//! Images to features, decoded and resized on threads.

use clip_datasets::{EvalItem, EvalSet, Truth};
use clip_image::{Preprocess, Rgb};
use clip_model::Clip;
use clip_torch::require_finite;
use clip_torch::tch::{Device, Kind, Tensor, no_grad};
use rayon::prelude::*;
use serde::Serialize;

use crate::classifier::unit;
use crate::{Error, Result};

/// Images that are embedded at a time.
const BATCH: usize = 128;

/// Which features of the image tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// The space that images and texts share, at unit length.
    Joint,
    /// Before the projection into it, at their own length: what the paper probes.
    Tower,
}

/// How images are taken.
#[derive(Debug, Clone, Copy)]
pub struct FeatureOptions {
    /// Which features.
    pub space: Space,
    /// Whether an image that cannot be decoded is counted and skipped, in place of an error.
    pub skip_unreadable: bool,
    /// Most items, evenly over the set, for a quick look; all by default.
    pub limit: Option<usize>,
    /// Images that are embedded at a time, at least 1.
    pub batch_size: usize,
}

impl Default for FeatureOptions {
    fn default() -> Self {
        Self { space: Space::Joint, skip_unreadable: false, limit: None, batch_size: BATCH }
    }
}

/// Features of the items of a set, in its order.
pub struct Features {
    /// One row an item, [n, d].
    pub tensor: Tensor,
    /// Keys.
    pub keys: Vec<String>,
    /// What is true of each.
    pub truths: Vec<Truth>,
    /// The group of each.
    pub groups: Vec<Option<String>>,
    /// The video of each.
    pub videos: Vec<Option<String>>,
    /// blake3 of the encoded image of each.
    pub contents: Vec<[u8; 32]>,
    /// Items whose image could not be decoded, with the reason.
    pub unreadable: Vec<(String, String)>,
    /// blake3 over keys, images and truths in order.
    pub data_hash: String,
    /// How many of the set's items these are.
    pub sample: Sample,
}

/// How many of a set's items were taken: a score of a part is no score of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// The limit that was asked for.
    pub limit: Option<usize>,
    /// Items that the set has.
    pub items_total: u64,
}

impl Sample {
    /// A line that says so, where the limit left items out.
    pub fn note(self) -> Option<String> {
        let limit = self.limit.filter(|limit| (*limit as u64) < self.items_total)?;
        let total = self.items_total;
        Some(format!(
            "--limit {limit}: these are scores of {limit} of the {total} items, evenly over the set"
        ))
    }
}

/// Features of all items. `progress` gets the number of items that are done.
///
/// # Errors
/// An image that cannot be decoded, unless those are skipped: a score over fewer items would not be
/// the set's. Features that are not finite, with the first item's key.
pub fn image_features(
    model: &Clip,
    set: &EvalSet,
    options: FeatureOptions,
    progress: &dyn Fn(usize),
) -> Result<Features> {
    let (mut keys, mut truths, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    let (mut groups, mut videos, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    let mut contents = Vec::new();
    let mut hasher = blake3::Hasher::new();
    let total = options.limit.map(|_| set.count()).transpose()?;
    let mut items = match options.limit.zip(total) {
        Some((limit, total)) => set.sampled(limit, total),
        None => set.items(),
    };
    let transform = model.transform();
    let mut done = 0;
    loop {
        let batch: Vec<EvalItem> =
            items.by_ref().take(options.batch_size).collect::<clip_datasets::Result<_>>()?;
        if batch.is_empty() {
            break;
        }
        done += batch.len();
        let looked = |item: &EvalItem| {
            let content = blake3::hash(&item.image);
            (prepare_image(&item.image, &transform), content, item_hash(item, content))
        };
        let decoded: Vec<_> = batch.par_iter().map(looked).collect();
        let mut images = Vec::with_capacity(batch.len());
        let first = keys.len();
        for (item, (image, content, hash)) in batch.into_iter().zip(decoded) {
            hasher.update(hash.as_bytes());
            match image {
                Ok(image) => images.push(image),
                Err(reason) if options.skip_unreadable => {
                    unreadable.push((item.key, reason));
                    continue;
                }
                Err(reason) => {
                    return Err(Error::Image { set: set.name.clone(), key: item.key, reason });
                }
            }
            keys.push(item.key);
            truths.push(item.truth);
            groups.push(item.group);
            videos.push(item.video);
            contents.push(*content.as_bytes());
        }
        if !images.is_empty() {
            let item = |row: usize| format!("item {:?} of {}", keys[first + row], set.name);
            rows.push(embed(model, &images, options.space, item)?);
        }
        progress(done);
    }
    if keys.is_empty() {
        return Err(Error::Empty(set.name.clone()));
    }
    let data_hash = hasher.finalize().to_hex().to_string();
    let tensor = Tensor::cat(&rows, 0);
    let sample = Sample { limit: options.limit, items_total: total.unwrap_or(done as u64) };
    Ok(Features { tensor, keys, truths, groups, videos, contents, unreadable, data_hash, sample })
}

/// The features of images of the model's size, [n, d] on the processor; `item` names what an image
/// is of.
///
/// # Errors
/// Features that are not finite.
pub fn embed(
    model: &Clip,
    images: &[Rgb],
    space: Space,
    item: impl Fn(usize) -> String,
) -> Result<Tensor> {
    let input = pixels(model, images);
    let rows = no_grad(|| match space {
        Space::Joint => unit(&model.encode_image(&input).to_kind(Kind::Float)),
        Space::Tower => model.image_features(&input).to_kind(Kind::Float),
    });
    require_finite(&rows, item)?;
    Ok(rows.to_device(Device::Cpu))
}

/// An encoded image as a model with that [`Clip::transform`] takes it, or why it cannot be read.
pub fn prepare_image(bytes: &[u8], transform: &Preprocess) -> std::result::Result<Rgb, String> {
    transform.pixels(bytes).map_err(|e| e.to_string())
}

fn item_hash(item: &EvalItem, content: blake3::Hash) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(item.key.as_bytes()).update(b"\0");
    hasher.update(content.as_bytes());
    match &item.truth {
        Truth::Class(class) => hasher.update(&(*class as u64).to_le_bytes()),
        Truth::Marks(marks) => hasher.update(&marks.iter().map(|m| *m as u8).collect::<Vec<_>>()),
        Truth::Captions(captions) => hasher.update(captions.join("\n").as_bytes()),
    };
    hasher.finalize()
}

/// Images of the model's size to its normalised pixels, [n, 3, size, size] in f32 on its device.
pub fn pixels(model: &Clip, images: &[Rgb]) -> Tensor {
    let bytes: Vec<&[u8]> = images.iter().map(|image| image.data.as_slice()).collect();
    let size = images.first().map_or(0, |image| i64::from(image.width));
    model.pixels(&clip_model::image_bytes(&bytes, size))
}
