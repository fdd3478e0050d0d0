//! Two runs side by side, stage by stage, and which settings differ.

use clip_pipeline::{Counts, RunReader, StageReader};

use crate::funnel::reasons_cell;
use crate::markup::escape;
use crate::{Cell, Result, Section, Table};

/// What each stage of two runs kept, and what of its settings and files differs.
///
/// # Errors
/// When what decides a stage's output cannot be read.
pub fn compare(run: &RunReader, other: &RunReader) -> Result<Section> {
    let mut table = Table::new([
        "stage",
        "out",
        "out, other",
        "share kept",
        "share kept, other",
        "what differs, other -> this",
    ]);
    for stage in run.stages() {
        table.push(row(&stage.name, Some(stage), other.find(&stage.name))?);
    }
    let alone = other.stages().iter().filter(|stage| run.find(&stage.name).is_none());
    for stage in alone {
        table.push(row(&stage.name, None, Some(stage))?);
    }
    let about = format!(
        "This run beside that of {}: the pairs that each stage passed on, their share of what came in, and \
         the settings and files of the stage that differ. A stage may also differ because one before it does.",
        other.layout.dir().display()
    );
    Ok(Section::new("Compared with another run", about).table(&table))
}

fn row(name: &str, own: Option<&StageReader>, other: Option<&StageReader>) -> Result<[Cell; 6]> {
    let out = |stage: Option<&StageReader>| {
        stage.map_or(Cell::from("–"), |stage| stage.counts.rows_out.into())
    };
    let kept = |stage: Option<&StageReader>| {
        let share = stage.and_then(|stage| share(&stage.counts));
        share.map_or(Cell::from("–"), Cell::Share)
    };
    let differs: Vec<String> = match (own, other) {
        (Some(own), Some(other)) => {
            let (own, other) = (own.file()?.fingerprint, other.file()?.fingerprint);
            own.changes(&other).iter().map(|change| escape(change)).collect()
        }
        (Some(_), None) => vec!["only in this run".to_owned()],
        _ => vec!["only in the other run".to_owned()],
    };
    Ok([name.into(), out(own), out(other), kept(own), kept(other), reasons_cell(&differs)])
}

/// The share of what came in that was passed on; none of a source, into which nothing comes.
fn share(counts: &Counts) -> Option<f64> {
    (counts.rows_in > 0).then(|| counts.rows_out as f64 / counts.rows_in as f64)
}
