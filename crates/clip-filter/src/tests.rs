//! DataComp's presets on a made pool, beside the uid sets of DataComp's own code.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float32Array, Int64Array, StringArray};
use clip_format::npy;
use clip_random::splitmix64;
use sha2::{Digest, Sha256};

use super::*;
use crate::Preset;
use crate::npz::tests::write_npz;

const FILES: u64 = 4;
const PAIRS: u64 = 5000;
const WIDTH_OF_ROW: u64 = 32;

const ADJECTIVES: [&str; 8] =
    ["red", "old", "small", "wooden", "bright", "quiet", "women's", "Running"];
const NOUNS: [&str; 12] = [
    "dogs",
    "house",
    "mice",
    "iPhone 6s",
    "apples",
    "wolves",
    "boxes",
    "bridge",
    "XK-9",
    "churches",
    "Churchmen",
    "cities",
];
const FRAMES: [&str; 12] = [
    "a photo of a {a} {n}",
    "{a} {n}",
    "{n}",
    "The {n} was {a} and the people were walking over it",
    "das {a} Haus und der Hund im Garten: {n}",
    "une photo de la petite maison, {n}",
    "{a}\n{n} on\nthe table",
    "{n}\u{a0}{a}\u{a0}x",
    "  {a}   {n}  for sale \t",
    "una casa vieja con un perro {a} {n}",
    "{a}",
    "x {n}",
];

fn draw(row: u64, field: u64) -> u64 {
    splitmix64(row * 16 + field)
}

fn caption(row: u64, lines: &[String]) -> String {
    let kind = draw(row, 2);
    let of = |shift: u32, size: usize| (kind >> shift) as usize % size;
    if kind.is_multiple_of(4) {
        return lines[of(8, lines.len())].clone();
    }
    let frame = FRAMES[of(8, FRAMES.len())].replace("{a}", ADJECTIVES[of(24, ADJECTIVES.len())]);
    frame.replace("{n}", NOUNS[of(32, NOUNS.len())])
}

fn side(number: u64) -> i64 {
    let high = number >> 8;
    (if number.is_multiple_of(8) { 200 * (1 + high % 6) } else { 1 + high % 1200 }) as i64
}

/// Numbers from -2 to 2 in steps of 1/64.
fn matrix(first: u64, count: u64) -> impl Iterator<Item = f32> {
    (first..first + count).map(|place| ((splitmix64(place) % 256) as f32 - 128.0) / 64.0)
}

/// The bits of such a number in 16 bits.
fn half(number: f32) -> u16 {
    let sign = if number.is_sign_negative() { 0x8000 } else { 0 };
    let bits = number.abs().to_bits();
    sign | if bits == 0 { 0 } else { ((bits - (112 << 23)) >> 13) as u16 }
}

