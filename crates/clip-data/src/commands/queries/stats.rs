//! `clip-data queries stats`: what a list holds, and what it finds.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use arrow::array::{Array, AsArray};
use clip_pipeline::RunReader;
use clip_query::{MatchOptions, QueryList, QueryMatcher, QuerySource, Rules, Workspace};
use clip_sql::{Balance, curve};
use serde_json::Value;

/// Arguments of `clip-data queries stats`.
#[derive(clap::Args)]
pub struct Args {
    /// The list: .parquet, .json, or text with one query a line
    list: PathBuf,
    /// Captions to match: a list (.parquet, .csv, .tsv, .json, .jsonl), or text with one a line
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    captions: Option<PathBuf>,
    /// Column of the captions in a list [default: TEXT]
    #[arg(long, value_name = "NAME", requires = "captions")]
    column: Option<String>,
    /// Match by MetaCLIP's rules
    #[arg(long, requires = "captions")]
    metaclip: bool,
    /// Distinguish letters of different case
    #[arg(long, requires = "captions")]
    match_case: bool,
    /// Pairs per query that the balance would allow
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    limit: u64,
    /// Folder of a run, such as runs/emoji: what its balance did
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Queries to list, those with most pairs
    #[arg(long, value_name = "N", default_value_t = 20)]
    head: usize,
    /// Where to draw the share of the tail against the limit, .svg
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
}

/// Prints what was asked for.
pub fn run(args: Args) -> anyhow::Result<()> {
    let list = QueryList::load(&args.list)?;
    origin(&list);
    if let Some(captions) = &args.captions {
        found(&args, &list, captions)?;
    } else if let Some(run) = &args.run {
        let language = language_of(&args.list, run)?;
        balanced(&args, &list, &account_of(run)?, language.as_deref())?;
    }
    Ok(())
}

