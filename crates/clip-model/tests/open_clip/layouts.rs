//! Layouts of weights that open, and why others do not.

use std::path::Path;

use clip_model::{
    Clip, LoadOptions, ModelConfig, load_checkpoint, open, save_checkpoint, weights_files,
    write_safetensors,
};
use clip_torch::tch::{Device, Kind, Tensor};
use serde_json::{Value, json};

type Named = Vec<(String, Tensor)>;

fn small() -> ModelConfig {
    let text = r#"{"embed_dim": 8, "quick_gelu": true,
        "text_cfg": {"context_length": 5, "vocab_size": 16, "width": 12, "heads": 1, "layers": 1},
        "vision_cfg": {"image_size": 16, "layers": 1, "width": 8, "head_width": 8, "patch_size": 8}}"#;
    ModelConfig::parse(text).unwrap()
}

fn state(model: &Clip) -> Named {
    model.state_dict().iter().map(|(name, tensor)| (name.clone(), tensor.detach())).collect()
}

fn named() -> LoadOptions {
    LoadOptions { model: Some(small()), ..LoadOptions::default() }
}

fn same(model: &Clip, wanted: &Named) {
    assert_eq!(model.state_dict().len(), wanted.len());
    for ((name, found), (other, tensor)) in model.state_dict().iter().zip(wanted) {
        assert!(name == other && found.equal(tensor), "{name}");
    }
}

#[test]
fn names_with_a_wrappers_prefix_and_a_scale_of_shape_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    let wanted = state(&Clip::new(&small(), Device::Cpu));
    for prefix in ["", "model.", "clip.", "module.", "module._orig_mod.", "model.clip."] {
        let renamed = |(name, tensor): &(String, Tensor)| {
            let vector = name == "logit_scale" && !prefix.is_empty();
            let tensor = if vector { tensor.view([1]) } else { tensor.shallow_clone() };
            (format!("{prefix}{name}"), tensor)
        };
        write_safetensors(&file, &wanted.iter().map(renamed).collect::<Vec<_>>()).unwrap();
        let model = open(&file, &named()).unwrap();
        same(&model, &wanted);
        assert_eq!(model.logit_scale().size(), [0i64; 0]);
    }
    // What is beside the wrapped model is named.
    let mut more: Named =
        wanted.iter().map(|(n, t)| (format!("model.{n}"), t.shallow_clone())).collect();
    more.push(("head.weight".into(), Tensor::from(1f32)));
    write_safetensors(&file, &more).unwrap();
    let message = open(&file, &named()).err().unwrap().to_string();
    assert!(message.contains("not in the model: head.weight"), "{message}");
    assert!(message.contains("tensors of something else"), "{message}");
}

/// The weights in two files with an index.
fn sharded(folder: &Path, weights: &Named) -> Value {
    let mut map = serde_json::Map::new();
    let half = weights.len() / 2;
    for (at, part) in [&weights[..half], &weights[half..]].into_iter().enumerate() {
        let name = format!("model-{:05}-of-00002.safetensors", at + 1);
        write_safetensors(&folder.join(&name), part).unwrap();
        map.extend(part.iter().map(|(tensor, _)| (tensor.clone(), json!(name))));
    }
    json!({"metadata": {"total_size": 1}, "weight_map": map})
}

#[test]
fn weights_in_several_files_open_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = state(&Clip::new(&small(), Device::Cpu));
    let index = sharded(folder.path(), &wanted);
    let path = folder.path().join("model.safetensors.index.json");
    let write = |index: &Value| std::fs::write(&path, index.to_string()).unwrap();
    write(&index);
    same(&open(folder.path(), &named()).unwrap(), &wanted);
    same(&open(&path, &named()).unwrap(), &wanted);
    assert_eq!(weights_files(folder.path()).unwrap().len(), 3);
    let fails = || open(folder.path(), &named()).err().unwrap().to_string();

    let mut odd = index.clone();
    odd["weight_map"]["extra"] = "model-00001-of-00002.safetensors".into();
    write(&odd);
    let message = fails();
    assert!(message.contains("00001-of-00002.safetensors: extra is not there"), "{message}");
    odd["weight_map"]["extra"] = "../elsewhere.safetensors".into();
    write(&odd);
    assert!(fails().contains("no file's name"), "{}", fails());
    write(&json!({"weights": {}}));
    assert!(fails().contains("weight_map"), "{}", fails());
    write(&index);
    std::fs::remove_file(folder.path().join("model-00002-of-00002.safetensors")).unwrap();
    let message = fails();
    assert!(message.contains("model-00002-of-00002") && message.contains("hint: "), "{message}");
}

