//! Fetching failed rows again, in place: a part is done anew from its input, but every outcome that
//! is not asked about is taken from where it is.

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, interleave_record_batch, take_record_batch};
use clip_corpus::columns;
use clip_pipeline::{
    Context, Error, Fetch, PartInfo, PartSink, Reject, Result, RowCondition, StageLayout,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::asks::Asks;
use crate::dataset::Stats;
use crate::error::not_asked;
use crate::fetch::{ImageFetch, Rows};

/// Rows that are given on at a time.
const BATCH: usize = 512;

/// A fetch stage that asks only for the rejected rows that a condition means.
pub struct RetryFetch {
    fetch: ImageFetch,
    /// The stage, with the parts of the earlier run.
    stage: StageLayout,
    wanted: Arc<dyn RowCondition>,
    ends: Arc<Mutex<Stats>>,
    changes: Box<Changes>,
}

/// Called before a part has other rows than it had.
type Changes = dyn Fn() -> Result<()> + Send + Sync;

impl RetryFetch {
    /// `stage` is the fetch stage that an earlier run wrote; `ends` counts what happened to the
    /// rows that are meant. `changes` is called before a part gets rows that it did not have: what
    /// was made of it must go then, and stays otherwise.
    pub fn new(
        fetch: ImageFetch,
        stage: StageLayout,
        wanted: Arc<dyn RowCondition>,
        ends: Arc<Mutex<Stats>>,
        changes: Box<Changes>,
    ) -> Self {
        Self { fetch, stage, wanted, ends, changes }
    }

    /// What an earlier run kept of a part, images included.
    fn kept(&self, part: usize) -> Result<Option<RecordBatch>> {
        let (path, images) = (self.stage.rows(part), self.stage.images(part));
        if !path.exists() {
            return Ok(None);
        }
        let info = PartInfo {
            part,
            rows: 0,
            path,
            images: images.exists().then_some(images),
            embeddings: None,
        };
        let batches = info.read(true)?;
        let Some(first) = batches.first() else { return Ok(None) };
        let all = concat_batches(&first.schema(), &batches);
        all.map(Some).map_err(|e| Error::arrow(ImageFetch::STAGE, e))
    }
}

/// Why a row is not there, by its two names: a build's and that of img2dataset's tables.
const REASONS: [[&str; 2]; 2] = [["reason", "error_kind"], ["detail", "error_message"]];

/// Which rows of a table of rejects or of a shard's table `wanted` means: the reason and its detail
/// may be named in either way.
pub(crate) fn meant(wanted: &dyn RowCondition, rows: &RecordBatch) -> Result<Vec<bool>> {
    let mut rows = rows.clone();
    for names in REASONS {
        let column = names.iter().find_map(|name| rows.column_by_name(name).cloned());
        for name in names.iter().filter(|_| column.is_some()) {
            let absent = column.clone().filter(|_| rows.column_by_name(name).is_none());
            if let Some(column) = absent {
                rows = columns::with_column(&rows, name, true, column)
                    .map_err(|e| Error::arrow("retry", e))?;
            }
        }
    }
    wanted.matches(&rows)
}

/// The rows of a part that an earlier run of the stage dropped, each with whether it is meant.
fn rejected(
    stage: &StageLayout,
    part: usize,
    wanted: &dyn RowCondition,
) -> Result<Vec<(Reject, bool)>> {
    let path = stage.rejects(part);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut rejects = Vec::new();
    for batch in clip_corpus::read_parquet(&path)? {
        let meant = meant(wanted, &batch)?.into_iter();
        let cell = |name: &str, row: usize| {
            columns::text(&batch, name).map(|c| c.value(row).to_owned()).unwrap_or_default()
        };
        let rows = (0..batch.num_rows()).map(|row| Reject {
            row: columns::uint64(&batch, columns::ROW).map_or(0, |rows| rows.value(row)),
            uid: cell(columns::UID, row),
            url: cell(columns::URL, row),
            caption: cell(columns::CAPTION, row),
            reason: cell("reason", row),
            detail: cell("detail", row),
        });
        rejects.extend(rows.zip(meant));
    }
    Ok(rejects)
}

/// How many rows of a part `wanted` means.
///
/// # Errors
/// When the rejects cannot be read, or the condition is none on them.
pub fn rejected_rows(stage: &StageLayout, part: usize, wanted: &dyn RowCondition) -> Result<usize> {
    Ok(rejected(stage, part, wanted)?.iter().filter(|(_, meant)| *meant).count())
}

/// Where the outcome of a row is.
enum From {
    /// Batch and place in it.
    Kept(usize, usize),
    /// Place among the rejects that stay.
    Rejected(usize),
}

impl Fetch for RetryFetch {
    fn fetch(
        &self,
        read: &dyn Fn() -> Result<RecordBatch>,
        out: &mut PartSink,
        cx: &Context,
    ) -> Result<()> {
        let batch = read()?;
        let arrow = |e| Error::arrow(ImageFetch::STAGE, e);
        let lacks = || Error::stage(ImageFetch::STAGE, "the input lacks the column `row`");
        let rows = columns::uint64(&batch, columns::ROW).ok_or_else(lacks)?;
        let kept = self.kept(out.part())?;
        let rejected = rejected(&self.stage, out.part(), &*self.wanted)?;
        let mut found: HashMap<u64, From> = HashMap::new();
        if let Some(ids) = kept.as_ref().and_then(|kept| columns::uint64(kept, columns::ROW)) {
            found.extend(ids.values().iter().enumerate().map(|(at, &id)| (id, From::Kept(0, at))));
        }
        let staying = rejected.iter().enumerate().filter(|(_, (_, meant))| !meant);
        found.extend(staying.map(|(at, (reject, _))| (reject.row, From::Rejected(at))));

        // What is not asked keeps its reason.
        let before: HashMap<u64, usize> =
            rejected.iter().enumerate().map(|(at, (reject, _))| (reject.row, at)).collect();

        let asked: Vec<u64> = (0..batch.num_rows() as u64)
            .filter(|&at| !found.contains_key(&rows.value(at as usize)))
            .collect();
        let again = take_record_batch(&batch, &UInt64Array::from(asked)).map_err(arrow)?;
        let fetched: Vec<Rows> = self.fetch.outcomes(&again, cx)?;
        if cx.cancelled() {
            return Ok(());
        }
        if fetched.iter().any(|rows| matches!(rows, Rows::Kept(rows) if rows.num_rows() > 0)) {
            (self.changes)()?;
        }
        let mut pools: Vec<RecordBatch> = kept.into_iter().collect();
        let mut fallen = HashMap::new();
        let mut ends = Stats::default();
        for rows in fetched {
            match rows {
                Rows::Kept(batch) => {
                    let ids = columns::uint64(&batch, columns::ROW).ok_or_else(lacks)?;
                    let urls = columns::text(&batch, columns::URL);
                    urls.iter().flat_map(|urls| urls.iter()).for_each(|u| ends.add_built(u, None));
                    let places = ids.values().iter().enumerate();
                    found.extend(places.map(|(at, &id)| (id, From::Kept(pools.len(), at))));
                    pools.push(batch);
                }
                Rows::Rejected(reject) => {
                    ends.add_built(Some(&reject.url), Some(&reject.reason));
                    match before.get(&reject.row).filter(|_| not_asked(&reject.reason)) {
                        Some(&at) => _ = found.insert(reject.row, From::Rejected(at)),
                        None => _ = fallen.insert(reject.row, reject),
                    }
                }
            }
        }
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).merge(&ends);
        let mut order: Vec<(usize, usize)> = Vec::with_capacity(BATCH);
        let pool_refs: Vec<&RecordBatch> = pools.iter().collect();
        let asks = Asks::new(&batch)?;
        // Of the URLs of the part, those that were asked at some time.
        let mut reasons: Vec<Option<String>> = vec![None; asks.all.len()];
        for (&id, &ask) in rows.values().iter().zip(&asks.rows) {
            let reject = match found.get(&id) {
                Some(From::Kept(pool, at)) => {
                    order.push((*pool, *at));
                    None
                }
                Some(From::Rejected(at)) => Some(rejected[*at].0.clone()),
                None => {
                    let lost =
                        || Error::stage(ImageFetch::STAGE, format!("row {id} got no answer"));
                    Some(fallen.remove(&id).ok_or_else(lost)?)
                }
            };
            reasons[ask] = reject.as_ref().map(|reject| reject.reason.clone());
            reject.map_or(Ok(()), |reject| out.reject(reject))?;
            if order.len() == BATCH {
                out.keep(interleave_record_batch(&pool_refs, &order).map_err(arrow)?)?;
                order.clear();
            }
        }
        out.asked(asks.urls(|ask| reasons[ask].as_deref()));
        if order.is_empty() {
            return Ok(());
        }
        out.keep(interleave_record_batch(&pool_refs, &order).map_err(arrow)?)
    }
}
