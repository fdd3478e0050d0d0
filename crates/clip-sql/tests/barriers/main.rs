//! The barriers over Parquet parts, checked against plain Rust.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod balance;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::concat_batches;
use arrow::datatypes::*;
use clip_pipeline::{Barrier, Context, DecisionSink, PartInfo, StageLayout, read_decisions};
use clip_sql::{Deduplicate, Query, Session, UniquePairs, query};

/// A small generator of test data.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Writes a batch as this many parts.
fn parts(folder: &Path, batch: &RecordBatch, count: usize) -> Vec<PathBuf> {
    let size = batch.num_rows().div_ceil(count);
    let write = |part: usize| {
        let path = folder.join(format!("{count} parts [{part}].parquet"));
        let rows = size.min(batch.num_rows() - part * size);
        clip_corpus::write_parquet(&path, batch.schema(), &[batch.slice(part * size, rows)])
            .unwrap();
        path
    };
    (0..count).map(write).collect()
}

fn inputs(paths: Vec<PathBuf>) -> Vec<PartInfo> {
    let input = |(part, path): (usize, PathBuf)| {
        let rows = clip_corpus::parquet_rows(&path).unwrap();
        PartInfo { part, path, rows, images: None, embeddings: None }
    };
    paths.into_iter().enumerate().map(input).collect()
}

