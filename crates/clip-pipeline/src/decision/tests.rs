use super::*;
use arrow::array::{ArrayRef, UInt32Array, UInt64Array};
use clip_corpus::row_id;

fn decisions(rows: &[u64]) -> RecordBatch {
    let reason = |row: &u64| row.is_multiple_of(3).then_some("third");
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("row", Arc::new(UInt64Array::from(rows.to_vec())), false),
        ("reason", Arc::new(rows.iter().map(reason).collect::<StringArray>()), true),
        (
            "query",
            Arc::new(rows.iter().map(|row| Some(*row as u32)).collect::<UInt32Array>()),
            true,
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// Rows of parts 0, 1, 3, 4, … (2 is empty), of many lengths.
fn rows() -> Vec<Vec<u64>> {
    let count = |part: usize| if part == 2 { 0 } else { 1 + part * 37 % 11 };
    (0..20).map(|part| (0..count(part)).map(|at| row_id(part, at)).collect()).collect()
}

fn store(folder: &Path, batch: usize, file_rows: u64) -> StageLayout {
    let layout = StageLayout::new(folder);
    let all: Vec<u64> = rows().concat();
    let mut sink = DecisionSink::with_file_rows("test", &layout, file_rows);
    all.chunks(batch).for_each(|rows| sink.push(&decisions(rows)).unwrap());
    sink.finish(all.len() as u64).unwrap();
    layout
}

#[test]
fn a_part_finds_its_decisions_whatever_files_and_batches_they_came_in() {
    let expected: Vec<u64> = rows().concat();
    for (batch, file_rows) in [(1, 1), (3, 10), (1000, 10), (7, 1 << 20)] {
        let folder = tempfile::tempdir().unwrap();
        let layout = store(folder.path(), batch, file_rows);
        let decided = Decisions::open("test", &layout, None).unwrap().unwrap();
        let mut kept = 0;
        for (part, rows) in rows().iter().enumerate() {
            let out = tempfile::tempdir().unwrap();
            let mut sink = PartSink::new("test", part, out.path(), false);
            let batch = RecordBatch::try_from_iter([(
                "row",
                Arc::new(UInt64Array::from(rows.clone())) as ArrayRef,
            )]);
            decided.apply(part, &[batch.unwrap()], &mut sink).unwrap();
            let commit = sink.commit(Some(rows.len() as u64)).unwrap();
            kept += commit.counts.rows_out;
            let stored =
                clip_corpus::schema_of(&out.path().join(&commit.files.last().unwrap().name));
            assert!(stored.unwrap().index_of("query").is_ok(), "part {part}");
        }
        assert_eq!(kept, expected.iter().filter(|row| !row.is_multiple_of(3)).count() as u64);
        let all = read_decisions(folder.path()).unwrap();
        assert_eq!(concat_batches(&all[0].schema(), &all).unwrap(), decisions(&expected));
        for row in [expected[0], expected[17], *expected.last().unwrap()] {
            assert_eq!(about_row(&layout, row).unwrap(), Some(decisions(&[row])));
        }
        assert_eq!(about_row(&layout, row_id(2, 0)).unwrap(), None);
    }
}

#[test]
fn bytes_depend_on_the_rows_alone() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = |folder: &Path, batch| files(&store(folder, batch, 20)).unwrap();
    let first = files(a.path(), 1);
    assert!(first.len() > 3);
    assert_eq!(first, files(b.path(), 50));
}

#[test]
fn a_file_ends_between_two_parts() {
    let folder = tempfile::tempdir().unwrap();
    let layout = store(folder.path(), 4, 12);
    let index = layout.decision_index();
    let index = DecisionIndex::read(&index).unwrap().unwrap();
    assert!(index.files.windows(2).all(|two| two[0].parts.1 < two[1].parts.0), "{index:?}");
}

#[test]
fn what_is_short_unsorted_or_double_is_no_decision() {
    let folder = tempfile::tempdir().unwrap();
    let layout = StageLayout::new(folder.path());
    let mut sink = DecisionSink::new("test", &layout);
    sink.push(&decisions(&[1, 2, 5])).unwrap();
    let error = sink.finish(4).unwrap_err();
    assert!(matches!(error, Error::Short { found: 3, rows: 4, .. }), "{error}");
    assert!(Decisions::open("test", &layout, None).unwrap().is_none());
    for rows in [[1, 1], [2, 1]] {
        assert!(DecisionSink::new("test", &layout).push(&decisions(&rows)).is_err());
    }
    let mut sink = DecisionSink::new("test", &layout);
    sink.push(&decisions(&[1, 2])).unwrap();
    assert!(sink.push(&decisions(&[2])).is_err());
    assert!(DecisionSink::new("test", &layout).finish(0).is_err(), "nothing was decided");
}

#[test]
fn a_changed_file_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let layout = store(folder.path(), 4, 1000);
    let path = layout.decisions().join("00000.parquet");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[30] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    let decided = Decisions::open("test", &layout, None).unwrap().unwrap();
    let error = decided.load(0).unwrap_err();
    assert!(matches!(error, Error::Corpus(error) if error.is_damage()));
}
