//! Weights and inputs as a formula of their names, as in `scripts/golden/models.py`, and the golden
//! files.

use std::io::Read;
use std::path::PathBuf;

use clip_model::{Clip, ModelConfig};
use clip_torch::tch::{Device, Kind, Tensor};
use serde_json::Value;

/// A golden file.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// The bytes of a golden file, unpacked.
pub fn unpacked(name: &str) -> Vec<u8> {
    let file = std::fs::File::open(path(name)).unwrap();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Uniform in [-0.5, 0.5): murmur's finaliser over an index and FNV-1a of the name.
pub fn noise(name: &str, count: usize) -> Vec<f64> {
    let fold = |seed: u32, byte: u8| (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let seed = name.bytes().fold(0x811c_9dc5, fold);
    (0..count as u32)
        .map(|index| {
            let mut x = index.wrapping_mul(2_654_435_761).wrapping_add(seed);
            for (shift, factor) in [(16, 0x85eb_ca6b), (13, 0xc2b2_ae35), (16, 1u32)] {
                x = (x ^ (x >> shift)).wrapping_mul(factor);
            }
            f64::from(x) / 4_294_967_296.0 - 0.5
        })
        .collect()
}

/// Noise as a tensor in f64.
pub fn tensor(name: &str, shape: &[i64]) -> Tensor {
    Tensor::from_slice(&noise(name, shape.iter().product::<i64>() as usize)).view(shape)
}

fn weight(name: &str, shape: &[i64]) -> Tensor {
    if name == "logit_scale" {
        return Tensor::from(2.5f32);
    }
    if name.ends_with("num_batches_tracked") {
        return Tensor::from(3i64);
    }
    let u = tensor(name, shape);
    let value = if name.ends_with("running_var") {
        u + 1.0
    } else if shape.len() == 1 {
        if name.ends_with("weight") { u * 0.4 + 1.0 } else { u * 0.4 }
    } else if name.ends_with("embedding") || name.ends_with("embedding.weight") {
        u
    } else {
        let fan_in =
            if name.ends_with("proj") { shape[0] } else { shape[1..].iter().product::<i64>() };
        u * (12.0 / fan_in as f64).powf(0.5)
    };
    value.to_kind(Kind::Float)
}

/// The state dict of a configuration, by the formula.
pub fn weights(config: &ModelConfig) -> Vec<(String, Tensor)> {
    let shapes = Clip::new(config, Device::Cpu);
    let named = shapes.state_dict().iter();
    named.map(|(name, tensor)| (name.clone(), weight(name, &tensor.size()))).collect()
}

/// Images and token ids for a configuration.
pub fn batch(config: &ModelConfig) -> (Tensor, Tensor) {
    let (size, text) = (config.vision_cfg.image_size, &config.text_cfg);
    let images = (tensor("images", &[4, 3, size, size]) * 4.0).to_kind(Kind::Float);
    let mut tokens = vec![0i64; 4 * text.context_length as usize];
    for (row, tokens) in tokens.chunks_exact_mut(text.context_length as usize).enumerate() {
        let words = noise(&format!("text {row}"), 3 + row);
        tokens[0] = text.vocab_size - 2;
        for (at, u) in words.iter().enumerate() {
            tokens[at + 1] = ((u + 0.5) * (text.vocab_size - 3) as f64) as i64;
        }
        tokens[words.len() + 1] = text.vocab_size - 1;
    }
    (images, Tensor::from_slice(&tokens).view([4, -1]))
}

/// Numbers of a golden file.
pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// The largest difference of a tensor's numbers from golden ones.
pub fn distance(found: &Tensor, wanted: &Value) -> f64 {
    let found: Vec<f64> =
        Vec::try_from(found.detach().to_kind(Kind::Double).contiguous().view([-1])).unwrap();
    let wanted = numbers(wanted);
    assert_eq!(found.len(), wanted.len());
    found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}
