//! `clip-data queries`: the list of queries that captions are matched against.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use clip_query::{QueryList, QuerySource, numerals, wordnet, words};

/// Arguments of `clip-data queries`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Make a list: numerals, frequent words, WordNet's names, in this order, each text once
    Build(Build),
    /// Count a list's queries by source
    Stats {
        /// The list: .parquet, or text with one query a line
        list: PathBuf,
    },
}

#[derive(clap::Args)]
struct Build {
    /// Text whose frequent words become queries; may be given again
    #[arg(long, value_name = "FILE")]
    text: Vec<PathBuf>,
    /// Word counts, `word<TAB>count` a line; may be given again
    #[arg(long, value_name = "FILE")]
    counts: Vec<PathBuf>,
    /// Least count of a word; the paper's is 100
    #[arg(long, default_value_t = 100)]
    min_count: u64,
    /// Folder of WordNet's database files (data.noun and so on)
    #[arg(long, value_name = "DIR")]
    wordnet: Option<PathBuf>,
    /// Most queries; the paper's list has 500,000
    #[arg(long, default_value_t = 500_000)]
    limit: usize,
    /// The list to write, .parquet
    #[arg(short, long)]
    out: PathBuf,
}

/// Builds or counts.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.task {
        Task::Build(build) => make(&build)?,
        Task::Stats { list } => count(&QueryList::load(&list)?),
    }
    Ok(ExitCode::SUCCESS)
}

fn make(build: &Build) -> anyhow::Result<()> {
    let mut list = QueryList::default();
    list.extend(numerals(), build.limit);
    let frequent = words::frequent(&build.text, &build.counts, build.min_count)?;
    list.extend(frequent, build.limit);
    if let Some(folder) = &build.wordnet {
        list.extend(wordnet::names(folder)?, build.limit);
    }
    list.save(&build.out)?;
    count(&list);
    println!("list: {}", build.out.display());
    Ok(())
}

fn count(list: &QueryList) {
    for source in QuerySource::ALL {
        let count = list.queries().iter().filter(|query| query.source == source).count();
        if count > 0 {
            println!("{:<10} {count:>8}", source.name());
        }
    }
    println!("{:<10} {:>8}", "all", list.queries().len());
}
