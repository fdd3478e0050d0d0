//! Converting weights and embedding with them.

use std::io::Read;
use std::path::Path;

use crate::world::{IMAGES, World, content};

/// The model of the golden checkpoint.
const SMALL: &str = r#"{"embed_dim": 8, "quick_gelu": true,
  "vision_cfg": {"image_size": 16, "layers": 1, "width": 8, "head_width": 8, "patch_size": 8},
  "text_cfg": {"context_length": 5, "vocab_size": 16, "width": 8, "heads": 1, "layers": 1}}"#;

/// A world with `epoch_1.pt`, which open_clip wrote, and `small.json`, its model.
pub fn world() -> World {
    let world = World::new();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../crates/clip-model/tests/golden/epoch_1.pt.gz");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(golden).unwrap())
        .read_to_end(&mut bytes)
        .unwrap();
    std::fs::write(world.path("epoch_1.pt"), bytes).unwrap();
    std::fs::write(world.path("small.json"), SMALL).unwrap();
    world
}

#[test]
fn every_format_gives_the_same_embeddings() {
    let world = world();
    let model = ["--model-name", "small.json"];
    let convert = |from: &str, to: &str, output: &str, more: &[&str]| {
        let args = ["convert", "--model", from, "--to", to, "--output", output];
        let args: Vec<&str> = args.iter().chain(more).copied().collect();
        world.good(&args)
    };
    let printed = convert("epoch_1.pt", "open-clip", "folder", &model);
    assert!(printed.contains("parameters, QuickGELU"), "{printed}");
    // A folder names its model, a safetensors file as well, a bare state dict does not.
    convert("folder", "hugging-face", "hf", &[]);
    convert("hf", "safetensors", "bare.safetensors", &[]);
    convert("bare.safetensors", "pt", "bare.pt", &[]);
    convert("bare.pt", "open-clip", "again", &model);
    // Neither the input nor another model is written over, and no folder holds two.
    let before = std::fs::read(world.path("bare.pt")).unwrap();
    for (from, to, output, there) in [
        ("folder", "open-clip", "folder", "folder/open_clip_model.safetensors is there already"),
        ("folder", "open-clip", "hf", "hf/model.safetensors is there already"),
        ("folder", "pt", "bare.pt", "bare.pt is there already"),
        ("folder", "pt", "hf", "hf is there already"),
    ] {
        let args = ["convert", "--model", from, "--to", to, "--output", output];
        let message = world.fails(&args, 2);
        assert!(message.contains(there) && message.contains("hint: give another"), "{message}");
    }
    assert_eq!(std::fs::read(world.path("bare.pt")).unwrap(), before);
    let mut all = Vec::new();
    for model in ["folder", "hf", "bare.safetensors", "again"] {
        let output = format!("emb-{model}");
        let args = ["embed", "--model", model, "--input", "images/00", "--output", &output];
        let printed =
            world.good(&[&args[..], &["--only", "image", "--write-batch-size", "12"]].concat());
        assert!(printed.starts_with(&format!("{IMAGES} rows")), "{printed}");
        all.push(content(&world.path(&format!("{output}/img_emb"))));
    }
    assert_eq!(
        all[0].iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["img_emb_0000.npy", "img_emb_0001.npy"]
    );
    let header = String::from_utf8_lossy(&all[0][0].1[10..128]);
    assert!(header.contains("'descr': '<f2'") && header.contains("'shape': (12, 8)"), "{header}");
    assert!(all.iter().all(|other| *other == all[0]), "formats differ");
}

/// Little-endian f32 values of a tensor that a safetensors file holds.
pub fn values(path: &Path, name: &str) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let json: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let place = |at: usize| json[name]["data_offsets"][at].as_u64().unwrap() as usize;
    let data = &bytes[8 + header + place(0)..8 + header + place(1)];
    data.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

#[test]
fn embedding_goes_on_counts_what_falls_and_keeps_to_its_folder() {
    let world = world();
    world.good(&[
        "convert",
        "--model",
        "epoch_1.pt",
        "--model-name",
        "small.json",
        "--to",
        "open-clip",
        "--output",
        "m",
    ]);
    let jpeg = std::fs::read(world.path("images/00/003.jpg")).unwrap();
    std::fs::write(world.path("images/00/003.jpg"), &jpeg[..40]).unwrap();
    std::fs::write(world.path("images/00/004.jpg"), b"").unwrap();
    let args =
        ["embed", "--model", "m", "--input", "images/00", "--output", "out", "--only", "image"];
    assert!(world.good(&args).starts_with("18 rows"));
    let rejects = std::fs::read_to_string(world.path("out/rejects/rejects_0000.jsonl")).unwrap();
    assert!(rejects.lines().count() == 2 && rejects.contains("\"003.jpg\""), "{rejects}");
    let before = content(&world.path("out/img_emb"));
    let again = world.run(&args);
    assert!(String::from_utf8_lossy(&again.stderr).contains("1 of 1 parts were done before"));
    assert_eq!(content(&world.path("out/img_emb")), before);
    let other = [&args[..], &["--precision", "bf16"]].concat();
    assert!(world.fails(&other, 2).contains("other embeddings"));
    // Its vocabulary is not the tokenizer's.
    let texts = ["embed", "--model", "m", "--input", "images/00", "--output", "t"];
    assert!(world.fails(&texts, 2).contains("16 tokens"));
}

#[test]
fn weights_that_cannot_be_used_are_reported_as_such() {
    let world = world();
    let whole = std::fs::read(world.path("epoch_1.pt")).unwrap();
    std::fs::write(world.path("cut.pt"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(world.path("empty.pt"), b"").unwrap();
    std::fs::write(world.path("text.safetensors"), b"no weights at all").unwrap();
    let wide = SMALL.replace("\"embed_dim\": 8", "\"embed_dim\": 12");
    std::fs::write(world.path("wide.json"), wide).unwrap();
    std::fs::write(
        world.path("timm.json"),
        SMALL.replace("\"head_width\"", "\"timm_model_name\": \"convnext\", \"head_width\""),
    )
    .unwrap();
    for (model, name, named) in [
        ("none.pt", "small.json", "none.pt"),
        ("images", "small.json", "holds no weights"),
        ("cut.pt", "small.json", "the end of the archive is missing"),
        ("empty.pt", "small.json", "empty"),
        ("text.safetensors", "small.json", "hint: the file is no safetensors file"),
        ("epoch_1.pt", "wide.json", "text_projection is [8, 8], the model wants [8, 12]"),
        ("epoch_1.pt", "ViT-B-32", "missing: visual.transformer.resblocks.1."),
    ] {
        let args =
            ["convert", "--model", model, "--model-name", name, "--to", "pt", "--output", "x.pt"];
        let printed = world.fails(&args, 5);
        assert!(printed.contains(named), "{model}, {name}: {printed}");
    }
    for (name, named) in [("timm.json", "timm_model_name"), ("ViT-Q", "hint: RN50")] {
        let args = [
            "convert",
            "--model",
            "epoch_1.pt",
            "--model-name",
            name,
            "--to",
            "pt",
            "--output",
            "x.pt",
        ];
        assert!(world.fails(&args, 2).contains(named), "{name}");
    }
    let printed =
        world.fails(&["convert", "--model", "epoch_1.pt", "--to", "pt", "--output", "x.pt"], 5);
    assert!(printed.contains("activation") && printed.contains("hint: "), "{printed}");
    assert!(!world.path("x.pt").exists());
}
