//! Contamination: of a build, and of any corpus against any evaluation set.

use std::collections::HashSet;

use arrow::array::AsArray;
use clip_corpus::read_parquet;
use serde_json::{Value, json};

use crate::world::{FOLDERS, IMAGES, World};

fn account(world: &World, folder: &str) -> Value {
    let text = std::fs::read_to_string(world.path(folder).join("contamination.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn counts(account: &Value) -> [u64; 3] {
    ["items", "overlap", "removed"].map(|key| account["sets"][0][key].as_u64().unwrap())
}

#[test]
fn a_builds_copies_are_flagged_or_dropped() {
    let world = World::new();
    let (all, copied) = (2 * FOLDERS as u64, FOLDERS as u64);
    for (action, fate, expected) in [
        ("flag", "  in the corpus  file:", [all, copied, 0]),
        ("drop", "  removed  file:", [all, 0, copied]),
    ] {
        let set = format!("check.action={action}");
        let funnel = world.good(&["build", "--set", &set]);
        assert_eq!(funnel.contains("flagged, which continue"), action == "flag", "{funnel}");
        let printed = world.good(&["contamination", "--set", &set]);
        let line = printed.lines().find(|line| line.starts_with("corpus: ")).unwrap();
        assert!(line.contains("that the stage `check` compared, "), "{line}");
        assert!(line.ends_with(" of them in the shards"), "{line}");
        assert_eq!(counts(&account(&world, "runs/small")), expected, "{printed}");
        assert_eq!(printed.matches(fate).count(), FOLDERS, "{printed}");
    }
    // A re-check of what is left, as the shards have it.
    world.good(&["contamination", "--corpus", "runs/small", "--eval", "toys=toys"]);
    assert_eq!(counts(&account(&world, "contamination"))[..2], [all, 0]);
}

#[test]
fn any_corpus_is_reported_and_gated() {
    let world = World::new();
    let check = ["contamination", "--corpus", "images", "--eval", "toys=toys"];
    let with = |more: &[&'static str]| [&check[..], more].concat();
    let printed = world.good(&check);
    let first = account(&world, "contamination");
    // The first and the last image of each folder are the same, and one item's copies.
    assert_eq!(counts(&first), [2 * FOLDERS as u64, FOLDERS as u64, 0], "{printed}");
    assert_eq!(first["sets"][0]["images"], 2 * FOLDERS);
    assert!(printed.contains(first["id"].as_str().unwrap()));
    for (file, part) in [
        ("contamination.html", "data:image/jpeg;base64,"),
        ("sheet-toys.html", "save decisions.json"),
    ] {
        let html = std::fs::read_to_string(world.path("contamination").join(file)).unwrap();
        assert!(html.contains(part) && !html.contains("src=\"http"), "{file}");
    }
    let mut copies = HashSet::new();
    for batch in read_parquet(&world.path("contamination/pairs.parquet")).unwrap() {
        let ids = batch.column_by_name("id").unwrap().as_string::<i32>();
        let copy = batch.column_by_name("copy").unwrap().as_boolean();
        let rows = (0..batch.num_rows()).filter(|&at| copy.value(at));
        copies.extend(rows.map(|at| ids.value(at).to_owned()));
    }
    assert!(copies.contains("03/000.jpg") && copies.len() == 2 * FOLDERS, "{copies:?}");

    let printed = world.fails(&with(&["--max-rate", "10%"]), 1);
    assert!(printed.contains("gate: 50.000% of toys"), "{printed}");
    world.good(&with(&["--max-rate", "0.5"]));
    // Nothing changed since: the report has the same identity, and the parts were read again.
    assert_eq!(account(&world, "contamination")["id"], first["id"]);
    assert_eq!(std::fs::read_dir(world.path("contamination/parts")).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(world.path("cache/evaluation-sets")).unwrap().count(), 1);

    let out = ["--out", "after", "--without", "contamination/pairs.parquet", "--max-rate", "0"];
    world.good(&with(&out));
    // A report's folder is its pairs of images; several lists are taken as one.
    let texts = "contamination/texts.parquet";
    assert!(!world.path(texts).exists());
    let folder = ["--out", "after", "--without", "contamination", "--without"];
    world.good(&with(&[&folder[..], &["contamination/pairs.parquet"]].concat()));
    assert_eq!(counts(&account(&world, "after"))[1], 0);
    let printed = world.good(&with(&out[..4]));
    assert_eq!(counts(&account(&world, "after")), [2 * FOLDERS as u64, 0, FOLDERS as u64]);
    let listed = format!("items of toys with a copy: 0 in the corpus, {FOLDERS} removed from it");
    assert!(printed.contains(&listed), "{printed}");
}

#[test]
fn copies_are_left_out_of_new_shards() {
    let world = World::new();
    world.good(&["build", "--set", "check.action=flag"]);
    let check = ["contamination", "--corpus", "runs/small/shards", "--eval", "wds/toys=toys"];
    world.good(&check);
    let before = account(&world, "contamination");
    let copies = before["sets"][0]["images"].as_u64().unwrap();
    assert_eq!((before["sets"][0]["name"].as_str().unwrap(), copies > 0), ("toys", true));
    let reshard = ["reshard", "-i", "runs/small/shards", "--without"];
    let printed =
        world.good(&[&reshard[..], &["contamination/pairs.parquet", "-o", "clean"]].concat());
    assert!(
        printed.contains(&format!("{copies} copies of evaluation items left out")),
        "{printed}"
    );
    world.good(&["contamination", "--corpus", "clean", "--eval", "toys=toys", "--out", "after"]);
    assert_eq!(counts(&account(&world, "after"))[1], 0);
    // The new shards have other names: the report is not of them.
    let mistaken = ["--corpus", "clean", "--eval", "toys=toys", "--without", "contamination"];
    let printed = world.fails(&[&["contamination", "--out", "no"], &mistaken[..]].concat(), 2);
    assert!(printed.contains("none of its"), "{printed}");
    let again = ["reshard", "-i", "clean", "-o", "no", "--without", "contamination/pairs.parquet"];
    let printed = world.fails(&again, 2);
    assert!(printed.contains("none of its"), "{printed}");
    let names = "in these shards: it names those in runs/small/shards/0000";
    assert!(printed.contains(names) && printed.contains("by folder and file"), "{printed}");
    // Neither is it of other shards of the same names, with the same keys in them.
    std::fs::rename(world.path("runs"), world.path("moved")).unwrap();
    let moved = "moved/small/shards";
    let without = ["--without", "contamination/pairs.parquet"];
    world.good(&[&["reshard", "-i", moved, "-o", "known"][..], &without].concat());
    let five = ["--shuffle", "1", "--digits", "5", "--shard-size", "60"];
    world.good(&[&["reshard", "-i", moved, "-o", "other"][..], &five].concat());
    let printed = world.fails(&[&["reshard", "-i", "other", "-o", "no"][..], &without].concat(), 2);
    assert!(printed.contains("none of its"), "{printed}");
}

#[test]
fn a_flat_folder_of_test_images_is_a_set() {
    let world = World::new();
    std::fs::create_dir(world.path("flat")).unwrap();
    for class in 0..FOLDERS {
        let copy = world.path(&format!("toys/class_{class}/copy.png"));
        std::fs::copy(copy, world.path(&format!("flat/{class}.png"))).unwrap();
    }
    let printed = world.good(&["contamination", "--corpus", "images", "--eval", "mine=flat"]);
    assert_eq!(counts(&account(&world, "contamination"))[..2], [FOLDERS as u64; 2], "{printed}");
    let html = std::fs::read_to_string(world.path("contamination/contamination.html")).unwrap();
    assert!(html.contains("<h3>Items in the corpus</h3>"), "{html}");
    assert_eq!(html.matches("<img").count(), 2 * FOLDERS, "items and copies are shown");
}

#[test]
fn eyes_and_predictions_have_their_say() {
    let world = World::new();
    let mark = |verdict: &str, at: usize| json!({"key": "class_2/copy.png", "id": format!("02/{at:03}.jpg"), "verdict": verdict});
    let marks = json!([mark("reject", 0), mark("reject", 19)]);
    let decisions = json!({"sets": {"toys": {"marks": marks}}}).to_string();
    std::fs::write(world.path("d.json"), decisions).unwrap();
    let mut rows = "key,correct,label,value\n".to_owned();
    for class in 0..FOLDERS {
        rows.push_str(&format!("class_{class}/copy.png,1,{class},1\nclass_{class}/other.png,"));
        rows.push_str(&format!("{},{class},0.5\n", u8::from(class < 4)));
    }
    std::fs::write(world.path("p.csv"), rows).unwrap();
    let check = ["contamination", "--corpus", "images", "--eval", "toys=toys"];
    let more = ["--decisions", "d.json", "--predictions", "toys=p.csv", "--tests", "35"];
    let args = [&check[..], &more].concat();
    let printed = world.good(&args);
    let found = account(&world, "contamination");
    assert_eq!(counts(&found)[1], FOLDERS as u64 - 1, "{printed}");
    let effect = &found["sets"][0]["effect"];
    assert_eq!(
        (&effect["overlap"], &effect["correct"], &effect["tests"]),
        (&json!(7), &json!(12), &json!(35))
    );
    assert!(printed.contains("m = 35") && printed.contains("mean per class"), "{printed}");
    assert_eq!(found["sets"][0]["differences"][1]["metric"], "mean value");
    let printed = world.fails(&[&args[..], &["--max-inflation", "1%"]].concat(), 1);
    assert!(printed.contains("gate: toys: All - Clean is"), "{printed}");
    let printed = world.fails(&[&args[..], &["--calibrate"]].concat(), 2);
    assert!(printed.contains("too few"), "{printed}");
    // The folder of the report keeps what was decided.
    world.good(&check);
    assert_eq!(counts(&account(&world, "contamination"))[1], FOLDERS as u64 - 1);
}

#[test]
fn marks_beside_a_report_count_and_those_that_name_no_pair_are_said() {
    let world = World::new();
    let check = ["contamination", "--corpus", "images", "--eval", "toys=toys"];
    world.good(&check);
    let mark = |id: &str| json!({"key": "class_2/copy.png", "id": id, "verdict": "reject"});
    let write = |file: &str, marks: &[Value]| {
        let decisions = json!({"sets": {"toys": {"marks": marks}}}).to_string();
        std::fs::write(world.path(file), decisions).unwrap();
    };
    write("contamination/decisions.json", &[mark("02/000.jpg"), mark("02/019.jpg")]);
    let said = |args: &[&str]| {
        let output = world.run(&[&check[..], args].concat());
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let errors = said(&[]);
    assert!(errors.contains("decisions: contamination/decisions.json"), "{errors}");
    assert!(!errors.contains("name no pair"), "{errors}");
    assert_eq!(counts(&account(&world, "contamination"))[1], FOLDERS as u64 - 1);
    // A file that is named counts alone.
    write("d.json", &[mark("40"), mark("02/000.jpg")]);
    let errors = said(&["--decisions", "d.json"]);
    let old = "those that were there are in contamination/decisions.old.json";
    assert!(errors.contains(old), "{errors}");
    let lost = "warning: toys: 1 of 2 marks name no pair that was found, such as item \
                class_2/copy.png and image 40\nhint: ";
    assert!(errors.contains(lost), "{errors}");
    assert_eq!(counts(&account(&world, "contamination"))[1], FOLDERS as u64);
}

#[test]
fn a_hash_that_the_source_states_finds_the_same_file_in_a_build() {
    let kind = |stated: bool| {
        let world = World::new();
        let item = world.path("toys/class_2/copy.png");
        let output = std::process::Command::new("sha256sum").arg(item).output().unwrap();
        let sha256 = String::from_utf8(output.stdout).unwrap()[..64].to_owned();
        for at in [0, IMAGES - 1].into_iter().filter(|_| stated) {
            let json = json!({"sha256": sha256}).to_string();
            std::fs::write(world.path(&format!("images/02/{at:03}.json")), json).unwrap();
        }
        world.good(&["build", "--set", "check.action=flag"]);
        world.good(&["contamination"]);
        let found = account(&world, "runs/small");
        let mut copies = found["sets"][0]["copies"].as_array().unwrap().iter();
        let copy = copies.find(|copy| copy["key"] == "class_2/copy.png").unwrap();
        copy["kind"].as_str().unwrap().to_owned()
    };
    assert_eq!((kind(false).as_str(), kind(true).as_str()), ("near", "exact"));
}

#[test]
fn where_all_items_are_copies_nothing_is_compared() {
    let world = World::new();
    let items = (0..FOLDERS)
        .flat_map(|n| ["copy", "other"].map(|name| format!("class_{n}/{name}.png,1\n")));
    let rows = items.collect::<String>();
    std::fs::write(world.path("p.csv"), format!("key,correct\n{rows}")).unwrap();
    let args = ["contamination", "--corpus", "toys", "--eval", "cifr10=toys"];
    let args = [&args[..], &["--predictions", "cifr10=p.csv"]].concat();
    let output = world.run(&args);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("no clean item is left to compare with"), "{printed}");
    assert!(printed.contains("interval of Overlap ["), "{printed}");
    assert!(!printed.contains("cludes Clean"), "{printed}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("did you mean cifar10?"), "{errors}");
    let html = std::fs::read_to_string(world.path("contamination/contamination.html")).unwrap();
    assert!(html.contains("no clean item is left to compare with"));
    let printed = world.fails(&[&args[..], &["--max-inflation", "1%"]].concat(), 1);
    assert!(printed.contains("All - Clean is not known"), "{printed}");
}

#[test]
fn lists_of_hashes_find_equal_files_and_say_what_they_could_not_verify() {
    let world = World::new();
    let copy = std::fs::read(world.path("toys/class_0/copy.png")).unwrap();
    let hash = blake3::hash(&copy).to_hex();
    let list = format!("url,blake3,caption\nhttp://x.org/1,{hash},a class 0\nhttp://x.org/2,,b\n");
    std::fs::write(world.path("l.csv"), list).unwrap();
    world.good(&["contamination", "--corpus", "l.csv", "--eval", "toys=toys"]);
    let found = account(&world, "contamination");
    assert_eq!(counts(&found)[1], 1);
    assert_eq!((&found["corpus"]["hashed"], &found["corpus"]["bare"]), (&json!(1), &json!(1)));
    let captions = &found["sets"][0]["captions"];
    assert_eq!((&captions["captioned"], &captions["naming"]), (&json!(1), &json!(1)));
}

#[test]
fn what_is_wrong_is_named() {
    let world = World::new();
    std::fs::write(world.path("bare.csv"), "url,caption\nhttp://x.org/1,a\n").unwrap();
    std::fs::write(world.path("cut.tar"), [7; 700]).unwrap();
    std::fs::write(world.path("d.json"), "{\"sets\": []}").unwrap();
    let eval = ["--eval", "toys=toys"];
    for (args, code, named) in [
        (&["--corpus", "nowhere"][..], 2, "nowhere"),
        (&["--corpus", "bare.csv"], 2, "no column to compare by"),
        (&["--corpus", "cut.tar"], 4, "cut.tar"),
        (&["--corpus", "toys", "--eval", "toys=toys"], 2, "two sets have this name"),
        (&["--corpus", "images", "--eval", "none=nowhere"], 2, "nowhere"),
        (&["--corpus", "images", "--predictions", "toy=p.csv"], 2, "the sets are toys"),
        (&["--corpus", "images", "--threshold", "7"], 2, "from 0 to 1"),
        (&["--corpus", "images", "--decisions", "d.json"], 2, "d.json"),
        (&["--corpus", "images", "--max-inflation", "1%"], 2, "--predictions"),
        (&["--corpus", "images", "--detector", "nowhere"], 2, "clip-data detector train"),
    ] {
        let printed = world.fails(&[&["contamination"], &eval[..], args].concat(), code);
        assert!(printed.contains(named), "{args:?}: {printed}");
    }
    let printed = world.fails(&["contamination", "--corpus", "images"], 2);
    assert!(printed.contains("--eval"), "{printed}");
    // A build's report has its place, and a corpus no pipeline.
    let printed = world.fails(&["contamination", "--out", "elsewhere"], 2);
    assert!(printed.contains("--corpus"), "{printed}");
    let both = [&["contamination", "--corpus", "images", "--set", "seed=1"], &eval[..]].concat();
    assert!(world.fails(&both, 2).contains("--config and --set"));
    // One bad image is a row that is reported, not the end.
    std::fs::write(world.path("images/00/003.jpg"), b"no image at all").unwrap();
    let printed = world.good(&["contamination", "--corpus", "images", "--eval", "toys=toys"]);
    assert!(printed.contains("1 unreadable"), "{printed}");
}

#[test]
fn captions_of_a_set_are_found_beside_its_images() {
    let world = World::new();
    std::fs::create_dir(world.path("captioned")).unwrap();
    for (folder, text) in [
        // The caption of its own image, but for case and punctuation.
        (2, "A OLD, boat in image 0 of folder 2!\n"),
        // In the second line that of another image.
        (3, "nothing that is said anywhere in this world\na round boat in image 0 of folder 4\n"),
        (4, "a quiet evening without any image of it\n"),
    ] {
        let image = world.path(&format!("toys/class_{folder}/copy.png"));
        std::fs::copy(image, world.path(&format!("captioned/{folder}.png"))).unwrap();
        std::fs::write(world.path(&format!("captioned/{folder}.txt")), text).unwrap();
    }
    let check = ["contamination", "--corpus", "images", "--eval", "mine=captioned"];
    let printed = world.good(&check);
    let found = account(&world, "contamination");
    let text = &found["sets"][0]["text"];
    assert_eq!((&text["overlap"], &text["both"]), (&json!(2), &json!(2)), "{printed}");
    // Only the first has its image in the row of its caption.
    assert_eq!(text["same_row"], json!(1), "{text}");
    assert_eq!(text["kinds"], json!({"normalised": 1, "exact": 1}), "{text}");
    assert!(printed.contains("2 have a caption in the corpus"), "{printed}");
    let html = std::fs::read_to_string(world.path("contamination/contamination.html")).unwrap();
    assert!(html.contains("mine: captions"), "{html}");
    // Again: from what was kept.
    world.good(&check);
    assert_eq!(account(&world, "contamination"), found);
    assert_eq!(std::fs::read_dir(world.path("contamination/parts")).unwrap().count(), 2);
    let texts = read_parquet(&world.path("contamination/texts.parquet")).unwrap();
    assert!(texts.iter().map(|batch| batch.num_rows()).sum::<usize>() >= 2);
}

#[test]
fn captions_are_looked_for_in_a_build_and_gate_a_corpus() {
    let world = World::new();
    std::fs::create_dir(world.path("captioned")).unwrap();
    for folder in 2..5 {
        // An image that the corpus does not have, with captions of a folder, all of which no step
        // of a build drops.
        let image = world.path(&format!("toys/class_{folder}/other.png"));
        std::fs::copy(image, world.path(&format!("captioned/{folder}.png"))).unwrap();
        let text = |at: usize| {
            let path = world.path(&format!("images/{folder:02}/{at:03}.txt"));
            std::fs::read_to_string(path).unwrap()
        };
        let texts: Vec<String> = (1..12).map(text).collect();
        let texts = if folder == 4 {
            "a quiet evening without any image\n".into()
        } else {
            texts.join("\n")
        };
        std::fs::write(world.path(&format!("captioned/{folder}.txt")), texts).unwrap();
    }
    let pipeline = std::fs::read_to_string(world.path("pipeline.toml")).unwrap();
    let pipeline = pipeline.replace(r#"{ toys = "toys" }"#, r#"{ mine = "captioned" }"#);
    std::fs::write(world.path("pipeline.toml"), pipeline).unwrap();
    world.good(&["build"]);
    let printed = world.good(&["contamination"]);
    let line = "mine: of 3 items, 2 have a caption in the corpus";
    assert!(printed.contains(line), "{printed}");
    let built = account(&world, "runs/small");
    let html = std::fs::read_to_string(world.path("runs/small/contamination.html")).unwrap();
    assert!(html.contains("mine: captions"), "{html}");
    world.good(&["card"]);
    let card = std::fs::read_to_string(world.path("runs/small/data_card.md")).unwrap();
    assert!(card.contains("| mine | 3 | 0 | 0.00% [") && card.contains("| 2: 66.67% ["), "{card}");

    // The shards have the same.
    let check = ["contamination", "--corpus", "runs/small/shards", "--eval", "mine=captioned"];
    world.good(&check);
    let text = |account: &Value, key: &str| account["sets"][0]["text"][key].clone();
    let shards = account(&world, "contamination");
    for key in ["texts", "overlap", "kinds"] {
        assert_eq!(text(&built, key), text(&shards, key), "{key}");
    }
    for args in
        [&["contamination", "--max-rate", "0"][..], &[&check[..], &["--max-rate", "50%"]].concat()]
    {
        let printed = world.fails(args, 1);
        let gate = "gate: 66.667% of mine have a caption in the corpus, more than ";
        assert!(printed.contains(gate) && printed.matches("gate: ").count() == 1, "{printed}");
    }
    // The folder is the pairs of images: the texts are said.
    let reshard = ["reshard", "-i", "runs/small/shards", "--without", "contamination"];
    let printed = world.good(&[&reshard[..], &["-o", "some"]].concat());
    assert!(printed.contains("hint: add --without contamination/texts.parquet"), "{printed}");
    let both = ["--without", "contamination/texts.parquet"];
    let printed = world.good(&[&reshard[..], &both, &["-o", "clean"]].concat());
    assert!(!printed.contains("hint: "), "{printed}");
    let gate = ["--corpus", "clean", "--eval", "mine=captioned", "--max-rate", "0"];
    world.good(&[&["contamination", "--out", "after"], &gate[..]].concat());
    let again = [&check[..], &both, &["--out", "again", "--max-rate", "0"]].concat();
    world.good(&again);
}
