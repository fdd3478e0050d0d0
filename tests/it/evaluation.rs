//! Evaluations as a user types them, on a model that was trained for a moment.

use std::path::Path;

use clip_image::encode_png;

use crate::world::{World, smooth_image};

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

/// Evaluations of a model whose output is not finite end with an error that names the model and
/// what it was of.
fn nothing_is_scored_of_nan(world: &World) {
    with_nan(world, "logs/m", "nan_text", "ln_final.weight");
    with_nan(world, "logs/m", "nan_image", "visual.ln_post.weight");
    for name in ["copy", "other"] {
        let places: String =
            (0..8).map(|n| format!("toys/class_{n}/{name}.png,{n}.5,{n}.25\n")).collect();
        let text = format!("image,latitude,longitude\n{places}");
        std::fs::write(world.path(&format!("{name}_places.csv")), text).unwrap();
    }
    let parts: String = (0..8)
        .map(|n| {
            format!("toys/class_{n}/other.png,c{n},train\ntoys/class_{n}/copy.png,c{n},test\n")
        })
        .collect();
    std::fs::write(world.path("parts.csv"), format!("image,label,split\n{parts}")).unwrap();
    let choice = r#"{"0": {"filename": "copy.png", "caption": "a", "negative_caption": "b"}}"#;
    std::fs::create_dir_all(world.path("choice")).unwrap();
    std::fs::copy(world.path("toys/class_0/copy.png"), world.path("choice/copy.png")).unwrap();
    std::fs::write(world.path("choice/swap_att.json"), choice).unwrap();
    let cpu = ["--device", "cpu"];
    for model in ["nan_text", "nan_image"] {
        let image = model == "nan_image";
        let embeddings = format!("no_embeddings_{model}");
        let mut runs = vec![
            vec!["eval", "zero-shot", "--dataset", "wds_toys", "--output", "no.json"],
            vec!["eval", "retrieval", "--dataset", "captions.csv"],
            vec!["eval", "choice", "--dataset", "choice"],
            vec!["eval", "doctor", "--dataset", "wds_toys"],
            vec!["embed", "--input", "runs/small/shards", "--output", &embeddings],
        ];
        if image {
            let places = ["--gallery", "copy_places.csv", "--queries", "other_places.csv"];
            runs.push([&["eval", "geolocation"][..], &places].concat());
            runs.push(vec!["eval", "linear-probe", "--dataset", "parts.csv"]);
            runs.push(vec!["eval", "few-shot", "--dataset", "parts.csv", "--shots", "1"]);
        }
        for args in runs {
            let printed = world.fails(&[&args[..], &["--model", model], &cpu].concat(), 5);
            assert!(
                printed.contains("not finite") && printed.contains(model),
                "{args:?}: {printed}"
            );
            assert!(
                printed.contains("item ") || printed.contains("text ") || printed.contains(".png"),
                "{printed}"
            );
        }
        let suite =
            ["eval", "suite", "--out", "no_suite", "--dataset", "wds_toys", "--model", model];
        let printed = world.fails(&[&suite[..], &cpu].concat(), 3);
        assert!(printed.contains("not finite") && printed.contains(model), "{printed}");
    }
    assert!(!world.path("no.json").exists());
    for name in ["no_embeddings_nan_image/img_emb", "no_embeddings_nan_text/text_emb"] {
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
    let export = ["eval", "export", "--dataset", "toys", "--out"];
    world.good(&[&export[..], &["wds_toys", "--per-shard", "5"]].concat());
    let printed = world.good(&[&export[..], &["wds_few", "--limit", "4"]].concat());
    assert!(printed.contains("4 of the 16 items of toys"), "{printed}");
    let samples = std::fs::read(world.path("wds_few/test/0.tar")).unwrap();
    // One of every second class.
    let classes: Vec<u8> = (0..samples.len() / 512)
        .filter(|at| samples[at * 512..][..100].windows(4).any(|name| name == b".cls"))
        .map(|at| samples[(at + 1) * 512])
        .collect();
    assert_eq!(classes, b"0246");
    let output = world.run(&["eval", "export", "--dataset", "cifr10=toys", "--out", "wds_named"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.contains("did you mean cifar10?"), "{errors}");
    let message = world.fails(&[&export[..], &["wds_few"]].concat(), 2);
    assert!(message.contains("was exported there before\nhint: "), "{message}");
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
    let small = ["zero-shot", "--dataset", "toys", "--batch-size", "3", "--output", "e.json"];
    run(&[&small[..], &cache].concat());
    assert_eq!(json(&world, "e.json")["metrics"], a["metrics"]);
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
    assert!(page.contains("<svg") && page.contains("data:image/png"), "no plot or images");

    // Captions: a table of images.
    let rows: Vec<String> =
        (0..8).map(|n| format!("toys/class_{n}/copy.png,image number {n}\n")).collect();
    std::fs::write(world.path("captions.csv"), format!("image,caption\n{}", rows.concat()))
        .unwrap();
    let printed = run(&[
        "retrieval",
        "--dataset",
        "captions.csv",
        "--prompt",
        "a photo of ",
        "--output",
        "r.json",
    ]);
    // Of eight images there is no recall at 10.
    assert!(printed.contains("8 images, 8 captions") && printed.contains("R@5"), "{printed}");
    assert!(!printed.contains("R@10"), "{printed}");
    let found = json(&world, "r.json");
    assert!(found["metrics"]["image_retrieval_recall@5"].is_number());
    assert_eq!((&found["limit"], &found["items_total"]), (&serde_json::Value::Null, &8.into()));
    for (k, named) in [("0", "at least 1"), ("9", "recall at 9 of 8")] {
        let asked = ["eval", "retrieval", "--dataset", "captions.csv", "--recall-k", k];
        let printed = world.fails(&[&asked[..], &model[..]].concat(), 2);
        assert!(printed.contains(named), "{printed}");
    }

    // A part of a set is spread over its classes, and says that it is one.
    let printed =
        run(&["zero-shot", "--dataset", "wds_toys", "--limit", "4", "--output", "l.json"]);
    assert!(printed.contains("--limit 4: these are scores of 4 of the "), "{printed}");
    let part = json(&world, "l.json");
    assert_eq!((&part["limit"], &part["items"]), (&4.into(), &4.into()));
    assert_eq!(part["items_total"], a["items"]);

    probes(&world, &model);

    // Features that are not finite are named by their file and row.
    let path = world.path("f/test.npy");
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len() - 4;
    bytes[end..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let printed = world.fails(&["eval", "linear-probe", "--features", "f"], 5);
    assert!(
        printed.contains("row 63 of f/test.npy") && printed.contains("not finite"),
        "{printed}"
    );
    let seeds = ["eval", "few-shot", "--features", "f", "--seeds", "0"];
    assert!(world.fails(&seeds, 2).contains("--seeds"));
    nothing_is_scored_of_nan(&world);

    // A suite continues where it stopped, and names what it could not do.
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
    assert!(String::from_utf8_lossy(&second.stderr).matches("done before").count() == 2);
    assert_eq!(String::from_utf8_lossy(&second.stdout), first);
    // The same weights with another preprocessing are evaluated anew.
    let squash = ["--image-resize-mode", "squash", "--image-mean", "0.5"];
    let third = world.run(&[&["eval"], &suite[..], &squash].concat());
    let errors = String::from_utf8_lossy(&third.stderr);
    assert!(third.status.success() && !errors.contains("done before"), "{errors}");
    // Scores that no report split, or another one, are made anew where a report is given.
    world.good(&["contamination", "--corpus", "runs/small/shards", "--eval", "toys=toys"]);
    let split = ["--contamination", "contamination/contamination.json"];
    for done in [1, 2] {
        let again = world.run(&[&["eval"], &suite[..], &squash, &split].concat());
        let errors = String::from_utf8_lossy(&again.stderr).into_owned();
        assert!(
            again.status.success() && errors.matches("done before").count() == done,
            "{errors}"
        );
    }
    an_edited_configuration_is_another_model(&world);
    // Two sets of one name would have one file of results; a set that moved is another.
    std::fs::create_dir(world.path("other")).unwrap();
    let copy = [Path::new("-r"), &world.path("toys"), &world.path("other")];
    assert!(std::process::Command::new("cp").args(copy).status().unwrap().success());
    let printed = world.fails(&[&["eval"], &suite[..], &["other/toys"]].concat(), 2);
    assert!(printed.contains("both are called toys"), "{printed}");
    world.good(&[&["eval"], &suite[..]].concat());
    let moved = suite.map(|word| if word == "toys" { "other/toys" } else { word });
    let output = world.run(&[&["eval"], &moved[..]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.matches("done before").count() == 1, "{errors}");
    let printed = world.fails(&[&["eval"], &suite[..], &["nowhere"]].concat(), 3);
    assert!(printed.contains("nowhere") && printed.contains("1 evaluation failed"), "{printed}");
    // What is there of a set that is gone is no result of this call; what it did not ask for has a
    // star.
    std::fs::rename(world.path("toys"), world.path("away")).unwrap();
    let output = world.run(&[&["eval"], &suite[..]].concat());
    std::fs::rename(world.path("away"), world.path("toys")).unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{printed}");
    assert!(!printed.contains("toys") && printed.contains("mean over 1 set "), "{printed}");
    let printed = world.good(&[&["eval"], &suite[..9]].concat());
    assert!(printed.contains("* 1 result of earlier calls"), "{printed}");

    // The doctor finds an image that is none, and the evaluation names it.
    std::fs::write(world.path("toys/class_0/bad.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    let doctor = world.run(&["eval", "doctor", "--dataset", "toys"]);
    assert_eq!(doctor.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("class_0/bad.png"));
    let printed =
        world.fails(&[&["eval", "zero-shot", "--dataset", "toys"], &model[..]].concat(), 2);
    assert!(printed.contains("bad.png") && printed.contains("--skip-unreadable"), "{printed}");
    let printed = run(&["zero-shot", "--dataset", "toys", "--skip-unreadable"]);
    assert!(printed.contains("1 images could not be read"), "{printed}");
}

/// Eight images a class of nothing in common: a probe that never saw a test image is at chance.
fn noise(world: &World, folder: &str, classes: &[&str], from: usize) {
    for (class, name) in classes.iter().enumerate() {
        let path = world.path(&format!("{folder}/{name}"));
        std::fs::create_dir_all(&path).unwrap();
        for n in 0..8 {
            let image = smooth_image(from + class * 8 + n);
            std::fs::write(path.join(format!("{n}.png")), encode_png(&image).unwrap()).unwrap();
        }
    }
}

/// STL-10's files, small: 30 images to fit on in two folds that share ten, 12 to score, of two
/// classes.
fn stl10(world: &World) {
    std::fs::create_dir(world.path("stl")).unwrap();
    for (part, count, from) in [("train", 30, 60_000), ("test", 12, 70_000)] {
        let pixels: Vec<u8> = (0..count).flat_map(|n| smooth_image(from + n).data).collect();
        let labels: Vec<u8> = (0..count).map(|n| (n % 2) as u8 + 1).collect();
        std::fs::write(world.path(&format!("stl/{part}_X.bin")), pixels).unwrap();
        std::fs::write(world.path(&format!("stl/{part}_y.bin")), labels).unwrap();
    }
    let fold = |from: u32| (from..from + 20).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    let folds = format!("{} \n{} \n", fold(0), fold(10));
    std::fs::write(world.path("stl/fold_indices.txt"), folds).unwrap();
}

fn probes(world: &World, model: &[&str]) {
    let run = |args: &[&str]| world.good(&[&["eval"], args, model].concat());
    let fails = |args: &[&str]| world.fails(&[&["eval"], args, model].concat(), 2);
    let names: Vec<String> = (0..8).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    noise(world, "noise/train", &names, 20_000);
    noise(world, "noise/val", &names, 30_000);

    // ImageNet's own layout: what is scored is not chosen or fitted on.
    let printed =
        run(&["linear-probe", "--dataset", "noise", "--save-features", "f", "--output", "p.json"]);
    assert!(printed.contains("48 to fit on, 16 to choose on, 64 to score"), "{printed}");
    let probe = json(world, "p.json");
    let score = |document: &serde_json::Value| document["metrics"]["lp_acc1"].as_f64().unwrap();
    // Chance is 12.5%; on what was fitted on it was above 50%.
    assert!(score(&probe) < 0.35, "{probe}");
    assert_eq!(probe["metrics"]["lp_main_metric"], probe["metrics"]["lp_acc1"]);
    assert_eq!((&probe["main_metric"], &probe["folds"]), (&"acc1".into(), &1.into()));
    let fold = &probe["fold_scores"][0];
    assert!(fold["trials"].as_array().unwrap().len() >= 7);
    let strength = fold["lambda"].to_string();
    let printed = world.good(&[
        "eval",
        "linear-probe",
        "--features",
        "f",
        "--lambda",
        &strength,
        "--output",
        "q.json",
    ]);
    assert!(printed.contains("given"), "{printed}");
    let given = json(world, "q.json");
    assert!(given["metrics"]["lp_acc1"].as_f64().is_some(), "{given}");
    assert_eq!(
        (&given["fold_scores"][0]["lambda"], &given["dataset"]),
        (&fold["lambda"], &"noise".into())
    );
    let printed = world.good(&[
        "eval",
        "few-shot",
        "--features",
        "f",
        "--shots",
        "1",
        "100",
        "--seeds",
        "1",
        "--zero-shot",
        "0.2",
    ]);
    assert!(printed.contains("1 shots") && printed.contains("zero-shot is worth"), "{printed}");
    assert!(printed.contains("100 shots  left out: c"), "{printed}");
    let printed = world.fails(&["eval", "few-shot", "--features", "f", "--limit", "3"], 2);
    assert!(printed.contains("--limit"), "{printed}");

    // A test image among those to fit on is refused, or left out and counted.
    std::fs::copy(world.path("noise/val/c3/5.png"), world.path("noise/train/c1/copy.png")).unwrap();
    let printed = fails(&["linear-probe", "--dataset", "noise"]);
    assert!(printed.contains("1 items of train are in test too"), "{printed}");
    assert!(printed.contains("c1/copy.png") && printed.contains("c3/5.png"), "{printed}");
    run(&["linear-probe", "--dataset", "noise", "--drop-shared", "--output", "d.json"]);
    let dropped = json(world, "d.json");
    assert_eq!(dropped["fold_scores"][0]["dropped"]["train_in_test"], 1);
    assert_eq!(dropped["metrics"], probe["metrics"]);
    std::fs::remove_file(world.path("noise/train/c1/copy.png")).unwrap();

    // Classes of another set are found by name, whatever their number.
    for (from, to) in [("c7", "C7"), ("c5", "c5"), ("c6", "c6")] {
        std::fs::create_dir_all(world.path(&format!("some/{to}"))).unwrap();
        for n in 0..8 {
            let from = world.path(&format!("noise/val/{from}/{n}.png"));
            std::fs::copy(from, world.path(&format!("some/{to}/{n}.png"))).unwrap();
        }
    }
    let some = ["linear-probe", "--dataset", "noise", "--lambda", "1"];
    let printed = run(&[&some[..], &["--test-dataset", "some", "--output", "s.json"]].concat());
    assert!(
        printed.contains("5 of 8 classes are fitted on but have no items to score: c0"),
        "{printed}"
    );
    let scored = json(world, "s.json");
    assert_eq!((&scored["dataset"], &scored["fitted_on"]), (&"some".into(), &"noise".into()));
    let printed = run(&[&some[..], &["--classes", "c5,c6,C7", "--output", "t.json"]].concat());
    assert!(printed.contains("24 to score") && printed.contains("3 classes"), "{printed}");
    assert_eq!(json(world, "t.json")["class_subset"]["of"], 8);
    run(&[&some[..], &["--test-dataset", "some", "--classes", "c5,c6,c7", "--output", "u.json"]]
        .concat());
    assert_eq!(json(world, "t.json")["metrics"], json(world, "u.json")["metrics"]);
    noise(world, "some", &["c9"], 50_000);
    let printed = fails(&[&some[..], &["--test-dataset", "some"]].concat());
    assert!(printed.contains("class \"c9\" of its test part is not one of the 8"), "{printed}");

    // Several classes an item: one regression for each, and VOC's average precision.
    let mut table = String::from("image,labels,split\n");
    for (part, folder) in [("train", "train"), ("test", "val")] {
        for n in 0..64 {
            let (class, file) = (n / 8, n % 8);
            let image = format!("noise/{folder}/c{class}/{file}.png");
            table.push_str(&format!("{image},l{}|l{},{part}\n", n % 3, n % 2));
        }
    }
    std::fs::write(world.path("marks.csv"), table).unwrap();
    run(&["linear-probe", "--dataset", "marks.csv", "--output", "m.json"]);
    let marks = json(world, "m.json");
    assert_eq!(marks["main_metric"], "map_11_point");
    assert!(marks["metrics"]["lp_main_metric"].as_f64().is_some_and(|map| map > 0.2), "{marks}");
    assert!(marks["metrics"]["lp_acc1"].is_null());

    // STL-10's folds: the mean over all, or one of them.
    stl10(world);
    let folds = ["linear-probe", "--dataset", "stl10=stl"];
    let printed = run(&[&folds[..], &["--output", "l.json"]].concat());
    assert!(
        printed.contains("fold 2 of 2: 16 to fit on, 4 to choose on, 12 to score"),
        "{printed}"
    );
    assert!(printed.contains("over 2 folds"), "{printed}");
    let all = json(world, "l.json");
    let of = |n: usize| all["fold_scores"][n]["acc1"]["value"].as_f64().unwrap();
    let mean = f64::midpoint(of(0), of(1));
    assert!((score(&all) - mean).abs() < 1e-12 && all["folds"] == 2, "{all}");
    let spread = (of(0) - of(1)).abs() / 2f64.sqrt();
    assert!((all["std"]["lp_acc1"].as_f64().unwrap() - spread).abs() < 1e-12, "{all}");
    // One of them alone scores the same, with a strength that leaves one solution.
    let strong = [&folds[..], &["--lambda", "1", "--output"]].concat();
    run(&[&strong[..], &["all.json"]].concat());
    run(&[&strong[..], &["one.json", "--fold", "2"]].concat());
    let (all, one) = (json(world, "all.json"), json(world, "one.json"));
    assert_eq!(one["fold_scores"][0]["acc1"], all["fold_scores"][1]["acc1"]);
    let printed = fails(&[&folds[..], &["--fold", "3"]].concat());
    assert!(printed.contains("fold 3 of 2"), "{printed}");
    let printed = fails(&["linear-probe", "--dataset", "noise", "--fold", "1"]);
    assert!(printed.contains("--fold"), "{printed}");

    // Zero-shot over some of the classes.
    let kept =
        ["zero-shot", "--dataset", "toys", "--classes", "class_2,class 5", "--output", "z.json"];
    let printed = run(&kept);
    assert!(printed.contains("2 classes, chance 50.00%"), "{printed}");
    let found = json(world, "z.json");
    assert_eq!((&found["items"], &found["class_subset"]["classes"]), (&4.into(), &2.into()));
    let printed = fails(&["zero-shot", "--dataset", "toys", "--classes", "class_2,clas_5"]);
    assert!(printed.contains("no class \"clas_5\"") && printed.contains("class 5"), "{printed}");
    let printed = fails(&["retrieval", "--dataset", "captions.csv", "--classes", "a"]);
    assert!(printed.contains("--classes"), "{printed}");
    std::fs::create_dir_all(world.path("choices/images")).unwrap();
    std::fs::write(world.path("choices/swap_att.json"), "{}").unwrap();
    let printed = fails(&["zero-shot", "--dataset", "choices"]);
    assert!(printed.contains("hint: `clip-data eval choice"), "{printed}");
}

#[test]
fn the_registry_and_robustness_need_no_model() {
    let world = World::new();
    let printed = world.good(&["eval", "datasets"]);
    assert!(printed.lines().count() > 35 && printed.contains("Hateful Memes"), "{printed}");
    let printed = world.good(&["eval", "datasets", "pcam"]);
    assert!(printed.contains("camelyonpatch") && printed.contains("as recalled"), "{printed}");
    for (name, value) in [("imagenet1k", 0.762), ("imagenetv2", 0.701)] {
        let text = format!(
            "{{\"dataset\": \"wds/{name}\", \"task\": \"zeroshot_classification\", \"metrics\": {{\"acc1\": {value}}}}}"
        );
        std::fs::write(world.path(&format!("{name}.json")), text).unwrap();
    }
    let printed = world.good(&[
        "eval",
        "robustness",
        "imagenet1k.json",
        "imagenetv2.json",
        "--html",
        "r.html",
    ]);
    assert!(
        printed.contains("effective robustness +6.0")
            && printed.contains("zero-shot is better on 1 of 1"),
        "{printed}"
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
        let printed = world.fails(args, 2);
        assert!(printed.contains(named), "{args:?}: {printed}");
    }
}

fn an_edited_configuration_is_another_model(world: &World) {
    let convert = ["convert", "--model", "logs/m", "--to", "open-clip", "--output", "oc"];
    world.good(&convert);
    let suite = ["eval", "suite", "--model", "oc", "--out", "s-oc", "--dataset", "toys"];
    world.good(&suite);
    let done = || String::from_utf8_lossy(&world.run(&suite).stderr).matches("done before").count();
    assert_eq!(done(), 1);
    let mut config = json(world, "oc/open_clip_config.json");
    let quick = &mut config["model_cfg"]["quick_gelu"];
    *quick = (quick != &serde_json::Value::Bool(true)).into();
    std::fs::write(world.path("oc/open_clip_config.json"), config.to_string()).unwrap();
    assert_eq!((done(), done()), (0, 1));
}
