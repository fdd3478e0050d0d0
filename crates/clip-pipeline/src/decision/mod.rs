//! What a barrier decided: sorted files of rows, read part by part.
//!
//! `decisions/00000.parquet` and so on hold the decisions in the order of rows. Each file ends
//! between two parts, so that a part's decisions are in one of them, and `decisions/index.json`,
//! written last, says which rows each holds: without it nothing was decided.

mod index;
mod sink;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use clip_corpus::{PartFile, columns, row_part};

use crate::format::Format;
use crate::layout::{DECISION_INDEX, StageLayout};
use crate::{Error, PartSink, Result, RunStore};
pub(crate) use index::DecisionIndex;
use index::REASON;
pub use sink::DecisionSink;

/// What exactly happened to a row that is dropped: goes to its reject, never to rows that continue.
const DETAIL: &str = "detail";

/// Decisions of one barrier, one file of them in memory.
pub(crate) struct Decisions {
    stage: String,
    layout: StageLayout,
    store: Option<RunStore>,
    index: DecisionIndex,
    loaded: Mutex<Option<(usize, Arc<RecordBatch>)>>,
}

impl Decisions {
    /// Those that were made, if they were: here, or by another process that shares the store.
    pub fn open(
        stage: &str,
        layout: &StageLayout,
        store: Option<&RunStore>,
    ) -> Result<Option<Self>> {
        if let Some(store) = store {
            store.get_if_exists(layout, DECISION_INDEX)?;
        }
        let index = DecisionIndex::read(&layout.decision_index())?;
        Ok(index.map(|index| Self {
            stage: stage.to_owned(),
            layout: layout.clone(),
            store: store.cloned(),
            index,
            loaded: Mutex::new(None),
        }))
    }

    /// Adds the new columns to the rows of a part, then keeps or rejects each.
    pub fn apply(&self, part: usize, batches: &[RecordBatch], out: &mut PartSink) -> Result<()> {
        let file = self.load(part)?;
        batches.iter().try_for_each(|batch| self.apply_to(batch, &file, out))
    }

    /// The file about a part, from memory where it was the last one that was asked for.
    fn load(&self, part: usize) -> Result<Arc<RecordBatch>> {
        let missing = || Error::stage(&self.stage, "no decisions");
        let (at, file) = self.index.about(part).ok_or_else(missing)?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, batch)) = &*loaded
            && *of == at
        {
            return Ok(batch.clone());
        }
        if let Some(store) = &self.store {
            store.ensure_local(&self.layout, &in_stage(&self.layout, &file.file))?;
        }
        let batch = Arc::new(read(&self.layout.decisions(), &file.file)?);
        *loaded = Some((at, batch.clone()));
        Ok(batch)
    }

    fn apply_to(&self, batch: &RecordBatch, file: &RecordBatch, out: &mut PartSink) -> Result<()> {
        let missing = || Error::stage(&self.stage, "a row got no decision");
        let mine = about(batch, file).ok_or_else(missing)?;
        let mut widened = batch.clone();
        for (index, field) in mine.schema().fields().iter().enumerate() {
            if ![columns::ROW, REASON, DETAIL].contains(&field.name().as_str()) {
                let column = mine.column(index).clone();
                widened = columns::with_column(&widened, field.name(), field.is_nullable(), column)
                    .map_err(|e| Error::arrow(&self.stage, e))?;
            }
        }
        let reasons: &StringArray = mine
            .column_by_name(REASON)
            .and_then(|column| column.as_string_opt())
            .ok_or_else(missing)?;
        let details = columns::text(&mine, DETAIL);
        let detail = |index| details.filter(|column| column.is_valid(index));
        let reason = |index| {
            let detail = detail(index).map_or_else(String::new, |d| d.value(index).to_owned());
            reasons.is_valid(index).then(|| (reasons.value(index).to_owned(), detail))
        };
        let reasons: Vec<_> = (0..reasons.len()).map(reason).collect();
        out.split(&widened, &reasons)
    }
}

