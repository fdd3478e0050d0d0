//! Choosing the pairs of a pool: `clip-data filter`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int64Array, RecordBatch, StringArray};
use clip_corpus::{read_subset, write_parquet};

use crate::world::World;

/// A world with a pool of ten pairs in DataComp's columns.
fn pool() -> World {
    let world = World::new();
    let uids = StringArray::from_iter_values((0..10).map(|n| format!("{n:032x}")));
    let texts = StringArray::from_iter_values((0..10).map(|n| format!("a photo of dog {n}")));
    let scores = (0..10i16).map(|n| f32::from(n) / 10.0).collect::<Float32Array>();
    let sides = (0..10).map(|n| 150 + 20 * n).collect::<Int64Array>();
    let batch = RecordBatch::try_from_iter([
        ("uid", Arc::new(uids) as ArrayRef),
        ("text", Arc::new(texts) as ArrayRef),
        ("original_width", Arc::new(sides.clone()) as ArrayRef),
        ("original_height", Arc::new(sides) as ArrayRef),
        ("clip_b32_similarity_score", Arc::new(scores.clone()) as ArrayRef),
        ("clip_l14_similarity_score", Arc::new(scores) as ArrayRef),
    ])
    .unwrap();
    let path = world.path("metadata/0.parquet");
    write_parquet(&path, batch.schema(), &[batch]).unwrap();
    world
}

