//! The account of a corpus against evaluation sets: which items it has too, and what that does to a
//! score.

mod captions;
mod effect;
mod frequency;
pub mod predictions;
mod retrain;
mod texts;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use clip_datasets::ItemHashes;
use clip_stats::{Contamination, Interval, Stratified, Suite, clopper_pearson};
use serde::{Deserialize, Serialize};

pub use captions::{ClassNames, names};
pub use effect::Difference;
pub use frequency::{ClassFrequency, FrequencyBand, FrequencyReport};
pub use retrain::{ArmRuns, Dose, RetrainRuns, Retrained, Split};
pub use texts::{TextCopy, TextOverlap, write_text_copies};

use crate::decision::SetDecision;
use crate::hit_kind::HitKind;
use crate::matches::Match;
use crate::scan::UnitCount;
use crate::search::EvalIndex;
use crate::{Error, Result};

/// The paper's confidence (figure 17).
pub(crate) const CONFIDENCE: f64 = 0.995;
/// Rows that could not be decoded are named up to this many.
const NAMED: usize = 100;

/// An image of the corpus that is an evaluation item's copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Copy {
    /// Key of the item.
    pub key: String,
    /// Name of the item's class.
    pub class: String,
    /// How alike, in [0, 1].
    pub score: f32,
    /// How it was recognised.
    pub kind: HitKind,
    /// The piece of the corpus: a shard, a table, a folder.
    pub place: String,
    /// The image's name there.
    pub id: String,
    /// Where it came from.
    pub url: String,
    /// Its caption.
    pub caption: String,
    /// Whether it is still in the corpus.
    pub kept: bool,
}

/// What was checked against the sets.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CorpusAccount {
    /// As it was named.
    pub paths: Vec<String>,
    /// Images compared.
    pub images: u64,
    /// Rows without an image, of which only hashes were compared.
    pub hashed: u64,
    /// Rows with neither an image nor a hash: not compared.
    #[serde(rename = "bare")]
    pub without_image: u64,
    /// Images that could not be decoded: not compared.
    pub unreadable: u64,
    /// The first of them: name and reason.
    pub unreadable_rows: Vec<(String, String)>,
    /// Of a build, the rows of its shards, of which there may be fewer than were compared; none
    /// where they are not there yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_shards: Option<u64>,
    /// Of a build, the folder of its stage `check`, which has its fingerprint in its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// Hash of the parts of that stage: another one once rows were removed or fetched again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_parts: Option<String>,
    /// blake3 of its shards; none where not all of it is in shards, or the parts that were reused
    /// are of a version that stored none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<String>,
}

impl CorpusAccount {
    /// The sum over units.
    pub fn of(paths: Vec<String>, units: &[UnitCount]) -> Self {
        let sum = |get: fn(&UnitCount) -> u64| units.iter().map(get).sum();
        let rows = units.iter().flat_map(|unit| {
            let name =
                |(id, reason): &(String, String)| (format!("{}: {id}", unit.place), reason.clone());
            unit.unreadable.iter().map(name)
        });
        Self {
            paths,
            images: sum(|unit| unit.images),
            hashed: sum(|unit| unit.hashed),
            without_image: sum(|unit| unit.without_image),
            unreadable: sum(|unit| unit.unreadable.len() as u64),
            unreadable_rows: rows.take(NAMED).collect(),
            shards: units
                .iter()
                .map(|unit| unit.blake3.clone())
                .collect::<Option<_>>()
                .unwrap_or_default(),
            ..Self::default()
        }
    }
}

/// Captions of copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CaptionOverlap {
    /// Copied items with a captioned copy.
    pub captioned: u64,
    /// Of these, items with a copy whose caption names the item's class.
    pub naming: u64,
}

/// One evaluation set against the corpus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetReport {
    /// Its name.
    pub name: String,
    /// Hash of its content.
    pub index: String,
    /// Its items.
    pub items: u64,
    /// Items that could not be decoded, and so not be looked for.
    pub unreadable: u64,
    /// The items that were looked for, each by its key and content; none of an earlier version's.
    #[serde(default, skip_serializing_if = "ItemHashes::is_empty")]
    pub item_hashes: ItemHashes,
    /// Least score of a copy.
    pub threshold: f32,
    /// Pairs that were accepted or rejected by eye.
    pub marks: u64,
    /// Items of which the corpus holds a copy.
    pub overlap: u64,
    /// Items of which it held one, until all were removed; not in `overlap`.
    pub removed: u64,
    /// Their share.
    pub rate: f64,
    /// 99.5% Clopper-Pearson interval of the share.
    pub interval: Interval,
    /// Images of the corpus that are copies, removed ones included.
    pub images: u64,
    /// Hash of all pairs that count as copies, each by its item and image.
    #[serde(default)]
    pub pairs: String,
    /// Items that resemble an image of the corpus only as images that show next to nothing do; not
    /// in `overlap`.
    pub flat: u64,
    /// Items whose pHash is near that of a row without an image; not in `overlap`.
    pub unverified: u64,
    /// Copies whose caption names the class.
    pub captions: CaptionOverlap,
    /// What the overlap does to an accuracy, where predictions were given.
    pub effect: Option<Contamination>,
    /// Clean's accuracy with Overlap's mix of classes, where predictions say the class.
    pub stratified: Option<Stratified>,
    /// What the overlap does to metrics that are no accuracies.
    pub differences: Vec<Difference>,
    /// Its captions that texts of the corpus have; none of a set without captions.
    #[serde(default)]
    pub text: Option<TextOverlap>,
    /// What training without the copies changed, where that was done.
    #[serde(default)]
    pub retrained: Option<Retrained>,
    /// The best copy of each item, the most alike first.
    pub copies: Vec<Copy>,
}

