//! Images to features, decoded and resized on threads.

use clip_datasets::{EvalItem, EvalSet};
use clip_image::{DecodeOptions, Rgb, clip_preprocess, decode};
use clip_model::{Clip, MEAN, STD};
use clip_torch::tch::{Kind, Tensor, no_grad};
use rayon::prelude::*;

use crate::classifier::unit;
use crate::{Error, Result};

/// Images that are embedded at a time.
const BATCH: usize = 128;

/// Unit embeddings [n, embed_dim] of all items, with their keys and labels, in the order of the set.
///
/// `progress` is told how many items are done. An image that cannot be decoded is an error: a score over
/// fewer items would not be the set's.
pub fn image_features(
    model: &Clip,
    set: &EvalSet,
    progress: &dyn Fn(usize),
) -> Result<(Tensor, Vec<String>, Vec<usize>)> {
    let (mut keys, mut labels, mut features) = (Vec::new(), Vec::new(), Vec::new());
    let mut items = set.items();
    loop {
        let batch: Vec<EvalItem> =
            items.by_ref().take(BATCH).collect::<clip_datasets::Result<_>>()?;
        if batch.is_empty() {
            break;
        }
        let size = model.config().vision_cfg.image_size as u32;
        let images: Result<Vec<Rgb>> = batch
            .par_iter()
            .map(|item| {
                let image =
                    decode(&item.image, &DecodeOptions::default()).map_err(|e| Error::Image {
                        set: set.name.clone(),
                        key: item.key.clone(),
                        reason: e.to_string(),
                    })?;
                Ok(clip_preprocess(&image, size))
            })
            .collect();
        let input = pixels(&images?).to_device(model.device());
        features.push(no_grad(|| unit(&model.encode_image(&input).to_kind(Kind::Float))));
        labels.extend(batch.iter().map(|item| item.label.0));
        keys.extend(batch.into_iter().map(|item| item.key));
        progress(keys.len());
    }
    if keys.is_empty() {
        return Err(Error::Empty(set.name.clone()));
    }
    Ok((Tensor::cat(&features, 0), keys, labels))
}

/// Pictures of one size to normalised pixels, [n, 3, height, width] in f32.
pub fn pixels(images: &[Rgb]) -> Tensor {
    let bytes: Vec<u8> = images.iter().flat_map(|image| image.data.iter().copied()).collect();
    let (h, w) = images.first().map_or((0, 0), |image| (image.height, image.width));
    let shape = [images.len() as i64, i64::from(h), i64::from(w), 3];
    let row = |values: [f64; 3]| Tensor::from_slice(&values.map(|v| v as f32)).view([1, 3, 1, 1]);
    let x =
        Tensor::from_slice(&bytes).view(shape).permute([0, 3, 1, 2]).to_kind(Kind::Float) / 255.0;
    ((x - row(MEAN)) / row(STD)).contiguous()
}
