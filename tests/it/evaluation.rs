//! Evaluations as a user types them, on a model that was trained for a moment.

use crate::world::World;

const PRESET: &str = r#"{
  "model_cfg": {
    "embed_dim": 16, "quick_gelu": true,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1}
  },
  "train": {"batch_size": 16, "epochs": 1, "warmup": 2, "precision": "fp32", "augment": "small"}
}"#;

fn json(world: &World, name: &str) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(world.path(name)).unwrap()).unwrap()
}

/// The newest checkpoint of a run once more, with one weight of the tensor that is NaN.
fn with_nan(world: &World, run: &str, to: &str, tensor: &str) {
    let checkpoints = std::fs::read_dir(world.path(run).join("checkpoints")).unwrap();
    let folders = checkpoints.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let from = folders.max().unwrap();
    std::fs::create_dir_all(world.path(to)).unwrap();
    for name in ["open_clip_config.json", "open_clip_model.safetensors"] {
        std::fs::copy(from.join(name), world.path(to).join(name)).unwrap();
    }
    let path = world.path(to).join("open_clip_model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    assert_eq!(header[tensor]["dtype"], "F32");
    let at = 8 + length + header[tensor]["data_offsets"][0].as_u64().unwrap() as usize;
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
}

/// Evaluations of a model whose output is not finite end with an error that names the model and what it was of.
fn nothing_is_scored_of_nan(world: &World) {
    with_nan(world, "logs/m", "nan_text", "ln_final.weight");
    with_nan(world, "logs/m", "nan_image", "visual.ln_post.weight");
    let places: String =
        (0..8).map(|n| format!("toys/class_{n}/copy.png,{n}.5,{n}.25\n")).collect();
    std::fs::write(world.path("places.csv"), format!("image,latitude,longitude\n{places}"))
        .unwrap();
    let choice = r#"{"0": {"filename": "../toys/class_0/copy.png", "caption": "a", "negative_caption": "b"}}"#;
    std::fs::create_dir_all(world.path("choice")).unwrap();
    std::fs::write(world.path("choice/swap_att.json"), choice).unwrap();
    let cpu = ["--device", "cpu"];
    for model in ["nan_text", "nan_image"] {
        let image = model == "nan_image";
        let mut runs = vec![
            vec!["eval", "zero-shot", "--dataset", "wds_toys", "--output", "no.json"],
            vec!["eval", "retrieval", "--dataset", "captions.csv"],
            vec!["eval", "choice", "--dataset", "choice"],
            vec!["eval", "doctor", "--dataset", "wds_toys"],
            vec!["embed", "--input", "runs/small/shards", "--output", "no_embeddings"],
        ];
        if image {
            let places = ["--gallery", "places.csv", "--queries", "places.csv"];
            runs.push([&["eval", "geolocation"][..], &places].concat());
            runs.push(vec!["eval", "linear-probe", "--dataset", "parts.csv"]);
            runs.push(vec!["eval", "few-shot", "--dataset", "parts.csv", "--shots", "1"]);
        }
        for args in runs {
            let told = world.fails(&[&args[..], &["--model", model], &cpu].concat(), 5);
            assert!(told.contains("not finite") && told.contains(model), "{args:?}: {told}");
            assert!(
                told.contains("item ") || told.contains("text ") || told.contains(".png"),
                "{told}"
            );
        }
        let suite =
            ["eval", "suite", "--out", "no_suite", "--dataset", "wds_toys", "--model", model];
        let told = world.fails(&[&suite[..], &cpu].concat(), 3);
        assert!(told.contains("not finite") && told.contains(model), "{told}");
    }
    assert!(!world.path("no.json").exists());
    for name in ["no_embeddings/img_emb", "no_embeddings/text_emb", "no_embeddings/stats"] {
        assert!(!world.path(name).exists(), "{name}");
    }
}

#[test]
fn every_evaluation_runs_and_says_what_it_asked() {
    let world = World::new();
    world.good(&["build"]);
    std::fs::write(world.path("tiny.json"), PRESET).unwrap();
    world.good(&[
        "train",
        "--train-data",
        "runs/small/shards",
        "--preset",
        "tiny.json",
        "--name",
        "m",
        "--device",
        "cpu",
    ]);
    let model = ["--model", "logs/m", "--device", "cpu"];
    let run = |args: &[&str]| world.good(&[&["eval"], args, &model].concat());

    // A set written in CLIP_benchmark's layout scores as the folder that it came from.
    world.good(&["eval", "export", "--dataset", "toys", "--out", "wds_toys", "--per-shard", "5"]);
    let cache = ["--classifier-cache", "classifiers"];
    run(&[&["zero-shot", "--dataset", "toys", "--output", "a.json"][..], &cache].concat());
    let cached = || -> Vec<_> {
        let files = std::fs::read_dir(world.path("classifiers")).unwrap();
        files.map(|file| file.unwrap().file_name()).collect()
    };
    assert_eq!(cached().len(), 1, "{:?}", cached());
    let again = ["zero-shot", "--dataset", "wds_toys", "--output", "b.json", "--html", "b.html"];
    run(&[&again[..], &cache, &["--predictions", "b.parquet"]].concat());
    let (a, b) = (json(&world, "a.json"), json(&world, "b.json"));
    assert_eq!(a["metrics"], b["metrics"]);
    assert_eq!(a["hashes"]["model"], b["hashes"]["model"]);
    let flags = ["--image-resize-mode", "longest", "--image-mean", "0.5", "0.4", "0.3"];
    let other = ["zero-shot", "--dataset", "toys", "--output", "c.json", "--logits", "c.npy"];
    run(&[&other[..], &cache, &flags].concat());
    run(&[&other[..3], &["--logits", "a.npy"], &cache].concat());
    let c = json(&world, "c.json");
    assert_eq!(a["preprocess"]["resize_mode"], "shortest");
    assert_eq!(c["preprocess"]["resize_mode"], "longest");
    assert_eq!(c["preprocess"]["mean"], serde_json::json!([0.5, 0.4, 0.3]));
    let logits = |name: &str| std::fs::read(world.path(name)).unwrap();
    assert!(logits("a.npy") != logits("c.npy"));
    assert_eq!((&a["protocol"], &a["contamination"]), (&"folder".into(), &"unaudited".into()));
    let page = std::fs::read_to_string(world.path("b.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("data:image/png"), "no plot or pictures");

    // Captions: a table of images.
    let rows: Vec<String> =
        (0..8).map(|n| format!("toys/class_{n}/copy.png,picture number {n}\n")).collect();
    std::fs::write(world.path("captions.csv"), format!("image,caption\n{}", rows.concat()))
        .unwrap();
    let told = run(&[
        "retrieval",
        "--dataset",
        "captions.csv",
        "--prompt",
        "a photo of ",
        "--output",
        "r.json",
    ]);
    // Of eight images there is no recall at 10.
    assert!(told.contains("8 images, 8 captions") && told.contains("R@5"), "{told}");
    assert!(!told.contains("R@10"), "{told}");
    let found = json(&world, "r.json");
    assert!(found["metrics"]["image_retrieval_recall@5"].is_number());
    assert_eq!((&found["limit"], &found["items_total"]), (&serde_json::Value::Null, &8.into()));
    for (k, named) in [("0", "at least 1"), ("9", "recall at 9 of 8")] {
        let asked = ["eval", "retrieval", "--dataset", "captions.csv", "--recall-k", k];
        let told = world.fails(&[&asked[..], &model[..]].concat(), 2);
        assert!(told.contains(named), "{told}");
    }

    // A part of a set is spread over its classes, and says that it is one.
    let told = run(&["zero-shot", "--dataset", "wds_toys", "--limit", "4", "--output", "l.json"]);
    assert!(told.contains("--limit 4: these are scores of 4 of the "), "{told}");
    let part = json(&world, "l.json");
    assert_eq!((&part["limit"], &part["items"]), (&4.into(), &4.into()));
    assert_eq!(part["items_total"], a["items"]);

    // Probes: a table with parts.
    let mut table = String::from("image,label,split\n");
    for n in 0..8 {
        for (part, file) in [("train", "copy"), ("train", "other"), ("test", "copy")] {
            table.push_str(&format!("toys/class_{n}/{file}.png,c{n},{part}\n"));
        }
    }
    std::fs::write(world.path("parts.csv"), table).unwrap();
    let told = run(&[
        "linear-probe",
        "--dataset",
        "parts.csv",
        "--save-features",
        "f",
        "--output",
        "p.json",
    ]);
    assert!(told.contains("97-point grid"), "{told}");
    let probe = json(&world, "p.json");
    assert!(
        probe["metrics"]["lp_acc1"].as_f64().is_some()
            && probe["probe"]["trials"].as_array().unwrap().len() >= 7
    );
    let told = world.good(&[
        "eval",
        "few-shot",
        "--features",
        "f",
        "--shots",
        "1",
        "--seeds",
        "1",
        "--zero-shot",
        "0.2",
    ]);
    assert!(told.contains("1 shots") && told.contains("zero-shot is worth"), "{told}");

    // Features that are not finite are named by their file and row.
    let path = world.path("f/test.npy");
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len() - 4;
    bytes[end..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let told = world.fails(&["eval", "linear-probe", "--features", "f"], 5);
    assert!(told.contains("row 7 of f/test.npy") && told.contains("not finite"), "{told}");
    let seeds = ["eval", "few-shot", "--features", "f", "--seeds", "0"];
    assert!(world.fails(&seeds, 2).contains("--seeds"));
    nothing_is_scored_of_nan(&world);

    // A suite goes on where it stopped, and names what it could not do.
    let suite = [
        "suite",
        "--model",
        "logs/m",
        "--out",
        "s",
        "--device",
        "cpu",
        "--dataset",
        "toys",
        "captions.csv",
    ];
    let first = world.good(&[&["eval"], &suite[..]].concat());
    assert!(first.contains("toys") && first.contains("mean_recall@1"), "{first}");
    let second = world.run(&[&["eval"], &suite[..]].concat());
    assert!(String::from_utf8_lossy(&second.stderr).matches("there already").count() == 2);
    assert_eq!(String::from_utf8_lossy(&second.stdout), first);
    // The same weights with another preprocessing are evaluated anew.
    let squash = ["--image-resize-mode", "squash", "--image-mean", "0.5"];
    let third = world.run(&[&["eval"], &suite[..], &squash].concat());
    assert!(third.status.success() && !String::from_utf8_lossy(&third.stderr).contains("already"));
    let told = world.fails(&[&["eval"], &suite[..], &["nowhere"]].concat(), 3);
    assert!(told.contains("nowhere") && told.contains("1 evaluations failed"), "{told}");

    // The doctor finds a picture that is none, and the evaluation names it.
    std::fs::write(world.path("toys/class_0/bad.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    let doctor = world.run(&["eval", "doctor", "--dataset", "toys"]);
    assert_eq!(doctor.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("class_0/bad.png"));
    let told = world.fails(&[&["eval", "zero-shot", "--dataset", "toys"], &model[..]].concat(), 2);
    assert!(told.contains("bad.png") && told.contains("--skip-unreadable"), "{told}");
    let told = run(&["zero-shot", "--dataset", "toys", "--skip-unreadable"]);
    assert!(told.contains("1 images could not be read"), "{told}");
}

#[test]
fn the_registry_and_robustness_need_no_model() {
    let world = World::new();
    let told = world.good(&["eval", "datasets"]);
    assert!(told.lines().count() > 35 && told.contains("Hateful Memes"), "{told}");
    let told = world.good(&["eval", "datasets", "pcam"]);
    assert!(told.contains("camelyonpatch") && told.contains("as recalled"), "{told}");
    for (name, value) in [("imagenet1k", 0.762), ("imagenetv2", 0.701)] {
        let text = format!(
            "{{\"dataset\": \"wds/{name}\", \"task\": \"zeroshot_classification\", \"metrics\": {{\"acc1\": {value}}}}}"
        );
        std::fs::write(world.path(&format!("{name}.json")), text).unwrap();
    }
    let told = world.good(&[
        "eval",
        "robustness",
        "imagenet1k.json",
        "imagenetv2.json",
        "--html",
        "r.html",
    ]);
    assert!(
        told.contains("effective robustness +6.0")
            && told.contains("zero-shot is better on 1 of 1"),
        "{told}"
    );
    for (args, named) in [
        (&["eval", "datasets", "cifar11"][..], "cifar100"),
        (&["eval", "zero-shot", "--model", "x", "--dataset", "pcam=toys/none"], "camelyonpatch"),
        (
            &["eval", "zero-shot", "--model", "x", "--dataset", "toys", "--protocol", "mine"],
            "clip-benchmark",
        ),
        (
            &["eval", "zero-shot", "--model", "x", "--dataset", "toys", "--protocol", "openai"],
            "no prompts",
        ),
        (&["eval", "robustness", "imagenet1k.json", "--base", "x"], "NAME=X"),
    ] {
        let told = world.fails(args, 2);
        assert!(told.contains(named), "{args:?}: {told}");
    }
}