/// Every evaluation set against the corpus: `contamination.json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ContaminationReport {
    /// Identity of what was found: corpus, sets, thresholds and all pairs that count as copies.
    /// Scores are stamped with it.
    pub id: String,
    /// What was checked against the sets.
    pub corpus: CorpusAccount,
    /// By name.
    pub sets: Vec<SetReport>,
    /// The paper's figures over all sets.
    pub suite: Option<Suite>,
}

/// The evaluation set that an account is about.
pub struct Subject<'a> {
    /// Its name.
    pub name: &'a str,
    /// Hash of its content.
    pub index: &'a str,
    /// Its items.
    pub items: u64,
    /// Items that could not be decoded.
    pub unreadable: u64,
    /// The others.
    pub item_hashes: &'a ItemHashes,
}

impl<'a> Subject<'a> {
    /// The set of an index.
    pub fn of(set: &'a EvalIndex) -> Self {
        Self {
            name: &set.name,
            index: &set.hash,
            items: set.len() as u64,
            unreadable: set.unreadable.len() as u64,
            item_hashes: &set.item_hashes,
        }
    }
}

impl SetReport {
    /// The account of a set; `matches` may be of other sets too, `kept` says of each whether it is
    /// still there.
    pub fn new(
        set: &Subject,
        matches: &[Match],
        kept: impl Fn(usize) -> bool,
        decision: &SetDecision,
    ) -> Result<Self> {
        let own = || matches.iter().enumerate().filter(|(_, pair)| pair.set == set.name);
        let (mut best, mut images) = (HashMap::<&str, (usize, &Match)>::new(), HashSet::new());
        let mut captions: HashMap<&str, bool> = HashMap::new();
        let rule = decision.rule();
        let mut pairs = BTreeSet::new();
        for (at, pair) in own().filter(|(_, pair)| pair.is_copy(&rule)) {
            pairs.insert((&pair.key, &pair.id));
            images.insert((&pair.place, &pair.id));
            let old = best.entry(&pair.key).or_insert((at, pair));
            // A copy that is still there says more than one that is gone.
            if (kept(at), pair.score) > (kept(old.0), old.1.score) {
                *old = (at, pair);
            }
            if !pair.caption.is_empty() {
                *captions.entry(&pair.key).or_default() |= names(&pair.caption, &pair.class);
            }
        }
        let apart = |kind: HitKind| {
            let keys = own()
                .filter(|(_, pair)| pair.kind == kind && !best.contains_key(pair.key.as_str()));
            keys.map(|(_, pair)| pair.key.as_str()).collect::<HashSet<_>>().len() as u64
        };
        let (flat, unverified) = (apart(HitKind::Flat), apart(HitKind::Hash));
        let mut copies: Vec<Copy> =
            best.into_values().map(|(at, pair)| copy(pair, kept(at))).collect();
        copies.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.key.cmp(&b.key)));
        let overlap = copies.iter().filter(|copy| copy.kept).count() as u64;
        Ok(Self {
            name: set.name.to_owned(),
            index: set.index.to_owned(),
            items: set.items,
            unreadable: set.unreadable,
            item_hashes: set.item_hashes.clone(),
            threshold: rule.threshold(),
            marks: decision.marks.len() as u64,
            overlap,
            removed: copies.len() as u64 - overlap,
            rate: overlap as f64 / set.items.max(1) as f64,
            interval: clopper_pearson(overlap, set.items.max(1), CONFIDENCE)?,
            images: images.len() as u64,
            pairs: hash_of(&pairs),
            flat,
            unverified,
            captions: CaptionOverlap {
                captioned: captions.len() as u64,
                naming: captions.values().filter(|naming| **naming).count() as u64,
            },
            effect: None,
            stratified: None,
            differences: Vec::new(),
            text: None,
            retrained: None,
            copies,
        })
    }

    /// Keys of the items that the corpus holds.
    pub fn keys(&self) -> HashSet<String> {
        self.copies.iter().filter(|copy| copy.kept).map(|copy| copy.key.clone()).collect()
    }
}

