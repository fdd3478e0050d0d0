//! Lists of (URL, caption) in img2dataset's formats, streamed.

mod files;
mod json;
mod kept;
mod parquet;
mod table;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, SchemaRef};
use clip_pipeline::Result;
use clip_pipeline::config::source::{CaptionList, List};

use crate::normalize_url::normal_url;
use crate::pair_reader::{Item, PairReader, Visit, located, no_url};
use crate::rows::{More, Pair, STAGE};
use kept::Kept;

pub(crate) use files::{Format, ListFile, find};
pub(crate) use table::{Batches, Column, FAULT, batches};

/// Rows of list files, in the order of the files; part `n` holds rows `n * part_rows` onward.
pub(crate) struct Lists {
    files: Vec<ListFile>,
    columns: Vec<Column>,
    kept: Kept,
    part_rows: usize,
    counts: OnceLock<Vec<usize>>,
    /// Readers that are where a part ended: the next part continues there instead of from the
    /// start.
    open: Mutex<Vec<Cursor>>,
}

/// A file that is read up to a row.
struct Cursor {
    file: usize,
    row: usize,
    batches: Batches,
    /// What was read beyond that row.
    pending: Option<RecordBatch>,
}

/// Readers kept open at a time.
const CURSORS: usize = 16;

/// Whether a file is a list of text by its name: txt, csv, tsv, json or jsonl, each also with .gz.
pub fn is_text_list(path: &Path) -> bool {
    Format::of(&path.to_string_lossy()).is_some_and(|format| format != Format::Parquet)
}

/// The lists of text that a file, a folder, a pattern or a URL names.
///
/// # Errors
/// When it names none.
pub fn text_lists(path: &Path) -> Result<Vec<PathBuf>> {
    let files = find(path, None)?.into_iter().map(|file| file.path);
    Ok(files.filter(|path| is_text_list(path)).collect())
}

/// The rows of a list of text, with those of the columns that it has: the others are null. The
/// first of a list of captions is taken. The last column, `row fault`, is why a row cannot be used.
///
/// # Errors
/// When the file cannot be read; the same of each batch.
pub fn list_rows(
    path: &Path,
    columns: &[&str],
) -> Result<Box<dyn Iterator<Item = Result<RecordBatch>> + Send>> {
    let column = |name: &&str| {
        let (optional, lists) = (true, CaptionList::First);
        Column { optional, lists, ..Column::text(name, name) }
    };
    let columns: Vec<Column> = columns.iter().map(column).collect();
    let format = Format::of(&path.to_string_lossy()).unwrap_or(Format::Txt);
    batches(&ListFile { path: path.to_path_buf(), format }, &columns, 0)
}

/// One column of a list of text that has columns, as text; of a list of captions the first. The
/// last column is as in [`list_rows`].
///
/// # Errors
/// When the column is not there, with those that are, or the file cannot be read.
pub fn list_column(
    path: &Path,
    name: &str,
) -> Result<Box<dyn Iterator<Item = Result<RecordBatch>> + Send>> {
    let column = Column { lists: CaptionList::First, ..Column::text(name, "text") };
    let format = Format::of(&path.to_string_lossy()).unwrap_or(Format::Txt);
    batches(&ListFile { path: path.to_path_buf(), format }, &[column], 0)
}

/// Whether a file is a list of text without columns by its name, or no list by it.
pub fn is_plain_text(path: &Path) -> bool {
    Format::of(&path.to_string_lossy()).is_none_or(|format| format == Format::Txt)
}

/// Which of these columns a list has, with values among the first rows of its first file; they may
/// be spelled in other case there. A file of URLs alone has `url`. Nothing where it has no row.
///
/// # Errors
/// When there is no list, or it cannot be read.
pub fn filled_columns<'a>(path: &Path, names: &[&'a str]) -> Result<Option<Vec<&'a str>>> {
    let Some(file) = find(path, None)?.into_iter().next() else { return Ok(None) };
    let Some(rows) = list_rows(&file.path, names)?.next().transpose()? else { return Ok(None) };
    let filled = |at: usize| rows.column(at).null_count() < rows.num_rows();
    let filled = names.iter().enumerate().filter(|(at, _)| filled(*at)).map(|(_, name)| *name);
    Ok((rows.num_rows() > 0).then(|| filled.collect()))
}

