//! Embeddings of `[[score]]` and what `[semantic]` chooses by them: the same whoever computes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clip_corpus::{columns, read_parquet};
use clip_format::npy;

use crate::cluster::{Cluster, build, parts};
use crate::score::{add, world};
use crate::world::World;

const SCORE: &str = "\n[[score]]\nmodel = \"model\"\nembeddings = true\n";
const SEMANTIC: &str = "\n[semantic]\nclusters = 12\nsemdedup = 0.004\n\
                        targets = [\"near/img_emb/img_emb_0000.npy\"]\n";

/// The folder of a stage of a run.
fn stage(world: &World, run: &str, name: &str) -> PathBuf {
    let folders = std::fs::read_dir(world.path(run)).unwrap().map(|entry| entry.unwrap().path());
    let name = format!("-{name}-");
    folders.into_iter().find(|path| path.to_string_lossy().contains(&name)).unwrap()
}

/// The uids of a table, in its order.
fn uids(table: &Path) -> Vec<String> {
    let uids = |batch: &arrow::array::RecordBatch| -> Vec<String> {
        let column = columns::text(batch, "uid").unwrap();
        column.iter().map(|uid| uid.unwrap().to_owned()).collect()
    };
    read_parquet(table).unwrap().iter().flat_map(uids).collect()
}

/// Embeddings of one kind in clip-retrieval's layout, by uid.
fn embeddings(folder: &Path, kind: &str) -> BTreeMap<String, Vec<f64>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder.join("metadata")).unwrap() {
        let table = entry.unwrap().path();
        let name = table.file_stem().unwrap().to_string_lossy().replace("metadata", kind);
        let array = std::fs::read(folder.join(format!("{kind}/{name}.npy"))).unwrap();
        let parsed = npy::parse(&array).unwrap();
        let uids = uids(&table);
        assert_eq!((parsed.descr.as_str(), &parsed.shape), ("'<f2'", &vec![uids.len(), 16]));
        let numbers = npy::numbers(&array).unwrap();
        found.extend(uids.into_iter().zip(numbers.chunks(16).map(<[f64]>::to_vec)));
    }
    found
}

#[test]
fn embeddings_of_a_build_are_those_of_embed_and_lose_what_is_forgotten() {
    let world = world();
    add(&world, SCORE);
    world.good(&["build"]);
    let score = stage(&world, "runs/small", "score");
    world.good(&[
        "embed",
        "--model",
        "model",
        "--input",
        "runs/small/shards",
        "--output",
        "e",
        "--device",
        "cpu",
    ]);
    for kind in ["img_emb", "text_emb"] {
        let (built, alone) = (embeddings(&score, kind), embeddings(&world.path("e"), kind));
        assert!(built.len() > 100 && built.keys().eq(alone.keys()), "{}", built.len());
        for (uid, numbers) in &built {
            let norm: f64 = numbers.iter().map(|number| number * number).sum();
            assert!((norm - 1.0).abs() < 5e-3, "{norm}");
            let near = numbers.iter().zip(&alone[uid]).all(|(a, b)| (a - b).abs() < 2e-3);
            assert!(near, "{kind} {uid}: {numbers:?} {:?}", alone[uid]);
        }
    }
    // Row by row the rows of the parts.
    let table = score.join("part-00000.parquet");
    assert_eq!(uids(&table), uids(&score.join("metadata/metadata_00000.parquet")));
    world.good(&["verify", "runs/small"]);
    let gone = uids(&table)[1].clone();
    std::fs::write(world.path("uids.txt"), &gone).unwrap();
    world.good(&["forget", "--uids", "uids.txt", "runs/small"]);
    let left = embeddings(&score, "img_emb");
    assert!(!left.contains_key(&gone));
    assert_eq!(uids(&table), uids(&score.join("metadata/metadata_00000.parquet")));
    world.good(&["verify", "runs/small"]);
    let plan = world.good(&["plan"]);
    assert!(plan.lines().skip(1).all(|line| line.contains("reuse")), "{plan}");
    // A flipped bit, and a file that is gone.
    let array = score.join("text_emb/text_emb_00001.npy");
    let mut bytes = std::fs::read(&array).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&array, bytes).unwrap();
    let output = world.run(&["verify", "runs/small"]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let printed = printed + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{printed}");
    assert!(printed.contains("text_emb_00001.npy"), "{printed}");
}

