//! `clip-data explain`: what every stage did with a pair, and where and why it was dropped.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use arrow::array::{Array, RecordBatch};
use clip_corpus::{columns, row_index, row_part, scan};
use clip_pipeline::{RunReader, StageReader, row_of};
use clip_query::QueryLists;
use serde_json::{Map, Value, json};

use super::PipelineArgs;
use crate::recipe;

/// Columns by which a pair may be asked for.
const NAMES: [&str; 3] = [columns::UID, columns::URL, "key"];

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

/// What one stage did with a pair.
struct Step {
    stage: String,
    /// `in`, `kept`, `dropped` or `missing`.
    outcome: &'static str,
    /// Columns that are new or changed here; for a pair that was dropped, reason and detail.
    values: Map<String, Value>,
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
    let stages = run.stages();
    let rows = find(stages, &args.pair)?;
    if rows.is_empty() {
        let hint = "hint: give a uid, a URL as it was collected, a sample's key, or a row's number";
        bail!("{}: no pair {:?} in this run\n{hint}", dir.display(), args.pair);
    }
    let mut all = Vec::new();
    for row in rows {
        let steps = trace(stages, row)?;
        if args.json {
            let step = |s: &Step| json!({"stage": s.stage, "fate": s.outcome, "values": s.values});
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

/// Parquet files in a folder, sorted; none where the folder is not there.
fn tables(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.retain(|path| path.extension().is_some_and(|e| e == "parquet"));
    found.sort();
    found
}

/// The rows that an argument names: those collected, those that were dropped at once, or those of a
/// shard's key.
fn find(stages: &[StageReader], pair: &str) -> anyhow::Result<Vec<u64>> {
    if pair.len() < 20
        && let Ok(row) = pair.parse::<u64>()
        && collected(stages, row)
    {
        return Ok(vec![row]);
    }
    let (first, last) = (&stages[0], &stages[stages.len() - 1]);
    let collected = [first.layout.dir().to_path_buf(), first.layout.all_rejects()];
    for folder in collected.into_iter().chain([last.layout.shards()]) {
        let mut rows = Vec::new();
        for table in tables(&folder) {
            for batch in scan(&table, &[columns::ROW, NAMES[0], NAMES[1], NAMES[2]], 65_536)? {
                let batch = batch?;
                let Some(ids) = columns::uint64(&batch, columns::ROW) else { continue };
                for name in NAMES {
                    let Some(column) = columns::text(&batch, name) else { continue };
                    let named = (0..column.len()).filter(|&at| column.value(at) == pair);
                    rows.extend(named.map(|at| ids.value(at)));
                }
            }
        }
        if !rows.is_empty() {
            rows.sort_unstable();
            rows.dedup();
            return Ok(rows);
        }
    }
    Ok(Vec::new())
}

fn collected(stages: &[StageReader], row: u64) -> bool {
    let part = stages[0].layout.rows(row_part(row));
    clip_corpus::parquet_rows(&part).is_ok_and(|rows| (row_index(row) as u64) < rows)
}

/// What each stage did with a row.
fn trace(stages: &[StageReader], row: u64) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut known = Map::new();
    for (at, stage) in stages.iter().enumerate() {
        let name = stage.name.clone();
        let kept = match stage.kept(row)? {
            Some(kept) => Some(kept),
            None => in_shards(&stage.layout.shards(), row)?,
        };
        if let Some(kept) = kept {
            let mut values = cells(&kept);
            values.retain(|column, value| known.get(column) != Some(&*value));
            known.extend(values.clone());
            let outcome = if at == 0 { "in" } else { "kept" };
            steps.push(Step { stage: name, outcome, values });
            continue;
        }
        let Some(rejected) = stage.rejected(row)? else {
            steps.push(Step { stage: name, outcome: "missing", values: Map::new() });
            break;
        };
        let mut values = cells(&rejected);
        values.retain(|column, value| {
            known.get(column) != Some(&*value) && value.as_str() != Some("")
        });
        // A barrier's decision says more than the reason: whose copy the pair is.
        if let Some(decision) = stage.decision(row)? {
            let mut decision = cells(&decision);
            decision.retain(|column, value| !values.contains_key(column) && !value.is_null());
            if let Some(cluster) = decision.get(columns::CLUSTER).and_then(Value::as_u64)
                && cluster != row
                && let Some(copy) = stage.kept(cluster)?
            {
                let copy = cells(&copy);
                for column in [columns::UID, columns::URL, columns::CAPTION] {
                    let value = copy.get(column).cloned().unwrap_or_default();
                    decision.insert(format!("copy_of.{column}"), value);
                }
            }
            decision.remove(columns::ROW);
            values.extend(decision);
        }
        steps.push(Step { stage: name, outcome: "dropped", values });
        break;
    }
    Ok(steps)
}

/// The row of a shard's table, with the shard's name; shards hold rows in their order.
fn in_shards(folder: &Path, row: u64) -> anyhow::Result<Option<RecordBatch>> {
    for table in tables(folder) {
        if let Some(found) = row_of(&table, row)? {
            let name = table.with_extension("tar").display().to_string();
            let shard = std::sync::Arc::new(arrow::array::StringArray::from(vec![name]));
            return Ok(Some(columns::with_column(&found, "shard", false, shard)?));
        }
    }
    Ok(None)
}

/// The cells of a batch of one row.
fn cells(batch: &RecordBatch) -> Map<String, Value> {
    let fields = batch.schema();
    let cell = |(field, column): (&arrow::datatypes::FieldRef, &arrow::array::ArrayRef)| {
        Some((field.name().clone(), clip_corpus::cell(column, 0)?))
    };
    fields.fields().iter().zip(batch.columns()).filter_map(cell).collect()
}

/// Queries by their texts where the list is at hand, else by their ids.
fn named(ids: &[Value], queries: Option<&QueryLists>) -> String {
    let text = |id: &Value| Some(queries?.get(u32::try_from(id.as_u64()?).ok()?)?.text.clone());
    let names: Vec<_> = ids.iter().map(|id| text(id).unwrap_or_else(|| id.to_string())).collect();
    names.join(", ")
}

fn print(row: u64, steps: &[Step], queries: Option<&QueryLists>) {
    println!("row {row} (part {}, place {})", row_part(row), row_index(row));
    for (number, step) in steps.iter().enumerate() {
        println!("{number:>3} {:<10} {}", step.stage, step.outcome);
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
    match steps.last() {
        Some(step) if step.outcome == "dropped" => println!("dropped in stage {}", step.stage),
        Some(step) if step.outcome == "missing" => {
            println!(
                "stage {} has not done this part yet: run `clip-data build` again",
                step.stage
            );
        }
        _ => println!("in the corpus"),
    }
}
