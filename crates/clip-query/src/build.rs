//! Building a list from what it is made of (paper, section 2.2 and footnote 1).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::counter::{Counted, Counter};
use crate::hash::HashedMap;
use crate::list::{ListBuilder, Passed};
use crate::open::refuse_table;
use crate::origin::{Origin, Read};
use crate::parallel_records::{Records, pump};
use crate::runs::Scratch;
use crate::{
    BigramRule, Dictionary, Error, Query, QueryList, QuerySource, Result, bigrams, dump, numerals,
    pageviews, tables, wordnet,
};

/// In which order sources enter the list; what comes later gives way to what is there, and to the
/// limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// The paper's: words, pairs, titles, and of WordNet what is not in yet.
    #[default]
    Clip,
    /// MetaCLIP's: numerals, WordNet, words, pairs, titles.
    Metaclip,
}

impl Order {
    fn sources(self) -> [QuerySource; 6] {
        use QuerySource::{Bigram, List, Numeral, Title, Unigram, Wordnet};
        match self {
            Self::Clip => [List, Unigram, Bigram, Title, Numeral, Wordnet],
            Self::Metaclip => [List, Numeral, Wordnet, Unigram, Bigram, Title],
        }
    }
}

/// What a list is built from, and how.
#[derive(Debug, Clone)]
pub struct Build {
    /// Wiki dumps of articles (`.xml`, `.xml.bz2`, `.xml.gz`).
    pub dumps: Vec<PathBuf>,
    /// Plain text, packed or not.
    pub texts: Vec<PathBuf>,
    /// `word<TAB>count`.
    pub word_counts: Vec<PathBuf>,
    /// `first second<TAB>count`.
    pub pair_counts: Vec<PathBuf>,
    /// Hourly dumps of page views.
    pub pageviews: Vec<PathBuf>,
    /// The wiki whose views count, by its name in them.
    pub project: String,
    /// Folder of WordNet's database files.
    pub wordnet: Option<PathBuf>,
    /// Words of scripts that are written without spaces, which texts are cut into.
    pub dictionary: Option<PathBuf>,
    /// Lists of one's own, first in every order.
    pub lists: Vec<PathBuf>,
    /// Least count of a word; the paper's is 100.
    pub min_count: u64,
    /// Which pairs of words enter; none when absent.
    pub bigrams: Option<BigramRule>,
    /// Least views of a title, over all hours.
    pub min_views: u64,
    /// Least views in an hour for the hour to count.
    pub min_hour_views: u64,
    /// Whether "The" and "the" are two words.
    pub keep_case: bool,
    /// Which source comes first.
    pub order: Order,
    /// Most queries.
    pub limit: usize,
    /// Threads that read and count.
    pub threads: usize,
    /// Bytes that counting may take.
    pub memory: usize,
    /// Where counts go that do not fit.
    pub scratch: PathBuf,
}

/// Longest line of a text that is read as one; a longer one is cut at a space.
const LINES: Records = Records { end: b"\n", longest: 16 << 20, cut: true };
/// Share of lines that are not UTF-8 from which a text is taken to be in another encoding.
const FOREIGN: f64 = 0.1;