/// Looks up a column in the first list of a path, as a build does.
///
/// # Errors
/// When it is not there, with the columns that are, or the list cannot be read.
pub fn require_column(path: &Path, name: &str) -> Result<()> {
    let Some(file) = find(path, None)?.into_iter().next() else { return Ok(()) };
    batches(&file, &[Column::text(name, "url")], 0)?.next().transpose().map(drop)
}

/// Whether a column of a list holds lists, as far as the first rows of its first file show.
///
/// # Errors
/// When the list cannot be read.
pub fn holds_lists(path: &Path, name: &str) -> Result<bool> {
    let Some(file) = find(path, None)?.into_iter().next() else { return Ok(false) };
    has_lists(&file, name)
}

fn has_lists(file: &ListFile, name: &str) -> Result<bool> {
    if matches!(file.format, Format::Txt | Format::Csv | Format::Tsv) {
        return Ok(false);
    }
    let column = Column { text: false, optional: true, ..Column::text(name, name) };
    let Some(rows) = batches(file, &[column], 0)?.next().transpose()? else { return Ok(false) };
    let Some(texts) = rows.column(0).as_string_opt::<i32>() else {
        return Ok(matches!(
            rows.column(0).data_type(),
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
        ));
    };
    let is_list = |text: &str| serde_json::from_str::<Vec<serde_json::Value>>(text).is_ok();
    Ok(file.format != Format::Parquet && texts.iter().flatten().any(is_list))
}

impl Lists {
    /// Reads the first rows of the first file as a build does.
    ///
    /// # Errors
    /// For a column that it does not have, and for lists of captions where it is not said what
    /// they mean.
    pub fn check(&self) -> Result<()> {
        let Some(file) = self.files.first() else { return Ok(()) };
        batches(file, &self.columns, 0)?.next().transpose()?;
        let caption = self.columns.iter().find(|column| column.to == "caption");
        let refused = caption.filter(|caption| caption.lists == CaptionList::Refuse);
        match refused {
            Some(caption) if has_lists(file, &caption.from)? => {
                let (file, refusal) = (file.path.display(), caption.refusal());
                Err(clip_pipeline::Error::Config(format!("{file}: {refusal}")))
            }
            _ => Ok(()),
        }
    }

    /// Finds the files: a folder means its list files, sorted.
    pub fn new(list: &List, base: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for path in &list.paths {
            files.extend(find(&located(path, base), list.format.as_deref())?);
        }
        let mut caption = Column::text(&list.caption_col, "caption");
        // A list of URLs alone has none.
        let plain = files.iter().all(|file| file.format == Format::Txt);
        caption.optional = plain || list.caption_col.is_empty();
        caption.lists = list.caption_list;
        let kept = Kept::new(&list.columns, &files)?;
        let mut columns = vec![Column::text(&list.url_col, "url"), caption];
        columns.extend(kept.columns());
        Ok(Self {
            files,
            columns,
            kept,
            part_rows: list.part_rows.max(1),
            counts: OnceLock::new(),
            open: Mutex::default(),
        })
    }

    /// Rows of each file.
    fn counts(&self) -> Result<&[usize]> {
        if let Some(counts) = self.counts.get() {
            return Ok(counts);
        }
        let count = |file: &ListFile| match file.format {
            Format::Parquet => {
                // The columns are looked up too, so that a wrong name is reported before anything
                // is fetched.
                drop(batches(file, &self.columns, 0)?);
                parquet::count(file, &self.columns)
            }
            _ => batches(file, &self.columns, 0)?
                .try_fold(0, |rows, batch| Ok(rows + batch?.num_rows())),
        };
        let counts = self.files.iter().map(count).collect::<Result<Vec<_>>>()?;
        Ok(self.counts.get_or_init(|| counts))
    }

    /// A reader at a row of a file: the nearest before it that is open, else a new one.
    fn cursor(&self, file: usize, row: usize) -> Result<Cursor> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let before = (0..open.len()).filter(|&at| open[at].file == file && open[at].row <= row);
        let mut cursor = match before.max_by_key(|&at| open[at].row) {
            Some(nearest) => open.swap_remove(nearest),
            None => {
                let batches = batches(&self.files[file], &self.columns, row)?;
                return Ok(Cursor { file, row, batches, pending: None });
            }
        };
        drop(open);
        while cursor.row < row {
            let wanted = row - cursor.row;
            if cursor.take(wanted)?.is_none() {
                break;
            }
        }
        Ok(cursor)
    }

    fn put_back(&self, cursor: Cursor) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() == CURSORS {
            open.remove(0);
        }
        open.push(cursor);
    }
}

