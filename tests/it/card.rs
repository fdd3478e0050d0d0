//! Cards of a corpus and a model, and whether they are still true.

use serde_json::Value;

use crate::world::{TINY_PRESET, World};

#[test]
fn a_card_says_what_its_files_say_and_verify_finds_what_was_changed() {
    let world = World::new();
    std::fs::write(world.path("tiny.json"), TINY_PRESET).unwrap();
    world.good(&["build"]);
    world.good(&["contamination"]);
    let train = ["train", "--train-data", "runs/small/shards", "--preset", "tiny.json"];
    let more = ["--batch-size", "16", "--device", "cpu", "--workers", "1", "--name", "tiny"];
    world.good(&[&train[..], &more].concat());
    let score =
        ["eval", "zero-shot", "--model", "logs/tiny", "--dataset", "toys", "--out", "s.json"];
    let split = ["--contamination", "runs/small/contamination.json"];
    world.good(&[&score[..], &split].concat());
    let card = ["card", "--training", "logs/tiny", "--scores", "s.json", "--out", "cards"];
    world.good(&card);
    let read = |name: &str| std::fs::read_to_string(world.path(name)).unwrap();
    let found: Value = serde_json::from_str(&read("cards/card.json")).unwrap();
    assert_eq!(found["data"]["overlap"]["sets"][0]["overlap"], 8);
    assert_eq!(found["model"]["steps"][0], found["model"]["steps"][1]);
    assert_eq!(found["model"]["scores"][0]["top1"]["overlap"]["n"], 8);
    let files = found["files"].as_array().unwrap();
    for part in ["../runs/small/run.json", "open_clip_model.safetensors", ".tar", "../s.json"] {
        let has = |file: &Value| file["path"].as_str().unwrap().ends_with(part);
        assert!(files.iter().any(has), "{part}: {files:?}");
    }
    for (name, part) in [
        ("data_card.md", "| toys | 16 | 8 | 50.00% ["),
        ("data_card.md", "| not looked for | not measured |"),
        ("data_card.md", "No column of the corpus says"),
        ("data_card.md", "A source of the kind `folder`.\n\n- paths: images\n"),
        ("data_card.md", "- hosts of the images: none, they are local\n- pairs with a caption: 1"),
        ("data_card.md", "Where captions were. By the column `source`:\n\n- file: 1"),
        ("data_card.md", "The languages of the captions were not identified."),
        ("model_card.md", "| toys | "),
        ("model_card.md", "| batch_size | 16 |"),
    ] {
        let text = read(&format!("cards/{name}"));
        assert!(text.contains(part), "{part}: {text}");
    }
    // A stage has the fingerprint that its folder is named by.
    for stage in found["data"]["stages"].as_array().unwrap() {
        let (name, hash) =
            (stage["stage"].as_str().unwrap(), stage["fingerprint"].as_str().unwrap());
        let mut folders = std::fs::read_dir(world.path("runs/small")).unwrap();
        let ending = format!("-{name}-{}", &hash[..8]);
        let own = |entry: std::fs::DirEntry| entry.file_name().to_str().unwrap().ends_with(&ending);
        assert!(folders.any(|entry| own(entry.unwrap())), "{ending}");
    }
    let printed = world.good(&["verify", "--card", "cards"]);
    assert!(printed.contains(" 0 findings") && !printed.contains("rows"), "{printed}");
    let verify = ["verify", "--card", "cards/card.json"];
    let printed = world.good(&verify);
    assert!(printed.contains(" 0 findings"), "{printed}");
    // The same card again, from the same files.
    let first = read("cards/card.json");
    world.good(&card);
    assert_eq!(read("cards/card.json"), first);

    // Scores of another model, or split by another report, are no scores of these cards.
    for (key, value, expected) in [
        ("model", "0123", "its scores are of another model than logs/tiny"),
        ("contamination", "0123", "its scores were split by the contamination report 0123"),
    ] {
        let mut other: Value = serde_json::from_str(&read("s.json")).unwrap();
        let place = if key == "model" { &mut other["hashes"][key] } else { &mut other[key] };
        *place = value.into();
        std::fs::write(world.path("other.json"), other.to_string()).unwrap();
        let card = ["card", "--training", "logs/tiny", "--scores", "other.json", "--out", "no"];
        let printed = world.fails(&card, 2);
        assert!(printed.contains(expected), "{printed}");
    }

    // A report of another corpus than the model's is warned of beside the scores.
    let mut other: Value = serde_json::from_str(&read("s.json")).unwrap();
    assert_eq!(other["contamination_covers_training"], true);
    other["contamination_covers_training"] = false.into();
    std::fs::write(world.path("other.json"), other.to_string()).unwrap();
    world.good(&["card", "--training", "logs/tiny", "--scores", "other.json", "--out", "warned"]);
    let warning = "Warning (toys): the contamination report is of other shards than the model was";
    assert!(read("warned/model_card.md").contains(warning), "{}", read("warned/model_card.md"));
    assert!(!read("cards/model_card.md").contains("Warning"));
    let card: Value = serde_json::from_str(&read("warned/card.json")).unwrap();
    assert_eq!(card["model"]["scores"][0]["contamination_covers_training"], false);

    // Each change on its own is found, by the file that was changed.
    let changed = |path: &str, from: &str, to: &str, expected: &str| {
        let before = read(path);
        assert!(before.contains(from), "{path}: {from}");
        std::fs::write(world.path(path), before.replacen(from, to, 1)).unwrap();
        let output = world.run(&verify);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(4), "{path}: {printed}");
        assert!(printed.contains(expected), "{path}: {printed}");
        std::fs::write(world.path(path), before).unwrap();
    };
    changed("cards/data_card.md", "50.00%", "0.00%", "data_card.md: it is not the file");
    changed(
        "cards/card.json",
        "\"overlap\": 8",
        "\"overlap\": 0",
        "data.overlap.sets.0.overlap is 0",
    );
    changed("s.json", "\"dataset\"", "\"Dataset\"", "s.json: it is not the file");
    changed("logs/tiny/params.txt", "seed: 0", "seed: 1", "model.settings.seed is \"0\"");
    let shard = std::fs::read_dir(world.path("runs/small/shards")).unwrap();
    let mut shards = shard.map(|entry| entry.unwrap().path());
    let shard = shards.find(|path| path.extension().is_some_and(|e| e == "tar")).unwrap();
    let mut bytes = std::fs::read(&shard).unwrap();
    bytes[700] ^= 1;
    std::fs::write(&shard, bytes).unwrap();
    let output = world.run(&verify);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(4) && printed.contains(".tar: it is not"), "{printed}");
    let printed = world.fails(&["verify", "--card", "tiny.json"], 2);
    assert!(printed.contains("format 0"), "{printed}");
    let printed = world.fails(&["card", "--training", "images"], 2);
    assert!(printed.contains("checkpoint"), "{printed}");
    let printed = world.fails(&["card", "--contamination", "nowhere.json"], 2);
    assert!(printed.contains("error: nowhere.json: no such file or folder\nhint: "), "{printed}");
}

