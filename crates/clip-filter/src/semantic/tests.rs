//! Clusters, repeated images and targets, beside a NumPy version of the published rules.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{UInt32Type, UInt64Type};
use clip_pipeline::{
    Barrier, Context, DecisionSink, PartEmbeddings, PartInfo, StageLayout, read_decisions,
};
use clip_random::splitmix64;
use serde_json::Value;
use sha2::{Digest, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

const ROWS: u64 = 50_000;
const WIDTH: usize = 32;

fn number(place: u64) -> f64 {
    ((splitmix64(place) % 256) as f64 - 128.0) / 64.0
}

fn matrix_of(first: u64, rows: usize, scale: f64) -> Array2<f32> {
    Array2::from_shape_fn((rows, WIDTH), |(row, column)| {
        (number(first + (row * WIDTH + column) as u64) / scale) as f32
    })
}

/// The made embedding of a row.
fn embedding(row: u64) -> impl Iterator<Item = f32> {
    let group = splitmix64(row * 16 + 7) % 12_000;
    let away = splitmix64(row * 16 + 8) % 256;
    let away = if away < 32 { 0.0 } else { away as f64 / 512.0 };
    let at = move |row: u64, column: usize| row * WIDTH as u64 + column as u64;
    (0..WIDTH).map(move |column| {
        let centre = number((1 << 40) + at(group, column));
        (centre + away * number((1 << 41) + at(row, column))) as f32
    })
}

fn write_npz(path: &Path, rows: usize, numbers: impl Iterator<Item = f32>) {
    let mut zip = ZipWriter::new(std::fs::File::create(path).unwrap());
    zip.start_file("l14_img.npy", SimpleFileOptions::default()).unwrap();
    let mut bytes = npy::header("'<f4'", &[rows, WIDTH]);
    numbers.for_each(|number| bytes.extend(number.to_le_bytes()));
    zip.write_all(&bytes).unwrap();
    zip.finish().unwrap();
}

/// A pool whose ids are the rows' numbers, in files of these rows.
fn pool(folder: &Path, rows: std::ops::Range<u64>, file_rows: usize) -> Pool {
    let all: Vec<u64> = rows.collect();
    for (file, rows) in all.chunks(file_rows).enumerate() {
        let uids = rows.iter().map(|row| format!("{row:032x}"));
        let uids: ArrayRef = Arc::new(StringArray::from_iter_values(uids));
        let batch = RecordBatch::try_from_iter([("uid", uids)]).unwrap();
        let path = folder.join(format!("{file:03}.parquet"));
        clip_corpus::write_parquet(&path, batch.schema(), &[batch]).unwrap();
        let numbers = rows.iter().flat_map(|&row| embedding(row));
        write_npz(&path.with_extension("npz"), rows.len(), numbers);
    }
    Pool::open(&[folder.to_path_buf()]).unwrap()
}

fn semantic(clusters: Clusters, epsilon: Option<f64>) -> Semantic {
    Semantic {
        clusters,
        embedding: "l14_img".into(),
        targets: Vec::new(),
        epsilon,
        keep: Keep::Hard,
        seed: 1,
        save: None,
    }
}

fn kept(semantic: &Semantic, pool: &Pool) -> Result<(Vec<u128>, FilterReport)> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("subset.npy");
    let report = semantic.run(pool, folder.path(), &out)?;
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    Ok((clip_corpus::read_subset(&out).unwrap(), report))
}

