//! A selection as a stage, beside a sort.

use arrow::array::{Array, AsArray, Float32Array, UInt32Array};
use clip_corpus::{row_id, write_parquet};
use clip_pipeline::{StageLayout, read_decisions};
use std::path::Path;

use super::*;

/// A row: width and score.
type Pair = (u32, Option<f32>);

fn uid(pair: usize) -> String {
    clip_corpus::uid(&pair.to_string(), "")
}

/// Parts of rows, as a stage leaves them.
fn parts(folder: &Path, pairs: &[Pair], part_rows: usize) -> Vec<PartInfo> {
    let chunks = pairs.chunks(part_rows).enumerate();
    let part = |(part, pairs): (usize, &[Pair])| {
        let first = part * part_rows;
        let rows = (0..pairs.len()).map(|at| row_id(part, at));
        let uids = (0..pairs.len()).map(|at| uid(first + at));
        let urls = (0..pairs.len()).map(|at| format!("http://h{}.example/", (first + at) % 3));
        let columns: [(&str, ArrayRef, bool); 5] = [
            ("row", Arc::new(UInt64Array::from_iter_values(rows)), false),
            ("uid", Arc::new(StringArray::from_iter_values(uids)), false),
            ("url", Arc::new(StringArray::from_iter_values(urls)), false),
            ("width", Arc::new(UInt32Array::from_iter_values(pairs.iter().map(|p| p.0))), false),
            (
                "clip_similarity",
                Arc::new(pairs.iter().map(|p| p.1).collect::<Float32Array>()),
                true,
            ),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let path = folder.join(format!("part-{part:05}.parquet"));
        write_parquet(&path, batch.schema(), &[batch]).unwrap();
        PartInfo { part, path, rows: pairs.len() as u64, images: None, embeddings: None }
    };
    chunks.map(part).collect()
}

fn stage(conditions: &[&str], top: &[(&str, f64)]) -> SelectStage {
    let top =
        top.iter().map(|(column, fraction)| Top { column: (*column).into(), fraction: *fraction });
    SelectStage {
        conditions: conditions.iter().map(|c| (*c).to_owned()).collect(),
        top: top.collect(),
    }
}

/// Reason and detail of each pair, and the account.
type Decided = (Vec<Option<(String, String)>>, SelectAccount);

fn decide(stage: &SelectStage, pairs: &[Pair], part_rows: usize) -> clip_pipeline::Result<Decided> {
    let folder = tempfile::tempdir().unwrap();
    let inputs = parts(folder.path(), pairs, part_rows);
    let cx = Context::detached(SelectStage::STAGE, 7, &folder.path().join("scratch"));
    let layout = StageLayout::new(folder.path());
    let mut sink = DecisionSink::new(SelectStage::STAGE, &layout);
    stage.decide(&inputs, &cx, &mut sink)?;
    sink.finish(pairs.len() as u64)?;
    let mut decided = Vec::new();
    for batch in read_decisions(folder.path()).unwrap() {
        let (reasons, details) =
            (batch["reason"].as_string::<i32>(), batch["detail"].as_string::<i32>());
        decided.extend((0..batch.num_rows()).map(|at| {
            reasons.is_valid(at).then(|| (reasons.value(at).into(), details.value(at).into()))
        }));
    }
    let account = std::fs::read(cx.scratch().join(SelectStage::ACCOUNT)).unwrap();
    Ok((decided, serde_json::from_slice(&account).unwrap()))
}

fn pairs(count: u64) -> Vec<Pair> {
    let mix = |at: u64| (at + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let score = |at: u64| match mix(at) % 11 {
        0 => None,
        1 => Some(f32::NAN),
        other => Some(other as f32 / 10.0),
    };
    (0..count).map(|at| (100 + (mix(at + 1000) % 20) as u32, score(at))).collect()
}

#[test]
fn conditions_then_exactly_the_best_by_score_then_uid_whatever_the_parts() {
    let pairs = pairs(997);
    let chosen = stage(
        &["width >= 105", "host(url) <> 'h1.example'"],
        &[("clip_similarity", 0.29), ("width", 0.8)],
    );
    let (decided, account) = decide(&chosen, &pairs, 100).unwrap();
    // A sort of all that meet the conditions.
    let mut met: Vec<usize> =
        (0..pairs.len()).filter(|&at| pairs[at].0 >= 105 && at % 3 != 1).collect();
    let (n, mut kept) = (met.len(), vec![true; pairs.len()]);
    let known = |at: usize| pairs[at].1.filter(|score| !score.is_nan()).unwrap_or(-1.0);
    met.sort_by(|&a, &b| known(b).total_cmp(&known(a)).then(uid(a).cmp(&uid(b))));
    let by_score: Vec<usize> = met[..n * 29 / 100].to_vec();
    met.sort_by(|&a, &b| pairs[b].0.cmp(&pairs[a].0).then(uid(a).cmp(&uid(b))));
    let by_width: Vec<usize> = met[..n * 8 / 10].to_vec();
    for at in 0..pairs.len() {
        kept[at] = by_score.contains(&at) && by_width.contains(&at);
        assert_eq!(decided[at].is_none(), kept[at], "pair {at}: {:?}", decided[at]);
    }
    assert_eq!(account.pairs, 997);
    assert_eq!(account.kept, kept.iter().filter(|kept| **kept).count() as u64);
    let best = &account.gates[2];
    assert_eq!((best.pairs, best.pairs - best.dropped), (n as u64, (n * 29 / 100) as u64));
    let worst = by_score.iter().map(|&at| known(at)).fold(f32::MAX, f32::min);
    assert_eq!(best.cut, Some(f64::from(worst)));
    let (again, other) = decide(&chosen, &pairs, 7).unwrap();
    assert_eq!(again, decided);
    let without_rows = |account: SelectAccount| {
        let gates = account.gates.into_iter();
        gates.map(|gate| GateReport { near: None, ..gate }).collect::<Vec<_>>()
    };
    assert_eq!(without_rows(other), without_rows(account));
}

#[test]
fn a_reject_names_the_gate_and_the_values() {
    let pairs =
        [(90, Some(0.9)), (120, None), (120, Some(f32::NAN)), (120, Some(0.1)), (120, Some(0.5))];
    let (decided, account) =
        decide(&stage(&["width > 100", "clip_similarity > 0.2"], &[]), &pairs, 2).unwrap();
    let wanted = [
        Some(("condition", "width > 100: width is 90")),
        Some(("missing_value", "clip_similarity > 0.2: clip_similarity is null")),
        Some(("missing_value", "clip_similarity > 0.2: clip_similarity is NaN")),
        Some(("condition", "clip_similarity > 0.2: clip_similarity is 0.1")),
        None,
    ];
    let texts = |(a, b): (&str, &str)| (a.to_owned(), b.to_owned());
    assert_eq!(decided, wanted.map(|w| w.map(texts)));
    let gate = &account.gates[1];
    assert_eq!((gate.pairs, gate.dropped, gate.missing, gate.nan), (4, 3, 1, 1));
    let (decided, account) = decide(&stage(&[], &[("clip_similarity", 0.4)]), &pairs, 2).unwrap();
    let reasons: Vec<_> = decided.iter().map(|d| d.as_ref().map(|d| d.0.as_str())).collect();
    let cut = Some("not_in_top");
    assert_eq!(reasons, [None, Some("missing_value"), Some("missing_value"), cut, None]);
    let detail = "top 0.4 by clip_similarity: clip_similarity is 0.1, the cut is 0.5";
    assert_eq!(decided[3].as_ref().unwrap().1, detail);
    let near = account.gates[0].near.as_ref().unwrap();
    let rows = |side: &[(f64, u64)]| side.iter().map(|near| near.1).collect::<Vec<_>>();
    assert_eq!(rows(&near.kept), [row_id(2, 0), row_id(0, 0)]);
    assert_eq!(rows(&near.dropped), [row_id(1, 1)]);
}

#[test]
fn what_does_not_fit_the_columns_is_a_fault_of_the_configuration() {
    let pairs = pairs(3);
    for (conditions, top, why) in [
        (
            &["colour = 3"][..],
            &[][..],
            "no column \"colour\"\nhint: there are row, uid, url, width",
        ),
        (&[], &[("likes", 0.5)], "no column \"likes\"\nhint: there are row, uid, url, width"),
        (&[], &[("url", 0.5)], "column url is no score"),
        (&["width"], &[], "not true or false"),
    ] {
        let error = decide(&stage(conditions, top), &pairs, 2).unwrap_err();
        assert!(matches!(error, clip_pipeline::Error::Config(_)), "{error:?}");
        assert!(error.to_string().contains(why), "{error}");
    }
}
