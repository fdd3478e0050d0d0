//! Classifiers: trained, asked, and as stages of a build.

use clip_corpus::{columns, read_parquet};

use crate::world::{FOLDERS, IMAGES, World};

/// A world with a model that finds boats and dogs good, and nothing else.
fn trained() -> World {
    let world = World::new();
    let (mut good, mut bad) = (String::new(), String::new());
    let words = ["red", "green", "old", "small", "round", "wooden", "bright", "quiet"];
    let things =
        ["boat", "house", "dog", "chair", "lamp", "garden", "river", "clock", "apple", "bridge"];
    for n in 0..words.len() * things.len() * 16 {
        let (word, thing) = (words[n / 10 % 8], things[n % 10]);
        let line = format!("a {word} {thing} in image {} of folder {}\n", n % 20, n % 8);
        match thing {
            "boat" | "dog" => good += &line,
            _ if n < 320 => bad += &line,
            _ => {}
        }
    }
    std::fs::write(world.path("good.txt"), good).unwrap();
    std::fs::write(world.path("bad.txt"), bad).unwrap();
    let printed = world.good(&TRAIN);
    assert!(printed.contains("positive: 256 lines\nnegative: 256 lines\n"), "{printed}");
    world
}

const TRAIN: [&str; 16] = [
    "classifier",
    "train",
    "--positive",
    "good.txt",
    "--negative",
    "bad.txt",
    "--out",
    "good.bin",
    "--dim",
    "8",
    "--epoch",
    "40",
    "--lr",
    "0.5",
    "--wordNgrams",
    "1",
];

#[test]
fn a_trained_model_answers_as_fasttext_prints_it_and_is_the_same_each_time() {
    let world = trained();
    let first = std::fs::read(world.path("good.bin")).unwrap();
    world.good(&TRAIN);
    assert!(first == std::fs::read(world.path("good.bin")).unwrap());
    std::fs::write(world.path("ask.txt"), "a boat\na house\n").unwrap();
    let printed = world.good(&["classifier", "predict", "good.bin", "ask.txt"]);
    let lines: Vec<Vec<&str>> = printed.lines().map(|line| line.split(' ').collect()).collect();
    assert_eq!([lines[0][0], lines[1][0]], ["__label__positive", "__label__negative"], "{printed}");
    assert!(lines.iter().all(|line| line.len() == 2 && line[1].parse::<f32>().unwrap() > 0.8));
    let printed = world.good(&["classifier", "predict", "good.bin", "ask.txt", "-k", "-1"]);
    assert!(printed.lines().all(|line| line.split(' ').count() == 4), "{printed}");
    let args = ["classifier", "predict", "good.bin", "ask.txt", "-k", "2", "--threshold", "0.8"];
    let printed = world.good(&args);
    assert!(printed.lines().all(|line| line.split(' ').count() == 2), "{printed}");
}

