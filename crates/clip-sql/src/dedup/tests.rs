//! What memory a sort may hold changes nothing.

use std::sync::Arc;

use super::*;
use arrow::array::{ArrayRef, BooleanArray, Int32Array, RecordBatch, StringArray, UInt64Array};
use clip_pipeline::{StageLayout, read_decisions};

#[test]
fn decisions_do_not_depend_on_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = 5u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
        state >> 20
    };
    let count = 3_000usize;
    let mut files: Vec<u64> = Vec::new();
    for at in 0..count {
        let copy = at > 10 && next() % 3 == 0;
        files.push(if copy { files[next() as usize % at] } else { at as u64 });
    }
    // Files in chains of four whose hashes differ in three bits from one to the next.
    let hash =
        |file: u64| (file / 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (0x1ff >> (3 * (file % 4)));
    let numbers = |f: &dyn Fn(u64) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(files.iter().map(|&file| f(file))))
    };
    let row = UInt64Array::from_iter_values((0..count as u64).map(|at| 5 * at));
    let texts = |f: &dyn Fn(usize) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..count).map(f)))
    };
    let side: ArrayRef =
        Arc::new(Int32Array::from_iter_values(files.iter().map(|&file| 9 + (file % 5) as i32)));
    let flat: BooleanArray = files.iter().map(|file| Some(file % 50 == 0)).collect();
    let batch = RecordBatch::try_from_iter([
        ("row", Arc::new(row) as ArrayRef),
        ("sha256", texts(&|at| format!("{:064x}", files[at]))),
        ("phash", numbers(&hash)),
        ("flat", Arc::new(flat)),
        ("original_width", side.clone()),
        ("original_height", side),
        ("caption", texts(&|at| format!("caption {}", at % 7))),
        ("url", texts(&|at| format!("http://e.com/{}", at % 400))),
    ])
    .unwrap();
    let mut inputs = Vec::new();
    for part in 0..5 {
        let path = folder.path().join(format!("{part}.parquet"));
        let rows = batch.slice(part * count / 5, count / 5);
        clip_corpus::write_parquet(&path, rows.schema(), &[rows]).unwrap();
        inputs.push(PartInfo {
            part,
            path,
            rows: count as u64 / 5,
            images: None,
            embeddings: None,
        });
    }
    let known = inputs[..1].iter().map(|input| input.path.clone()).collect();
    let dedup = Deduplicate {
        radius: 3,
        max_captions: 3,
        placeholder_limit: 9,
        known,
        ..Default::default()
    };
    let decide = |dedup: &Deduplicate, memory: usize| {
        let cx = Context::detached("dedup", 1, &folder.path().join("scratch"));
        let stage = folder.path().join("stage");
        let mut out = DecisionSink::new("dedup", &StageLayout::new(&stage));
        dedup.run(&inputs, &cx, memory, &mut out).unwrap();
        out.finish(count as u64).unwrap();
        let decisions = read_decisions(&stage).unwrap();
        let left = std::fs::read_dir(cx.scratch()).unwrap().count();
        assert_eq!(left, 0, "files are left in the scratch folder");
        let batches = arrow::compute::concat_batches(&decisions[0].schema(), &decisions).unwrap();
        std::fs::remove_dir_all(stage).unwrap();
        batches
    };
    for dedup in [Deduplicate { known: Vec::new(), ..dedup.clone() }, dedup] {
        let whole = decide(&dedup, MEMORY);
        assert_eq!(decide(&dedup, 0), whole);
        assert_eq!(decide(&dedup, 10_000), whole);
    }
}
