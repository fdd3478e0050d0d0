//! Against C++ fastText, on models of every loss: scripts/golden/classifiers.

use std::io::{Cursor, Read};

use super::*;

macro_rules! golden {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../data/golden/classifiers/", $name, ".gz")).as_slice())
    };
}

const MODELS: [(&str, &[u8]); 8] = [
    golden!("hs.bin"),
    golden!("hs.ftz"),
    golden!("softmax.bin"),
    golden!("softmax.ftz"),
    golden!("ova.bin"),
    golden!("ova.ftz"),
    golden!("ns.bin"),
    golden!("ns.ftz"),
];

fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> std::result::Result<Classifier, String> {
    Ok(Classifier { model: Model::read(Cursor::new(bytes), bytes.len() as u64)? })
}

pub(super) fn text(packed: &[u8]) -> String {
    String::from_utf8(unpack(packed)).unwrap()
}

/// Language and text of the lines that the predictions are of.
pub(super) fn rows() -> Vec<(String, String)> {
    let text = text(include_bytes!("../../data/golden/languages.tsv.gz"));
    let rows = text.strip_suffix('\n').unwrap().split('\n');
    let fields = rows.map(|row| row.splitn(3, '\t').collect::<Vec<_>>());
    fields.map(|fields| (fields[0].to_owned(), fields[2].to_owned())).collect()
}

fn lines() -> Vec<String> {
    rows().into_iter().map(|(_, line)| line).collect()
}

#[test]
fn ten_thousand_lines_have_the_labels_of_cpp_with_every_loss() {
    let golden = text(golden!("labels.tsv").1);
    let mut rows = golden.lines().map(|row| row.split('\t').collect::<Vec<_>>());
    let names = rows.next().unwrap();
    let rows: Vec<_> = rows.collect();
    let lines = lines();
    assert_eq!(rows.len(), 10_000);
    let mut workspace = ClassifierWorkspace::default();
    for (at, (name, packed)) in MODELS.into_iter().enumerate() {
        assert_eq!(names[at], name);
        let model = read(&unpack(packed)).unwrap();
        for (line, row) in lines.iter().zip(&rows) {
            let found = model.predict(line, 1, 0.0, &mut workspace);
            assert_eq!(found.first().map_or("", |label| label.0), row[at], "{name}: {line:?}");
        }
    }
}

#[test]
fn top_k_and_thresholds_are_those_of_cpp() {
    let golden = text(golden!("top.tsv").1);
    let lines = lines();
    let mut workspace = ClassifierWorkspace::default();
    let models = MODELS.map(|(name, packed)| (name, read(&unpack(packed)).unwrap()));
    let mut rows = 0;
    for row in golden.lines() {
        let fields: Vec<&str> = row.split('\t').collect();
        let [name, line, k, min_prob, labels @ ..] = &fields[..] else { panic!("{row}") };
        let model = &models.iter().find(|(own, _)| own == name).unwrap().1;
        let k = k.parse::<i64>().unwrap();
        let k = usize::try_from(k).unwrap_or(usize::MAX);
        let line = &lines[line.parse::<usize>().unwrap()];
        let found = model.predict(line, k, min_prob.parse().unwrap(), &mut workspace);
        assert_eq!(found.len(), labels.len(), "{row}\n{found:?}");
        for ((label, prob), golden) in found.into_iter().zip(labels) {
            let (golden, golden_prob) = golden.rsplit_once(':').unwrap();
            assert_eq!(label, golden, "{row}");
            let golden_prob = golden_prob.parse::<f32>().unwrap().min(1.0);
            assert!((prob - golden_prob).abs() < 2e-5, "{row}: {label} {prob}");
            let one = model.probability(line, model.label(label).unwrap(), &mut workspace);
            assert_eq!(one, prob, "{row}");
        }
        rows += 1;
    }
    assert_eq!(rows, 2160);
}

#[test]
fn labels_lose_their_prefix_once() {
    let mut bytes = unpack(MODELS[2].1);
    let at = bytes.windows(9).rposition(|word| word == b"__label__").unwrap();
    // Another label of the same length: what C++ cuts is the first prefix alone.
    assert!(bytes[at + 9..].contains(&0));
    let model = read(&bytes).unwrap();
    assert!(model.labels().contains(&"other".to_owned()));
    assert_eq!(model.label("__label__other"), model.label("other"));
    assert_eq!(model.label("absent"), None);
    bytes.truncate(at);
    assert_eq!(read(&bytes).err().unwrap(), "the model is cut off");
}

#[test]
fn no_damage_of_a_model_is_a_panic_or_a_probability_out_of_range() {
    let mut workspace = ClassifierWorkspace::default();
    for (name, packed) in MODELS {
        let bytes = unpack(packed);
        for length in [0, 3, 40, 90, 200, 5_000, bytes.len() - 1] {
            assert!(read(&bytes[..length]).is_err(), "{name} {length}");
        }
        for at in (0..bytes.len()).step_by(if bytes.len() < 20_000 { 13 } else { 101 }) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            let Ok(model) = read(&damaged) else { continue };
            for (label, prob) in model.predict("a drawing of a red apple", 9, 0.0, &mut workspace) {
                assert!((0.0..=1.0).contains(&prob), "{name} {at}: {label} {prob}");
            }
        }
    }
}

#[test]
fn sizes_that_a_file_only_claims_are_refused_before_memory_is_taken() {
    let whole = unpack(MODELS[0].1);
    let number = |at: usize| i32::from_le_bytes(whole[at..at + 4].try_into().unwrap());
    // Dimension, loss and kind, after the magic number and the version.
    assert_eq!((number(8), number(32), number(36)), (4, 1, 3));
    for (at, value, reason) in [
        (8, i32::MAX, "do not fit"),
        (8, 0, "dimension is 0"),
        (32, 9, "number 9"),
        (36, 2, "vectors of words"),
        (40, i32::MAX, "do not fit"),
        (40, 0, "without buckets"),
        (48, 1 << 20, "longer than"),
    ] {
        let mut damaged = whole.clone();
        damaged[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let error = read(&damaged).err().unwrap();
        assert!(error.contains(reason), "{at} {value}: {error}");
    }
    // Supervised models of format 11 have no subwords, whatever they say.
    let mut older = whole.clone();
    older[4..8].copy_from_slice(&11i32.to_le_bytes());
    let (older, model) = (read(&older).unwrap(), read(&whole).unwrap());
    let mut workspace = ClassifierWorkspace::default();
    let mut ask = |model: &Classifier| model.predict("xyzzy", 1, 0.0, &mut workspace)[0].1;
    assert_ne!(ask(&older), ask(&model));
}

#[test]
fn a_file_that_is_no_model_is_an_error_that_names_it() {
    let path = std::env::temp_dir().join(format!("clip-text-{}.bin", std::process::id()));
    std::fs::write(&path, b"not a model").unwrap();
    let message = Classifier::open(&path).err().unwrap().to_string();
    std::fs::remove_file(&path).unwrap();
    assert!(message.contains(".bin: not a fastText model\nhint:"), "{message}");
}