impl Cursor {
    /// Up to `most` of the next rows; nothing at the end of the file.
    fn take(&mut self, most: usize) -> Result<Option<RecordBatch>> {
        let batch = match self.pending.take() {
            Some(batch) => batch,
            None => match self.batches.next().transpose()? {
                Some(batch) => batch,
                None => return Ok(None),
            },
        };
        let rows = batch.num_rows().min(most);
        if rows < batch.num_rows() {
            self.pending = Some(batch.slice(rows, batch.num_rows() - rows));
        }
        self.row += rows;
        Ok(Some(batch.slice(0, rows)))
    }
}

impl PairReader for Lists {
    fn units(&self) -> Result<usize> {
        Ok(self.counts()?.iter().sum::<usize>().div_ceil(self.part_rows))
    }

    fn columns(&self) -> Result<SchemaRef> {
        Ok(self.kept.schema.clone())
    }

    fn each(&self, unit: usize, visit: &mut Visit) -> Result<()> {
        let (from, to) = (unit * self.part_rows, (unit + 1) * self.part_rows);
        let mut start = 0;
        for (file, &count) in self.counts()?.iter().enumerate() {
            let (first, last) = (from.max(start), to.min(start + count));
            if first < last {
                let mut cursor = self.cursor(file, first - start)?;
                let mut left = last - first;
                while left > 0 {
                    let Some(batch) = cursor.take(left)? else { break };
                    left -= batch.num_rows();
                    if !self.pairs(&batch, visit)? {
                        return Ok(());
                    }
                }
                self.put_back(cursor);
            }
            start += count;
        }
        Ok(())
    }
}

impl Lists {
    fn pairs(&self, batch: &RecordBatch, visit: &mut Visit) -> Result<bool> {
        let columns = batch.columns();
        let text = |at: usize| -> Result<&StringArray> {
            let column = columns.get(at).and_then(|column| column.as_string_opt::<i32>());
            column.ok_or_else(|| clip_pipeline::Error::stage(STAGE, "a list's columns are no text"))
        };
        let (urls, captions, faults) = (text(0)?, text(1)?, text(columns.len() - 1)?);
        let kept = match columns {
            [_, _, kept @ .., _] if !self.kept.is_empty() => Some(Arc::new(self.kept.of(kept)?)),
            _ => None,
        };
        let uids = self.kept.uid.then(|| text(columns.len() - 2)).transpose()?;
        for row in 0..batch.num_rows() {
            let caption = if captions.is_valid(row) { captions.value(row) } else { "" }.to_owned();
            let item = if faults.is_valid(row) {
                Item::Rejected(String::new(), caption, "bad_row", faults.value(row).to_owned())
            } else if urls.is_valid(row) {
                let url = urls.value(row).to_owned();
                let pair = Pair { url, caption, page: None, source: "list" };
                match &kept {
                    None => Item::Pair(pair),
                    Some(kept) => with(pair, uids, kept, row),
                }
            } else {
                Item::Rejected(String::new(), caption, "bad_url", "the URL is null".into())
            };
            if !visit(item)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A pair with its row of the columns that are kept.
fn with(mut pair: Pair, uids: Option<&StringArray>, kept: &Arc<RecordBatch>, row: usize) -> Item {
    let uid = uids.filter(|uids| uids.is_valid(row)).map(|uids| uids.value(row).to_lowercase());
    if let Some(uid) = uid.as_ref().filter(|uid| clip_corpus::uid_number(uid).is_none()) {
        let detail = format!("uid {uid:?} is not 32 hex digits: keep it under another name");
        return Item::Rejected(pair.url, pair.caption, "bad_row", detail);
    }
    let Some(url) = normal_url(&pair.url) else {
        let (url, caption, reason, detail) = no_url(pair);
        return Item::Rejected(url, caption, reason, detail);
    };
    pair.url = url;
    Item::With(pair, More { uid, columns: kept.clone(), row })
}

#[cfg(test)]
mod tests;