#[test]
fn a_cluster_and_array_jobs_embed_and_choose_the_same() {
    let world = world();
    add(&world, SCORE);
    add(&world, SEMANTIC);
    std::fs::create_dir(world.path("targets")).unwrap();
    for name in ["000.jpg", "003.jpg"] {
        std::fs::copy(world.path("images/00").join(name), world.path("targets").join(name))
            .unwrap();
    }
    let near = ["embed", "--model", "model", "--input", "targets", "--output", "near"];
    world.good(&[&near[..], &["--only", "image", "--device", "cpu"]].concat());
    world.good(&["build"]);
    let expected = parts(&world, "runs");
    assert!(expected.iter().any(|file| file.2.starts_with("img_emb/")));
    let account = stage(&world, "runs/small", "semantic").join("scratch/semantic.json");
    let account = std::fs::read_to_string(account).unwrap();
    let account: serde_json::Value = serde_json::from_str(&account).unwrap();
    let dropped: Vec<u64> =
        (0..2).map(|gate| account["gates"][gate]["dropped"].as_u64().unwrap()).collect();
    assert!(dropped.iter().all(|&dropped| dropped > 0), "{account}");
    assert_eq!(account["clustering"]["clusters"], 12);
    let (pairs, kept) = (account["pairs"].as_u64().unwrap(), account["kept"].as_u64().unwrap());
    assert!(kept > 0 && kept + dropped[0] + dropped[1] == pairs, "{account}");

    let cluster = Cluster::new(&world, 2);
    world.good(&build(&cluster.settings("together")));
    assert_eq!(expected, parts(&world, "together"));
    let set = ["--set", "workdir=jobs"];
    let job = |job| world.run(&[&["build", "--part", job][..], &set].concat());
    let done = (0..40).any(|turn| job(["0/2", "1/2"][turn % 2]).status.success());
    assert!(done, "the jobs do not end");
    assert_eq!(expected, parts(&world, "jobs"));
    // Through a store, where each process has the files that it needs.
    let store = ["--set", "workdir=copy", "--set"];
    let address = format!("store=file://{}", world.path("store").display());
    world.good(&[&["build"][..], &store, &[&address]].concat());
    assert_eq!(expected, parts(&world, "copy"));
}

#[test]
fn a_build_shows_what_it_dropped_by_embeddings_and_names_what_does_not_fit() {
    let world = world();
    add(&world, SCORE);
    add(&world, "\n[semantic]\nclusters = 4\nsemdedup = 0.01\nkeep = \"easy\"\n");
    let funnel = world.good(&["build"]);
    assert!(funnel.contains("\nsemantic ") && funnel.contains(" semantic_duplicate\n"), "{funnel}");
    let book = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/formats.md");
    let book = std::fs::read_to_string(book).unwrap();
    for reason in ["semantic_duplicate", "far_from_targets"] {
        assert!(book.contains(&format!(" `{reason}` | ")), "{reason} is no reason of the book's");
    }
    let semantic = stage(&world, "runs/small", "semantic");
    assert!(semantic.join("scratch/centroids.npy").is_file());
    let dropped = (0..).map(|part| semantic.join(format!("rejects/part-{part:05}.parquet")));
    let dropped = dropped.take(8).find(|path| path.is_file()).unwrap();
    let trace = world.good(&["explain", &uids(&dropped)[0]]);
    assert!(
        trace.contains("dropped in stage semantic") && trace.contains("cosine 0.99"),
        "{trace}"
    );
    let kept = world.good(&["explain", &uids(&world.path("runs/small/shards/00000.parquet"))[0]]);
    assert!(kept.contains("semantic_cluster"), "{kept}");
    world.good(&["report", "--out", "page.html"]);
    let page = std::fs::read_to_string(world.path("page.html")).unwrap();
    for part in ["Selection by embeddings", "semdedup 0.01", "Dropped, nearest to the cut"] {
        assert!(page.contains(part), "{part}");
    }
    // The same centroids from a file choose the same, which is another stage.
    std::fs::copy(semantic.join("scratch/centroids.npy"), world.path("c.npy")).unwrap();
    let text = std::fs::read_to_string(world.path("pipeline.toml")).unwrap();
    let file = text.replace("clusters = 4", "centroids = \"c.npy\"");
    std::fs::write(world.path("pipeline.toml"), &file).unwrap();
    assert_eq!(world.good(&["build"]), funnel);
    for (line, code, part) in [
        ("centroids = \"gone.npy\"", 2, "semantic.centroids: gone.npy: no such file"),
        ("centroids = \"wide.npy\"", 2, "wide.npy: 3 numbers a row, the embeddings of the pool 16"),
        ("centroids = \"nan.npy\"", 4, "nan.npy: row 1: an embedding that is not finite"),
        ("clusters = 100000", 2, "[semantic]: 100000 clusters of "),
        ("clusters = 4\ncentroids = \"c.npy\"", 2, "leave one out"),
        ("clusters = 4\nscore = \"l14\"", 2, "no [[score]] `l14` stores embeddings"),
    ] {
        let array = |width: usize, last: f32| {
            let mut numbers = vec![1f32; 2 * width];
            numbers[2 * width - 1] = last;
            numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>()
        };
        npy::write(&world.path("wide.npy"), "'<f4'", &[2, 3], &array(3, 1.0)).unwrap();
        npy::write(&world.path("nan.npy"), "'<f4'", &[2, 16], &array(16, f32::NAN)).unwrap();
        let other = text.replace("clusters = 4", line);
        std::fs::write(world.path("pipeline.toml"), other).unwrap();
        let message = world.fails(&["build"], code);
        assert!(message.contains(part), "{line}: {message}");
    }
    // Without stored embeddings there is nothing to choose by.
    std::fs::write(world.path("pipeline.toml"), text.replace("embeddings = true\n", "")).unwrap();
    let message = world.fails(&["plan"], 2);
    assert!(message.contains("[semantic] needs embeddings") && message.contains("\nhint: "));
}
