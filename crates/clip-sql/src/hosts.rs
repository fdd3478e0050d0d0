//! The hosts of a run's pairs, and why pairs were dropped: `sql/50_funnel.sql`, `60_domains.sql`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use clip_corpus::columns;
use clip_pipeline::{PartFileKind, StageReader, tables_in};

use crate::{Error, Result, Session, query};

/// Hosts that are named.
const TOP: u64 = 30;

/// Why the stages dropped pairs, and what became of those of each host, by what is in the corpus
/// after `last`. What does not fit into memory spills into `scratch`.
///
/// # Errors
/// When a manifest or a table is damaged.
pub fn run_hosts(
    stages: &[StageReader],
    last: &StageReader,
    scratch: &Path,
) -> Result<(Vec<RecordBatch>, Vec<RecordBatch>)> {
    let session = Session::new(scratch)?;
    let files = |stage: &StageReader, kind| stage.layout.files(kind);
    let rejects = stages
        .iter()
        .map(|stage| Ok((stage.name.clone(), files(stage, PartFileKind::Rejects)?)))
        .collect::<Result<Vec<_>>>()?;
    let mut pairs = files(last, PartFileKind::Rows)?;
    if pairs.is_empty() {
        pairs = tables_in(&last.layout.shards());
    }
    if pairs.is_empty() {
        // Nothing is left, or the build has not come so far.
        let url = Field::new(columns::URL, DataType::Utf8, true);
        session.rows("pairs", Arc::new(Schema::new(vec![url])), Vec::new())?;
    } else {
        session.table("pairs", &pairs)?;
    }
    match session.rejects(&rejects) {
        // Nothing was dropped anywhere.
        Err(Error::NoParts { .. }) => {
            let none = "SELECT '' AS stage, '' AS reason, url FROM pairs WHERE false";
            session.sql(&format!("CREATE VIEW rejects AS {none}"))?;
        }
        done => done?,
    }
    let why = session.run(&query("50_funnel")?, &[])?;
    let from = session.run(&query("60_domains")?, &[("top", TOP)])?;
    Ok((why, from))
}
