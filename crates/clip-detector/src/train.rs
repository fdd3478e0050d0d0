//! Training: an image's altered copy must be found among those of all other images of the batch.

use std::time::{Duration, Instant};

use clip_image::Rgb;
use clip_random::Draw;
use clip_torch::tch::{self, Kind, Tensor, no_grad};
use clip_torch::{AdamW, Moments, Precision, autocast};
use rayon::prelude::*;

use crate::augment::altered;
use crate::data::TrainingImages;
use crate::{Detector, Result};

/// The paper's temperature.
const TEMPERATURE: f64 = 0.07;

/// How to train.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// Images in a batch; the paper's is 1,712.
    pub batch: usize,
    /// Steps in all.
    pub steps: u64,
    /// Stop after this time, with the rate lowered towards the end all the same.
    pub limit: Option<Duration>,
    /// Peak learning rate.
    pub lr: f64,
    /// Seed of the images' order and alterations.
    pub seed: u64,
    /// The arithmetic.
    pub precision: Precision,
}

/// The state of a training.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Mean loss of the last steps.
    pub loss: f64,
    /// Share of the last batch's images whose own copy was nearest: the paper's proxy task.
    pub accuracy: f64,
    /// Images a second.
    pub rate: f64,
    /// Share of the training that is done, by steps or by time.
    pub done: f64,
}

/// Trains; `watch` gets every step and returns whether to continue.
pub fn train(
    detector: &Detector,
    images: &TrainingImages,
    options: &TrainOptions,
    watch: &mut dyn FnMut(Progress) -> bool,
) -> Result<Progress> {
    let params: Vec<Tensor> =
        detector.named_parameters().iter().map(|(_, tensor)| tensor.shallow_clone()).collect();
    let mut adam = AdamW::new(&params, (0.9, 0.98), 1e-6, 0.0, Moments::F32);
    let batch = options.batch.min(images.all().len());
    let size = detector.config().size as u32;
    tch::Cuda::cudnn_set_benchmark(true);
    let start = Instant::now();
    let mut progress =
        Progress { step: 0, loss: (batch as f64).ln(), accuracy: 0.0, rate: 0.0, done: 0.0 };
    let copies = |step| pair(images.all(), batch, size, options.seed, step);
    let mut next = copies(0);
    while progress.done < 1.0 {
        let (first, second) = &next;
        let logits = autocast(options.precision, detector.device(), || {
            let (a, b) = (detector.forward(first), detector.forward(second));
            (a.matmul(&b.transpose(0, 1)) / TEMPERATURE).to_kind(Kind::Float)
        });
        let labels = Tensor::arange(batch as i64, (Kind::Int64, logits.device()));
        let there = logits.cross_entropy_for_logits(&labels);
        let loss = (there + logits.transpose(0, 1).cross_entropy_for_logits(&labels)) / 2.0;
        loss.backward();
        adam.step(&params, options.lr * rate_at(progress.done))?;
        no_grad(|| {
            params.iter().for_each(|p| {
                let _ = p.grad().zero_();
            });
        });
        let right =
            logits.argmax(1, false).eq_tensor(&labels).to_kind(Kind::Float).mean(Kind::Float);
        progress.step += 1;
        if progress.step < options.steps {
            // A GPU is still at work on this step.
            next = copies(progress.step);
        }
        let weight = 1.0 / (progress.step as f64).min(20.0);
        progress.loss += weight * (f64::try_from(&loss)? - progress.loss);
        progress.accuracy = f64::try_from(&right)?;
        progress.rate = (progress.step * batch as u64) as f64 / start.elapsed().as_secs_f64();
        let by_time =
            options.limit.map_or(0.0, |limit| start.elapsed().as_secs_f64() / limit.as_secs_f64());
        progress.done = (progress.step as f64 / options.steps as f64).max(by_time).min(1.0);
        if !watch(progress) {
            break;
        }
    }
    Ok(progress)
}

/// Linear warm-up over a twentieth, then a cosine to zero.
fn rate_at(done: f64) -> f64 {
    if done < 0.05 {
        (done / 0.05).max(0.02)
    } else {
        0.5 + 0.5 * (std::f64::consts::PI * (done - 0.05) / 0.95).cos()
    }
}