fn hash_of(pairs: &BTreeSet<(&String, &String)>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (key, id) in pairs {
        hasher.update(format!("{key}\0{id}\n").as_bytes());
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

fn copy(pair: &Match, kept: bool) -> Copy {
    Copy {
        key: pair.key.clone(),
        class: pair.class.clone(),
        score: pair.score,
        kind: pair.kind,
        place: pair.place.clone(),
        id: pair.id.clone(),
        url: pair.url.clone(),
        caption: pair.caption.clone(),
        kept,
    }
}

impl ContaminationReport {
    /// Name of its file.
    pub const FILE: &'static str = "contamination.json";

    /// The account of these sets, with the suite's figures and its identity.
    pub fn new(corpus: CorpusAccount, sets: Vec<SetReport>) -> Self {
        let rates: Vec<f64> = sets.iter().map(|set| set.rate).collect();
        let effects: Vec<&Contamination> =
            sets.iter().filter_map(|set| set.effect.as_ref()).collect();
        let suite = clip_stats::suite(&rates, &effects);
        let id = identity(&corpus, &sets);
        Self { id, corpus, sets, suite }
    }

    /// Reads `contamination.json`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).map_err(|e| Error::file(path, e))?;
        serde_json::from_slice(&text).map_err(|e| {
            let known: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
            let has = |key: &str| known.as_ref().is_some_and(|found| found.get(key).is_some());
            Error::file(path, if has("corpus") && has("sets") {
                format!("{e}\nhint: run `clip-data contamination` again to write it anew")
            } else {
                let what = if has("metrics") { "a file of scores, not" } else { "it is not" };
                format!("{what} a contamination report\nhint: `clip-data contamination` writes contamination.json")
            })
        })
    }

    /// Writes it into a folder.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join(Self::FILE);
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::file(&path, e))?;
        clip_format::write_atomic(&path, (text + "\n").as_bytes())?;
        Ok(path)
    }

    /// The account of one set.
    pub fn set(&self, name: &str) -> Option<&SetReport> {
        self.sets.iter().find(|set| set.name == name)
    }
}

/// Predictions change no identity: it says what was found, not who was judged by it.
fn identity(corpus: &CorpusAccount, sets: &[SetReport]) -> String {
    let mut hasher = blake3::Hasher::new();
    let CorpusAccount { images, hashed, without_image, unreadable, .. } = corpus;
    hasher.update(format!("{images} {hashed} {without_image} {unreadable}\n").as_bytes());
    let shards: BTreeSet<&String> = corpus.shards.iter().collect();
    shards.into_iter().for_each(|shard| _ = hasher.update(shard.as_bytes()));
    for set in sets {
        let SetReport { name, index, threshold, pairs, .. } = set;
        hasher.update(format!("{name}\0{index}\0{threshold}\0{pairs}\n").as_bytes());
        let copies: BTreeMap<&str, &Copy> =
            set.copies.iter().map(|c| (c.key.as_str(), c)).collect();
        for (key, copy) in copies {
            hasher.update(format!("{key}\0{}\0{}\n", copy.id, copy.kept).as_bytes());
        }
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::matches::tests::pair;

    /// The account of a set of that many items, of which nothing was removed.
    pub(super) fn toys(items: u64, matches: &[Match]) -> SetReport {
        let item_hashes = &ItemHashes::default();
        let set = Subject { name: "toys", index: "0", items, unreadable: 0, item_hashes };
        SetReport::new(&set, matches, |_| true, &SetDecision::default()).unwrap()
    }

    fn account(matches: &[Match]) -> SetReport {
        toys(10, matches)
    }

    #[test]
    fn an_item_counts_once_however_many_copies_it_has() {
        let matches = [
            pair("a", "1", 0.95, HitKind::Near),
            pair("b", "2", 0.99, HitKind::Crop),
            pair("a", "3", 1.0, HitKind::Exact),
            pair("c", "4", 0.5, HitKind::Near),
            pair("d", "5", 0.99, HitKind::Flat),
            pair("e", "6", 0.99, HitKind::Hash),
        ];
        let set = account(&matches);
        assert_eq!((set.overlap, set.images, set.copies[0].id.as_str()), (2, 3, "3"));
        assert_eq!((set.flat, set.unverified), (1, 1));
        assert_eq!(set.captions, CaptionOverlap { captioned: 2, naming: 2 });
        let folder = tempfile::tempdir().unwrap();
        let whole = ContaminationReport::new(CorpusAccount::default(), vec![set]);
        assert_eq!(ContaminationReport::read(&whole.write(folder.path()).unwrap()).unwrap(), whole);
        let suite = whole.suite.unwrap();
        assert_eq!((suite.sets, suite.max_rate), (1, 0.2));
    }

    #[test]
    fn the_identity_follows_what_was_found() {
        let id = |matches: &[Match]| {
            ContaminationReport::new(CorpusAccount::default(), vec![account(matches)]).id
        };
        let one = [pair("a", "1", 0.95, HitKind::Near)];
        let two = [pair("a", "1", 0.95, HitKind::Near), pair("b", "2", 0.95, HitKind::Near)];
        assert_eq!(id(&one), id(&one));
        assert_ne!(id(&one), id(&two));
        assert_eq!(id(&one).len(), 16);
    }
}
