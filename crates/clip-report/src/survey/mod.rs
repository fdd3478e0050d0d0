//! Statistics over any corpus, list or shard, in one pass and bounded memory.

mod browse;
mod counts;
mod read;
mod record;
mod text;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use clip_image::{UnionFind, for_near_pairs};

pub use browse::browse;
pub use counts::{Counts, Spread};
pub use read::{Reading, add_list};
pub use record::{CAPTION_COLUMNS, Place, Record, URL_COLUMNS, list_columns};

/// Different hosts (or texts of another kind) that are counted apart; the rest is counted together.
const DISTINCT: usize = 2_000_000;

/// What a survey found.
#[derive(Default)]
pub struct Survey {
    /// Shards whose images can be shown.
    pub shards: Vec<PathBuf>,
    /// Pairs.
    pub pairs: u64,
    /// Pairs whose image is stored.
    pub images: u64,
    /// Bytes of stored images.
    pub bytes: u64,
    /// Pairs without a text where others have one.
    pub no_caption: u64,
    /// Characters and words of texts.
    pub chars: Spread,
    /// Words of texts.
    pub words: Spread,
    /// Shorter sides of images, in pixels.
    pub sides: Spread,
    /// Width against height, in hundredths.
    pub aspects: Spread,
    /// By name: languages, hosts, formats, sources of texts, fates, evaluation sets.
    pub languages: Counts,
    /// Hosts of images.
    pub domains: Counts,
    /// Formats of images.
    pub formats: Counts,
    /// Where texts were.
    pub sources: Counts,
    /// What became of the image: `success`, or why there is none.
    pub statuses: Counts,
    /// Why there are no images: kinds or messages, statuses where a table has neither.
    pub failures: Counts,
    /// Evaluation sets that images are copies from.
    pub overlaps: Counts,
    /// Pairs of each query id.
    pub queries: HashMap<u32, u64>,
    /// Files that could not be read to their end, and why.
    pub damaged: Vec<String>,
    files: HashMap<u128, u32>,
    hashes: Vec<(u64, Option<Place>)>,
    /// Pairs to show, by their draw and number.
    picked: BTreeMap<(u64, u64), Record>,
    samples: usize,
}

/// Images that are the same.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Duplicates {
    /// Bits within which hashes count as near.
    pub radius: u32,
    /// Pairs that record their file's hash.
    pub with_file: u64,
    /// Images beyond the first of each file.
    pub exact: u64,
    /// Pairs that have a perceptual hash.
    pub with_hash: u64,
    /// Images beyond the first of each cluster of near hashes.
    pub near: u64,
    /// The largest clusters: their size, and where some of their images are.
    pub largest: Vec<(u64, Vec<Place>)>,
}

impl Survey {
    /// A survey that shows at most this many pairs.
    pub fn new(samples: usize) -> Self {
        Self { samples, ..Self::default() }
    }

    /// Counts a pair.
    pub fn add(&mut self, record: Record) {
        self.pairs += 1;
        if let Some(place) = record.place {
            self.images += 1;
            self.bytes += u64::from(place.size);
        }
        match record.caption.as_deref() {
            Some(caption) if !caption.is_empty() => {
                self.chars.add(caption.chars().count() as u64);
                self.words.add(caption.split_whitespace().count() as u64);
            }
            _ => self.no_caption += 1,
        }
        if let Some((width, height)) = record.size {
            self.sides.add(u64::from(width.min(height)));
            self.aspects.add((f64::from(width) / f64::from(height) * 100.0).round() as u64);
        }
        self.languages.add(&record.language);
        self.domains.add(host(&record.url));
        self.formats.add(&record.format);
        self.sources.add(&record.source);
        self.statuses.add(&record.status);
        self.failures.add(match (record.status.as_str(), record.failure.as_str()) {
            (status, "") if status.starts_with("failed_to_") => status,
            ("success", _) => "",
            (_, failure) => failure,
        });
        self.overlaps.add(&record.overlap);
        for query in &record.queries {
            *self.queries.entry(*query).or_default() += 1;
        }
        if let Some(file) = record.file {
            *self.files.entry(file).or_default() += 1;
        }
        if let Some(hash) = record.phash {
            self.hashes.push((hash, record.place));
        }
        self.pick(record);
    }

    /// Keeps the pairs with the lowest draws: the same ones of the same corpus, whatever its order.
    fn pick(&mut self, record: Record) {
        if self.samples == 0 || (record.place.is_none() && self.images > 0) {
            return;
        }
        let name = [&record.uid, &record.url, &record.key].map(String::as_bytes).concat();
        let hash = blake3::hash(&name);
        let draw = hash.as_bytes()[..8].iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        self.picked.insert((draw, self.pairs), record);
        if self.picked.len() > self.samples {
            self.picked.pop_last();
        }
    }

    /// The pairs to show, in the order of the corpus.
    fn shown(&self) -> Vec<&Record> {
        let mut picked: Vec<_> = self.picked.iter().collect();
        picked.sort_by_key(|((_, number), _)| *number);
        picked.into_iter().map(|(_, record)| record).collect()
    }

