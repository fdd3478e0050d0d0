//! Normalised pixels as open_clip's transform gives them, and the processors that transformers
//! writes: `scripts/oracles/preprocess.py` makes both.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Read;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clip_model::{Clip, ModelConfig, PreprocessCfg, Target, Weights, image_bytes, save_as};
use clip_torch::tch::{Device, Kind, Tensor};
use serde_json::Value;

fn golden(name: &str) -> Vec<Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/oracle/preprocess/");
    let file = std::fs::File::open(format!("{folder}{name}")).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn bytes(text: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(text.as_str().unwrap()).unwrap()
}

fn model(image_size: i64) -> Clip {
    let config = format!(
        r#"{{"embed_dim": 8,
        "vision_cfg": {{"image_size": {image_size}, "layers": 1, "width": 8, "head_width": 8, "patch_size": 8}},
        "text_cfg": {{"context_length": 5, "vocab_size": 16, "width": 8, "heads": 1, "layers": 1}}}}"#
    );
    Clip::new(&ModelConfig::parse(&config).unwrap(), Device::Cpu)
}

/// Some fields of a golden line as a `preprocess_cfg`.
fn cfg(line: &Value, fields: &[&str]) -> PreprocessCfg {
    let fields = fields.iter().map(|field| ((*field).to_owned(), line[*field].clone())).collect();
    PreprocessCfg::default().merged(&fields).unwrap()
}

#[test]
fn normalised_pixels_are_open_clips() {
    let (mut worst, mut wrong) = (0f64, f64::INFINITY);
    let lines = golden("normalised.jsonl.gz");
    for line in &lines {
        let mut model = model(16);
        model.set_preprocess(cfg(line, &["mean", "std"]));
        let found = model.pixels(&image_bytes(&[&bytes(&line["pixels"])], 16));
        let values: Vec<f32> = bytes(&line["values"])
            .as_chunks()
            .0
            .iter()
            .map(|four| f32::from_le_bytes(*four))
            .collect();
        let wanted = Tensor::from_slice(&values).view([1, 3, 16, 16]);
        let apart = (found - wanted).abs().max().to_kind(Kind::Double).double_value(&[]);
        worst = worst.max(apart);
        if model.preprocess() != &PreprocessCfg::default() {
            wrong = wrong.min(line["wrong_by"].as_f64().unwrap());
        }
    }
    assert!(worst <= 1e-6 && wrong > 1e-3, "{worst}, {wrong}");
    println!(
        "oracle\tpreprocessing\tnormalised pixels, every level\topen_clip 3.3.0\t{}\t{worst:.1e}\tOpenAI's mean and std: differs by {wrong:.3}",
        lines.len()
    );
}

#[test]
fn processors_are_transformers() {
    let folder = tempfile::tempdir().unwrap();
    save_as(folder.path(), &model(32), Target::HuggingFace).unwrap();
    let lines = golden("processors.jsonl.gz");
    for line in &lines {
        let file = folder.path().join("preprocessor_config.json");
        std::fs::write(&file, line["processor"].to_string()).unwrap();
        let found = Weights::read(folder.path()).unwrap().preprocess.unwrap();
        let fields = ["mean", "std", "interpolation", "resize_mode", "fill_color"];
        assert_eq!(found, cfg(&line["preprocess_cfg"], &fields), "{line}");
    }
    assert_eq!(lines.len(), 12);
    println!(
        "oracle\tpreprocessing\tpreprocessor_config.json\ttransformers 5.24.0\t{}\t0\tits absence: differs in every field",
        lines.len()
    );
}
