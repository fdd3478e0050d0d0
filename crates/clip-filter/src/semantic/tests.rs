//! Clusters, repeated images and targets, beside a NumPy version of the published rules.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use serde_json::Value;
use sha2::{Digest, Sha256};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

const ROWS: u64 = 50_000;
const WIDTH: usize = 32;

/// splitmix64, as scripts/golden/semantic.py has it.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

fn number(place: u64) -> f64 {
    ((mix(place) % 256) as f64 - 128.0) / 64.0
}

fn matrix_of(first: u64, rows: usize, scale: f64) -> Array2<f32> {
    Array2::from_shape_fn((rows, WIDTH), |(row, column)| {
        (number(first + (row * WIDTH + column) as u64) / scale) as f32
    })
}

/// The made embedding of a row.
fn embedding(row: u64) -> impl Iterator<Item = f32> {
    let group = mix(row * 16 + 7) % 12_000;
    let away = mix(row * 16 + 8) % 256;
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
        let draw = mix(row as u64 * 16 + 9) % (1 << 20);
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
        let is_copy = |row: u64| mix(row * 16 + 8) % 256 < 32;
        let groups: Vec<u64> =
            (0..3000).filter(|&row| is_copy(row)).map(|row| mix(row * 16 + 7) % 12_000).collect();
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
    let rows = Embeddings::open(&pool, "l14_img").unwrap().sample(2600).unwrap();
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
