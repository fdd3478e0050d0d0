//! Which class a label means, as the commands print and record it.

use crate::world::World;

const PRESET: &str = r#"{
  "model_cfg": {
    "embed_dim": 8, "quick_gelu": true,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1}
  },
  "train": {"batch_size": 16, "epochs": 1, "warmup": 2, "precision": "fp32", "augment": "small"}
}"#;

/// Copies an image of the toys into a class of a set.
fn put(world: &World, set: &str, labels: &[&str]) {
    for (at, label) in labels.iter().enumerate() {
        let folder = world.path(&format!("{set}/{label}"));
        std::fs::create_dir_all(&folder).unwrap();
        for image in 0..=at {
            let from = world.path(&format!("toys/class_{}/other.png", (at + image) % 8));
            std::fs::copy(from, folder.join(format!("{image}.png"))).unwrap();
        }
    }
}

#[test]
fn a_position_is_warned_of_and_recorded_and_imagenet_has_its_names() {
    let world = World::new();
    std::fs::write(world.path("tiny.json"), PRESET).unwrap();
    put(&world, "val", &["n01440764", "n01443537", "n15075141"]);
    put(&world, "v2", &["0", "10", "999"]);
    put(&world, "codes", &["x", "y"]);
    put(&world, "halves", &["positive", "negative"]);
    put(&world, "dogs", &["beagle", "pugg"]);
    let data = ["train", "--dataset-type", "synthetic", "--train-num-samples", "32"];
    let run = ["--preset", "tiny.json", "--device", "cpu", "--name", "m"];
    let sets = ["--imagenet-val", "val", "--imagenet-v2", "v2", "--zeroshot", "sst2=codes"];
    let trained = world.run(&[&data[..], &run, &sets].concat());
    let printed = String::from_utf8_lossy(&trained.stderr);
    assert!(trained.status.success(), "{printed}");
    for line in [
        "imagenet-zeroshot-val-top1: ",
        "imagenet-zeroshot-val-top5: ",
        "imagenetv2-zeroshot-val-top1: ",
        "sst2-zeroshot-val-top1: ",
        "warning: sst2: matched by position: no folder name is a class name\n  x -> negative\n  y -> positive\n",
    ] {
        assert!(printed.contains(line), "{line:?} in {printed}");
    }

    let model = ["--model", "logs/m", "--device", "cpu"];
    let zero = |set: &str| {
        let args = ["eval", "zero-shot", "--dataset", set, "--output", "scores.json"];
        let output = world.run(&[&args[..], &model].concat());
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{printed}");
        let scores = std::fs::read_to_string(world.path("scores.json")).unwrap();
        let scores: serde_json::Value = serde_json::from_str(&scores).unwrap();
        (printed, scores["class_match"].as_str().unwrap().to_owned())
    };
    let (printed, kind) = zero("sst2=codes");
    assert!(printed.contains("matched by position") && printed.contains("x -> negative"));
    assert_eq!(kind, "position");
    let (printed, kind) = zero("sst2=halves");
    assert_eq!((printed.contains("matched by position"), kind.as_str()), (false, "name"));

    for (set, warned) in [("sst2=codes", true), ("sst2=halves", false)] {
        let suite = ["eval", "suite", "--out", "s", "--dataset", set];
        let output = world.run(&[&suite[..], &model].concat());
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(printed.contains("matched by position"), warned, "{printed}");
    }

    let doctor = world.run(&["eval", "doctor", "--dataset", "sst2=codes"]);
    assert_eq!(doctor.status.code(), Some(1));
    let printed = String::from_utf8_lossy(&doctor.stdout);
    assert!(
        printed.contains("BAD   class match") && printed.contains("x -> negative"),
        "{printed}"
    );
    let doctor = world.run(&["eval", "doctor", "--dataset", "val", "--protocol", "folder"]);
    let printed = String::from_utf8_lossy(&doctor.stdout);
    assert!(printed.contains("\"n01440764\" is a WordNet id"), "{printed}");

    let asked = ["eval", "zero-shot", "--dataset", "pets=dogs", "--layout", "folder"];
    let refused = world.fails(&[&asked[..], &model[..]].concat(), 2);
    assert!(
        refused.contains("1 of 2 labels is no class name: \"pugg\" (nearest \"pug\")"),
        "{refused}"
    );
    std::fs::write(world.path("dogs/classnames.txt"), "a\nb\n").unwrap();
    std::fs::write(world.path("dogs/zeroshot_classification_templates.txt"), "").unwrap();
    let refused = world.fails(&["eval", "doctor", "--dataset", "dogs"], 2);
    assert!(refused.contains("zeroshot_classification_templates.txt: no template"), "{refused}");
    for (flag, file, reason) in
        [("--templates", "t.txt", "no template"), ("--class-prompts", "p.json", "no class prompts")]
    {
        std::fs::write(world.path(file), "").unwrap();
        let args = ["eval", "zero-shot", "--dataset", "toys", flag, file];
        let refused = world.fails(&[&args[..], &model].concat(), 2);
        assert!(refused.contains(&format!("{file}: {reason}")), "{refused}");
    }
}