fn write_npy(path: &Path, rows: usize, numbers: impl Iterator<Item = f32>) {
    let mut bytes = npy::header("'<f4'", &[rows, WIDTH_OF_ROW as usize]);
    numbers.for_each(|number| bytes.extend(number.to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}

/// The pool of scripts/golden/filter: 4 files of 5,000 pairs.
fn pool(folder: &Path) -> Pool {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../clip-text/data/golden/languages.tsv.gz");
    let mut text = String::new();
    let packed = std::fs::File::open(golden).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    let line = |line: &str| line.splitn(3, '\t').nth(2).unwrap().to_owned();
    let lines: Vec<String> = text.strip_suffix('\n').unwrap().split('\n').map(line).collect();
    let english = include_bytes!("../data/golden/gcld3.bin");
    for file in 0..FILES {
        let rows = file * PAIRS..(file + 1) * PAIRS;
        let score = |field: u64, steps: u64| {
            let of = |row| ((draw(row, field) % steps) as f64 / 10_000.0) as f32;
            Arc::new(rows.clone().map(of).collect::<Float32Array>()) as ArrayRef
        };
        let uid = |row| format!("{:016x}{:016x}", draw(row, 0), draw(row, 1));
        let sides = |field: u64| {
            let column = rows.clone().map(|row| side(draw(row, field))).collect::<Int64Array>();
            Arc::new(column) as ArrayRef
        };
        let verdict = |row: u64| english[row as usize / 8] >> (row % 8) & 1 == 1;
        let verdicts = rows.clone().map(|row| Some(verdict(row))).collect::<BooleanArray>();
        let texts = StringArray::from_iter_values(rows.clone().map(|row| caption(row, &lines)));
        let batch = RecordBatch::try_from_iter([
            ("uid", Arc::new(StringArray::from_iter_values(rows.clone().map(uid))) as ArrayRef),
            ("text", Arc::new(texts) as ArrayRef),
            ("original_width", sides(3)),
            ("original_height", sides(4)),
            ("clip_b32_similarity_score", score(5, 4001)),
            ("clip_l14_similarity_score", score(6, 3001)),
            ("english", Arc::new(verdicts) as ArrayRef),
        ])
        .unwrap();
        let path = folder.join(format!("{file:08}.parquet"));
        clip_corpus::write_parquet(&path, batch.schema(), &[batch]).unwrap();
        let first = (1 << 40) + file * PAIRS * WIDTH_OF_ROW;
        let halves: Vec<u16> = matrix(first, PAIRS * WIDTH_OF_ROW).map(half).collect();
        write_npz(&path.with_extension("npz"), "l14_img", WIDTH_OF_ROW as usize, &halves);
    }
    write_npy(&folder.join("centroids.npy"), 64, matrix(1 << 50, 64 * WIDTH_OF_ROW));
    write_npy(&folder.join("targets.npy"), 16, matrix(1 << 51, 16 * WIDTH_OF_ROW));
    Pool::open(&[folder.to_path_buf()]).unwrap()
}

/// A file that scripts/setup brings; with `CLIP_DATA_REQUIRE_ALL` it must be there.
fn needed(path: PathBuf) -> Option<PathBuf> {
    if !path.exists() {
        let all = std::env::var_os("CLIP_DATA_REQUIRE_ALL");
        assert!(all.is_none(), "{} is absent", path.display());
        eprintln!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

/// All that a preset needs, of the files in `folder`.
fn settings(preset: Preset, folder: &Path) -> Option<Settings> {
    let model = clip_corpus::cache_folder("models/lid.176.ftz").unwrap_or_default();
    let (text, images) = (preset == Preset::TextBased, preset.needs_images());
    let wordnet = if text { Some(needed("/usr/share/wordnet".into())?) } else { None };
    if let Some(wordnet) = &wordnet {
        // Every noun whose offset is a multiple of 3.
        let nouns = std::fs::read_to_string(wordnet.join("data.noun")).unwrap();
        let offsets = nouns.lines().filter(|line| !line.starts_with(' ')).map(|line| &line[..8]);
        let third = |offset: &&str| offset.parse::<u32>().unwrap().is_multiple_of(3);
        let list: Vec<String> = offsets.filter(third).map(|offset| format!("n{offset}")).collect();
        std::fs::write(folder.join("synsets.txt"), list.join("\n")).unwrap();
    }
    Some(Settings {
        preset,
        language_model: if preset.needs_language() { Some(needed(model)?) } else { None },
        wordnet,
        synsets: text.then(|| folder.join("synsets.txt")),
        centroids: images.then(|| folder.join("centroids.npy")),
        targets: if images { vec![folder.join("targets.npy")] } else { Vec::new() },
        embedding: images.then(|| "l14_img".into()),
        score: preset.needs_score().then(|| "clip_l14_similarity_score".into()),
        cut: preset.needs_score().then_some(Cut::Fraction(0.3)),
        english_column: (preset == Preset::Laion2b).then(|| "english".into()),
    })
}

#[test]
fn uid_sets_are_those_of_datacomps_own_code() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../data/golden/datacomp.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pool = pool(folder.path());
    let out = folder.path().join("subset.npy");
    for (name, preset) in Preset::ALL {
        let Some(settings) = settings(preset, folder.path()) else { continue };
        let report = run(&pool, &settings, &out, &|_| true).unwrap().unwrap();
        let bytes = std::fs::read(&out).unwrap();
        let uids = npy::parse(&bytes).unwrap().data;
        assert_eq!(report.kept, golden[name]["pairs"].as_u64().unwrap(), "{name}");
        let hash: String = Sha256::digest(uids).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hash, golden[name]["sha256"], "{name}");
        let dropped: u64 = report.dropped.iter().map(|gate| gate.pairs).sum();
        assert_eq!((report.pairs, report.kept + dropped), (20_000, 20_000), "{name}");
        let scored: u64 = report.scores.iter().map(|bin| bin.kept).sum();
        assert!(report.scores.is_empty() || scored == report.kept, "{name}");
    }
}

/// A pool of one table with these columns.
fn small(folder: &Path, columns: Vec<(&str, ArrayRef)>) -> Pool {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    clip_corpus::write_parquet(&folder.join("0.parquet"), batch.schema(), &[batch]).unwrap();
    Pool::open(&[folder.to_path_buf()]).unwrap()
}

fn uids(count: u32) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..count).map(|n| format!("{n:032x}"))))
}