impl Build {
    /// Bytes of all inputs that are read once, as they are stored on disk.
    pub fn input_bytes(&self) -> u64 {
        let files =
            [&self.dumps, &self.texts, &self.word_counts, &self.pair_counts, &self.pageviews];
        let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |meta| meta.len());
        files.into_iter().flatten().map(size).sum()
    }

    /// Builds the list. `advance` gets the number of bytes that were read.
    pub fn run(&self, advance: &(dyn Fn(u64) + Sync)) -> Result<QueryList> {
        let mut origin = Origin::default();
        let (unigrams, pairs, pairs_passed) = self.words(&mut origin, advance)?;
        let titles = self.titles(&mut origin, advance)?;
        let (mut own, mut passed_over) = (Vec::new(), Passed::default());
        for path in &self.lists {
            let list = QueryList::load(path)?;
            let passed = list.passed();
            let found = vec![
                ("queries", list.len() as u64),
                ("empty", passed.empty),
                ("longer than 256 bytes", passed.overlong),
                ("repeated", passed.repeated),
            ];
            origin.inputs.push(read(path, "list", found));
            passed_over.add(&passed);
            own.extend(list.into_queries());
        }
        let names = self.wordnet.as_ref().map(|folder| wordnet::names(folder)).transpose()?;
        let numerals = if names.is_some() { numerals() } else { Vec::new() };
        let mut sources = [
            (QuerySource::List, own),
            (QuerySource::Numeral, numerals),
            (QuerySource::Wordnet, names.unwrap_or_default()),
            (QuerySource::Unigram, unigrams),
            (QuerySource::Bigram, pairs),
            (QuerySource::Title, titles),
        ];
        let mut builder = ListBuilder::new(self.limit, self.keep_case);
        for source in self.order.sources() {
            let queries = sources.iter_mut().find(|(name, _)| *name == source);
            let queries = queries.map(|(_, queries)| std::mem::take(queries)).unwrap_or_default();
            let mut given = builder.add(source, queries);
            if source == QuerySource::List {
                let unusable = passed_over.empty + passed_over.overlong;
                given.unusable += unusable;
                given.repeated += passed_over.repeated;
                given.offered += unusable + passed_over.repeated;
            }
            if source == QuerySource::Bigram && pairs_passed > given.offered {
                given.beyond += pairs_passed - given.offered;
                given.offered = pairs_passed;
            }
            if given.offered > 0 {
                origin.sources.push(given);
            }
        }
        Ok(builder.finish(origin))
    }

    /// Frequent words, pairs, and how many pairs passed the thresholds.
    fn words(
        &self,
        origin: &mut Origin,
        advance: &(dyn Fn(u64) + Sync),
    ) -> Result<(Vec<Query>, Vec<Query>, u64)> {
        let counted = self.count(origin, advance)?;
        origin.words = counted.total;
        let least = self.bigrams.map_or(self.min_count, |rule| rule.min_count.min(self.min_count));
        let mut vocabulary = HashedMap::default();
        let mut frequent = Vec::new();
        counted.each_word(|hash, word, count| {
            if count >= self.min_count {
                frequent.push((count, word.clone()));
            }
            if count >= least && self.bigrams.is_some() {
                vocabulary.insert(hash, (count, word));
            }
        })?;
        frequent.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let unigram = |(count, word): (u64, Box<str>)| ranked(QuerySource::Unigram, word, count);
        let unigrams = frequent.into_iter().map(unigram).collect();
        let (pairs, passed) = match self.bigrams {
            Some(rule) => {
                let rule = BigramRule { most: rule.most.min(self.limit), ..rule };
                bigrams::select(&counted, &vocabulary, rule)?
            }
            None => (Vec::new(), 0),
        };
        Ok((unigrams, pairs, passed))
    }

    /// Counts all texts and count files.
    fn count(&self, origin: &mut Origin, advance: &(dyn Fn(u64) + Sync)) -> Result<Counted> {
        let threads = self.threads.max(1);
        let pairs = self.bigrams.is_some();
        let dictionary = self.dictionary.as_deref().map(Dictionary::open).transpose()?;
        if let (Some(path), Some(words)) = (&self.dictionary, &dictionary) {
            let found = vec![
                ("words", words.len()),
                ("lines that are no word of a script without spaces", words.skipped()),
            ];
            origin.inputs.push(read(path, "dictionary", found));
        }
        let dictionary = dictionary.map(Arc::new);
        let mut counters = Vec::with_capacity(threads);
        for _ in 0..threads {
            let scratch = Scratch::new(&self.scratch)?;
            let counter = Counter::new(scratch, self.keep_case, pairs, self.memory / threads);
            counters.push(counter.with_dictionary(dictionary.clone()));
        }
        for path in &self.dumps {
            let pages = dump::articles(path, &mut counters, advance, Counter::text)?;
            let found = vec![
                ("articles", pages.articles),
                ("redirects skipped", pages.redirects),
                ("other pages skipped", pages.others),
                ("pages that are not UTF-8", pages.not_utf8),
            ];
            origin.inputs.push(read(path, "dump", found));
        }
        for path in &self.texts {
            let hint = "write its column of text to a file of its own, one a line";
            refuse_table(path, &["csv", "tsv", "json", "jsonl", "parquet"], hint)?;
            let (lines, foreign) = text(path, &mut counters, advance)?;
            let found = vec![("lines", lines), ("lines that are not UTF-8", foreign)];
            origin.inputs.push(read(path, "text", found));
        }
        let files = self.word_counts.iter().map(|path| (path, tables::Columns::Word));
        let files = files.chain(self.pair_counts.iter().map(|path| (path, tables::Columns::Pair)));
        for (path, columns) in files {
            let lines = tables::read(path, columns, self.keep_case, &mut counters[0], advance)?;
            origin.inputs.push(read(path, "counts", vec![("lines", lines)]));
        }
        let mut counted = Counted::default();
        for counter in counters {
            counted.extend(counter.finish()?);
        }
        Ok(counted)
    }

    /// Titles with enough views, the most viewed first.
    fn titles(&self, origin: &mut Origin, advance: &(dyn Fn(u64) + Sync)) -> Result<Vec<Query>> {
        if self.pageviews.is_empty() {
            return Ok(Vec::new());
        }
        let scratch = Scratch::new(&self.scratch)?;
        let mut counter = Counter::new(scratch, true, false, self.memory);
        let mut counted = 0;
        for path in &self.pageviews {
            let views =
                pageviews::read(path, &self.project, self.min_hour_views, &mut counter, advance)?;
            counted += views.counted;
            let found = vec![
                ("lines", views.lines),
                ("counted", views.counted),
                ("titles that are not UTF-8", views.not_utf8),
            ];
            origin.inputs.push(read(path, "pageviews", found));
        }
        if counted == 0 {
            let reason = format!("no title of `{}` has enough views in an hour", self.project);
            let hint = "--project names the wiki as the first column does; --min-hour-views is the threshold";
            return Err(Error::file(&self.pageviews[0], reason, hint));
        }
        let mut titles = Vec::new();
        counter.finish()?.each_word(|_, title, views| {
            if views >= self.min_views {
                titles.push((views, title));
            }
        })?;
        titles.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let title = |(views, title): (u64, Box<str>)| ranked(QuerySource::Title, title, views);
        Ok(titles.into_iter().map(title).collect())
    }
}

