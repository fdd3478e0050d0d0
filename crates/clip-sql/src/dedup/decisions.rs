//! The decisions of deduplication, row by row.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, RecordBatch, StringArray, StringBuilder, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use clip_corpus::columns;
use clip_pipeline::DecisionSink;

use super::clusters::Kept;
use super::images::Images;
use super::records::{Lookup, Records};
use crate::{Error, Result, Session, query};

const QUERY: &str = "33_cluster_captions";
/// Decisions that are handed over at a time.
const BATCH: usize = 8192;

/// Writes a decision for each image.
pub(super) fn write(
    images: &Images,
    kept: &Kept,
    session: &Session,
    out: &mut DecisionSink,
) -> Result<()> {
    let mut decisions = Decisions {
        images: Lookup::new(images.rows.read()?),
        members: Lookup::new(kept.members.read()?),
        known: Lookup::new(images.known.read()?),
        captions: Vec::new(),
        waiting: Vec::new(),
        out,
    };
    if let Some(file) = &kept.captions {
        session.table("captions", &[file.path().to_path_buf()])?;
        session.each(&query(QUERY)?, &[], |batch| {
            let lost = || Error::result(QUERY, "a column is missing");
            let cluster = columns::uint64(&batch, columns::CLUSTER).ok_or_else(lost)?;
            let caption = columns::text(&batch, columns::CAPTION).ok_or_else(lost)?;
            for at in 0..batch.num_rows() {
                decisions.write_below(Some(cluster.value(at)))?;
                decisions.captions.push(caption.value(at).to_owned());
            }
            Ok(())
        })?;
    }
    decisions.write_below(None)?;
    decisions.hand_over()
}

struct Decisions<'a> {
    images: Lookup<Records<2>, 2>,
    members: Lookup<Records<3>, 3>,
    known: Lookup<Records<1>, 1>,
    /// Those of the next row.
    captions: Vec<String>,
    waiting: Vec<Decision>,
    out: &'a mut DecisionSink,
}

struct Decision {
    row: u64,
    reason: Option<&'static str>,
    cluster: u64,
    captions: Vec<String>,
}

impl Decisions<'_> {
    /// Decides for the rows below a number, or for all that are left.
    fn write_below(&mut self, end: Option<u64>) -> Result<()> {
        while let Some(row) = self.images.peek()
            && end.is_none_or(|end| row < end)
        {
            let Some([row, best]) = self.images.take(row)? else { break };
            let member = self.members.take(row)?;
            let (cluster, placeholder) =
                member.map_or((row, false), |[_, cluster, placeholder]| (cluster, placeholder > 0));
            let reason = match self.known.get(row)? {
                Some(_) => Some("in_corpus"),
                None if placeholder => Some("placeholder"),
                None if cluster == row => None,
                // Whoever is the best of a cluster is the best of its file.
                None if cluster == best => Some("exact_duplicate"),
                None => Some("near_duplicate"),
            };
            let captions = std::mem::take(&mut self.captions);
            self.waiting.push(Decision { row, reason, cluster, captions });
            if self.waiting.len() == BATCH {
                self.hand_over()?;
            }
        }
        // An error is the last of its list.
        if end.is_none() { self.images.take(u64::MAX).map(drop) } else { Ok(()) }
    }

    fn hand_over(&mut self) -> Result<()> {
        let decisions = std::mem::take(&mut self.waiting);
        let item = Field::new("item", DataType::Utf8, false);
        let mut captions = ListBuilder::new(StringBuilder::new()).with_field(item);
        for decision in &decisions {
            decision.captions.iter().for_each(|caption| captions.values().append_value(caption));
            captions.append(!decision.captions.is_empty());
        }
        let captions: ArrayRef = Arc::new(captions.finish());
        let reasons: StringArray = decisions.iter().map(|decision| decision.reason).collect();
        let numbers = |of: fn(&Decision) -> u64| -> ArrayRef {
            Arc::new(UInt64Array::from_iter_values(decisions.iter().map(of)))
        };
        let schema = Schema::new(vec![
            Field::new(columns::ROW, DataType::UInt64, false),
            Field::new("reason", DataType::Utf8, true),
            Field::new(columns::CLUSTER, DataType::UInt64, false),
            Field::new(columns::CAPTIONS, captions.data_type().clone(), true),
        ]);
        let columns: Vec<ArrayRef> =
            vec![numbers(|d| d.row), Arc::new(reasons), numbers(|d| d.cluster), captions];
        let batch = RecordBatch::try_new(Arc::new(schema), columns);
        Ok(self.out.push(&batch.map_err(|e| Error::result("dedup", e))?)?)
    }
}