#[test]
fn a_preset_and_an_exact_fraction_write_subset_and_report() {
    let world = pool();
    let cut = ["--preset", "clip_score", "--arch", "l14", "--fraction", "0.3"];
    let args = [&["filter", "metadata", "-o", "best.npy"], &cut[..]].concat();
    let printed = world.good(&args);
    let kept = printed.lines().find(|line| line.starts_with("kept")).unwrap();
    assert!(kept.ends_with(" 4") && printed.contains("score below 0.6 "), "{printed}");
    assert_eq!(read_subset(&world.path("best.npy")).unwrap(), [6, 7, 8, 9]);
    let report = std::fs::read_to_string(world.path("best.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["filter"], &report["kept"]), (&"clip_score".into(), &4.into()));
    assert_eq!(report["scores"].as_array().unwrap().len(), 10);
    // By DataComp's own names of options.
    let args =
        ["filter", "metadata", "--name", "clip_score", "--arch", "l14", "--threshold", "0.8"];
    world.good(&[&args[..], &["--save_path", "high.npy", "--report", "r.json"]].concat());
    assert_eq!(read_subset(&world.path("high.npy")).unwrap(), [8, 9]);
    // Exactly floor(0.3 n) of those that meet a condition.
    let top = ["--where", "original_width >= 210", "--top", "clip_l14_similarity_score=0.3"];
    world.good(&[&["filter", "metadata", "-o", "top.npy"], &top[..]].concat());
    assert_eq!(read_subset(&world.path("top.npy")).unwrap(), [8, 9]);
}

#[test]
fn a_condition_rounds_its_numbers_to_the_columns_type_as_the_threshold_does() {
    let world = pool();
    let column = "clip_l14_similarity_score";
    // What pandas gives for the float32 column, `df.query("…")`.
    for (condition, expected) in [
        ("{} >= 0.7", vec![7, 8, 9]),
        ("{} = 0.2", vec![2]),
        ("{} > 0.3", vec![4, 5, 6, 7, 8, 9]),
        ("{} BETWEEN 0.2 AND 0.6", vec![2, 3, 4, 5, 6]),
        ("{} IN (0.1, 0.3, 0.7)", vec![1, 3, 7]),
        ("0.8 <= {}", vec![8, 9]),
    ] {
        let condition = condition.replace("{}", column);
        world.good(&["filter", "metadata", "--where", &condition, "-o", "w.npy"]);
        assert_eq!(read_subset(&world.path("w.npy")).unwrap(), expected, "{condition}");
        world.good(&["subset", "metadata", "--where", &condition, "-o", "s.npy"]);
        assert_eq!(read_subset(&world.path("s.npy")).unwrap(), expected, "{condition}");
    }
    let preset = ["--preset", "clip_score", "--arch", "l14", "--threshold", "0.7"];
    world.good(&[&["filter", "metadata", "-o", "p.npy"], &preset[..]].concat());
    assert_eq!(read_subset(&world.path("p.npy")).unwrap(), [7, 8, 9]);
}

#[test]
fn a_build_is_a_pool() {
    let world = World::new();
    world.good(&["build"]);
    let printed =
        world.good(&["filter", "runs/small/shards", "--preset", "no_filter", "-o", "all.npy"]);
    let kept = printed.lines().find(|line| line.starts_with("kept")).unwrap();
    let shards = world.good(&["inspect", "runs/small/shards", "--json"]);
    let shards: serde_json::Value = serde_json::from_str(&shards).unwrap();
    assert_eq!(kept.split_whitespace().last().unwrap(), shards["pairs"].to_string());
    // Their tables have statuses, of which one says that an image is there.
    for rule in [["--where", "width > 0"], ["--top", "width=1"]] {
        let rule = [&["filter", "runs/small/shards", "-o", "rule.npy"], &rule[..]].concat();
        world.good(&rule);
        let [all, same] = ["all.npy", "rule.npy"].map(|file| std::fs::read(world.path(file)));
        assert_eq!(all.unwrap(), same.unwrap());
    }
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let world = pool();
    for (options, code, reason) in [
        (&["--preset", "best"][..], 2, "possible values: no_filter"),
        (&["--preset", "clip_score"], 2, "clip_score needs --arch"),
        (
            &["--preset", "no_filter", "--arch", "b32"],
            2,
            "--arch has no effect on no_filter\nhint:",
        ),
        (&["--preset", "no_filter", "--where", "true"], 2, "cannot be used with"),
        (&["--where", "true", "--arch", "b32"], 2, "cannot be used with"),
        (&["--top", "likes"], 2, "--top likes: not COLUMN=FRACTION\nhint: "),
        (&["--top", "likes=0.5"], 2, "likes"),
        (&["--top", "clip_l14_similarity_score=3"], 2, "=3: not a fraction above 0"),
        (&["--arch", "b32"], 2, "no rule says which pairs are kept\nhint:"),
        (&["--preset", "no_filter", "--report", "x.npy"], 2, "would be one file"),
        (&["--preset", "text_based"], 2, "text_based needs --synsets"),
        (&["--preset", "no_filter", "--semdedup", "0.1"], 2, "cannot be used with"),
        (&["--semdedup", "0.1"], 2, "--semdedup needs --clusters or --centroids\nhint:"),
        (&["--semdedup", "0.1", "--clusters", "2", "--arch", "b32"], 2, "cannot be used with"),
        (&["--semdedup", "0.1", "--centroids", "c.npy", "--seed", "3"], 2, "--seed has no effect"),
        (&["--preset", "no_filter", "--seed", "3"], 2, "--seed has no effect"),
        (&["--clusters", "3"], 2, "clusters alone choose nothing\nhint:"),
    ] {
        let printed =
            world.fails(&[&["filter", "metadata", "-o", "x.npy"], options].concat(), code);
        assert!(printed.contains(reason), "{options:?}: {printed}");
    }
    let table = world.path("metadata/0.parquet");
    let whole = std::fs::read(&table).unwrap();
    std::fs::write(&table, &whole[..whole.len() / 2]).unwrap();
    for options in [&["--preset", "no_filter"][..], &["--where", "true"]] {
        let printed = world.fails(&[&["filter", "metadata", "-o", "x.npy"], options].concat(), 4);
        assert!(printed.contains("metadata/0.parquet"), "{printed}");
    }
    assert!(!world.path("x.npy").exists());
}

#[test]
fn images_that_are_alike_become_one_and_centroids_serve_again() {
    let world = pool();
    // Pairs of equal embeddings: 0 and 1, 2 and 3, …
    let mut bytes = clip_format::npy::header("'<f4'", &[10, 4]);
    for row in 0..10u16 {
        let pair = f32::from(row / 2);
        let row = [1.0, pair, pair * pair / 4.0, -pair];
        row.iter().for_each(|number: &f32| bytes.extend(number.to_le_bytes()));
    }
    let mut zip = zip::ZipWriter::new(std::fs::File::create(world.path("metadata/0.npz")).unwrap());
    zip.start_file("l14_img.npy", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, &bytes).unwrap();
    zip.finish().unwrap();
    let filter = ["filter", "metadata", "--semdedup", "0.0001"];
    let train = ["--clusters", "2", "--save-centroids", "c.npy", "-o", "a.npy"];
    let printed = world.good(&[&filter[..], &train].concat());
    assert!(printed.contains("within 0.0001 of another image   5\n"), "{printed}");
    assert!(printed.contains("clusters: 2, the largest of "), "{printed}");
    assert_eq!(read_subset(&world.path("a.npy")).unwrap(), [0, 2, 4, 6, 8]);
    world.good(&[&filter[..], &["--centroids", "c.npy", "-o", "b.npy"]].concat());
    assert_eq!(read_subset(&world.path("b.npy")).unwrap(), [0, 2, 4, 6, 8]);
    world.good(&[&filter[..], &["--centroids", "c.npy", "--keep", "easy", "-o", "e.npy"]].concat());
    assert_eq!(read_subset(&world.path("e.npy")).unwrap(), [1, 3, 5, 7, 9]);
    let printed = world
        .fails(&["filter", "metadata", "--clusters", "11", "--semdedup", "0.1", "-o", "x.npy"], 2);
    assert!(printed.contains("11 clusters of 10 rows\nhint: fewer clusters"), "{printed}");
}
