//! `clip-data queries build`: a list from what the paper's is made of.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use clip_cli::{ProgressArgs, StatusLine};
use clip_query::{BigramRule, Build, Order, QueryList, QuerySource};
use serde_json::json;

use super::stats;

/// Arguments of `clip-data queries build`.
#[derive(clap::Args)]
pub struct Args {
    /// A wiki's dump of articles, such as enwiki-…-pages-articles-multistream.xml.bz2
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Sources")]
    dump: Vec<PathBuf>,
    /// Plain text, also packed with gzip or bzip2
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Sources")]
    text: Vec<PathBuf>,
    /// Word counts, `word<TAB>count` a line, also packed
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Sources")]
    counts: Vec<PathBuf>,
    /// Counts of word pairs, `first second<TAB>count` a line, also packed
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Sources")]
    bigram_counts: Vec<PathBuf>,
    /// Hourly dumps of page views, pageviews-YYYYMMDD-HHMMSS.gz
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Sources")]
    pageviews: Vec<PathBuf>,
    /// Folder of WordNet's database files (data.noun and so on); the numerals 0 to 99 come with it
    #[arg(long, value_name = "DIR", help_heading = "Sources")]
    wordnet: Option<PathBuf>,
    /// Words of scripts that are written without spaces, `word` or `word count` a line, also
    /// packed: dumps and texts are cut into them
    #[arg(long, value_name = "FILE", help_heading = "Sources")]
    dictionary: Option<PathBuf>,
    /// A list of your own; it comes first
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Sources")]
    list: Vec<PathBuf>,
    /// Least count of a word; the paper's is 100
    #[arg(long, value_name = "N", default_value_t = 100, help_heading = "Thresholds")]
    min_count: u64,
    /// Least count of a pair of words
    #[arg(long, value_name = "N", default_value_t = 100, help_heading = "Thresholds")]
    min_bigram_count: u64,
    /// Least pointwise mutual information of a pair, in bits [default: 8 when --min-npmi is
    /// absent]
    ///
    /// MetaCLIP's estimate of the paper's is 30, which only pairs reach that occur once or twice
    /// in all of Wikipedia: use it with --min-bigram-count 1.
    #[arg(long, value_name = "BITS", help_heading = "Thresholds")]
    min_pmi: Option<f64>,
    /// Least normalised PMI of a pair, up to 1; pairs are ranked by it then
    #[arg(long, value_name = "SHARE", help_heading = "Thresholds")]
    min_npmi: Option<f64>,
    /// Most pairs, the best by score; 0 for none. MetaCLIP's list has 100,646
    #[arg(long, value_name = "N", help_heading = "Thresholds")]
    max_bigrams: Option<usize>,
    /// Least views of a title over all dumps; MetaCLIP's estimate of the paper's
    #[arg(long, value_name = "N", default_value_t = 70, help_heading = "Thresholds")]
    min_views: u64,
    /// Least views of a title in an hour for the hour to count; MetaCLIP's
    #[arg(long, value_name = "N", default_value_t = 50, help_heading = "Thresholds")]
    min_hour_views: u64,
    /// The wiki whose views count, as the first column of the dumps names it
    #[arg(long, value_name = "NAME", default_value = "en", help_heading = "Thresholds")]
    project: String,
    /// Distinguish words that differ in case, as MetaCLIP does
    #[arg(long)]
    keep_case: bool,
    /// Which source comes first: the paper's order, or MetaCLIP's
    #[arg(long, value_enum, default_value_t = Sequence::Clip)]
    order: Sequence,
    /// Most queries; the paper's list has 500,000
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    limit: usize,
    /// Threads that read and count [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Memory that counting may take, in megabytes; what exceeds it goes to disk
    #[arg(long, value_name = "MB", default_value_t = 2000)]
    memory: usize,
    /// Where counts go that exceed the memory [default: the folder of the list]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    #[command(flatten)]
    progress: ProgressArgs,
    /// The list to write: .parquet, .json (MetaCLIP's metadata.json) or text; may be given again
    #[arg(short, long, value_name = "FILE", required = true, num_args = 1..)]
    out: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sequence {
    /// Words, pairs, titles, and of WordNet what is not in yet
    Clip,
    /// Numerals, WordNet, words, pairs, titles
    Metaclip,
}

/// Least PMI when no threshold is given.
const MIN_PMI: f64 = 8.0;

/// Builds, writes and counts.
pub fn run(args: Args) -> anyhow::Result<()> {
    let build = recipe(&args)?;
    let total = build.input_bytes();
    let (status, read) =
        (StatusLine::new(args.progress.show(), "queries", Some(total)), AtomicU64::new(0));
    let list = build.run(&|bytes| {
        let done = read.fetch_add(bytes, Ordering::Relaxed) + bytes;
        status.update(done, || {
            let text = format!("{} of {} MB", done / 1_000_000, total / 1_000_000);
            (text, json!({"task": "queries", "bytes": done, "of": total}))
        });
    })?;
    status.clear();
    if list.is_empty() {
        stats::origin(&list);
        bail!(
            "no query came of this\nhint: --min-count, --min-views and the like are for large corpora"
        );
    }
    for out in &args.out {
        list.save(out)?;
    }
    stats::origin(&list);
    warn(&list, &build);
    for out in &args.out {
        println!("list: {}", out.display());
    }
    Ok(())
}

fn recipe(args: &Args) -> anyhow::Result<Build> {
    let counted = [&args.dump, &args.text, &args.counts, &args.bigram_counts];
    let words = counted.iter().any(|files| !files.is_empty());
    let none =
        !words && args.pageviews.is_empty() && args.wordnet.is_none() && args.list.is_empty();
    ensure!(
        !none,
        "there is nothing to build a list from\nhint: --dump, --text, --counts, --pageviews, --wordnet or --list"
    );
    ensure!(args.limit > 0, "--limit must be at least 1");
    for out in &args.out {
        QueryList::check_name(out)?;
    }
    if !args.bigram_counts.is_empty() && args.counts.is_empty() {
        bail!(
            "--bigram-counts needs --counts\nhint: PMI weighs a pair against the counts of its words"
        );
    }
    if args.dictionary.is_some() && args.dump.is_empty() && args.text.is_empty() {
        bail!("--dictionary has no effect\nhint: it cuts what --dump and --text have into words");
    }
    let min_pmi = args.min_pmi.or(args.min_npmi.is_none().then_some(MIN_PMI));
    let most = args.max_bigrams.unwrap_or(usize::MAX);
    let rule = BigramRule {
        min_count: args.min_bigram_count.max(1),
        min_pmi,
        min_npmi: args.min_npmi,
        most,
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let parent = args.out[0].parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.map_or_else(|| PathBuf::from("."), PathBuf::from);
    let scratch = args.scratch.clone().unwrap_or(parent);
    ensure!(scratch.is_dir(), "{}: no such folder", scratch.display());
    Ok(Build {
        dumps: args.dump.clone(),
        texts: args.text.clone(),
        word_counts: args.counts.clone(),
        pair_counts: args.bigram_counts.clone(),
        pageviews: args.pageviews.clone(),
        project: args.project.clone(),
        wordnet: args.wordnet.clone(),
        dictionary: args.dictionary.clone(),
        lists: args.list.clone(),
        min_count: args.min_count,
        bigrams: (most > 0 && words).then_some(rule),
        min_views: args.min_views,
        min_hour_views: args.min_hour_views,
        keep_case: args.keep_case,
        order: match args.order {
            Sequence::Clip => Order::Clip,
            Sequence::Metaclip => Order::Metaclip,
        },
        limit: args.limit,
        threads: args.threads.unwrap_or(cores).max(1),
        memory: args.memory.checked_mul(1_000_000).context("--memory is too large")?,
        scratch,
    })
}

/// What a user may not expect of the list.
fn warn(list: &clip_query::QueryList, build: &Build) {
    let origin = list.origin();
    let given = |source| origin.sources.iter().find(|given| given.source == source);
    if let Some(rule) = build.bigrams
        && given(QuerySource::Bigram).is_none()
    {
        let most = (origin.words.max(1) as f64 / rule.min_count as f64).log2();
        if rule.min_pmi.is_some_and(|least| least > most) {
            eprintln!(
                "warning: no pair of words: among {} words, a pair that occurs {} times has a PMI of at most {most:.1}",
                origin.words, rule.min_count
            );
        }
    }
    if let Some(cut) = given(QuerySource::Wordnet).filter(|given| given.beyond > 0) {
        eprintln!(
            "warning: the limit left out {} of WordNet's names; fewer words, pairs or titles make room for them",
            cut.beyond
        );
    }
}
