//! The committed corpora through the bodies of the fuzz targets, each file as it is and with
//! mutations.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use clip_fuzz::mutate::mutated;
use clip_fuzz::{Body, TARGETS};

/// Mutations of each file, unless `CLIP_FUZZ_MUTATIONS` says how many.
const MUTATIONS: u64 = 200;
/// Bytes that a target reads in all, for each mutation of a file: a long file has fewer mutations.
const BYTES: u64 = 10 << 10;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// Runs one input; a failure is written to a file that its message names.
fn run(name: &str, body: Body, input: &[u8], from: &str) {
    if catch_unwind(AssertUnwindSafe(|| body(input))).is_err() {
        let path = std::env::temp_dir().join(format!("clip-fuzz-{name}-failure"));
        std::fs::write(&path, input).unwrap();
        panic!("target {name}, {from}: the input is in {}", path.display());
    }
}

fn replay(name: &str) {
    let (_, body) = TARGETS.iter().find(|(target, _)| *target == name).unwrap();
    let folder = root().join("corpus").join(name);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    let mutations = std::env::var("CLIP_FUZZ_MUTATIONS").map_or(MUTATIONS, |n| n.parse().unwrap());
    let share = BYTES * mutations / files.len() as u64;
    run(name, *body, &[], "empty input");
    for path in files {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        run(name, *body, &bytes, &file);
        for seed in 0..mutations.min(share / (bytes.len() as u64 + 1)) {
            let input = mutated(&bytes, seed);
            run(name, *body, &input, &format!("{file}, mutation {seed}"));
        }
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        /// Those that have a test below.
        const TESTED: &[&str] = &[$(stringify!($name)),*];
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*
    };
}

replays! {
    caption delimited eval_table exif fasttext hdf5 html http idx image json list manifest mat npy parquet pickle
    pipeline pt pt_pickle queries robots safetensors sitemap source subset tar tokenizer warc wat wikitext
}

#[test]
fn every_target_is_replayed_and_has_an_executable() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        assert!(TESTED.contains(name), "{name} is not replayed");
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name} has no executable");
        let body = std::fs::read_to_string(root().join(format!("fuzz_targets/{name}.rs")));
        assert!(body.unwrap().contains(&format!("clip_fuzz::{name}(")), "{name}");
    }
    assert_eq!(TESTED.len(), TARGETS.len());
}
