//! Checkpoints that the Python tools wrote, and positions as open_clip interpolates them.

use std::path::{Path, PathBuf};

use clip_model::pt::{Value, read_pt, write_pt};
use clip_model::{
    Clip, Depth, Format, LoadOptions, ModelConfig, VisionConfig, Weights, interpolate_positions,
    open,
};
use clip_torch::tch::{Device, Kind, Tensor};

use crate::formula::{distance, path, tensor, unpacked, weights};

fn small() -> ModelConfig {
    let text = r#"{"embed_dim": 8, "quick_gelu": true,
        "text_cfg": {"context_length": 5, "vocab_size": 16, "width": 8, "heads": 1, "layers": 1},
        "vision_cfg": {"image_size": 16, "layers": 1, "width": 8, "head_width": 8, "patch_size": 8}}"#;
    ModelConfig::parse(text).unwrap()
}

/// Unpacks a golden file into a folder.
fn unpack(name: &str, folder: &Path) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, unpacked(&format!("{name}.gz"))).unwrap();
    file
}

fn holds_the_formula(model: &Clip, tolerance: f64) {
    for ((name, found), (_, wanted)) in model.state_dict().iter().zip(weights(model.config())) {
        assert!(found.allclose(&wanted, tolerance, tolerance, false), "{name}");
    }
}

#[test]
fn a_training_checkpoint_opens_with_its_optimizer() {
    let folder = tempfile::tempdir().unwrap();
    let file = unpack("epoch_1.pt", folder.path());
    let known = LoadOptions { model: Some(small()), ..LoadOptions::default() };
    holds_the_formula(&open(&file, &known).unwrap(), 0.0);
    // Nothing in the file records its activation.
    let message = open(&file, &LoadOptions::default()).err().unwrap().to_string();
    assert!(
        message.contains("activation") && message.contains("width 8 at 16 pixels"),
        "{message}"
    );
    let value = read_pt(&file).unwrap();
    assert_eq!(value.get("scaler").unwrap().get("scale").unwrap().as_f64(), Some(65_536.0));
    let optimizer = value.get("optimizer").unwrap();
    let groups = optimizer.get("param_groups").unwrap().elements();
    assert_eq!(groups[1].get("betas").unwrap().elements()[1].as_f64(), Some(0.98));
    let states = optimizer.get("state").unwrap().items();
    assert_eq!(states.len(), Clip::shapes(&small()).1.len());
    let (id, state) = &states[0];
    assert_eq!(id.as_i64(), Some(0));
    assert_eq!(state.get("step").unwrap().as_tensor().unwrap().double_value(&[]), 1.0);
    assert!(state.get("exp_avg").unwrap().as_tensor().is_some());
    // What is read can be written, and is the same when it is read again.
    let copy = folder.path().join("copy.pt");
    write_pt(&copy, &value).unwrap();
    let again = read_pt(&copy).unwrap();
    for ((name, a), (_, b)) in state_of(&value).iter().zip(&state_of(&again)) {
        assert!(a.equal(b), "{name}");
    }
}

fn state_of(value: &Value) -> Vec<(String, Tensor)> {
    value.get("state_dict").unwrap().tensors()
}

#[test]
fn the_parameters_of_a_run_tell_its_model() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("checkpoints")).unwrap();
    let file = unpack("epoch_1.pt", &folder.path().join("checkpoints"));
    let params = "force_image_size: None\nforce_quick_gelu: True\nmodel: ViT-B-32\n";
    std::fs::write(folder.path().join("params.txt"), params).unwrap();
    let config = Weights::read(&file).unwrap().config.unwrap();
    assert_eq!(config, ModelConfig::find("ViT-B-32-quickgelu").unwrap());
    let exact = ModelConfig::find("ViT-B-32").unwrap();
    let asked = LoadOptions { model: Some(exact), ..LoadOptions::default() };
    let message = open(&file, &asked).err().unwrap().to_string();
    assert!(message.contains("QuickGELU, and the model asked for has exact GELU"), "{message}");
    // The right activation and the wrong shapes: every tensor that differs is named.
    let message = open(&file, &LoadOptions::default()).err().unwrap().to_string();
    assert!(message.contains("text_projection is [8, 8], the model wants [512, 512]"), "{message}");
    assert!(message.contains("missing: visual.transformer.resblocks.1."), "{message}");
    // A model of open_clip that is not built here.
    std::fs::write(folder.path().join("params.txt"), "model: ViT-H-14-CLIPA\n").unwrap();
    let message = open(&file, &LoadOptions::default()).err().unwrap().to_string();
    assert!(message.contains("params.txt names the model ViT-H-14-CLIPA, which"), "{message}");
}