#[test]
fn rows_without_image_or_uid_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["success", "failed_to_download", "success"].map(Some);
    let pool = small(
        folder.path(),
        vec![
            ("uid", Arc::new(StringArray::from(vec![Some("12"), None, Some(&"a".repeat(32))]))),
            ("status", Arc::new(StringArray::from(names.to_vec()))),
        ],
    );
    let out = folder.path().join("subset.npy");
    let settings = settings(Preset::NoFilter, folder.path()).unwrap();
    let report = run(&pool, &settings, &out, &|_| true).unwrap().unwrap();
    assert_eq!(report.kept, 1);
    let dropped: Vec<u64> = report.dropped.iter().map(|gate| gate.pairs).collect();
    assert_eq!(dropped, [1, 1]);
    assert_eq!(clip_corpus::read_subset(&out).unwrap(), [u128::MAX / 15 * 10]);
    // Asked to stop, it writes nothing.
    std::fs::remove_file(&out).unwrap();
    assert_eq!(run(&pool, &settings, &out, &|_| false).unwrap(), None);
    assert!(!out.exists());
}

#[test]
fn a_bad_pool_is_named_with_file_and_row() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("subset.npy");
    let name = "clip_l14_similarity_score";
    let score = |scores: Vec<Option<f32>>| Arc::new(Float32Array::from(scores)) as ArrayRef;
    let refused = |columns, preset| {
        let pool = small(folder.path(), columns);
        let settings = settings(preset, folder.path())?;
        let error = run(&pool, &settings, &out, &|_| true).unwrap_err();
        Some((error.to_string(), error.is_damage()))
    };
    let nan = score(vec![Some(0.1), None, Some(f32::NAN)]);
    let (error, damage) = refused(vec![("uid", uids(3)), (name, nan)], Preset::ClipScore).unwrap();
    assert!(error.ends_with(&format!("0.parquet: row 2: {name} is NaN")) && damage, "{error}");
    let text: ArrayRef = Arc::new(StringArray::from(vec!["0.5"; 3]));
    let (error, _) = refused(vec![("uid", uids(3)), (name, text)], Preset::ClipScore).unwrap();
    assert!(error.contains("0.parquet: column clip_l14_similarity_score: Utf8"), "{error}");
    let (error, _) = refused(vec![("uid", uids(3))], Preset::ClipScore).unwrap();
    assert!(error.contains("no column clip_l14_similarity_score\nhint: it has uid"), "{error}");
    write_npy(&folder.path().join("centroids.npy"), 1, matrix(0, WIDTH_OF_ROW));
    write_npy(&folder.path().join("targets.npy"), 1, matrix(0, WIDTH_OF_ROW));
    let captions = || Arc::new(StringArray::from(vec!["a photo of a dog"; 3])) as ArrayRef;
    let columns = || vec![("uid", uids(3)), ("text", captions())];
    let Some((error, _)) = refused(columns(), Preset::ImageBased) else { return };
    assert!(error.contains("0.npz: the embeddings of"), "{error}");
    write_npz(&folder.path().join("0.npz"), "l14_img", WIDTH_OF_ROW as usize, &[0; 64]);
    let (error, damage) = refused(columns(), Preset::ImageBased).unwrap();
    assert!(error.contains("0.npz: row 2 is in one of the two only") && damage, "{error}");
    let mut halves = [0; 96];
    halves[40] = 0x7e00;
    write_npz(&folder.path().join("0.npz"), "l14_img", WIDTH_OF_ROW as usize, &halves);
    let (error, damage) = refused(columns(), Preset::ImageBased).unwrap();
    assert!(error.contains("0.npz: row 1: an embedding that is not") && damage, "{error}");
}

#[test]
fn without_so_many_scores_nothing_is_kept_as_in_numpy() {
    let folder = tempfile::tempdir().unwrap();
    let scores: ArrayRef = Arc::new(Float32Array::from(vec![None, Some(0.5), None, None]));
    let columns = vec![("uid", uids(4)), ("clip_l14_similarity_score", scores)];
    let pool = small(folder.path(), columns);
    let out = folder.path().join("subset.npy");
    for (fraction, kept) in [(0.0, 1), (0.2, 1), (0.25, 0), (0.9, 0)] {
        let settings = Settings {
            cut: Some(Cut::Fraction(fraction)),
            ..settings(Preset::ClipScore, folder.path()).unwrap()
        };
        let report = run(&pool, &settings, &out, &|_| true).unwrap().unwrap();
        assert_eq!(report.kept, kept, "{fraction}");
    }
}