/// The decisions about exactly the rows of `batch`.
fn about(batch: &RecordBatch, decisions: &RecordBatch) -> Option<RecordBatch> {
    let rows = columns::uint64(batch, columns::ROW)?.values();
    let all = columns::uint64(decisions, columns::ROW)?.values();
    let start = rows.first().map_or(0, |first| all.partition_point(|row| row < first));
    let found = all.get(start..start + rows.len())?;
    (found == rows).then(|| decisions.slice(start, rows.len()))
}

/// All rows of a decision file, whose content must be what it was written as.
fn read(folder: &Path, file: &PartFile) -> Result<RecordBatch> {
    let path = folder.join(&file.name);
    if clip_corpus::hash_file(&path)?.0 != file.blake3 {
        let reason = "the content is not what was written (blake3 differs)".to_owned();
        return Err(Error::Corpus(clip_corpus::Error::Damaged { path, reason }));
    }
    let schema = clip_corpus::schema_of(&path)?;
    let batches = clip_corpus::read_parquet(&path)?;
    concat_batches(&schema, &batches).map_err(|e| Error::arrow("decisions", e))
}

/// The name in the stage's folder of a file in that of its decisions.
fn in_stage(layout: &StageLayout, file: &PartFile) -> PartFile {
    let folder = layout.decisions();
    let folder = folder.file_name().unwrap_or_default().to_string_lossy();
    PartFile { name: format!("{folder}/{}", file.name), ..file.clone() }
}

/// Uploads decisions that were made here, the list of them last; what another process uploaded
/// first stays.
pub(crate) fn upload(layout: &StageLayout, store: &RunStore, index: &DecisionIndex) -> Result<()> {
    for file in &index.files {
        store.upload_file(layout, &in_stage(layout, &file.file))?;
    }
    store.put_if_absent(layout, DECISION_INDEX)?;
    let theirs = files(layout)?;
    for file in index.files.iter().map(|file| in_stage(layout, &file.file)) {
        if !theirs.contains(&file) {
            let path = layout.dir().join(&file.name);
            std::fs::remove_file(&path).map_err(|e| Error::io(&path, e))?;
        }
    }
    Ok(())
}

/// Copies all of a barrier's decisions out of a store, where it has some.
pub(crate) fn download(layout: &StageLayout, store: &RunStore) -> Result<()> {
    if !store.get_if_exists(layout, DECISION_INDEX)? {
        return Ok(());
    }
    let index = DecisionIndex::read(&layout.decision_index())?;
    let files = index.iter().flat_map(|index| &index.files);
    files.map(|file| in_stage(layout, &file.file)).try_for_each(|f| store.ensure_local(layout, &f))
}

/// The files of a barrier's decisions, relative to its stage's folder; none where there are none.
pub(crate) fn files(layout: &StageLayout) -> Result<Vec<PartFile>> {
    let index = DecisionIndex::read(&layout.decision_index())?;
    let files = index.iter().flat_map(|index| &index.files);
    Ok(files.map(|file| in_stage(layout, &file.file)).collect())
}

/// The tables of a barrier's decisions; none where there are none.
pub(crate) fn tables(layout: &StageLayout) -> Result<Vec<PathBuf>> {
    Ok(files(layout)?.iter().map(|file| layout.dir().join(&file.name)).collect())
}

/// The decision about a row, as a batch of one row: nothing where there is none.
///
/// # Errors
/// When what is stored is damaged.
pub(crate) fn about_row(layout: &StageLayout, row: u64) -> Result<Option<RecordBatch>> {
    let folder = layout.decisions();
    let Some(index) = DecisionIndex::read(&layout.decision_index())? else {
        return Ok(None);
    };
    let Some((_, file)) = index.about(row_part(row)) else { return Ok(None) };
    let all = read(&folder, &file.file)?;
    let rows = columns::uint64(&all, columns::ROW);
    let at = rows.and_then(|rows| rows.values().binary_search(&row).ok());
    Ok(at.map(|at| all.slice(at, 1)))
}

/// All decisions in a folder that a [`DecisionSink`] filled, in the order of rows: for tools and
/// tests, as they are all in memory.
///
/// # Errors
/// When there are none, or what is stored is damaged.
pub fn read_decisions(stage: &Path) -> Result<Vec<RecordBatch>> {
    let layout = StageLayout::new(stage);
    let files = files(&layout)?;
    files.iter().map(|file| read(stage, file)).collect()
}

#[cfg(test)]
mod tests;
