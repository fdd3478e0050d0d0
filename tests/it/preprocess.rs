//! What happens to images is the checkpoint's to say: embedding, converting, training.

use serde_json::{Value, json};

use crate::models::world;
use crate::world::{World, content};

const FLAGS: [&str; 8] = [
    "--image-mean",
    "0.5",
    "--image-std",
    "0.5",
    "--image-interpolation",
    "bilinear",
    "--image-resize-mode",
    "squash",
];

fn config(world: &World, file: &str) -> Value {
    let text = std::fs::read_to_string(world.path(file)).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    json["preprocess_cfg"].clone()
}

fn squash() -> Value {
    json!({"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bilinear",
        "resize_mode": "squash", "fill_color": 0})
}

#[test]
fn a_checkpoint_says_what_happens_to_images_and_flags_say_more() {
    let world = world();
    let convert = |from: &str, to: &str, output: &str, more: &[&str]| {
        let args = ["convert", "--model", from, "--to", to, "--output", output];
        let output = world.run(&[&args[..], more].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let embed = |model: &str, output: &str, more: &[&str]| {
        let args = ["embed", "--model", model, "--input", "images/00", "--output", output];
        world.good(&[&args[..], &["--only", "image"], more].concat());
        content(&world.path(&format!("{output}/img_emb")))
    };
    convert("epoch_1.pt", "open-clip", "plain", &["--model-name", "small.json"]);
    assert_eq!(convert("plain", "open-clip", "other", &FLAGS), "");
    assert_eq!(config(&world, "plain/open_clip_config.json")["resize_mode"], "shortest");
    assert_eq!(config(&world, "other/open_clip_config.json"), squash());
    let weights = |folder: &str| {
        std::fs::read(world.path(&format!("{folder}/open_clip_model.safetensors"))).unwrap()
    };
    assert!(weights("plain") == weights("other"));

    let (plain, other) = (embed("plain", "a", &[]), embed("other", "b", &[]));
    assert!(plain != other, "the same weights with another preprocess_cfg embed the same");
    assert!(embed("plain", "c", &FLAGS) == other);
    let identity = std::fs::read_to_string(world.path("b/embed.json")).unwrap();
    let identity: Value = serde_json::from_str(&identity).unwrap();
    assert_eq!(identity["model"]["preprocess"], squash());
    // A folder of embeddings is of one preprocessing.
    let args = ["embed", "--model", "plain", "--input", "images/00", "--output", "a"];
    let flagged = [&args[..], &["--only", "image"], &FLAGS].concat();
    assert!(world.fails(&flagged, 2).contains("other embeddings"));
    // And of one model: the activation is in no weights.
    let small = std::fs::read_to_string(world.path("small.json")).unwrap();
    let mut exact: Value = serde_json::from_str(&small).unwrap();
    exact["quick_gelu"] = json!(false);
    std::fs::write(world.path("exact.json"), exact.to_string()).unwrap();
    let named = |model: &'static str| {
        let args = ["embed", "--model", "epoch_1.pt", "--input", "images/00", "--output", "named"];
        [&args[..], &["--only", "image", "--model-name", model]].concat()
    };
    world.good(&named("small.json"));
    assert!(world.fails(&named("exact.json"), 2).contains("other embeddings"));

    // There and back; what a file cannot hold is named.
    assert_eq!(convert("other", "hugging-face", "hf", &[]), "");
    let printed = convert("hf", "safetensors", "bare.safetensors", &[]);
    assert!(printed.contains("note: ") && printed.contains("resize_mode \"squash\""), "{printed}");
    convert("bare.safetensors", "open-clip", "again", &[]);
    assert_eq!(config(&world, "again/open_clip_config.json"), squash());
    assert!(embed("again", "d", &[]) == other);
    let printed = convert("other", "pt", "bare.pt", &[]);
    assert!(printed.contains("cannot hold") && printed.contains("mean [0.5,0.5,0.5]"), "{printed}");
    assert_eq!(convert("plain", "pt", "plain.pt", &[]), "");
    let padded = ["--image-resize-mode", "longest"];
    let printed = convert("other", "hugging-face", "padded", &padded);
    assert!(printed.contains("cannot hold resize_mode \"longest\""), "{printed}");
}

#[test]
fn what_is_no_preprocessing_is_refused_by_name() {
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
    let args =
        ["embed", "--model", "m", "--input", "images/00", "--output", "x", "--only", "image"];
    for (flags, named) in [
        (["--image-mean", "x"], "--image-mean"),
        (["--image-std", "0"], "--image-std [0.0]: three numbers above 0"),
        (["--image-interpolation", "nearest"], "one of bicubic, bilinear, random"),
        (["--image-resize-mode", "pad"], "one of shortest, longest, squash"),
    ] {
        let printed = world.fails(&[&args[..], &flags].concat(), 2);
        assert!(printed.contains(named), "{printed}");
        let train = ["train", "--train-data", "x", "--preset", "emoji", "--name", "x"];
        let printed = world.fails(&[&train[..], &flags].concat(), 2);
        assert!(printed.contains(named), "{printed}");
    }
    let file = world.path("m/open_clip_config.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"fill_color\": 0", "\"crop_pct\": 0.9")).unwrap();
    let printed = world.fails(&args, 5);
    assert!(printed.contains("open_clip_config.json: preprocess_cfg: crop_pct 0.9"), "{printed}");
    assert!(printed.contains("\nhint: "), "{printed}");
}

