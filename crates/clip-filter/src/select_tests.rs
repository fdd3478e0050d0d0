//! Exact fractions, beside a sort.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray};
use proptest::prelude::*;

use super::*;

/// A pool of pairs: uid and score.
fn pool(folder: &Path, pairs: &[(u128, Option<f64>)]) -> Pool {
    for (file, pairs) in pairs.chunks(pairs.len().div_ceil(2).max(1)).enumerate() {
        let uids = pairs.iter().map(|(id, _)| format!("{id:032x}"));
        let scores = pairs.iter().map(|(_, score)| *score);
        let narrow = scores.clone().map(|score| score.map(|s| s as f32));
        // As lists and `.json` fields give them.
        let texts =
            scores.clone().map(|score| score.map_or(Some("-".into()), |s| Some(s.to_string())));
        let words = scores.clone().map(|_| Some("some"));
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("uid", Arc::new(StringArray::from_iter_values(uids)) as ArrayRef, false),
            ("score", Arc::new(scores.collect::<Float64Array>()) as ArrayRef, true),
            ("odd \"name\"", Arc::new(narrow.collect::<Float32Array>()) as ArrayRef, true),
            ("text", Arc::new(texts.collect::<StringArray>()) as ArrayRef, true),
            ("word", Arc::new(words.collect::<StringArray>()) as ArrayRef, true),
        ])
        .unwrap();
        let path = folder.join(format!("{file}.parquet"));
        clip_corpus::write_parquet(&path, batch.schema(), &[batch]).unwrap();
    }
    Pool::open(&[folder.to_path_buf()]).unwrap()
}

fn select(pool: &Pool, condition: &str, top: &[(&str, f64)]) -> Result<(Vec<u128>, FilterReport)> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("subset.npy");
    let top = top
        .iter()
        .map(|(column, fraction)| Top { column: (*column).to_owned(), fraction: *fraction });
    let select = Select { conditions: vec![condition.to_owned()], top: top.collect() };
    let report = select.run(pool, folder.path(), &out)?;
    Ok((clip_corpus::read_subset(&out)?, report))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_fraction_is_the_beginning_of_a_sort(
        pairs in prop::collection::vec((0u128..60, prop::option::of(0u8..6)), 1..80),
        percent in 1u64..=100) {
        let folder = tempfile::tempdir().unwrap();
        let pairs: Vec<(u128, Option<f64>)> =
            pairs.into_iter().map(|(id, score)| (id << 64, score.map(|s| f64::from(s) / 7.0))).collect();
        let pool = pool(folder.path(), &pairs);
        let mut sorted = pairs.clone();
        sorted.sort_by(|a, b| {
            b.1.unwrap_or(-1.0).total_cmp(&a.1.unwrap_or(-1.0)).then(a.0.cmp(&b.0))
        });
        let count = pairs.len() * percent as usize / 100;
        let mut wanted: Vec<u128> = sorted[..count].iter().map(|pair| pair.0).collect();
        wanted.sort_unstable();
        for column in ["score", "odd \"name\"", "text"] {
            if column == "text" && pairs.iter().all(|(_, score)| score.is_none()) {
                continue;
            }
            let (found, report) =
                select(&pool, "true", &[(column, percent as f64 / 100.0)]).unwrap();
            prop_assert_eq!(&found, &wanted);
            let dropped: u64 = report.dropped.iter().map(|gate| gate.pairs).sum();
            prop_assert_eq!(report.kept + dropped, pairs.len() as u64);
        }
    }
}

#[test]
fn conditions_come_first_and_fractions_intersect() {
    let folder = tempfile::tempdir().unwrap();
    let pairs: Vec<_> = (0..10u128).map(|n| (n, Some(n as f64))).collect();
    let pool = pool(folder.path(), &pairs);
    for condition in ["score < 5", "text < 5", "5 > text", "text between -1 and 4.5"] {
        assert_eq!(select(&pool, condition, &[]).unwrap().0, [0, 1, 2, 3, 4], "{condition}");
    }
    let (found, report) = select(&pool, "score < 5", &[("score", 0.4)]).unwrap();
    assert_eq!((found, report.threshold), (vec![3, 4], Some(3.0)));
    let names: Vec<(&str, u64)> =
        report.dropped.iter().map(|gate| (gate.gate.as_str(), gate.pairs)).collect();
    let wanted = [
        ("no uid of 32 hex digits", 0),
        ("not met: score < 5", 5),
        ("not in: top 0.4 by score", 3),
    ];
    assert_eq!(names, wanted);
    let both = select(&pool, "true", &[("score", 0.5), ("odd \"name\"", 0.2)]).unwrap().0;
    assert_eq!(both, [8, 9]);
}

#[test]
fn what_cannot_be_selected_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let pool = pool(folder.path(), &[(1, Some(0.5)), (2, None)]);
    for (condition, top, reason) in [
        ("colour = 3", vec![], "colour"),
        ("true", vec![("likes", 0.5)], "likes"),
        ("true", vec![("uid", 0.5)], "column uid is no score"),
        ("true", vec![("word", 0.5)], "column word is no score"),
        ("true", vec![("score", 1.5)], "score=1.5: not a fraction above 0, up to 1\nhint: "),
        ("true", vec![("score", 0.0)], "score=0: not a fraction above 0, up to 1\nhint: "),
        ("true", vec![("score", f64::NAN)], "score=NaN: not a fraction"),
    ] {
        let error = select(&pool, condition, &top).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn what_is_null_or_nan_meets_no_condition_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let pairs = [(1, Some(0.5)), (2, None), (3, Some(f64::NAN)), (4, Some(0.1))];
    let pool = pool(folder.path(), &pairs);
    let (found, report) = select(&pool, "text >= 0.3", &[]).unwrap();
    assert_eq!((found, report.gates[0].missing), (vec![1], 2), "no number has no value");
    for column in ["score", "\"odd \"\"name\"\"\""] {
        let (found, report) = select(&pool, &format!("{column} >= 0.3"), &[]).unwrap();
        let gate = &report.gates[0];
        assert_eq!((found, gate.dropped, gate.missing, gate.nan), (vec![1], 3, 1, 1));
        assert_eq!(select(&pool, &format!("NOT {column} >= 0.3"), &[]).unwrap().0, [4]);
    }
    // In a fraction they come last, and are counted as well.
    let (found, report) = select(&pool, "true", &[("score", 0.75)]).unwrap();
    let gate = &report.gates[1];
    assert_eq!((found, gate.missing, gate.nan), (vec![1, 2, 4], 1, 1));
    let histogram = gate.histogram.as_ref().unwrap();
    assert_eq!((histogram.from, histogram.to), (0.1, 0.5));
    assert_eq!((histogram.pairs.iter().sum::<u64>(), histogram.kept[99]), (2, 1));
}

#[test]
fn a_table_without_uids_is_named_with_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let pool = pool(folder.path(), &[(1, Some(0.5)), (2, None)]);
    let column = Arc::new(StringArray::from(vec!["http://a/1"])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("url", column)]).unwrap();
    let path = &pool.files[1].table;
    clip_corpus::write_parquet(path, batch.schema(), &[batch]).unwrap();
    let error = select(&pool, "true", &[]).unwrap_err();
    let wanted = format!("{}: no column uid\nhint: it has url", path.display());
    assert!(
        matches!(error, crate::Error::Settings(_)) && error.to_string().starts_with(&wanted),
        "{error}"
    );
}