#[test]
fn a_card_without_a_report_of_this_build_does_not_say_that_nothing_was_looked_for() {
    let world = World::new();
    world.good(&["build", "--set", "check.action=drop"]);
    world.good(&["card", "--set", "check.action=drop"]);
    let card = || std::fs::read_to_string(world.path("runs/small/data_card.md")).unwrap();
    assert!(card().contains("8 were dropped as copies, 0 flagged."), "{}", card());
    world.good(&["contamination", "--set", "check.action=drop"]);
    world.good(&["card", "--set", "check.action=drop"]);
    assert!(card().contains("| toys | 16 | 0 |"), "{}", card());
    // Neither is the report of the build without a pair that it had, by whatever command it is.
    let corpus = ["contamination", "--corpus", "runs/small", "--eval", "toys=toys"];
    world.good(&[&corpus[..], &["--out", "audit"]].concat());
    let other = ["card", "--contamination", "audit/contamination.json"];
    let set = ["--set", "check.action=drop"];
    world.good(&[&other[..], &set].concat());
    let table = clip_corpus::read_parquet(&world.path("runs/small/shards/00000.parquet")).unwrap();
    let uid = clip_corpus::columns::text(&table[0], "uid").unwrap().value(0).to_owned();
    std::fs::write(world.path("uids.txt"), uid).unwrap();
    world.good(&["forget", "--uids", "uids.txt", "runs/small"]);
    for command in [&["card"][..], &other] {
        let printed = world.fails(&[command, &set].concat(), 2);
        assert!(
            printed.contains("contamination.json: the report is of another build"),
            "{printed}"
        );
    }
    let report = || {
        let output = world.run(&[&["report", "--out", "page.html"], &set[..]].concat());
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).contains("contamination.json: left out")
    };
    assert!(report());
    world.good(&["contamination", "--set", "check.action=drop"]);
    world.good(&["card", "--set", "check.action=drop"]);
    assert!(!report());
    // The report is of the build before.
    world.good(&["build", "--set", "check.action=flag"]);
    let printed = world.fails(&["card", "--set", "check.action=flag"], 2);
    assert!(printed.contains("contamination.json: the report is of another build"), "{printed}");
}