fn ranked(source: QuerySource, text: Box<str>, count: u64) -> Query {
    Query { text: text.into(), source, count, score: count as f64 }
}

fn read(path: &Path, kind: &str, found: Vec<(&str, u64)>) -> Read {
    // What is always nothing is not worth a word.
    let worth = |(at, (name, count)): (usize, (&str, u64))| {
        (at == 0 || count > 0).then(|| (name.to_owned(), count))
    };
    let found = found.into_iter().enumerate().filter_map(worth).collect();
    Read { path: path.to_path_buf(), kind: kind.to_owned(), found }
}

/// Counts the lines of a text; returns how many there were and how many were not UTF-8.
fn text(
    path: &Path,
    counters: &mut [Counter],
    advance: &(dyn Fn(u64) + Sync),
) -> Result<(u64, u64)> {
    let mut workers: Vec<_> = counters.iter_mut().map(|counter| (counter, 0u64, 0u64)).collect();
    let rest = pump(path, LINES, &mut workers, advance, lines)?;
    lines(&mut workers[0], &rest)?;
    let (total, foreign) = workers.iter().fold((0, 0), |sum, w| (sum.0 + w.1, sum.1 + w.2));
    if foreign as f64 > FOREIGN * total as f64 {
        let reason = format!("{foreign} of {total} lines are not UTF-8");
        return Err(Error::file(path, reason, "convert it first: iconv -f latin1 -t utf-8"));
    }
    Ok((total, foreign))
}

fn lines((counter, total, foreign): &mut (&mut Counter, u64, u64), bytes: &[u8]) -> Result<()> {
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        *total += 1;
        match std::str::from_utf8(line) {
            // UTF-16 without letters beyond ASCII is UTF-8 with zeros.
            Ok(line) if !line.contains('\0') => counter.text(line)?,
            _ => *foreign += 1,
        }
    }
    Ok(())
}