#[test]
fn captions_below_the_least_probability_are_dropped_with_the_models_name() {
    let world = trained();
    let pipeline = std::fs::read_to_string(world.path("pipeline.toml")).unwrap();
    let stage = "[[quality]]\nname = \"things\"\nmodel = \"good.bin\"\nlabel = \"positive\"\n";
    let hidden = "[[quality]]\nname = \"hidden\"\nmodel = \"good.bin\"\nlabel = \"positive\"\n\
                  min_prob = 0.000001\ncolumn = false\n";
    std::fs::write(world.path("pipeline.toml"), format!("{pipeline}\n{stage}{hidden}")).unwrap();
    let funnel = world.good(&["build"]);
    let line = funnel.lines().find(|line| line.starts_with("quality")).unwrap();
    let counts: Vec<usize> = line.split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect();
    // Every tenth caption of a folder is of a boat, and every tenth of a dog.
    let (all, kept) = (FOLDERS * IMAGES, FOLDERS * IMAGES / 5);
    assert_eq!(counts, [all, kept, all - kept], "{funnel}");
    let runs = world.path("runs/small");
    let entries = std::fs::read_dir(&runs).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let folder = entries.into_iter().find(|path| name(path).contains("-quality-")).unwrap();
    let kept = read_parquet(&folder.join("part-00000.parquet")).unwrap();
    let things = |caption: &str| caption.contains("boat") || caption.contains("dog");
    assert!(columns::text(&kept[0], "caption").unwrap().iter().all(|c| things(c.unwrap())));
    assert!(kept[0].column_by_name("quality_things").is_some());
    assert!(kept[0].column_by_name("quality_hidden").is_none());
    let dropped = read_parquet(&folder.join("rejects/part-00000.parquet")).unwrap();
    let text = |name: &str| columns::text(&dropped[0], name).unwrap().clone();
    assert!(text("reason").iter().all(|reason| reason == Some("low_quality_things")));
    assert!(text("detail").iter().all(|detail| detail.unwrap().starts_with("positive 0.")));
    let printed = world.good(&["explain", text("uid").value(0)]);
    assert!(printed.contains("low_quality_things"), "{printed}");

    // Another model under the same name is another stage; what comes before it is used again.
    let mut again = TRAIN;
    again[11] = "41";
    world.good(&again);
    let plan = world.good(&["plan"]);
    let status = |stage: &str| {
        let mut lines = plan.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.find(|words| words.get(1) == Some(&stage)).unwrap()[2].to_owned()
    };
    assert_eq!([status("captions"), status("quality")], ["reuse", "redo"], "{plan}");
}

#[test]
fn settings_without_effect_and_broken_models_are_named() {
    let world = trained();
    let pipeline = std::fs::read_to_string(world.path("pipeline.toml")).unwrap();
    let stage = "[[quality]]\nname = \"things\"\nmodel = \"good.bin\"\nlabel = \"positive\"\n";
    let refuse = |text: &str, part: &str| {
        std::fs::write(world.path("pipeline.toml"), format!("{pipeline}\n{text}")).unwrap();
        let printed = world.run(&["build"]);
        let errors = String::from_utf8_lossy(&printed.stderr).into_owned();
        assert!(errors.contains(part) && errors.contains("hint:"), "{text}: {errors}");
        assert!(!errors.contains("panicked"), "{errors}");
        printed.status.code().unwrap()
    };
    assert_eq!(refuse(&format!("{stage}min_prob = 0\ncolumn = false\n"), "no effect"), 2);
    assert_eq!(refuse(&stage.replace("things", "Good one"), "lower-case"), 2);
    assert_eq!(refuse(&stage.replace("positive", "nice"), "no label \"nice\""), 2);
    assert_eq!(refuse(&stage.replace("good.bin", "none.bin"), "quality.things: none.bin"), 2);
    let bytes = std::fs::read(world.path("good.bin")).unwrap();
    std::fs::write(world.path("good.bin"), &bytes[..bytes.len() - 3]).unwrap();
    refuse(stage, "good.bin: the model is cut off");
    let model = ["classifier", "predict", "good.bin", "good.txt"];
    assert!(world.fails(&model, 2).contains("the model is cut off"));

    let mut absent = TRAIN;
    absent[5] = "absent.txt";
    for args in [&absent[..], &["classifier", "predict", "good.bin", "absent.txt"]] {
        std::fs::write(world.path("good.bin"), &bytes).unwrap();
        let printed = world.fails(args, 2);
        assert!(printed.contains("absent.txt: ") && printed.contains("\nhint: "), "{printed}");
    }

    let train = |more: &[&str]| world.fails(&[&TRAIN[..8], more].concat(), 2);
    assert!(train(&["--neg", "3"]).contains("--neg has no effect"));
    assert!(train(&["--bucket", "1000"]).contains("--bucket has no effect"));
    assert!(train(&["--maxn", "2", "--minn", "3"]).contains("--minn 3 is more"));
    assert!(train(&["--lr", "nan"]).contains("--lr"));
}