/// Where the list came from, and what it holds.
pub fn origin(list: &QueryList) {
    for input in &list.origin().inputs {
        let found: Vec<String> =
            input.found.iter().map(|(name, count)| format!("{count} {name}")).collect();
        println!("{}: {}: {}", input.kind, input.path.display(), found.join(", "));
    }
    if list.origin().words > 0 {
        println!("words counted: {}", list.origin().words);
    }
    if list.origin().sources.is_empty() {
        for source in QuerySource::ALL {
            let of = |q: &&clip_query::Query| q.source == source && !q.text.is_empty();
            let count = list.queries().iter().filter(of).count();
            if count > 0 {
                println!("{:<10} {count:>9}", source.name());
            }
        }
    } else {
        let head = ["source", "offered", "kept", "repeated", "unusable", "beyond"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for given in &list.origin().sources {
            let counts = [given.offered, given.kept, given.repeated, given.unusable, given.beyond];
            let mut row = vec![given.source.name().to_owned()];
            row.extend(counts.map(|count| count.to_string()));
            rows.push(row);
        }
        print!("{}", clip_cli::table(&rows, &[1, 2, 3, 4, 5]));
    }
    println!("{:<10} {:>9}", "all", list.len());
    let passed = list.passed();
    for (count, what) in [
        (passed.empty, "empty"),
        (passed.overlong, "longer than 256 bytes"),
        (passed.repeated, "of an earlier text"),
    ] {
        if count > 0 {
            println!("skipped: {count} rows {what}");
        }
    }
}

/// Matches captions and counts.
fn found(args: &Args, list: &QueryList, path: &Path) -> anyhow::Result<()> {
    let rules = if args.metaclip { Rules::Metaclip } else { Rules::Words };
    let options = MatchOptions { rules, ignore_case: !args.match_case };
    let matcher = QueryMatcher::build(list, options)?;
    let mut counts = vec![0u64; list.queries().len()];
    let (mut captions, mut matched) = (0u64, 0u64);
    let (mut workspace, mut ids) = (Workspace::default(), Vec::new());
    each_caption(path, args.column.as_deref(), |caption| {
        captions += 1;
        matcher.find(caption, &mut workspace, &mut ids);
        matched += u64::from(!ids.is_empty());
        ids.iter().for_each(|&id| counts[id as usize] += 1);
    })?;
    let matches: u64 = counts.iter().sum();
    println!();
    println!("captions: {captions}");
    println!("with a query: {matched} ({:.1}%)", share(matched, captions));
    println!("queries in a caption: {:.2}", matches as f64 / captions.max(1) as f64);
    println!();
    println!("{:<10} {:>9} {:>9} {:>9} {:>9}", "source", "queries", "found", "matches", "share");
    for source in QuerySource::ALL {
        let of = |(query, _): &(&clip_query::Query, &u64)| {
            query.source == source && !query.text.is_empty()
        };
        let rows: Vec<u64> =
            list.queries().iter().zip(&counts).filter(of).map(|(_, &n)| n).collect();
        if rows.is_empty() {
            continue;
        }
        let (here, sum) = (rows.iter().filter(|&&n| n > 0).count(), rows.iter().sum());
        println!(
            "{:<10} {:>9} {here:>9} {sum:>9} {:>8.1}%",
            source.name(),
            rows.len(),
            share(sum, matches)
        );
    }
    let over = counts.iter().filter(|&&count| count > args.limit).count();
    println!();
    println!("queries with more than {} captions: {over}", args.limit);
    let mut head: Vec<(u64, u32)> = counts.iter().copied().zip(0..).collect();
    head.sort_unstable_by_key(|&(count, id)| (std::cmp::Reverse(count), id));
    head.retain(|&(count, _)| count > 0);
    println!("{:>9}  query", "captions");
    for &(count, id) in head.iter().take(args.head) {
        println!("{count:>9}  {}", list.queries()[id as usize].text);
    }
    counts.retain(|&count| count > 0);
    tail(args, &curve(&counts), args.limit)
}

fn json(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}

/// The account that the balance of a run's last build left.
fn account_of(run: &Path) -> anyhow::Result<PathBuf> {
    let run = RunReader::open(run)?;
    Ok(run.stage("balance")?.layout.scratch().join(Balance::ACCOUNT))
}

/// Ids mean queries of a run's own lists only: the language whose list this is, where languages
/// have lists of their own; refuses any other.
fn language_of(list: &Path, run: &Path) -> anyhow::Result<Option<String>> {
    let stage = RunReader::open(run)?.stage("match")?.file()?;
    let hash = clip_pipeline::hash_resource(list)?;
    let mut resources = stage.fingerprint.resources.iter();
    let Some((name, _)) = resources.find(|(_, known)| *known == hash) else {
        bail!(
            "{}: not a list that {} was matched with\nhint: `queries.list` or [queries.languages] in its pipeline.toml name it",
            list.display(),
            run.display()
        );
    };
    Ok(name.strip_prefix("queries.languages.").map(str::to_owned))
}

/// The part of an account that is about a list: all of it, where there is one list.
fn part_of<'a>(account: &'a Value, language: Option<&str>) -> anyhow::Result<&'a Value> {
    let Some(languages) = account["languages"].as_array() else { return Ok(account) };
    let own = language.map_or(languages.first(), |language| {
        languages.iter().find(|own| own["language"] == language)
    });
    own.context("the account has no such language\nhint: `clip-data build` writes it again")
}

/// What the balance of a run did, with the queries by name.
fn balanced(
    args: &Args,
    list: &QueryList,
    path: &Path,
    language: Option<&str>,
) -> anyhow::Result<()> {
    let whole = json(path)?;
    let account = part_of(&whole, language)?;
    let first = account["first_query"].as_u64().unwrap_or(0);
    println!();
    // A pair counts for all its queries and is charged to one: only of that the limit holds.
    let rows = [
        ("mode", "mode"),
        ("language", "language"),
        ("limit", "limit, pairs a query"),
        ("pairs", "pairs"),
        ("kept", "pairs kept"),
        ("queries_matched", "queries with a match"),
        ("most_charged", "most pairs charged to one query"),
        ("most_after", "most pairs that one query is in, after"),
        ("queries_over_limit_before", "queries in more pairs than the limit, before"),
        ("queries_over_limit_after", "queries in more pairs than the limit, after"),
        ("tail_share_before", "share of matches that queries below the limit have, before"),
        ("tail_share_after", "share of matches that the same queries have, after"),
        ("limit_of_6_percent", "limit whose tail, itself included, has nearest to 6%"),
    ];
    let rows = rows.into_iter().filter_map(|(key, label)| {
        let value = match if key == "mode" { &whole[key] } else { &account[key] } {
            Value::Null if key == "language" => return None,
            Value::Number(part) if key.starts_with("tail_share") => {
                format!("{:.1}%", 100.0 * part.as_f64().unwrap_or(0.0))
            }
            value => value.to_string().trim_matches('"').to_owned(),
        };
        Some(vec![label.to_owned(), value])
    });
    print!("{}", clip_cli::table(&rows.collect::<Vec<_>>(), &[]));
    println!();
    println!("{:>9} {:>9} {:>9}  query", "before", "after", "charged");
    for row in account["head"].as_array().into_iter().flatten().take(args.head) {
        let number = |key: &str| row[key].as_u64().unwrap_or(0);
        let query = number("query").saturating_sub(first) as usize;
        let query = list.queries().get(query).map_or("?", |q| &q.text);
        println!(
            "{:>9} {:>9} {:>9}  {query}",
            number("before"),
            number("after"),
            number("charged")
        );
    }
    let point = |p: &Value| Some((p.get(0)?.as_u64()?, p.get(1)?.as_f64()?));
    let points: Vec<_> =
        account["curve"].as_array().into_iter().flatten().filter_map(point).collect();
    tail(args, &points, account["limit"].as_u64().unwrap_or(args.limit))
}