#[test]
fn a_siglip_models_bias_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = Clip::new(&small(), Device::Cpu);
    model.set_logit_scale(10.0);
    model.add_logit_bias(-9.5);
    let names: Vec<&str> = model.named_parameters().iter().map(|(name, _)| &**name).collect();
    let at = names.iter().position(|name| *name == "logit_scale").unwrap();
    // Where open_clip's model registers it: its optimizer numbers parameters in this order.
    assert_eq!(names[at + 1], "logit_bias");
    save_checkpoint(folder.path(), &model).unwrap();
    let again = load_checkpoint(folder.path(), Device::Cpu).unwrap();
    same(&again, &state(&model));
    assert_eq!(again.logit_bias().unwrap().double_value(&[]), -9.5);
    assert!((again.logit_scale().double_value(&[]) - 10f64.ln()).abs() < 1e-6);
    let config = std::fs::read_to_string(folder.path().join("open_clip_config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["model_cfg"]["init_logit_bias"], -10);
    // A bias of shape [1], as open_clip stores it with nonscalar_logit_scale.
    let vector = |(name, tensor): (String, Tensor)| {
        let tensor = if name.starts_with("logit_") { tensor.view([1]) } else { tensor };
        (name, tensor)
    };
    let weights: Named = state(&model).into_iter().map(vector).collect();
    same(&Clip::from_weights(&small(), weights, Device::Cpu).unwrap(), &state(&model));
    // open_clip's: a model with a bias takes weights without one, with a bias of 0.
    let plain = state(&Clip::new(&small(), Device::Cpu));
    model.load(&plain).unwrap();
    assert_eq!(model.logit_bias().unwrap().double_value(&[]), 0.0);
    let message = Clip::new(&small(), Device::Cpu).load(&state(&model)).unwrap_err().to_string();
    assert!(message.contains("SigLIP") && message.contains("--siglip"), "{message}");
}

#[test]
fn hints_name_the_true_reason() {
    let wanted = state(&Clip::new(&small(), Device::Cpu));
    let without = |part: &str| -> Named {
        let kept = wanted.iter().filter(|(name, _)| !name.contains(part));
        kept.map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
    };
    let with = |name: &str| -> Named {
        let mut all = without("nothing");
        all.push((name.to_owned(), Tensor::zeros([2], (Kind::Float, Device::Cpu))));
        all
    };
    let of = |change: &str| {
        let config = serde_json::to_string(&small()).unwrap();
        let (from, to) = change.split_once(" to ").unwrap();
        assert!(config.contains(from), "{config}");
        state(&Clip::new(&ModelConfig::parse(&config.replace(from, to)).unwrap(), Device::Cpu))
    };
    let text: Named = without("visual.");
    let image = without("nothing").into_iter().filter(|(n, _)| n.starts_with("visual.")).collect();
    let mut custom: Named = without("transformer.resblocks")
        .into_iter()
        .filter(|(n, _)| n.starts_with("visual."))
        .collect();
    custom.push(("text.transformer.resblocks.0.ln_1.bias".into(), Tensor::from(1f32)));
    let mut language = without("token_embedding");
    language.push(("text.transformer.embeddings.word.weight".into(), Tensor::from(1f32)));
    for (weights, reason) in [
        (without("mlp.c_fc.bias"), "the file is incomplete"),
        (with("visual.trunk.stem.weight"), "timm"),
        (with("optimizer.exp_avg"), "optimizer"),
        (with("head.weight"), "tensors of something else"),
        (language, "a language model of transformers'"),
        (custom, "CustomTextCLIP"),
        (text, "no image tower"),
        (image, "no text tower"),
        (vec![("x".into(), Tensor::from(1f32))], "no tensor has the name"),
        (of(r#""layers":1,"width":8 to "layers":2,"width":8"#), "deeper"),
        (of(r#""image_size":16 to "image_size":24"#), "another image size"),
        (of(r#""vocab_size":16 to "vocab_size":17"#), "another vocabulary"),
        (of(r#""width":12 to "width":16"#), "another width of the text tower"),
        (of(r#""embed_dim":8 to "embed_dim":10"#), "another embed_dim"),
    ] {
        let message = Clip::from_weights(&small(), weights, Device::Cpu).err().unwrap().to_string();
        let (faults, hint) = message.split_once("\nhint: ").unwrap();
        assert!(hint.contains(reason), "{reason}: {hint} ({faults})");
    }
}
