//! Pairs of evaluation items and images of a corpus, as a report on contamination found them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use clip_corpus::{ParquetFile, columns, scan};
use clip_curate::Check;
use clip_datasets::ItemHashes;
use clip_overlap::stage::checked;
use clip_overlap::{
    ContaminationReport, Match, PAIRS, SetDecision, SetReport, Subject, Verdict, read_matches,
};
use clip_pipeline::tables_in;
use clip_report::small_image;

use crate::stages::stages;
use crate::{Error, Result};

/// Thumbnails of evaluation items that are kept of a set, in bytes.
const KEPT: usize = 256 << 20;

/// What a report found.
pub(crate) struct Review {
    pub report: ContaminationReport,
    /// Every pair that is alike enough to be looked at.
    pub pairs: Vec<Match>,
    /// Of each, whether its image is still in the corpus.
    kept: Vec<bool>,
}

/// What a threshold and the marks of a set mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Effect {
    /// Evaluation items with a copy, removed or not, and all.
    pub items: (u64, u64),
    /// Items with a copy, all of whose copies were removed.
    pub removed: u64,
    /// The share of the others, which are in the corpus, with its interval.
    pub rate: (f64, f64, f64),
    /// Images of the corpus that are copies.
    pub images: u64,
    /// Marked pairs from the threshold on that were accepted, and all such.
    pub accepted: (u64, u64),
}

impl Review {
    /// Name of the file with the report.
    pub const FILE: &str = "contamination.json";

    /// The report in a folder, that of a run or of any corpus.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn open(folder: &Path) -> Result<Self> {
        let report = ContaminationReport::read(&folder.join(Self::FILE))?;
        let stages = stages(folder)?;
        let check = stages.iter().find(|stage| stage.name == Check::STAGE);
        let (pairs, kept) = match check {
            Some(stage) => {
                let (found, _) = checked(&stage.layout)?;
                found.into_iter().map(|checked| (checked.pair, checked.kept)).unzip()
            }
            None if !folder.join(PAIRS).is_file() => {
                return Err(Error::NotFound(format!(
                    "{}: the pairs of this report are not here any more: it is of an earlier build of the run. \
                     `clip-data contamination` writes a report on this one.",
                    folder.join(Self::FILE).display()
                )));
            }
            None => {
                let pairs = read_matches(&folder.join(PAIRS))?;
                let kept = still_there(&report, &pairs);
                (pairs, kept)
            }
        };
        Ok(Self { report, pairs, kept })
    }

    /// The report of a set.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn set(&self, name: &str) -> Result<&SetReport> {
        let set = self.report.sets.iter().find(|set| set.name == name);
        set.ok_or_else(|| Error::absent(format!("an evaluation set {name:?}")))
    }

    /// The pairs of a set, the most alike first.
    pub fn of_set(&self, name: &str) -> Vec<&Match> {
        let mut pairs: Vec<&Match> = self.pairs.iter().filter(|pair| pair.set == name).collect();
        pairs.sort_by(|a, b| {
            b.score.total_cmp(&a.score).then_with(|| (&a.key, &a.id).cmp(&(&b.key, &b.id)))
        });
        pairs
    }

    /// The lowest score of a pair of a set: what is below was not recorded.
    pub fn floor(&self, name: &str) -> f32 {
        let scores = self.pairs.iter().filter(|pair| pair.set == name).map(|pair| pair.score);
        scores.fold(1.0, f32::min)
    }

    /// What a decision on a set means.
    ///
    /// # Errors
    /// When the counts of the report are damaged.
    pub fn effect(&self, set: &SetReport, decision: &SetDecision) -> Result<Effect> {
        let subject = Subject {
            name: &set.name,
            index: &set.index,
            items: set.items,
            unreadable: set.unreadable,
            // Of a threshold's effect nothing asks for them.
            item_hashes: &ItemHashes::default(),
        };
        let found = SetReport::new(&subject, &self.pairs, |at| self.kept[at], decision)?;
        let rule = decision.rule();
        let from = decision.marks.iter().filter(|mark| rule.reaches(mark.score));
        let (all, accepted) = from.fold((0, 0), |(all, accepted), mark| {
            (all + 1, accepted + u64::from(mark.verdict == Verdict::Accept))
        });
        Ok(Effect {
            items: (found.overlap + found.removed, found.items),
            removed: found.removed,
            rate: (found.rate, found.interval.low, found.interval.high),
            images: found.images,
            accepted: (accepted, all),
        })
    }
}

/// Where the best copy of an item was removed, all of its copies were.
fn still_there(report: &ContaminationReport, pairs: &[Match]) -> Vec<bool> {
    let gone = |set: &SetReport| -> HashSet<String> {
        set.copies.iter().filter(|copy| !copy.kept).map(|copy| copy.key.clone()).collect()
    };
    let gone: HashMap<&str, HashSet<String>> =
        report.sets.iter().map(|set| (set.name.as_str(), gone(set))).collect();
    let there = |pair: &Match| gone.get(&*pair.set).is_none_or(|keys| !keys.contains(&pair.key));
    pairs.iter().map(there).collect()
}

/// Where the thumbnail of each image of a corpus is, by its place and name.
pub(crate) struct Thumbnails(HashMap<(String, String), (PathBuf, usize)>);

impl Thumbnails {
    /// Those that a comparison left in a folder.
    ///
    /// # Errors
    /// When a file is damaged.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut found = HashMap::new();
        for path in tables_in(&folder.join("parts")) {
            let mut at = 0;
            for batch in scan(&path, &["place", "id"], 65_536)? {
                let batch = batch?;
                let texts = (columns::text(&batch, "place"), columns::text(&batch, "id"));
                let (Some(places), Some(ids)) = texts else { break };
                for row in 0..batch.num_rows() {
                    let name = (places.value(row).to_owned(), ids.value(row).to_owned());
                    found.entry(name).or_insert((path.clone(), at + row));
                }
                at += batch.num_rows();
            }
        }
        Ok(Self(found))
    }

    /// The thumbnail of an image; nothing where there is none.
    ///
    /// # Errors
    /// When its file is damaged.
    pub fn get(&self, place: &str, id: &str) -> Result<Option<Vec<u8>>> {
        let Some((path, row)) = self.0.get(&(place.to_owned(), id.to_owned())) else {
            return Ok(None);
        };
        let file = ParquetFile::open(path)?;
        let Ok(column) = file.schema().index_of("thumbnail") else { return Ok(None) };
        let batch = file.rows_at(Some(&[column]), &[*row])?.next().transpose()?;
        let bytes =
            batch.and_then(|batch| Some(batch.column(0).as_binary_opt::<i32>()?.value(0).to_vec()));
        Ok(bytes.filter(|bytes| !bytes.is_empty()))
    }
}

/// Small images of the items of an evaluation set that pairs are of, by key.
///
/// # Errors
/// When the set cannot be read.
pub(crate) fn item_images(
    name: &str,
    path: &Path,
    pairs: &[Match],
) -> Result<BTreeMap<String, Vec<u8>>> {
    let wanted: HashSet<&str> =
        pairs.iter().filter(|pair| pair.set == name).map(|pair| pair.key.as_str()).collect();
    let (mut found, mut size) = (BTreeMap::new(), 0);
    for item in clip_datasets::open_unlabelled(name, path)?.items() {
        let item = item?;
        if !wanted.contains(item.key.as_str()) {
            continue;
        }
        if let Some((bytes, _)) = small_image(&item.image) {
            size += bytes.len();
            found.insert(item.key, bytes.into_owned());
        }
        if size > KEPT {
            break;
        }
    }
    Ok(found)
}