/// The share of the tail against the limit, as a table and as a chart.
fn tail(args: &Args, points: &[(u64, f64)], limit: u64) -> anyhow::Result<()> {
    println!();
    println!("{:>9} {:>9}  share of matches that queries below the limit have", "limit", "tail");
    for &(limit, mass) in points {
        let bar = "#".repeat((mass * 40.0).round() as usize);
        println!("{limit:>9} {:>8.1}%  {bar}", 100.0 * mass);
    }
    if let Some(path) = &args.chart {
        let svg = clip_report::tail_chart(points, Some(limit));
        clip_format::write_atomic(path, svg.as_bytes())?;
        println!("chart: {}", path.display());
    }
    Ok(())
}

fn share(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// The column of captions when none is named: img2dataset's and LAION's.
const COLUMN: &str = "TEXT";

/// Calls `each` for the captions of a list or a text; nulls are empty captions.
fn each_caption(
    path: &Path,
    column: Option<&str>,
    mut each: impl FnMut(&str),
) -> anyhow::Result<()> {
    let named = || path.display().to_string();
    if clip_crawl::is_plain_text(path) {
        if let Some(column) = column {
            bail!("--column {column}: no effect on {}, which is text without columns", named());
        }
        crate::commands::no_archive(path)?;
        let bytes = std::fs::read(path).with_context(named)?;
        if bytes.starts_with(&[0x1f, 0x8b]) {
            bail!("{}: a file in gzip, not text\nhint: unpack it with `gunzip` first", named());
        }
        let Ok(text) = String::from_utf8(bytes) else {
            bail!(
                "{}: not text in UTF-8\nhint: captions are in a list (.parquet, .csv, .tsv, .json, \
                 .jsonl) or text, one a line",
                named()
            );
        };
        text.lines().for_each(each);
        return Ok(());
    }
    let column = column.unwrap_or(COLUMN);
    if clip_crawl::is_text_list(path) {
        return each_cell(path, column, each);
    }
    for batch in clip_corpus::ParquetFile::open(path)?.batches(None, 8192, 0)? {
        let batch = batch?;
        let names: Vec<_> = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
        let found = names.iter().position(|name| name.eq_ignore_ascii_case(column));
        let texts = found.and_then(|at| batch.column(at).as_string_opt::<i32>());
        let Some(texts) = texts else {
            bail!(
                "{}: no text column `{column}`\nhint: --column; it has {}",
                path.display(),
                names.join(", ")
            );
        };
        (0..texts.len()).for_each(|at| each(if texts.is_null(at) { "" } else { texts.value(at) }));
    }
    Ok(())
}

/// The same of a list of text; rows that cannot be read are no captions, and are counted.
fn each_cell(path: &Path, column: &str, mut each: impl FnMut(&str)) -> anyhow::Result<()> {
    let mut faults = 0u64;
    for batch in clip_crawl::list_column(path, column)? {
        let batch = batch?;
        let (texts, fault) = (batch.column(0).as_string::<i32>(), batch.column(1));
        for at in 0..batch.num_rows() {
            if fault.is_valid(at) {
                faults += 1;
            } else {
                each(if texts.is_null(at) { "" } else { texts.value(at) });
            }
        }
    }
    if faults > 0 {
        eprintln!("warning: {}: {faults} rows cannot be read", path.display());
    }
    Ok(())
}
