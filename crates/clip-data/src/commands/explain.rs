//! `clip-data explain`: what every stage did with a pair, and where and why it was dropped.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clip_corpus::{columns, row_index, row_part};
use clip_pipeline::{RunReader, TraceOutcome, TraceStep};
use clip_query::QueryLists;
use serde_json::{Value, json};

use super::PipelineArgs;
use crate::recipe;

/// Arguments of `clip-data explain`.
#[derive(clap::Args)]
pub struct Args {
    /// A uid, an image's URL, a sample's key, or a row's number
    pair: String,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// The folder of a run, in place of its pipeline
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
    let run = RunReader::open(&dir)?;
    let rows = run.find_rows(&args.pair)?;
    if rows.is_empty() {
        let hint = "hint: give a uid, a URL as it was collected, a sample's key, or a row's number";
        bail!("{}: no pair {:?} in this run\n{hint}", dir.display(), args.pair);
    }
    let mut all = Vec::new();
    for row in rows {
        let steps = run.trace(row)?;
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
    }
    Ok(ExitCode::SUCCESS)
}

/// Queries by their texts where the list is at hand, else by their ids.
fn named(ids: &[Value], queries: Option<&QueryLists>) -> String {
    let text = |id: &Value| Some(queries?.get(u32::try_from(id.as_u64()?).ok()?)?.text.clone());
    let names: Vec<_> = ids.iter().map(|id| text(id).unwrap_or_else(|| id.to_string())).collect();
    names.join(", ")
}

fn print(row: u64, steps: &[TraceStep], queries: Option<&QueryLists>) {
    println!("row {row} (part {}, place {})", row_part(row), row_index(row));
    for (number, step) in steps.iter().enumerate() {
        println!("{number:>3} {:<10} {}", step.stage, step.outcome.name());
        for (column, value) in &step.values {
            if column == columns::ROW || value.is_null() || value == "" {
                continue;
            }
            let shown = match value {
                Value::String(text) => text.replace('\n', " "),
                Value::Number(number) if column == columns::PHASH || column == columns::DHASH => {
                    number.as_u64().map_or_else(|| number.to_string(), clip_image::hash::hex)
                }
                Value::Array(ids) if column == columns::QUERIES => named(ids, queries),
                other => other.to_string(),
            };
            println!("      {column:<16} {shown}");
        }
    }
    match steps.last().map(|step| (&step.stage, step.outcome)) {
        Some((stage, TraceOutcome::Dropped)) => println!("dropped in stage {stage}"),
        Some((stage, TraceOutcome::Missing)) => {
            println!("stage {stage} has not done this part yet: run `clip-data build` again");
        }
        _ => println!("in the corpus"),
    }
}
