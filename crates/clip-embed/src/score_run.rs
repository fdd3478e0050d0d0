//! Shards to tables of scores, one after the other, and what is done already of the same shard is
//! left.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use clip_score::{PairScores, Similarity, arrays};

use crate::batch::{each_batch, write_rejects};
use crate::done::DoneFile;
use crate::run::claim;
use crate::{Error, Input, Item, Part, Result, Scorer, Summary};

/// What decides the tables.
#[derive(Debug, Clone)]
pub struct ScoreOptions {
    /// Where they go.
    pub output: PathBuf,
    /// What the columns of similarities begin with.
    pub name: String,
    /// Pairs that are scored at a time.
    pub batch: usize,
    /// What the scores are of (model, arithmetic, heads, input): a folder of others is refused.
    pub identity: String,
}

/// Scores all parts; a table for each has `uid`, `key`, `url`, `caption` and the scores.
/// `progress` gets the number of rows as they are done; it stops between two batches when that
/// returns `false`, leaving whole tables.
///
/// # Errors
/// When the folder holds other scores, a shard is damaged, or a file cannot be written.
pub fn score(
    input: &Input,
    scorer: &Scorer,
    options: &ScoreOptions,
    progress: &dyn Fn(usize) -> bool,
) -> Result<Option<Summary>> {
    let of = ("score.json", "scores");
    let _lock = claim(&options.output, of, &options.identity, input.parts.len())?;
    let mut summary = Summary::default();
    let width = input.parts.len().saturating_sub(1).to_string().len().max(5);
    // A pool is all tables of a folder, also those of shards that were given before.
    let beyond = options.output.join(format!("{:0width$}.parquet", input.parts.len()));
    if beyond.is_file() {
        let hint = "hint: give another --out, or remove the folder";
        let reason = format!("it was written of more shards than are given\n{hint}");
        return Err(Error::file(&beyond, reason));
    }
    for (number, part) in input.parts.iter().enumerate() {
        let number = format!("{number:0width$}");
        let table = options.output.join(format!("{number}.parquet"));
        let rejects = options.output.join(format!("rejects/rejects_{number}.jsonl"));
        let done = DoneFile::new(&options.output, &number, part)?;
        if table.is_file() && done.reuse(&mut summary)? {
            continue;
        }
        let Some(scored) = part_scores(input, part, scorer, options, progress)? else {
            return Ok(None);
        };
        write_rejects(&rejects, &scored.rejects)?;
        scored.write(&table, options, scorer)?;
        let made = |item: &&Item| item.facts.uid.is_none() && item.uid().is_some();
        summary.made_uids += scored.items.iter().filter(made).count();
        done.write(scored.items.len(), scored.rejects.len(), &mut summary)?;
    }
    Ok(Some(summary))
}

/// The rows of a part with their scores, and what has none.
#[derive(Default)]
struct Rows {
    items: Vec<Item>,
    scores: Vec<PairScores>,
    rejects: Vec<(String, String)>,
}

fn part_scores(
    input: &Input,
    part: &Part,
    scorer: &Scorer,
    options: &ScoreOptions,
    progress: &dyn Fn(usize) -> bool,
) -> Result<Option<Rows>> {
    let mut rows = Rows::default();
    let transform = scorer.encoder().transform();
    let whole = each_batch(part, input, &transform, options.batch, |batch| {
        rows.rejects.extend(batch.rejects);
        let captions: Vec<Vec<String>> = batch.items.iter().map(Item::captions).collect();
        let count = batch.items.len();
        for (item, scored) in batch.items.into_iter().zip(scorer.score(&batch.images, &captions)) {
            match scored {
                Ok(scores) => {
                    rows.items.push(item);
                    rows.scores.push(scores);
                }
                Err(fault) => rows.rejects.push((item.key, fault.detail().to_owned())),
            }
        }
        Ok(progress(count))
    })?;
    Ok(whole.then_some(rows))
}

impl Rows {
    fn write(&self, path: &Path, options: &ScoreOptions, scorer: &Scorer) -> Result<()> {
        let text = |get: &dyn Fn(&Item) -> Option<String>| -> ArrayRef {
            Arc::new(self.items.iter().map(get).collect::<StringArray>())
        };
        let names: Vec<String> = scorer.columns().into_iter().map(str::to_owned).collect();
        // The same columns in every table, whether its pairs have one caption or several.
        let scores = arrays(&Similarity::of(&options.name), &names, true, &self.scores);
        let columns = [
            ("uid".to_owned(), text(&Item::uid)),
            ("key".to_owned(), text(&|item| Some(item.key.clone()))),
            ("url".to_owned(), text(&|item| item.facts.url.clone())),
            ("caption".to_owned(), text(&|item| item.caption.clone())),
        ];
        let columns = columns.into_iter().chain(scores);
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, column)| (name, column, true)),
        )?;
        Ok(clip_corpus::write_parquet(path, batch.schema(), &[batch])?)
    }
}
