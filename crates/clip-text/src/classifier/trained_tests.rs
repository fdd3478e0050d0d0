//! Models that are trained here, read by C++ fastText: scripts/golden/trained_classifiers.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::tests::{rows, text};
use super::train::{TrainLoss, TrainOptions, train};
use super::*;

macro_rules! golden {
    ($name:literal) => {
        include_bytes!(concat!("../../data/golden/trained/", $name, ".tsv.gz")).as_slice()
    };
}

/// What the script trains with.
fn options() -> [(&'static [u8], TrainOptions); 4] {
    let base = TrainOptions { lr: 0.5, seed: 3, epoch: 3, dim: 4, ..TrainOptions::default() };
    let softmax = TrainOptions { dim: 6, ..base.clone() };
    let hs = TrainOptions {
        loss: TrainLoss::HierarchicalSoftmax,
        minn: 2,
        maxn: 3,
        bucket: 900,
        min_count: 3,
        ..base.clone()
    };
    let one_vs_all = TrainOptions {
        loss: TrainLoss::OneVsAll,
        dim: 5,
        epoch: 2,
        word_ngrams: 2,
        bucket: 1500,
        min_count: 2,
        ..base.clone()
    };
    let ns = TrainOptions {
        loss: TrainLoss::NegativeSampling,
        neg: 3,
        minn: 3,
        maxn: 4,
        bucket: 700,
        min_count: 4,
        word_ngrams: 3,
        ..base
    };
    [
        (golden!("softmax"), softmax),
        (golden!("hs"), hs),
        (golden!("one-vs-all"), one_vs_all),
        (golden!("ns"), ns),
    ]
}

fn write(path: &Path, rows: &[(String, String)], wanted: impl Fn(&str) -> bool) {
    let own = rows.iter().filter(|(label, _)| wanted(label));
    let lines: String = own.map(|(_, line)| format!("{line}\n")).collect();
    std::fs::write(path, lines).unwrap();
}

#[test]
fn cpp_reads_what_is_trained_and_predicts_the_same() {
    let rows: Vec<_> =
        rows().into_iter().filter(|(_, line)| line.chars().all(|c| c >= ' ')).collect();
    let folder = tempfile::tempdir().unwrap();
    let [good, bad] = ["positive", "negative"].map(|name| folder.path().join(name));
    write(&good, &rows, |label| label == "en");
    write(&bad, &rows, |label| label != "en");
    let classes = [("positive", good.as_path()), ("negative", bad.as_path())];
    let out = folder.path().join("model.bin");
    for (golden, options) in options() {
        train(&classes, &options, &out).unwrap();
        let bytes = std::fs::read(&out).unwrap();
        let golden = text(golden);
        let (hash, golden) = golden.split_once('\n').unwrap();
        let own: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        // These bytes are what the C++ program has read.
        assert_eq!(own, hash, "{options:?}");
        let model = Classifier::open(&out).unwrap();
        let mut workspace = ClassifierWorkspace::default();
        assert_eq!(golden.lines().count(), rows.len());
        for ((_, line), golden) in rows.iter().zip(golden.lines()) {
            let found = model.predict(line, 1, 0.0, &mut workspace);
            let Some((label, prob)) = golden.split_once('\t') else {
                assert!(found.is_empty() && golden.is_empty(), "{line:?}: {found:?}");
                continue;
            };
            assert_eq!(found[0].0, label, "{line:?} {options:?}");
            let prob = prob.parse::<f32>().unwrap().min(1.0);
            assert!((found[0].1 - prob).abs() < 2e-5, "{line:?}: {found:?} {prob}");
        }
    }
}
