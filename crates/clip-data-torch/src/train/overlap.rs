//! Items that the corpus holds, by a contamination report: experiments on their copies, and scores
//! on All, Clean and Overlap.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clip_datasets::EvalItem;
use clip_eval::AuditedItems;
use clip_loader::{Arm, Corpus, SampleName, Sampler, TrainData, UseCounter};
use clip_overlap::training::{CopiedScore, Evaluation};
use clip_overlap::{ContaminationReport, PAIRS, read_copied_items};

use super::Args;
use crate::eval::audit::audited;

/// The copies of a report that are pairs of the corpus: by set and key, with the pair's number.
fn copies(corpus: &Corpus, report: &Path) -> anyhow::Result<Vec<((String, String), u32)>> {
    let copied = read_copied_items(&report.with_file_name(PAIRS))?;
    let (items, samples): (Vec<_>, Vec<_>) = copied
        .into_iter()
        .map(|copy| {
            let shard = PathBuf::from(copy.place);
            let name = SampleName { shard, key: copy.id, blake3: copy.shard };
            ((copy.set, copy.key), name)
        })
        .unzip();
    let numbers = corpus.numbers(&samples)?;
    Ok(items.into_iter().zip(numbers).filter_map(|(item, number)| Some((item, number?))).collect())
}

/// Makes a corpus the one of `--copies`, if that is given.
pub fn set_arm(args: &Args, corpus: &mut Corpus) -> anyhow::Result<()> {
    let (Some(arm), Some(report)) = (&args.copies, &args.contamination) else { return Ok(()) };
    let arm: Arm = super::resolve::choice("--copies", arm)?;
    let copies = copies(corpus, report).with_context(|| {
        let hint = "hint: `clip-data contamination --corpus SHARDS` writes it beside the report";
        format!("--copies needs {PAIRS}\n{hint}")
    })?;
    if copies.is_empty() {
        let report = report.display();
        bail!("{report}: no copy is a pair of --train-data\nhint: give the report of these shards");
    }
    let numbers: Vec<u32> = copies.iter().map(|(_, number)| *number).collect();
    let about = ContaminationReport::read(report)?.id;
    Ok(corpus.set_arm(arm, &numbers, args.seed, &about)?)
}

/// The items of one set that the corpus holds.
struct Held {
    /// Where each item is in `keys`.
    places: HashMap<String, usize>,
    keys: Vec<String>,
    audited: AuditedItems,
    /// The numbers of each item's copies.
    copies: Vec<Vec<u32>>,
}

/// What is scored apart while a model trains.
pub struct Overlaps {
    sets: HashMap<String, Held>,
    counter: Option<UseCounter>,
    /// The run's folder; of the first process alone.
    folder: Option<PathBuf>,
    /// Of the evaluation in progress.
    found: Vec<Evaluation>,
}

impl Overlaps {
    /// Of the sets of a report that are scored.
    ///
    /// # Errors
    /// When the report has none of them.
    pub fn open(
        report: &Path,
        scored: &[&str],
        data: (&TrainData, &Sampler),
        folder: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let account = ContaminationReport::read(report)?;
        let mut sets = HashMap::new();
        for set in account.sets.iter().filter(|set| scored.contains(&set.name.as_str())) {
            let audited = audited(set);
            let mut keys: Vec<String> = audited.overlap.iter().cloned().collect();
            keys.sort();
            let places = keys.iter().cloned().zip(0..).collect();
            let copies = vec![Vec::new(); keys.len()];
            sets.insert(set.name.clone(), Held { places, keys, audited, copies });
        }
        if sets.is_empty() {
            let known: Vec<&str> = account.sets.iter().map(|set| set.name.as_str()).collect();
            bail!(
                "{}: none of the --zeroshot sets ({}) is in the report\nhint: it has {}",
                report.display(),
                scored.join(", "),
                known.join(", ")
            );
        }
        let mut counter = None;
        if let (TrainData::Whole(corpus), Sampler::Whole(sampler)) = data
            && report.with_file_name(PAIRS).is_file()
        {
            let copies = copies(corpus, report)?;
            for ((set, key), number) in &copies {
                let Some(held) = sets.get_mut(set) else { continue };
                if let Some(&place) = held.places.get(key) {
                    held.copies[place].push(*number);
                }
            }
            let numbers = copies.into_iter().map(|(_, number)| number);
            counter = Some(UseCounter::new(sampler, numbers));
        }
        Ok(Self { sets, counter, folder, found: Vec::new() })
    }

    /// Number of a set's items that the corpus holds.
    pub fn count(&self, set: &str) -> usize {
        self.sets.get(set).map_or(0, |held| held.keys.len())
    }

    /// Refuses items of a set that the report did not look for.
    pub fn check(&self, set: &str, items: &[EvalItem]) -> clip_eval::Result<()> {
        let Some(held) = self.sets.get(set) else { return Ok(()) };
        let image = |item: &EvalItem| *blake3::hash(&item.image).as_bytes();
        held.audited.check(set, items.iter().map(|item| (item.key.as_str(), image(item))))
    }

    /// Where an item is among those; none where it is clean.
    pub fn place(&self, set: &str, key: &str) -> Option<usize> {
        self.sets.get(set)?.places.get(key).copied()
    }

    /// Adds a set's scores of an evaluation after `step` steps: its items, how many are right, and
    /// for each item that the corpus holds whether it was scored and whether it is right. Gives
    /// the accuracies on Clean and Overlap.
    ///
    /// # Errors
    /// When the set has other items than the report.
    pub fn score(
        &mut self,
        set: &str,
        (epoch, step): (u64, u64),
        (items, correct): (f64, f64),
        held: &[(bool, bool)],
    ) -> Result<[Option<f64>; 2], String> {
        let Some(known) = self.sets.get(set) else { return Ok([None; 2]) };
        if let Some(at) = held.iter().position(|(scored, _)| !scored) {
            let key = &known.keys[at];
            return Err(format!("no item {key:?}: the contamination report is of another set"));
        }
        let uses = self.counter.as_mut().map(|counter| counter.before(step));
        let seen = |at: usize| {
            let uses = uses?;
            Some(known.copies[at].iter().filter_map(|copy| uses.get(copy)).sum())
        };
        let item = |(at, (key, (_, correct))): (usize, (&String, &(bool, bool)))| CopiedScore {
            key: key.clone(),
            seen: seen(at),
            correct: *correct,
        };
        let overlap = known.keys.iter().zip(held).enumerate().map(item).collect();
        let (set, items, correct) = (set.to_owned(), items as u64, correct as u64);
        let found = Evaluation { epoch, step, set, items, correct, overlap };
        let accuracies = [found.clean(), found.overlapping()];
        self.found.push(found);
        Ok(accuracies)
    }

    /// Ends an evaluation: the first process writes it down.
    pub fn end(&mut self, epoch: u64) -> clip_overlap::Result<()> {
        let found = std::mem::take(&mut self.found);
        match &self.folder {
            Some(folder) if !found.is_empty() => Evaluation::write(folder, epoch, &found),
            _ => Ok(()),
        }
    }
}