#[test]
fn what_is_kept_is_what_the_published_rule_keeps_in_numpy() {
    let golden: Value =
        serde_json::from_str(include_str!("../../data/golden/semantic.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("pool")).unwrap();
    let pool = pool(&at("pool"), 0..ROWS, 9000);
    write_matrix(&at("centroids.npy"), &matrix_of(1 << 50, 100, 8.0)).unwrap();
    write_matrix(&at("targets.npy"), &matrix_of(1 << 51, 25, 1.0)).unwrap();
    let base = semantic(Clusters::File(at("centroids.npy")), None);
    for (name, targets, epsilon, keep) in [
        ("hard 0.05", false, Some(0.05), Keep::Hard),
        ("easy 0.05", false, Some(0.05), Keep::Easy),
        ("hard 0.2", false, Some(0.2), Keep::Hard),
        ("targets", true, None, Keep::Hard),
        ("targets hard 0.05", true, Some(0.05), Keep::Hard),
    ] {
        let targets = if targets { vec![at("targets.npy")] } else { Vec::new() };
        let (found, report) =
            kept(&Semantic { targets, epsilon, keep, ..base.clone() }, &pool).unwrap();
        let bytes: Vec<u8> = found.iter().flat_map(|&id| (id as u32).to_le_bytes()).collect();
        assert_eq!(golden[name]["pairs"], found.len(), "{name}");
        let hash: String =
            Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(golden[name]["sha256"], hash.as_str(), "{name}");
        assert_eq!(report.kept + report.dropped.iter().map(|d| d.pairs).sum::<u64>(), ROWS);
    }
}

#[test]
fn clusters_fit_as_well_as_those_of_scikit_learn() {
    let golden: Value =
        serde_json::from_str(include_str!("../../data/golden/semantic.json")).unwrap();
    let centres = matrix_of(1 << 52, 400, 1.0);
    let noise = matrix_of(1 << 53, 6000, 4.0);
    let points = Array2::from_shape_fn((6000, WIDTH), |(row, column)| {
        let draw = splitmix64(row as u64 * 16 + 9) % (1 << 20);
        centres[[((draw * draw * 400) >> 40) as usize, column]] + noise[[row, column]]
    });
    let mut inertia: Vec<f64> =
        (0..5).map(|seed| train(points.view(), 200, seed).inertia).collect();
    inertia.sort_by(f64::total_cmp);
    let ratio = inertia[2] / golden["k-means"]["inertia"].as_f64().unwrap();
    // Its own seeds are up to 1.6% apart; first centroids that are drawn without candidates are 9%
    // off at best.
    assert!(ratio < 1.02, "{ratio}");
}

#[test]
fn trained_clusters_keep_one_of_each_copy_whatever_the_files() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (one, many) =
        (pool(folders[0].path(), 0..3000, 3000), pool(folders[1].path(), 0..3000, 700));
    for keep in [Keep::Hard, Keep::Easy, Keep::Random] {
        let chosen = Semantic { keep, ..semantic(Clusters::Train(20), Some(0.0001)) };
        let (found, report) = kept(&chosen, &one).unwrap();
        assert_eq!(kept(&chosen, &many).unwrap().0, found);
        // Exact copies are those rows of a group that are not away from its centre.
        let is_copy = |row: u64| splitmix64(row * 16 + 8) % 256 < 32;
        let groups: Vec<u64> = (0..3000)
            .filter(|&row| is_copy(row))
            .map(|row| splitmix64(row * 16 + 7) % 12_000)
            .collect();
        let different: std::collections::BTreeSet<u64> = groups.iter().copied().collect();
        let copies = found.iter().filter(|&&id| is_copy(id as u64)).count();
        assert_eq!(copies, different.len());
        let clustering = report.clustering.unwrap();
        assert_eq!((clustering.clusters, clustering.trained_on), (20, Some(3000)));
    }
    let random = |seed| {
        let chosen =
            Semantic { keep: Keep::Random, seed, ..semantic(Clusters::Train(20), Some(0.2)) };
        kept(&chosen, &one).unwrap().0
    };
    assert_ne!(random(1), random(2));
}

#[test]
fn a_cluster_of_several_tiles_is_compared_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let pool = pool(folder.path(), 0..2600, 2600);
    let rows = Embeddings::of_pool(&pool, "l14_img").unwrap().sample(2600).unwrap();
    let centroid = train(rows.view(), 1, 1).centroids;
    let path = folder.path().join("centroid.npy");
    write_matrix(&path, &centroid).unwrap();
    let (found, _) = kept(&semantic(Clusters::File(path), Some(0.05)), &pool).unwrap();
    // By the definition.
    let far = |row: usize| distance(rows.row(row), centroid.row(0));
    let mut order: Vec<usize> = (0..2600).collect();
    order.sort_by(|&a, &b| far(b).total_cmp(&far(a)));
    let mut wanted: Vec<u128> = Vec::new();
    for (place, &row) in order.iter().enumerate() {
        let like = |&other: &usize| rows.row(row).dot(&rows.row(other)) > 0.95;
        if !order[..place].iter().any(like) {
            wanted.push(row as u128);
        }
    }
    wanted.sort_unstable();
    assert!(found == wanted && wanted.len() < 2600, "{} {}", found.len(), wanted.len());
}