#[test]
fn training_sees_what_its_checkpoints_say() {
    let world = World::new();
    let preset = r#"{"model_cfg": {"embed_dim": 8, "quick_gelu": true,
      "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, "patch_size": 8, "head_width": 16},
      "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1}},
      "train": {"batch_size": 32, "epochs": 1, "warmup": 2, "precision": "fp32", "augment": "rrc"}}"#;
    std::fs::write(world.path("tiny.json"), preset).unwrap();
    let train = |name: &'static str, more: &[&'static str]| {
        let data = ["train", "--dataset-type", "synthetic", "--train-num-samples", "64"];
        let run = ["--preset", "tiny.json", "--device", "cpu", "--name", name];
        let args: Vec<&str> = data.iter().chain(&run).chain(more).copied().collect();
        world.run(&args)
    };
    let loss = |name: &str| {
        let steps = std::fs::read_to_string(world.path(&format!("logs/{name}/steps.jsonl")));
        let step: Value = serde_json::from_str(steps.unwrap().lines().next().unwrap()).unwrap();
        step["loss"].as_f64().unwrap()
    };
    for (name, flags) in [
        ("plain", &[][..]),
        ("mean", &FLAGS[..2]),
        ("kernel", &FLAGS[4..6]),
        ("mode", &FLAGS[6..]),
        ("all", &FLAGS[..]),
    ] {
        let output = train(name, flags);
        assert!(output.status.success(), "{output:?}");
    }
    let losses = ["plain", "mean", "kernel", "all"].map(loss);
    for (at, a) in losses.iter().enumerate() {
        assert!(losses[at + 1..].iter().all(|b| (a - b).abs() > 1e-9), "{losses:?}");
    }
    // Training crops by itself: how an image is resized for evaluation changes no step.
    assert_eq!(loss("plain").to_bits(), loss("mode").to_bits());
    let at = "logs/all/checkpoints/step_00000002/open_clip_config.json";
    assert_eq!(config(&world, at), squash());
    let params = std::fs::read_to_string(world.path("logs/all/params.txt")).unwrap();
    assert!(params.contains("image_mean: [0.5,0.5,0.5]\n"), "{params}");
    assert!(params.contains("image_interpolation: bilinear\n"), "{params}");
    // A run continues with the preprocessing that it began with.
    let other = train("all", &FLAGS[..2]);
    let printed = String::from_utf8_lossy(&other.stderr);
    assert!(other.status.code() == Some(2) && printed.contains("preprocess_cfg was"), "{printed}");
    // What is trained further from a checkpoint keeps the checkpoint's.
    let from = ["--pretrained", "logs/all/checkpoints/step_00000002"];
    assert!(train("further", &from).status.success());
    let at = "logs/further/checkpoints/step_00000002/open_clip_config.json";
    assert_eq!(config(&world, at), squash());
}
