//! `clip-data explain`: what every stage did with a pair, and where and why it was dropped.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use arrow::array::ArrayRef;
use arrow::datatypes::FieldRef;
use clip_corpus::{ParquetFile, columns, row_index, row_part};
use clip_pipeline::{RunLayout, RunReader, TraceOutcome, TraceStep, tables_in};
use clip_query::QueryLists;
use serde_json::{Map, Value, json};

use super::PipelineArgs;
use crate::recipe;

/// Arguments of `clip-data explain`.
#[derive(clap::Args)]
pub struct Args {
    /// A uid, an image's URL, a sample's key, or a row's number
    pair: String,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// The folder of a run, in place of its pipeline; or one of shards with their tables, of any
    /// tool
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// Prints every pair that the argument names, stage by stage.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (dir, queries) = match args.run {
        Some(dir) => (dir, None),
        None => {
            let config = args.pipeline.load()?;
            let dir = recipe::plan(&config)?.layout.dir().to_path_buf();
            let lists = recipe::query_lists(&config);
            (dir, config.queries.is_some().then(lists).transpose()?)
        }
    };
    if !RunLayout::new(&dir).is_run() && !tables_in(&dir).is_empty() {
        return of_tables(&dir, &args.pair, args.json);
    }
    let run = RunReader::open(&dir)?;
    let rows = clip_crawl::find_rows(&run, &args.pair)?;
    if rows.is_empty() {
        let hint = "hint: give a uid, a URL, a sample's key, or a row's number";
        bail!("{}: no pair {:?} in this run\n{hint}", dir.display(), args.pair);
    }
    if rows.len() > 1 {
        let (count, pair) = (rows.len(), &args.pair);
        note!(
            "{count} pairs are called {pair:?}: a URL may be collected more than once, and a key be one of the \
             shards that were read as well as of those written"
        );
    }
    let (mut all, mut unnamed) = (Vec::new(), false);
    for row in rows {
        let steps = run.trace(row)?;
        unnamed |= steps.iter().any(|step| step.values.contains_key(columns::QUERIES));
        if args.json {
            let step = |s: &TraceStep| json!({"stage": s.stage, "fate": s.outcome.name(), "values": s.values});
            let steps: Vec<Value> = steps.iter().map(step).collect();
            all.push(json!({"row": row, "steps": steps}));
        } else {
            print(row, &steps, queries.as_ref());
        }
    }
    if args.json {
        println!("{:#}", Value::Array(all));
    } else if unnamed && queries.is_none() {
        note!("queries are numbers of the list; `-c pipeline.toml` in place of --run names them");
    }
    Ok(ExitCode::SUCCESS)
}

/// Columns by which a pair of a table may be asked for.
const NAMES: [&str; 3] = [columns::UID, columns::URL, "key"];

/// Prints the rows of tables beside shards that the argument names: of a corpus that no build made,
/// what its fetch noted.
fn of_tables(dir: &Path, pair: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut all = Vec::new();
    for table in tables_in(dir) {
        let mut places = Vec::new();
        for name in NAMES {
            let found = clip_corpus::find_rows(&table, name, |text| text == pair)?;
            places.extend(found.into_iter().map(|place| place as usize));
        }
        places.sort_unstable();
        places.dedup();
        let mut rows = places.iter();
        for batch in ParquetFile::open(&table)?.rows_at(None, &places)? {
            let batch = batch?;
            for (at, place) in (0..batch.num_rows()).zip(rows.by_ref()) {
                let schema = batch.schema();
                let fields = schema.fields().iter().zip(batch.columns());
                let cell = |(field, column): (&FieldRef, &ArrayRef)| {
                    Some((field.name().clone(), clip_corpus::cell(column, at)?))
                };
                let values: Map<String, Value> = fields.filter_map(cell).collect();
                all.push((table.clone(), *place, values));
            }
        }
    }
    if all.is_empty() {
        let hint = "hint: give a uid, a URL or a sample's key, as these tables have them";
        bail!("{}: no pair {pair:?} in its tables\n{hint}", dir.display());
    }
    if as_json {
        let row = |(table, place, values): &(PathBuf, usize, _)| json!({"table": table, "row": place, "values": values});
        println!("{:#}", Value::Array(all.iter().map(row).collect()));
        return Ok(ExitCode::SUCCESS);
    }
    for (table, place, values) in &all {
        println!("{} row {place}", table.display());
        print_values(values, None);
    }
    Ok(ExitCode::SUCCESS)
}

/// Queries by their texts where the list is at hand, else by their ids.
fn named(ids: &[Value], queries: Option<&QueryLists>) -> String {
    let text = |id: &Value| Some(queries?.get(u32::try_from(id.as_u64()?).ok()?)?.text.clone());
    let names: Vec<_> = ids.iter().map(|id| text(id).unwrap_or_else(|| id.to_string())).collect();
    names.join(", ")
}

fn print_values(values: &Map<String, Value>, queries: Option<&QueryLists>) {
    for (column, value) in values {
        if column == columns::ROW || value.is_null() || value == "" {
            continue;
        }
        let shown = match value {
            Value::String(text) => text.replace('\n', " "),
            Value::Number(number) if column == columns::PHASH || column == columns::DHASH => {
                number.as_u64().map_or_else(|| number.to_string(), clip_image::hash::hex)
            }
            Value::Array(ids) if column == columns::QUERIES => named(ids, queries),
            id @ Value::Number(_) if column == "query" => named(std::slice::from_ref(id), queries),
            other => other.to_string(),
        };
        println!("      {column:<16} {shown}");
    }
}

fn print(row: u64, steps: &[TraceStep], queries: Option<&QueryLists>) {
    println!("row {row} (part {}, place {})", row_part(row), row_index(row));
    for (number, step) in steps.iter().enumerate() {
        println!("{number:>3} {:<10} {}", step.stage, step.outcome.name());
        print_values(&step.values, queries);
    }
    match steps.last().map(|step| (&step.stage, step.outcome)) {
        Some((stage, TraceOutcome::Dropped)) => println!("dropped in stage {stage}"),
        Some((stage, TraceOutcome::Missing)) => {
            println!("stage {stage} has not done this part yet: run `clip-data build` again");
        }
        _ => println!("in the corpus"),
    }
}