#[test]
fn what_does_not_fit_is_named_with_file_and_row() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["pool", "short", "nan", "zero"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    let whole = pool(&at("pool"), 0..40, 20);
    let broken = |name: &str, rows: usize, odd: Option<f32>| {
        let pool = pool(&at(name), 0..20, 20);
        let numbers = (0..rows as u64)
            .flat_map(|row| embedding(row).map(move |n| odd.filter(|_| row == 7).unwrap_or(n)));
        write_npz(&pool.files[0].embeddings, rows, numbers);
        pool
    };
    let short = broken("short", 19, None);
    let nan = broken("nan", 20, Some(f32::NAN));
    let zero = broken("zero", 20, Some(0.0));
    write_matrix(&at("wide.npy"), &Array2::zeros((2, 33))).unwrap();
    let wide = Clusters::File(at("wide.npy"));
    let two = Clusters::Train(2);
    for (pool, clusters, epsilon, why) in [
        (&short, &two, Some(0.1), "000.npz: row 19 is in one of the two only"),
        (&nan, &two, Some(0.1), "000.npz: row 7: an embedding that is not finite"),
        (&zero, &two, Some(0.1), "000.npz: row 7: an embedding of zeros"),
        (&whole, &wide, Some(0.1), "wide.npy: 33 numbers a row, the embeddings of the pool 32"),
        (&whole, &Clusters::Train(41), Some(0.1), "41 clusters of 40 rows"),
        (&whole, &two, Some(1.0), "--semdedup 1: from 0, below 1"),
        (&whole, &two, None, "clusters alone choose nothing"),
    ] {
        let error = kept(&semantic(clusters.clone(), epsilon), pool).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

/// Parts of a build with embeddings; some rows were dropped after these were stored.
fn parts(folder: &Path, rows: u64, part_rows: usize, left: fn(u64) -> bool) -> Vec<PartInfo> {
    let all: Vec<u64> = (0..rows).collect();
    let part = |(part, rows): (usize, &[u64])| {
        let table = |name: &str, kept: &dyn Fn(u64) -> bool| {
            let numbers = rows.iter().enumerate().filter(|(_, row)| kept(**row));
            let numbers = numbers.map(|(at, _)| clip_corpus::row_id(part, at));
            let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(numbers));
            let batch = RecordBatch::try_from_iter([("row", numbers)]).unwrap();
            let path = folder.join(format!("{name}-{part}.parquet"));
            clip_corpus::write_parquet(&path, batch.schema(), std::slice::from_ref(&batch))
                .unwrap();
            (path, batch.num_rows() as u64)
        };
        let (stored, _) = table("score", &|_| true);
        let (path, count) = table("part", &left);
        let images = folder.join(format!("img_emb_{part}.npy"));
        let numbers = rows.iter().flat_map(|&row| embedding(row));
        let numbers = Array2::from_shape_vec((rows.len(), WIDTH), numbers.collect()).unwrap();
        write_matrix(&images, &numbers).unwrap();
        let embeddings = Some(PartEmbeddings { rows: stored, images });
        PartInfo { part, path, rows: count, images: None, embeddings }
    };
    all.chunks(part_rows).enumerate().map(part).collect()
}

/// Row, reason and cluster of each decision, and the account.
type StageDecided = (Vec<(u64, Option<String>, u32)>, SemanticAccount);

fn decide(stage: &SemanticStage, inputs: &[PartInfo]) -> clip_pipeline::Result<StageDecided> {
    let folder = tempfile::tempdir().unwrap();
    let cx = Context::detached(SemanticStage::STAGE, 1, &folder.path().join("scratch"));
    let mut sink = DecisionSink::new(SemanticStage::STAGE, &StageLayout::new(folder.path()));
    stage.decide(inputs, &cx, &mut sink)?;
    sink.finish(inputs.iter().map(|input| input.rows).sum())?;
    let mut decided = Vec::new();
    for batch in read_decisions(folder.path()).unwrap() {
        let rows = batch["row"].as_primitive::<UInt64Type>();
        let (reasons, details) =
            (batch["reason"].as_string::<i32>(), batch["detail"].as_string::<i32>());
        let clusters = batch["semantic_cluster"].as_primitive::<UInt32Type>();
        for at in 0..batch.num_rows() {
            let reason = reasons.is_valid(at).then(|| reasons.value(at).to_owned());
            assert_eq!(reason.is_some(), details.is_valid(at));
            assert!(reason.is_none() || details.value(at).contains("cluster"));
            decided.push((rows.value(at), reason, clusters.value(at)));
        }
    }
    let account = std::fs::read(cx.scratch().join(SemanticStage::ACCOUNT)).unwrap();
    Ok((decided, serde_json::from_slice(&account).unwrap()))
}

#[test]
fn a_stage_decides_as_the_filter_does_whatever_the_parts() {
    let folders = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let at = |folder: usize, name: &str| folders[folder].path().join(name);
    let left = |row: u64| row % 7 != 3;
    write_matrix(&at(3, "targets.npy"), &matrix_of(1 << 51, 2, 1.0)).unwrap();
    let pool = pool(folders[0].path(), 0..3000, 3000);
    // The pool has the rows that are left alone: others are not fetched.
    let uids: ArrayRef =
        Arc::new((0..3000u64).map(|row| Some(format!("{row:032x}"))).collect::<StringArray>());
    let status = (0..3000).map(|row| if left(row) { "success" } else { "failed_to_download" });
    let status: ArrayRef = Arc::new(StringArray::from_iter_values(status));
    let batch = RecordBatch::try_from_iter([("uid", uids), ("status", status)]).unwrap();
    clip_corpus::write_parquet(&pool.files[0].table, batch.schema(), &[batch]).unwrap();
    let semantic =
        Semantic { targets: vec![at(3, "targets.npy")], ..semantic(Clusters::Train(6), Some(0.2)) };
    let (found, report) = kept(&semantic, &pool).unwrap();
    assert!(found.iter().all(|id| left(*id as u64)));
    let stage = SemanticStage { semantic, embedded: "score".into() };
    let inputs = parts(folders[1].path(), 3000, 3000, left);
    let (decided, account) = decide(&stage, &inputs).unwrap();
    let kept_rows = decided.iter().filter(|row| row.1.is_none()).map(|row| u128::from(row.0));
    assert_eq!(kept_rows.collect::<Vec<_>>(), found);
    assert_eq!((account.pairs, account.kept), (decided.len() as u64, report.kept));
    let dropped =
        |reason: &str| decided.iter().filter(|row| row.1.as_deref() == Some(reason)).count() as u64;
    let (far, repeated) = (dropped("far_from_targets"), dropped("semantic_duplicate"));
    assert!(far > 0 && repeated > 0 && account.kept > 0, "{far} {repeated}");
    let gates: Vec<(u64, u64)> = account.gates.iter().map(|g| (g.pairs, g.dropped)).collect();
    assert_eq!(gates, [(account.pairs, far), (account.pairs - far, repeated)]);
    // What is on one side of a cut was kept, and on the other was not.
    let sides = |gate: &crate::GateReport| {
        let near = gate.near.clone().unwrap();
        (near.kept, near.dropped, gate.cut.unwrap())
    };
    let (kept, dropped, cut) = sides(&account.gates[0]);
    assert!(
        cut == 0.0
            && kept.iter().all(|near| near.0 >= 0.0)
            && dropped.iter().all(|near| near.0 <= 0.0)
    );
    let (kept, dropped, cut) = sides(&account.gates[1]);
    assert!(kept.iter().all(|near| near.0 <= cut + 1e-4));
    assert!(dropped.iter().all(|near| near.0 >= cut - 1e-4) && !dropped.is_empty());
    assert!(account.gates.iter().all(|gate| gate.histogram.is_some()));
    // Other parts are the same rows under other numbers.
    let others = parts(folders[2].path(), 3000, 700, left);
    let (others, _) = decide(&stage, &others).unwrap();
    let without_rows = |rows: &[(u64, Option<String>, u32)]| {
        rows.iter().map(|row| (row.1.clone(), row.2)).collect::<Vec<_>>()
    };
    assert_eq!(without_rows(&decided), without_rows(&others));
}

#[test]
fn a_stage_names_what_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let stage = |clusters| SemanticStage {
        semantic: semantic(clusters, Some(0.1)),
        embedded: "score".into(),
    };
    let two = stage(Clusters::Train(2));
    let mut inputs = parts(folder.path(), 60, 20, |_| true);
    decide(&two, &inputs).unwrap();
    let config = |error: &clip_pipeline::Error| matches!(error, clip_pipeline::Error::Config(_));
    let path = folder.path().join("wide.npy");
    write_matrix(&path, &Array2::zeros((2, 33))).unwrap();
    let error = decide(&stage(Clusters::File(path)), &inputs).unwrap_err();
    assert!(config(&error) && error.to_string().contains("[semantic]: "), "{error}");
    assert!(error.to_string().contains("wide.npy: 33 numbers a row"), "{error}");
    let none = PartInfo { embeddings: None, ..inputs[1].clone() };
    let error = decide(&two, &[inputs[0].clone(), none]).unwrap_err();
    assert!(error.to_string().contains("part-1.parquet: no embeddings are stored"), "{error}");
    // What is damaged is stored data: a row that is not a number, rows without embeddings.
    let stored = inputs[1].embeddings.clone().unwrap();
    let numbers =
        (20..40).flat_map(|row| embedding(row).map(move |n| if row == 27 { f32::NAN } else { n }));
    let numbers = Array2::from_shape_vec((20, WIDTH), numbers.collect()).unwrap();
    write_matrix(&stored.images, &numbers).unwrap();
    let error = decide(&two, &inputs).unwrap_err();
    assert!(matches!(&error, clip_pipeline::Error::Corpus(error) if error.is_damage()), "{error}");
    assert!(error.to_string().contains("img_emb_1.npy: row 7: an embedding"), "{error}");
    inputs[1].embeddings = inputs[0].embeddings.clone();
    let error = decide(&two, &inputs).unwrap_err().to_string();
    assert!(error.contains("part-1.parquet: 20 rows of it have no embeddings"), "{error}");
    // Nothing to decide about is no fault.
    let (decided, account) = decide(&two, &[]).unwrap();
    assert!(decided.is_empty() && account.pairs == 0);
}
