//! Fetching failed rows again, in place: a part is done anew from its input, but every outcome that
//! is not asked about is taken from where it lies.

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, interleave_record_batch, take_record_batch};
use clip_corpus::columns;
use clip_pipeline::{Context, Error, Fetch, PartInfo, PartSink, Reject, Result, StageLayout};
use std::collections::HashMap;

use crate::fetch::{ImageFetch, Rows};
use crate::predicate::Predicate;

/// Rows that are given on at a time.
const BATCH: usize = 512;

/// A fetch stage that asks only for rejected rows that a predicate means.
pub struct RetryFetch {
    fetch: ImageFetch,
    /// The stage, with the parts of the earlier run.
    stage: StageLayout,
    wanted: Predicate,
}

impl RetryFetch {
    /// `stage` is the fetch stage that an earlier run wrote.
    pub fn new(fetch: ImageFetch, stage: StageLayout, wanted: Predicate) -> Self {
        Self { fetch, stage, wanted }
    }

    /// What an earlier run kept of a part, images included.
    fn kept(&self, part: usize) -> Result<Option<RecordBatch>> {
        let (path, images) = (self.stage.rows(part), self.stage.images(part));
        if !path.exists() {
            return Ok(None);
        }
        let info = PartInfo { part, rows: 0, path, images: images.exists().then_some(images) };
        let batches = info.read(true)?;
        let Some(first) = batches.first() else { return Ok(None) };
        let all = concat_batches(&first.schema(), &batches);
        all.map(Some).map_err(|e| Error::arrow(ImageFetch::STAGE, e))
    }
}

/// The rows of a part that an earlier run of the stage dropped.
fn rejected(stage: &StageLayout, part: usize) -> Result<Vec<Reject>> {
    let path = stage.rejects(part);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut rejects = Vec::new();
    for batch in clip_corpus::read_parquet(&path)? {
        let cell = |name: &str, row: usize| {
            columns::text(&batch, name).map(|c| c.value(row).to_owned()).unwrap_or_default()
        };
        rejects.extend((0..batch.num_rows()).map(|row| Reject {
            row: columns::uint64(&batch, columns::ROW).map_or(0, |rows| rows.value(row)),
            uid: cell(columns::UID, row),
            url: cell(columns::URL, row),
            caption: cell(columns::CAPTION, row),
            reason: cell("reason", row),
            detail: cell("detail", row),
        }));
    }
    Ok(rejects)
}

/// How many rows of a part `wanted` means.
///
/// # Errors
/// When the rejects cannot be read.
pub fn rejected_rows(stage: &StageLayout, part: usize, wanted: &Predicate) -> Result<usize> {
    let rejects = rejected(stage, part)?;
    Ok(rejects.iter().filter(|r| wanted.matches(&r.reason, &r.detail, &r.url, &r.caption)).count())
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
        let rejected = rejected(&self.stage, out.part())?;
        let mut found: HashMap<u64, From> = HashMap::new();
        if let Some(ids) = kept.as_ref().and_then(|kept| columns::uint64(kept, columns::ROW)) {
            found.extend(ids.values().iter().enumerate().map(|(at, &id)| (id, From::Kept(0, at))));
        }
        let stay = |r: &Reject| !self.wanted.matches(&r.reason, &r.detail, &r.url, &r.caption);
        let staying = rejected.iter().enumerate().filter(|(_, reject)| stay(reject));
        found.extend(staying.map(|(at, reject)| (reject.row, From::Rejected(at))));

        let asked: Vec<u64> = (0..batch.num_rows() as u64)
            .filter(|&at| !found.contains_key(&rows.value(at as usize)))
            .collect();
        let again = take_record_batch(&batch, &UInt64Array::from(asked)).map_err(arrow)?;
        let fetched: Vec<Rows> = self.fetch.outcomes(&again, cx)?;
        if cx.cancelled() {
            return Ok(());
        }
        let mut pools: Vec<RecordBatch> = kept.into_iter().collect();
        let mut fallen = HashMap::new();
        for rows in fetched {
            match rows {
                Rows::Kept(batch) => {
                    let ids = columns::uint64(&batch, columns::ROW).ok_or_else(lacks)?;
                    let places = ids.values().iter().enumerate();
                    found.extend(places.map(|(at, &id)| (id, From::Kept(pools.len(), at))));
                    pools.push(batch);
                }
                Rows::Rejected(reject) => {
                    fallen.insert(reject.row, reject);
                }
            }
        }
        let mut order: Vec<(usize, usize)> = Vec::with_capacity(BATCH);
        let pool_refs: Vec<&RecordBatch> = pools.iter().collect();
        for &id in rows.values() {
            match found.get(&id) {
                Some(From::Kept(pool, at)) => order.push((*pool, *at)),
                Some(From::Rejected(at)) => out.reject(rejected[*at].clone())?,
                None => {
                    let lost =
                        || Error::stage(ImageFetch::STAGE, format!("row {id} got no answer"));
                    out.reject(fallen.remove(&id).ok_or_else(lost)?)?;
                }
            }
            if order.len() == BATCH {
                out.keep(interleave_record_batch(&pool_refs, &order).map_err(arrow)?)?;
                order.clear();
            }
        }
        if order.is_empty() {
            return Ok(());
        }
        out.keep(interleave_record_batch(&pool_refs, &order).map_err(arrow)?)
    }
}
