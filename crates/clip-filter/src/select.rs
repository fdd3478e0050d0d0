//! Pairs that meet a condition in SQL, and of these an exact fraction by a score.

use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use clip_corpus::{IoContext, SubsetWriter, uid_number};
use clip_sql::Session;

use crate::radix::{Digits, Prefix, at_rank, key};
use crate::report::Counts;
use crate::{Dropped, Error, FilterReport, Pool, Result};

/// The best of the pairs that meet the condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Top {
    /// The column of the score.
    pub column: String,
    /// The fraction that is kept: of n pairs exactly floor(fraction n), by score, then uid. A pair
    /// without a score is the worst.
    pub fraction: f64,
}

/// A condition and fractions; a pair must be in all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// The condition, over all columns of the tables.
    pub condition: String,
    /// The fractions, each of all pairs that meet the condition.
    pub top: Vec<Top>,
}

/// The last pair of a fraction: those with a higher score are in, and of those with just this one
/// the first by uid.
struct Limit {
    key: u64,
    last: u128,
    /// How many pairs with this very score and uid are in.
    copies: u64,
}

impl Select {
    /// Selects pairs of a pool and writes the subset file. Memory does not grow with the pool;
    /// what is sorted is in files of `scratch`.
    ///
    /// # Errors
    /// When a fraction is none, a column is absent, or the condition is no SQL.
    pub fn run(&self, pool: &Pool, scratch: &Path, out: &Path) -> Result<FilterReport> {
        for top in &self.top {
            if !(0.0..=1.0).contains(&top.fraction) {
                let why = format!("the fraction {} of {} is none", top.fraction, top.column);
                return Err(Error::Settings(format!("{why}\nhint: 0.3 keeps the best 30%")));
            }
        }
        let session = Session::new(scratch)?;
        session.table("pool", &pool.tables())?;
        let mut limits = Vec::new();
        for top in &self.top {
            limits.push(self.limit(&session, top, scratch)?);
        }
        let mut writer = SubsetWriter::new(out);
        let mut counts = Counts::new(self.top.len() + 1, self.top.len() == 1);
        let columns: Vec<&str> = self.top.iter().map(|top| top.column.as_str()).collect();
        self.visit(&session, &columns, |id, scores| {
            counts.pairs += 1;
            let Some(id) = id else {
                counts.dropped[0] += 1;
                return Ok(());
            };
            let out = limits.iter_mut().zip(scores).position(|(limit, score)| match limit {
                Some(limit) => !limit.takes(*score, id),
                None => true,
            });
            if let [score] = scores {
                counts.score(score.unwrap_or(f64::NAN), out.is_none());
            }
            match out {
                Some(top) => counts.dropped[top + 1] += 1,
                None => {
                    counts.kept += 1;
                    writer.push(id)?;
                }
            }
            Ok(())
        })?;
        writer.finish()?;
        let rows: u64 = pool
            .files
            .iter()
            .map(|file| clip_corpus::parquet_rows(&file.table))
            .sum::<clip_corpus::Result<u64>>()?;
        let dropped = |gate: String, pairs| Dropped { gate, pairs };
        let mut all = vec![dropped("condition not met".into(), rows - counts.pairs)];
        all.push(dropped("no uid of 32 hex digits".into(), counts.dropped[0]));
        for (top, pairs) in self.top.iter().zip(&counts.dropped[1..]) {
            all.push(dropped(format!("not in the top {} by {}", top.fraction, top.column), *pairs));
        }
        Ok(FilterReport {
            filter: "select".into(),
            files: pool.files.len(),
            pairs: rows,
            kept: counts.kept,
            dropped: all,
            threshold: match &limits[..] {
                [Some(limit)] if limit.key > 0 => Some(crate::radix::score(limit.key, BITS)),
                _ => None,
            },
            scores: if self.top.len() == 1 { counts.bins() } else { Vec::new() },
        })
    }