/// What a barrier decides about all rows.
fn decisions(barrier: &dyn Barrier, inputs: &[PartInfo], cx: &Context) -> RecordBatch {
    let stage = tempfile::tempdir().unwrap();
    let mut out = DecisionSink::new("test", &StageLayout::new(stage.path()));
    barrier.decide(inputs, cx, &mut out).unwrap();
    out.finish(inputs.iter().map(|input| input.rows).sum()).unwrap();
    let batches = read_decisions(stage.path()).unwrap();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// The decisions for a batch, which must not depend on how it is cut into parts.
fn decide(barrier: &dyn Barrier, batch: &RecordBatch) -> (RecordBatch, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let cx = Context::detached("test", 7, &folder.path().join("scratch"));
    let run = |count| decisions(barrier, &inputs(parts(folder.path(), batch, count)), &cx);
    let (one, five) = (run(1), run(5));
    assert_eq!(one, five);
    (one, folder)
}

fn reasons(batch: &RecordBatch) -> Vec<Option<&str>> {
    batch["reason"].as_string::<i32>().iter().collect()
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn rows(count: u64) -> ArrayRef {
    Arc::new(UInt64Array::from_iter_values((0..count).map(|row| row * 3)))
}

#[test]
fn unique_pairs_keeps_the_first_of_each() {
    let mut random = Random(11);
    let pairs: Vec<(String, String)> = (0..400)
        .map(|_| (format!("http://x/{}", random.below(20)), format!("c{}", random.below(9))))
        .collect();
    let batch = batch(vec![
        ("row", rows(400)),
        ("url", Arc::new(StringArray::from_iter_values(pairs.iter().map(|p| &p.0)))),
        ("caption", Arc::new(StringArray::from_iter_values(pairs.iter().map(|p| &p.1)))),
    ]);
    let (decisions, _folder) = decide(&UniquePairs, &batch);
    let mut seen = std::collections::HashSet::new();
    let expected: Vec<_> =
        pairs.iter().map(|pair| (!seen.insert(pair)).then_some("duplicate_pair")).collect();
    assert_eq!(reasons(&decisions), expected);
}

struct Images {
    batch: RecordBatch,
    files: Vec<u64>,
    hashes: Vec<u64>,
    flat: Vec<bool>,
    areas: Vec<u64>,
    captions: Vec<String>,
}

fn images() -> Images {
    let mut random = Random(3);
    let count = 500;
    let files: Vec<u64> = (0..count).map(|_| random.below(300)).collect();
    let base: Vec<u64> = (0..60).map(|_| random.next()).collect();
    let of_file: Vec<u64> = (0..300)
        .map(|file| {
            (0..random.below(7)).fold(base[file % 60], |hash, _| hash ^ 1 << random.below(64))
        })
        .collect();
    let hashes: Vec<u64> = files.iter().map(|&file| of_file[file as usize]).collect();
    let flat: Vec<bool> = files.iter().map(|file| file % 11 == 0).collect();
    let sides: Vec<i32> = files.iter().map(|file| 50 + (file % 7) as i32).collect();
    let captions: Vec<String> =
        (0..count).map(|_| "é".repeat(1 + random.below(5) as usize)).collect();
    let batch = batch(vec![
        ("row", rows(count)),
        (
            "sha256",
            Arc::new(StringArray::from_iter_values(files.iter().map(|f| format!("{f:064x}")))),
        ),
        ("phash", Arc::new(UInt64Array::from(hashes.clone()))),
        ("flat", Arc::new(BooleanArray::from(flat.clone()))),
        ("original_width", Arc::new(Int32Array::from(sides.clone()))),
        ("original_height", Arc::new(Int32Array::from(sides.clone()))),
        ("caption", Arc::new(StringArray::from_iter_values(&captions))),
        ("url", Arc::new(StringArray::from_iter_values((0..count).map(|at| format!("u{at}"))))),
    ]);
    let areas = sides.iter().map(|&side| (side * side) as u64).collect();
    Images { batch, files, hashes, flat, areas, captions }
}

fn near(images: &Images, a: usize, b: usize, radius: u32) -> bool {
    let close = (images.hashes[a] ^ images.hashes[b]).count_ones() <= radius;
    close && !images.flat[a] && !images.flat[b]
}

#[test]
fn near_pairs_are_those_of_brute_force_and_of_the_index() {
    let images = images();
    let near_pairs = Query::parse("near_pairs", include_str!("near_pairs.sql")).unwrap();
    for radius in [1, 4, 8] {
        let folder = tempfile::tempdir().unwrap();
        let session = Session::new(folder.path()).unwrap();
        session.table("images", &parts(folder.path(), &images.batch, 3)).unwrap();
        let pairs = session.run(&near_pairs, &[("radius", radius)]).unwrap();
        let mut found = Vec::new();
        for batch in &pairs {
            let column = |name| batch[name].as_primitive::<UInt64Type>().values().to_vec();
            found.extend(column("a").into_iter().zip(column("b")));
        }
        let mut expected = Vec::new();
        for a in 0..500_usize {
            let others = (a + 1..500).filter(|&b| near(&images, a, b, radius as u32));
            expected.extend(others.map(|b| (a as u64 * 3, b as u64 * 3)));
        }
        assert_eq!(found, expected, "radius {radius}");
        let places: Vec<u64> = (0..500).filter(|&at| !images.flat[at as usize]).collect();
        let hashes = places.iter().map(|&at| images.hashes[at as usize]).collect();
        let index = clip_image::HammingIndex::new(hashes, radius as u32).pairs();
        let place = |at: u32| places[at as usize] * 3;
        let index: Vec<_> = index.into_iter().map(|(a, b, _)| (place(a), place(b))).collect();
        assert_eq!(found, index, "radius {radius}");
    }
}

#[test]
fn a_cluster_keeps_its_best_image_and_all_captions() {
    let images = images();
    for radius in [0, 3] {
        let (decisions, _folder) = decide(
            &Deduplicate { radius, max_captions: 1000, ..Default::default() },
            &images.batch,
        );
        // Labels spread until nothing changes: slow and plain.
        let mut labels: Vec<usize> = (0..500).collect();
        loop {
            let before = labels.clone();
            for a in 0..500 {
                for b in 0..500 {
                    let same = images.files[a] == images.files[b];
                    if same || (radius > 0 && near(&images, a, b, radius)) {
                        labels[a] = labels[a].min(labels[b]);
                    }
                }
            }
            if labels == before {
                break;
            }
        }
        let clusters = decisions["cluster"].as_primitive::<UInt64Type>();
        let captions = decisions["captions"].as_list::<i32>();
        for (at, reason) in reasons(&decisions).into_iter().enumerate() {
            let members: Vec<usize> = (0..500).filter(|&b| labels[b] == labels[at]).collect();
            let worth = |b: &usize| {
                (images.areas[*b], images.captions[*b].chars().count(), std::cmp::Reverse(*b))
            };
            let kept = members.iter().copied().max_by_key(worth).unwrap();
            assert_eq!(clusters.value(at), kept as u64 * 3, "radius {radius} row {at}");
            let expected = match (kept == at, images.files[kept] == images.files[at]) {
                (true, _) => None,
                (false, true) => Some("exact_duplicate"),
                (false, false) => Some("near_duplicate"),
            };
            assert_eq!(reason, expected);
            let listed = captions.value(at);
            let listed: Vec<&str> = listed.as_string::<i32>().iter().flatten().collect();
            if kept != at || members.len() == 1 {
                assert!(listed.is_empty());
                continue;
            }
            assert_eq!(listed[0], images.captions[at]);
            let mut all: Vec<&str> = members.iter().map(|&b| images.captions[b].as_str()).collect();
            all.sort_unstable();
            all.dedup();
            let mut sorted = listed.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, all);
        }
        let near = reasons(&decisions).contains(&Some("near_duplicate"));
        assert_eq!(near, radius > 0);
    }
}

/// Says of thumbs what their bytes say: the first one is the image.
struct FirstByte;

impl clip_sql::Compare for FirstByte {
    fn thumb(&self, image: &[u8]) -> Option<Vec<u8>> {
        Some(image.to_vec())
    }

    fn alike(&self, a: &[u8], b: &[u8]) -> bool {
        a[0] == b[0]
    }
}

#[test]
fn near_hashes_of_different_images_do_not_join() {
    let images = images();
    let folder = tempfile::tempdir().unwrap();
    // Two images alternate among the files; hashes alone would join them.
    let content = |at: usize| (images.files[at] % 2) as u8;
    let mut inputs = Vec::new();
    for (part, path) in parts(folder.path(), &images.batch, 3).into_iter().enumerate() {
        let batch = &clip_corpus::read_parquet(&path).unwrap()[0];
        let rows = batch["row"].as_primitive::<UInt64Type>();
        let bytes = rows.values().iter().map(|row| [content(*row as usize / 3), 9]);
        let image: ArrayRef = Arc::new(BinaryArray::from_iter_values(bytes));
        let pixels =
            RecordBatch::try_from_iter([("row", batch["row"].clone()), ("image", image)]).unwrap();
        let beside = folder.path().join(format!("images-{part}.parquet"));
        clip_corpus::write_parquet(&beside, pixels.schema(), &[pixels]).unwrap();
        let rows = batch.num_rows() as u64;
        inputs.push(PartInfo { part, path, rows, images: Some(beside), embeddings: None });
    }
    let cx = Context::detached("test", 7, &folder.path().join("scratch"));
    let dedup = Deduplicate { radius: 3, compare: Some(Arc::new(FirstByte)), ..Default::default() };
    let decisions = decisions(&dedup, &inputs, &cx);
    let clusters = decisions["cluster"].as_primitive::<UInt64Type>();
    let mut labels: Vec<usize> = (0..500).collect();
    loop {
        let before = labels.clone();
        for a in 0..500 {
            for b in 0..500 {
                let alike = content(a) == content(b) && near(&images, a, b, 3);
                if images.files[a] == images.files[b] || alike {
                    labels[a] = labels[a].min(labels[b]);
                }
            }
        }
        if labels == before {
            break;
        }
    }
    let mut of_label: HashMap<usize, u64> = HashMap::new();
    for (at, label) in labels.iter().enumerate() {
        let cluster = clusters.value(at);
        assert_eq!(*of_label.entry(*label).or_insert(cluster), cluster, "row {at}");
        assert_eq!(content(cluster as usize / 3), content(at));
    }
    assert_eq!(of_label.len(), of_label.values().collect::<std::collections::HashSet<_>>().len());
    for leftover in ["thumbs", "clusters.parquet"] {
        assert!(!cx.scratch().join(leftover).exists(), "{leftover}");
    }
}

#[test]
fn what_a_known_corpus_has_falls() {
    let images = images();
    let folder = tempfile::tempdir().unwrap();
    let known = parts(folder.path(), &images.batch.slice(0, 40), 2);
    let dedup = Deduplicate { radius: 2, known, ..Default::default() };
    let (decisions, _folder) = decide(&dedup, &images.batch);
    let reasons = reasons(&decisions);
    for (at, reason) in reasons.iter().enumerate() {
        let known = (0..40).any(|b| images.files[at] == images.files[b] || near(&images, at, b, 2));
        assert_eq!(*reason == Some("in_corpus"), known, "row {at}");
    }
    assert!(reasons.contains(&None) && reasons.contains(&Some("near_duplicate")));
}

#[test]
fn an_image_behind_many_urls_is_dropped_as_a_placeholder() {
    let images = images();
    let limit = 2;
    let dedup = Deduplicate { placeholder_limit: limit, max_captions: 1, ..Default::default() };
    let (decisions, _folder) = decide(&dedup, &images.batch);
    let captions = decisions["captions"].as_list::<i32>();
    for (at, reason) in reasons(&decisions).into_iter().enumerate() {
        let members = images.files.iter().filter(|file| **file == images.files[at]).count();
        assert_eq!(reason == Some("placeholder"), members > limit, "row {at}");
        let one = members > 1 && reason.is_none();
        assert_eq!(captions.value(at).len(), usize::from(one), "row {at}");
    }
    let kept = reasons(&decisions).into_iter().filter(Option::is_none).count();
    assert!(kept > 0 && kept < 300);
}

#[test]
fn sorts_spill_when_memory_is_short() {
    let folder = tempfile::tempdir().unwrap();
    // Four sorts of 4 MB each, whose fair shares are some 1.6 MB: twenty consumers divide half the
    // memory.
    let count = 600_000;
    let text =
        |row: u64| format!("http://host.example/{:040}", row.wrapping_mul(7_919) % (count / 2));
    let urls: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(text)));
    let batch = batch(vec![("row", rows(count)), ("url", urls.clone()), ("caption", urls)]);
    let parts = parts(folder.path(), &batch, 4);
    let session = Session::with_memory(&folder.path().join("scratch"), 64 << 20).unwrap();
    session.table("pairs", &parts).unwrap();
    let batches = session.run(&query("10_unique_pairs").unwrap(), &[]).unwrap();
    let fell: usize = batches.iter().map(|b| b.num_rows() - b["reason"].null_count()).sum();
    assert_eq!(fell as u64, count / 2);
}

#[test]
fn a_session_works_inside_another_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let rows = runtime.block_on(async {
        let session = Session::new(folder.path()).unwrap();
        session.sql("SELECT 1 AS one").unwrap()
    });
    assert_eq!(rows[0].num_rows(), 1);
}