    /// Equal files, and clusters of hashes within `radius` bits; flat images have no hash.
    pub fn duplicates(&self, radius: u32) -> Duplicates {
        let exact: u64 = self.files.values().map(|&count| u64::from(count) - 1).sum();
        let mut by_hash: Vec<usize> = (0..self.hashes.len()).collect();
        by_hash.sort_by_key(|&at| (self.hashes[at].0, at));
        let (mut hashes, mut group) = (Vec::new(), vec![0usize; self.hashes.len()]);
        for &at in &by_hash {
            if hashes.last() != Some(&self.hashes[at].0) {
                hashes.push(self.hashes[at].0);
            }
            group[at] = hashes.len() - 1;
        }
        let sets = std::sync::Mutex::new(UnionFind::new(hashes.len()));
        for_near_pairs(&hashes, radius, |pairs| {
            if let Ok(mut sets) = sets.lock() {
                pairs.iter().for_each(|&(a, b, _)| sets.union(a as usize, b as usize));
            }
        });
        let mut sets = sets.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut clusters: BTreeMap<usize, (u64, Vec<Place>)> = BTreeMap::new();
        for (at, (_, place)) in self.hashes.iter().enumerate() {
            let cluster = clusters.entry(sets.find(group[at])).or_default();
            cluster.0 += 1;
            if cluster.1.len() < 6 {
                cluster.1.extend(place);
            }
        }
        let near = clusters.values().map(|(count, _)| count - 1).sum();
        let mut largest: Vec<_> = clusters.into_values().filter(|(count, _)| *count > 1).collect();
        largest.sort_by_key(|(count, _)| Reverse(*count));
        largest.truncate(24);
        Duplicates {
            radius,
            with_file: self.files.values().map(|&count| u64::from(count)).sum(),
            exact,
            with_hash: self.hashes.len() as u64,
            near,
            largest,
        }
    }

    /// The queries with most pairs, with their ids.
    pub fn top_queries(&self, most: usize) -> Vec<(u32, u64)> {
        let mut queries: Vec<(u32, u64)> = self.queries.iter().map(|(id, n)| (*id, *n)).collect();
        queries.sort_by_key(|(id, count)| (Reverse(*count), *id));
        queries.truncate(most);
        queries
    }
}

/// The host of a URL, as it is written.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    // The colons within brackets are IPv6's.
    let end = host.rfind(']').map_or_else(|| host.find(':'), |at| Some(at + 1));
    &host[..end.unwrap_or(host.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64) -> Record {
        Record {
            uid: format!("{number:032x}"),
            url: format!("https://h{}.org/{number}", number % 3),
            caption: Some("word ".repeat(1 + number as usize % 4).trim().into()),
            size: Some((100, 50 + number as u32)),
            phash: Some(number / 2 * 0x0101_0101_0101),
            file: Some(u128::from(number / 5)),
            ..Record::default()
        }
    }

    #[test]
    fn a_host_has_no_user_and_no_port() {
        for (url, expected) in [
            ("http://a.org/x:1", "a.org"),
            ("https://u:p@a.org:8080/x", "a.org"),
            ("http://[::1]:80/", "[::1]"),
            ("http://[::1]", "[::1]"),
            ("a.org/x", ""),
        ] {
            assert_eq!(host(url), expected, "{url}");
        }
    }

    #[test]
    fn the_same_pairs_are_shown_in_any_order_of_the_corpus() {
        let shown = |numbers: &mut dyn Iterator<Item = u64>| {
            let mut survey = Survey::new(7);
            numbers.for_each(|number| survey.add(record(number)));
            let mut shown: Vec<String> = survey.shown().iter().map(|r| r.uid.clone()).collect();
            assert_eq!(shown.len(), 7);
            shown.sort();
            shown
        };
        assert_eq!(shown(&mut (0..100)), shown(&mut (0..100).rev()));
    }

    #[test]
    fn failed_rows_are_counted_by_kind_message_or_status() {
        let mut survey = Survey::new(0);
        for (status, failure) in [
            ("success", ""),
            ("success", "hash_mismatch"),
            ("failed_to_download", "HTTP Error 404: Not Found"),
            ("failed_to_download", "HTTP Error 404: Not Found"),
            ("failed_to_resize", ""),
            ("", ""),
        ] {
            let [status, failure] = [status, failure].map(str::to_owned);
            survey.add(Record { status, failure, ..Record::default() });
        }
        let top = [("HTTP Error 404: Not Found", 2), ("failed_to_resize", 1)];
        assert_eq!(survey.failures.top(9), top);
    }

    #[test]
    fn counts_and_duplicates_add_up() {
        let mut survey = Survey::new(0);
        (0..40).for_each(|number| survey.add(record(number)));
        assert_eq!((survey.pairs, survey.words.median(), survey.domains.len()), (40, 2, 3));
        let found = survey.duplicates(0);
        assert_eq!((found.exact, found.with_file), (40 - 8, 40));
        assert_eq!((found.near, found.with_hash), (20, 40));
        assert!(survey.duplicates(64).near == 39);
    }
}