    /// The last pair of a fraction; nothing when it keeps none.
    fn limit(&self, session: &Session, top: &Top, scratch: &Path) -> Result<Option<Limit>> {
        let columns = [top.column.as_str()];
        let mut pairs = 0u64;
        self.visit(session, &columns, |id, _| {
            pairs += u64::from(id.is_some());
            Ok(())
        })?;
        let wanted = exact_floor(top.fraction, pairs);
        let Some(rank) = wanted.checked_sub(1) else { return Ok(None) };
        let ranked = at_rank(rank, BITS, |prefix: Prefix| {
            let mut digits = Digits::new();
            self.visit(session, &columns, |id, scores| {
                if id.is_some() {
                    prefix.count(score_key(scores[0]), &mut digits);
                }
                Ok(())
            })?;
            Ok(digits)
        })?;
        let Some(ranked) = ranked else { return Ok(None) };
        // Those with just this score, by uid.
        let path = scratch.join("equal.npy");
        let mut equal = SubsetWriter::new(&path);
        self.visit(session, &columns, |id, scores| {
            match id.filter(|_| score_key(scores[0]) == ranked.key) {
                Some(id) => Ok(equal.push(id)?),
                None => Ok(()),
            }
        })?;
        equal.finish()?;
        let (last, copies) = id_at(&path, wanted - ranked.above - 1)?;
        std::fs::remove_file(&path).at(&path)?;
        Ok(Some(Limit { key: ranked.key, last, copies }))
    }

    /// Calls `each` with the uid (if it is one) and the scores of every row that meets the
    /// condition.
    fn visit(
        &self,
        session: &Session,
        columns: &[&str],
        mut each: impl FnMut(Option<u128>, &[Option<f64>]) -> Result<()> + Send,
    ) -> Result<()> {
        // Under other names: a column may be chosen twice.
        let scores = columns
            .iter()
            .enumerate()
            .map(|(at, name)| format!(", \"{}\" AS score_{at}", name.replace('"', "\"\"")));
        let scores: String = scores.collect();
        let query = format!("SELECT uid{scores} FROM pool WHERE {}", self.condition);
        let mut failed = Ok(());
        session.each_of(&query, |batch| {
            if failed.is_ok() {
                failed = rows(&batch, columns, &mut each);
            }
            Ok(())
        })?;
        failed
    }
}

/// Bits of a score: DataFusion gives 64, whatever the column has.
const BITS: u32 = 64;

/// What pairs are ranked by; 0, which no number has, for those without a score.
fn score_key(score: Option<f64>) -> u64 {
    score.filter(|score| !score.is_nan()).map_or(0, |score| key(score, BITS))
}

impl Limit {
    fn takes(&mut self, score: Option<f64>, id: u128) -> bool {
        let own = score_key(score);
        if own != self.key || id != self.last {
            return own > self.key || own == self.key && id < self.last;
        }
        let takes = self.copies > 0;
        self.copies -= u64::from(takes);
        takes
    }
}

fn rows(
    batch: &RecordBatch,
    names: &[&str],
    each: &mut impl FnMut(Option<u128>, &[Option<f64>]) -> Result<()>,
) -> Result<()> {
    let converted = |name: &str, column: &ArrayRef, kind: &DataType| {
        cast(column, kind).map_err(|e| Error::Settings(format!("column {name}: {e}")))
    };
    let uids = converted("uid", batch.column(0), &DataType::Utf8)?;
    let uids = uids.as_string::<i32>();
    let mut columns = Vec::new();
    for (name, column) in names.iter().zip(&batch.columns()[1..]) {
        if !column.data_type().is_numeric() {
            let why = format!("column {name}: {} is no score", column.data_type());
            return Err(Error::Settings(why));
        }
        columns.push(converted(name, column, &DataType::Float64)?);
    }
    let mut scores = vec![None; columns.len()];
    for at in 0..batch.num_rows() {
        for (score, column) in scores.iter_mut().zip(&columns) {
            let column = column.as_primitive::<Float64Type>();
            *score = column.is_valid(at).then(|| column.value(at));
        }
        each(uid_number(uids.value(at)).filter(|_| uids.is_valid(at)), &scores)?;
    }
    Ok(())
}

/// The id at a place of a subset file, and how many up to there are equal to it.
fn id_at(path: &Path, place: u64) -> Result<(u128, u64)> {
    let (mut last, mut copies) = (0, 0);
    for (at, id) in (0..=place).zip(clip_corpus::subset_ids(path)?) {
        let id = id?;
        copies = if at > 0 && id == last { copies + 1 } else { 1 };
        last = id;
    }
    Ok((last, copies))
}

/// `floor(fraction n)` of the decimal number that the fraction is written as: 0.29 of 100 is 29,
/// though the nearest number of 64 bits is less.
fn exact_floor(fraction: f64, n: u64) -> u64 {
    let text = fraction.to_string();
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    // More digits than this change nothing below 10^19 pairs.
    let decimals = &decimals[..decimals.len().min(18)];
    let digits: u128 = format!("{whole}{decimals}").parse().unwrap_or(0);
    (u128::from(n) * digits / 10u128.pow(decimals.len() as u32)) as u64
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