/// Two altered copies of each image of a batch: [batch, 3, size, size], bytes 0 to 255.
fn pair(images: &[Rgb], batch: usize, size: u32, seed: u64, step: u64) -> (Tensor, Tensor) {
    let chosen = choose(images.len(), batch, seed, step);
    let made: Vec<[Rgb; 2]> = chosen
        .par_iter()
        .enumerate()
        .map(|(at, &image)| {
            [0, 1].map(|side| altered(&images[image], size, seed, step, 2 * at as u64 + side))
        })
        .collect();
    let side =
        |which: usize| tensor(&made.iter().map(|pair| &pair[which]).collect::<Vec<_>>(), size);
    (side(0), side(1))
}

/// Different images for a batch.
fn choose(images: usize, batch: usize, seed: u64, step: u64) -> Vec<usize> {
    let mut draw = Draw::of([seed, step, u64::MAX]);
    let mut seen = std::collections::HashSet::new();
    let mut chosen = Vec::with_capacity(batch);
    while chosen.len() < batch {
        let at = draw.below(images);
        if seen.insert(at) {
            chosen.push(at);
        }
    }
    chosen
}

/// Images of one size as [n, 3, size, size].
fn tensor(images: &[&Rgb], size: u32) -> Tensor {
    let bytes: Vec<u8> = images.iter().flat_map(|image| image.data.iter().copied()).collect();
    let side = i64::from(size);
    Tensor::from_slice(&bytes).view([images.len() as i64, side, side, 3]).permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DetectorConfig, Kind as Block};
    use clip_image::{Filter, encode_png, resize};
    use clip_torch::tch::Device;

    fn images(dir: &std::path::Path) -> TrainingImages {
        for at in 0..48u64 {
            let mut data = vec![0; 5 * 5 * 3];
            blake3::Hasher::new().update(&at.to_le_bytes()).finalize_xof().fill(&mut data);
            let image = resize(&Rgb { width: 5, height: 5, data }, 48, 48, Filter::Bicubic);
            std::fs::write(dir.join(format!("{at}.png")), encode_png(&image).unwrap()).unwrap();
        }
        std::fs::write(dir.join("again.png"), std::fs::read(dir.join("0.png")).unwrap()).unwrap();
        std::fs::write(dir.join("none.png"), b"none").unwrap();
        TrainingImages::open(&[dir.display().to_string()], 100, 48, &|_| ()).unwrap()
    }

    #[test]
    fn a_tiny_detector_learns_to_find_copies() {
        learns(Device::Cpu, Precision::F32);
    }

    #[test]
    #[ignore = "needs a GPU"]
    fn cuda_detector_learns_too() {
        clip_torch::init(None).unwrap();
        learns(Device::Cuda(0), Precision::Bf16);
    }

    fn learns(device: Device, precision: Precision) {
        let dir = tempfile::tempdir().unwrap();
        let images = images(dir.path());
        assert_eq!((images.all().len(), images.unreadable), (48, 1));
        clip_torch::tch::manual_seed(3);
        let config = DetectorConfig {
            size: 24,
            stem: 8,
            widths: vec![16, 24],
            blocks: vec![1, 1],
            kind: Block::Basic,
            dim: 16,
        };
        let detector = Detector::new(&config, device).unwrap();
        let options =
            TrainOptions { batch: 32, steps: 60, limit: None, lr: 3e-3, seed: 1, precision };
        let mut first = None;
        let last = train(&detector, &images, &options, &mut |p| {
            first.get_or_insert(p.loss);
            true
        });
        let (first, last) = (first.unwrap(), last.unwrap());
        assert_eq!(last.step, 60);
        assert!(last.loss < first - 0.7, "{first} to {}", last.loss);
    }

    #[test]
    fn batches_hold_each_image_once() {
        let mut chosen = choose(40, 40, 1, 2);
        chosen.sort_unstable();
        assert_eq!(chosen, (0..40).collect::<Vec<_>>());
    }
}
