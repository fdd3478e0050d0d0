//! Embeddings of a checkpoint with a `preprocess_cfg` of its own, as open_clip opens it and
//! computes them: `scripts/oracles/preprocess.py` makes the folder and the numbers.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clip_embed::Encoder;
use clip_model::{LoadOptions, Target, open, save_as};
use clip_torch::tch::{Kind, Tensor};
use serde_json::{Map, Value};

fn golden() -> (PathBuf, Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/oracle/preprocess");
    let text = std::fs::read_to_string(folder.join("embeddings.json")).unwrap();
    (folder.join("model"), serde_json::from_str(&text).unwrap())
}

/// Embeddings of the golden images, in their order.
fn embed(model: &Path, golden: &Value, preprocess: Map<String, Value>) -> Tensor {
    let encoder =
        Encoder::new(open(model, &LoadOptions { preprocess, ..LoadOptions::default() }).unwrap());
    let order = ["wide.png", "tall.png", "small.png", "transparent.png", "palette.png"];
    let images = order.map(|name| {
        let bytes = BASE64_STANDARD.decode(golden["images"][name].as_str().unwrap()).unwrap();
        encoder.transform().pixels(&bytes).unwrap()
    });
    encoder.images(&images)
}

fn rows(value: &Value) -> Tensor {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).unwrap();
    Tensor::from_slice2(&rows).to_kind(Kind::Float)
}

fn apart(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn embeddings_are_open_clips() {
    let (model, golden) = golden();
    let own = apart(&embed(&model, &golden, Map::new()), &rows(&golden["embeddings"]));
    let flags = golden["flags"].as_object().unwrap().iter();
    let flags = flags.map(|(flag, value)| (flag["image_".len()..].to_owned(), value.clone()));
    let flagged = apart(&embed(&model, &golden, flags.collect()), &rows(&golden["flagged"]));
    assert!(own < 1e-5 && flagged < 1e-5, "{own}, {flagged}");
    let wrong = golden["wrong_by"].as_object().unwrap();
    let (name, wrong) = wrong
        .iter()
        .map(|(name, value)| (name, value.as_f64().unwrap()))
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap();
    for (what, found) in [("its own preprocess_cfg", own), ("open_clip's flags over it", flagged)] {
        println!(
            "oracle\tpreprocessing\tembeddings with {what}\topen_clip 3.3.0\t5\t{found:.1e}\t{name}: differs by {wrong:.3}"
        );
    }
}

#[test]
fn a_converted_model_keeps_its_preprocessing() {
    let (model, golden) = golden();
    let own = embed(&model, &golden, Map::new());
    let folder = tempfile::tempdir().unwrap();
    let mut from = model;
    for (name, target) in [
        ("open_clip", Target::OpenClip),
        ("hugging_face", Target::HuggingFace),
        ("bare.safetensors", Target::Safetensors),
        ("again", Target::OpenClip),
    ] {
        let to = folder.path().join(name);
        save_as(&to, &open(&from, &LoadOptions::default()).unwrap(), target).unwrap();
        assert!(embed(&to, &golden, Map::new()).equal(&own), "{name}");
        from = to;
    }
    // The same weights with another configuration beside them are another model.
    let file = from.join("open_clip_config.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("squash", "shortest")).unwrap();
    assert!(apart(&embed(&from, &golden, Map::new()), &own) > 1e-3);
    // One that nothing is known of is refused by its name.
    std::fs::write(&file, text.replace("squash", "crop")).unwrap();
    let message = open(&from, &LoadOptions::default()).err().unwrap().to_string();
    let named = ["open_clip_config.json: preprocess_cfg: resize_mode \"crop\": one of shortest"];
    assert!(named.iter().all(|words| message.contains(words)), "{message}");
}

#[test]
fn the_parameters_of_a_run_tell_its_preprocessing() {
    let (model, golden) = golden();
    let own = embed(&model, &golden, Map::new());
    let run = tempfile::tempdir().unwrap();
    let folder = run.path().join("checkpoints");
    std::fs::create_dir(&folder).unwrap();
    // The weights alone: their metadata names the model and nothing of images.
    let plain = run.path().join("plain");
    save_as(&plain, &open(&model, &LoadOptions::default()).unwrap(), Target::OpenClip).unwrap();
    let weights = folder.join("epoch_1.safetensors");
    std::fs::copy(plain.join("open_clip_model.safetensors"), &weights).unwrap();
    assert!(apart(&embed(&weights, &golden, Map::new()), &own) > 1e-3);
    let params = "image_interpolation: bilinear\nimage_mean: [0.5, 0.5, 0.5]\nimage_resize_mode: squash\n\
                  image_std: [0.5, 0.5, 0.5]\nmodel: ViT-B-32\n";
    std::fs::write(run.path().join("params.txt"), params).unwrap();
    assert!(embed(&weights, &golden, Map::new()).equal(&own));
    let none = "image_interpolation: None\nimage_mean: None\nmodel: ViT-B-32\n";
    std::fs::write(run.path().join("params.txt"), none).unwrap();
    assert!(apart(&embed(&weights, &golden, Map::new()), &own) > 1e-3);
}