#[test]
fn an_openai_archive_tells_its_model() {
    let folder = tempfile::tempdir().unwrap();
    let file = unpack("openai_jit.pt", folder.path());
    let found = Weights::read(&file).unwrap();
    assert_eq!(found.format, Format::OpenAi);
    let mut config = found.config.unwrap();
    // Shapes do not give the number of heads: they are taken to be 64 channels wide, as all of the
    // paper's are.
    config.vision_cfg.head_width = 8;
    assert_eq!(config, small());
    let model = open(&file, &LoadOptions::default()).unwrap();
    assert_eq!(model.kind(), Kind::Float);
    // Its weights are in 16 bits.
    holds_the_formula(&model, 1e-3);
}

#[test]
fn a_model_of_transformers_gives_its_logits() {
    let golden: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path("hf.json")).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let weights = unpacked("hf.safetensors.gz");
    std::fs::write(folder.path().join("model.safetensors"), weights).unwrap();
    std::fs::write(folder.path().join("config.json"), golden["config"].to_string()).unwrap();
    let found = Weights::read(folder.path()).unwrap();
    assert_eq!(found.format, Format::HuggingFace);
    let model = open(folder.path(), &LoadOptions::default()).unwrap();
    assert!(matches!(model.config().vision_cfg.layers, Depth::Blocks(2)));
    let images = (tensor("images", &[2, 3, 16, 16]) * 4.0).to_kind(Kind::Float);
    let tokens = Tensor::from_slice(&[14i64, 1, 2, 15, 0, 14, 3, 15, 0, 0]).view([2, 5]);
    let unit = |x: Tensor| {
        let norm = x.norm_scalaropt_dim(2.0, [-1i64].as_slice(), true);
        x / norm
    };
    let (image, text) = (unit(model.encode_image(&images)), unit(model.encode_text(&tokens)));
    assert!(distance(&image, &golden["image"]) < 1e-5);
    let logits = model.logit_scale().exp() * image.matmul(&text.tr());
    assert!(distance(&logits, &golden["logits"]) < 1e-5);
}

#[test]
fn positions_are_interpolated_as_open_clip_does() {
    let golden: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path("positions.json")).unwrap()).unwrap();
    for (size, length) in [(48, 16), (24, 7)] {
        let mut config = small();
        config.vision_cfg = VisionConfig { head_width: 8, ..VisionConfig::vit(size, 8, 1, 8) };
        config.text_cfg.context_length = length;
        let mut weights = vec![
            (
                "visual.positional_embedding".to_owned(),
                tensor("grid", &[17, 8]).to_kind(Kind::Float),
            ),
            ("positional_embedding".to_owned(), tensor("text", &[12, 8]).to_kind(Kind::Float)),
        ];
        interpolate_positions(&mut weights, &config).unwrap();
        let golden = &golden[size.to_string()];
        assert!(distance(&weights[0].1, &golden["image"]) < 1e-6, "{size}");
        assert!(distance(&weights[1].1, &golden["text"]) < 1e-6, "{size}");
    }
}

#[test]
fn a_model_opens_at_another_resolution() {
    let folder = tempfile::tempdir().unwrap();
    for config in ["rn", "vit"] {
        let golden: serde_json::Value = serde_json::from_slice(&unpacked("tiny.json.gz")).unwrap();
        let config = ModelConfig::parse(&golden[config]["config"].to_string()).unwrap();
        let model = Clip::from_weights(&config, weights(&config), Device::Cpu).unwrap();
        clip_model::save_checkpoint(folder.path(), &model).unwrap();
        let opening = LoadOptions { image_size: Some(96), ..LoadOptions::default() };
        let larger = open(folder.path(), &opening).unwrap();
        let images = Tensor::zeros([1, 3, 96, 96], (Kind::Float, Device::Cpu));
        assert_eq!(larger.encode_image(&images).size(), [1, config.embed_dim]);
    }
}
