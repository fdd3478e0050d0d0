//! Scores of pairs, as open_clip and PyTorch compute them: `scripts/oracles/scores.py` writes the
//! numbers. Weights are a formula of their names, here and there.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clip_embed::{Encoder, Scorer};
use clip_image::Rgb;
use clip_model::{Clip, ModelConfig, write_safetensors};
use clip_score::{Activation, Head, HeadOutput, PairScores};
use clip_torch::tch::{Device, Kind, Tensor};
use serde_json::Value;

/// Uniform in [-0.5, 0.5): murmur's finaliser over an index and FNV-1a of the name.
fn noise(name: &str, count: usize) -> Vec<f64> {
    let fold = |seed: u32, byte: u8| (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let seed = name.bytes().fold(0x811c_9dc5, fold);
    let value = |index: u32| {
        let mut x = index.wrapping_mul(2_654_435_761).wrapping_add(seed);
        for (shift, factor) in [(16, 0x85eb_ca6b), (13, 0xc2b2_ae35), (16, 1u32)] {
            x = (x ^ (x >> shift)).wrapping_mul(factor);
        }
        f64::from(x) / 4_294_967_296.0 - 0.5
    };
    (0..count as u32).map(value).collect()
}

fn weight(name: &str, shape: &[i64]) -> Tensor {
    if name == "logit_scale" {
        return Tensor::from(2.5f32);
    }
    let u = Tensor::from_slice(&noise(name, shape.iter().product::<i64>() as usize)).view(shape);
    let value = if shape.len() == 1 {
        if name.ends_with("weight") { u * 0.4 + 1.0 } else { u * 0.4 }
    } else if name.ends_with("embedding") || name.ends_with("embedding.weight") {
        u
    } else {
        let proj = name.ends_with("proj");
        let fan_in = if proj { shape[0] } else { shape[1..].iter().product::<i64>() };
        u * (12.0 / fan_in as f64).powf(0.5)
    };
    value.to_kind(Kind::Float)
}

fn encoder(config: &ModelConfig) -> Encoder {
    let shapes = Clip::new(config, Device::Cpu);
    let named = shapes.state_dict().iter();
    let weights = named.map(|(name, tensor)| (name.clone(), weight(name, &tensor.size())));
    Encoder::new(Clip::from_weights(config, weights.collect(), Device::Cpu).unwrap())
}

/// The heads of the golden file, written to a folder.
fn heads(golden: &Value, folder: &Path) -> Vec<Head> {
    let head = |(name, sides): (&String, &Value)| {
        let sides: Vec<i64> = serde_json::from_value(sides.clone()).unwrap();
        let layers = sides.windows(2).enumerate().flat_map(|(at, sides)| {
            let key = |part: &str| format!("layers.{}.{part}", 2 * at);
            let tensor = |part: &str, shape: &[i64]| {
                (key(part), weight(&format!("{name}.{}", key(part)), shape))
            };
            [tensor("weight", &[sides[1], sides[0]]), tensor("bias", &[sides[1]])]
        });
        let file = folder.join(format!("{name}.safetensors"));
        write_safetensors(&file, &layers.collect::<Vec<_>>()).unwrap();
        let (activation, output) = match name.as_str() {
            "nsfw" => (Activation::Relu, HeadOutput::Sigmoid),
            _ => (Activation::None, HeadOutput::None),
        };
        Head { name: name.clone(), file, activation, output }
    };
    golden["head_shapes"].as_object().unwrap().iter().map(head).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

fn apart(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let apart = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs());
    apart.fold(0.0, f64::max)
}

#[test]
fn scores_are_open_clips() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/oracle/scores.json");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let heads = heads(&golden, folder.path());
    let classes: Vec<(String, Vec<String>)> =
        serde_json::from_value(golden["classes"].clone()).unwrap();
    let config = ModelConfig::parse(&golden["config"].to_string()).unwrap();
    let scorer = Scorer::new(encoder(&config), &heads, &classes).unwrap();
    let transform = scorer.encoder().transform();
    let image = |image: &Value| {
        transform.pixels(&BASE64_STANDARD.decode(image.as_str().unwrap()).unwrap()).unwrap()
    };
    let images: Vec<Rgb> = golden["images"].as_array().unwrap().iter().map(image).collect();
    let captions: Vec<Vec<String>> = serde_json::from_value(golden["captions"].clone()).unwrap();
    let scored = scorer.score(&images, &captions).into_iter();
    let scored: Vec<PairScores> = scored.map(|scores| scores.unwrap()).collect();

    let similarities: Vec<f32> = scored.iter().flat_map(|s| s.similarities.clone()).collect();
    let columns = |range: std::ops::Range<usize>| -> Vec<f32> {
        scored.iter().flat_map(|scores| scores.columns[range.clone()].to_vec()).collect()
    };
    let cosines = apart(&similarities, &numbers(&golden["cosines"]));
    let probabilities = apart(
        &columns(heads.len()..heads.len() + classes.len()),
        &numbers(&golden["probabilities"]),
    );
    let of_heads = heads
        .iter()
        .enumerate()
        .map(|(at, head)| apart(&columns(at..at + 1), &numbers(&golden["heads"][&head.name])));
    let of_heads = of_heads.fold(0.0, f64::max);
    assert!(
        cosines < 1e-5 && probabilities < 1e-5 && of_heads < 1e-5,
        "{cosines} {probabilities} {of_heads}"
    );
    let wrong = |name: &str| golden["wrong_by"][name].as_f64().unwrap();
    for (what, outside, cases, found, mistake, wrong) in [
        (
            "cosines of pairs",
            "open_clip 3.3.0",
            similarities.len(),
            cosines,
            "features that are not of length 1",
            wrong("cosines"),
        ),
        (
            "zero-shot probabilities",
            "open_clip 3.3.0",
            scored.len(),
            probabilities,
            "class means that are not of length 1",
            wrong("probabilities"),
        ),
        (
            "heads in LAION's shape",
            "PyTorch 2.11.0",
            heads.len() * scored.len(),
            of_heads,
            "features that are not of length 1",
            wrong("heads"),
        ),
    ] {
        assert!(wrong > 1e-3, "{what}: {wrong}");
        println!(
            "oracle\tscores\t{what}\t{outside}\t{cases}\t{found:.1e}\t{mistake}: differs by {wrong:.3}"
        );
    }
}
