//! The barrier of a build that keeps pairs by the embeddings of their images.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Field, SchemaRef};
use clip_corpus::columns::SEMANTIC_CLUSTER;
use clip_pipeline::{Barrier, Context, DecisionSink, PartInfo};
use serde::{Deserialize, Serialize};

use super::decided::{Decided, Outcome, SemanticGates};
use super::embeddings::Embeddings;
use super::{Clustering, Clusters, Semantic};
use crate::account::write_account;
use crate::stage::decision_schema;
use crate::{Error, GateReport, Result};

/// Decisions that are made at a time.
const ROWS: usize = 65_536;

/// Drops the pairs of clusters without targets as `far_from_targets`, and those whose image is one
/// before it in its cluster again as `semantic_duplicate`; all gain the number of their cluster.
///
/// The account goes to [`SemanticStage::ACCOUNT`] in the stage's scratch folder, and the centroids
/// that k-means made to [`SemanticStage::CENTROIDS`].
#[derive(Debug, Clone, PartialEq)]
pub struct SemanticStage {
    /// The selection; its seed is the run's, its array that of the stored embeddings.
    pub semantic: Semantic,
    /// The stage that stored embeddings.
    pub embedded: String,
}

/// What a selection by embeddings did: the funnel of its gates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SemanticAccount {
    /// Rows in.
    pub pairs: u64,
    /// Rows that continue.
    pub kept: u64,
    /// The gates, in order.
    pub gates: Vec<GateReport>,
    /// The clusters.
    pub clustering: Option<Clustering>,
}

impl SemanticStage {
    /// The stage's name.
    pub const STAGE: &str = "semantic";
    /// Name of the account, in the scratch folder.
    pub const ACCOUNT: &str = "semantic.json";
    /// Name of the centroids, in the scratch folder.
    pub const CENTROIDS: &str = "centroids.npy";

    fn run(&self, inputs: &[PartInfo], cx: &Context, out: &mut DecisionSink) -> Result<()> {
        let cluster = Field::new(SEMANTIC_CLUSTER, DataType::UInt32, false);
        let schema = decision_schema(Some(cluster));
        let push = |out: &mut DecisionSink, batch: &RecordBatch| {
            out.push(batch).map_err(|e| Error::Sql(clip_sql::Error::from(e)))
        };
        push(out, &RecordBatch::new_empty(schema.clone()))?;
        let mut account =
            SemanticAccount { pairs: 0, kept: 0, gates: Vec::new(), clustering: None };
        if inputs.iter().any(|input| input.rows > 0) {
            let trained = matches!(self.semantic.clusters, Clusters::Train(_));
            let save = trained.then(|| cx.scratch().join(Self::CENTROIDS));
            let semantic = Semantic { seed: cx.seed(), save, ..self.semantic.clone() };
            semantic.check()?;
            std::fs::create_dir_all(cx.scratch()).map_err(|e| {
                clip_corpus::Error::Io(clip_format::PathError::new(cx.scratch(), e))
            })?;
            let stopped = || cx.cancelled();
            let rows = Embeddings::of_parts(inputs, &stopped)?;
            let (decided, clustering) = semantic.decide(&rows, cx.scratch())?;
            let mut gates = SemanticGates::new(&semantic, &decided);
            let there: Vec<usize> = (0..decided.ids.len())
                .filter(|&row| decided.outcomes[row] != Outcome::Absent)
                .collect();
            for some in there.chunks(ROWS) {
                some.iter().for_each(|&row| gates.add(&decided, row, Some(number(&decided, row))));
                push(out, &decisions(some, &decided, &semantic, &schema)?)?;
            }
            account = SemanticAccount {
                pairs: there.len() as u64,
                kept: decided.count(Outcome::Kept),
                gates: gates.reports(),
                clustering: Some(clustering),
            };
        }
        cx.note(account.summary());
        write_account(cx, Self::ACCOUNT, &account)
    }
}

impl SemanticAccount {
    /// The account in a line.
    fn summary(&self) -> String {
        let gate = |gate: &GateReport| format!("; {} dropped by {}", gate.dropped, gate.gate);
        let gates: String = self.gates.iter().map(gate).collect();
        let clusters = self.clustering.as_ref().map_or(0, |clustering| clustering.clusters);
        format!("{} of {} pairs in {clusters} clusters are kept{gates}", self.kept, self.pairs)
    }
}

impl Barrier for SemanticStage {
    fn decide(
        &self,
        inputs: &[PartInfo],
        cx: &Context,
        out: &mut DecisionSink,
    ) -> clip_pipeline::Result<()> {
        self.run(inputs, cx, out).map_err(|error| error.into_stage_error(cx.stage()))
    }

    fn needs_embeddings(&self) -> Option<&str> {
        Some(&self.embedded)
    }
}

/// The number of a row of a build, which is its id.
fn number(decided: &Decided, row: usize) -> u64 {
    decided.ids[row] as u64
}

/// The decisions about some rows.
fn decisions(
    rows: &[usize],
    decided: &Decided,
    semantic: &Semantic,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let reason = |&row: &usize| match decided.outcomes[row] {
        Outcome::Far => Some("far_from_targets"),
        Outcome::Repeated => Some("semantic_duplicate"),
        Outcome::Kept | Outcome::Absent => None,
    };
    let detail = |&row: &usize| {
        let cluster = decided.labels[row];
        match decided.outcomes[row] {
            Outcome::Far => Some(format!("no target is in cluster {cluster}")),
            Outcome::Repeated => {
                let (cosine, bound) = (decided.before[row].cosine, 1.0 - semantic.epsilon?);
                Some(format!(
                    "cosine {cosine:.4} with an image before it in cluster {cluster}, above {bound}"
                ))
            }
            Outcome::Kept | Outcome::Absent => None,
        }
    };
    let numbers = rows.iter().map(|&row| number(decided, row));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from_iter_values(numbers)),
        Arc::new(rows.iter().map(reason).collect::<StringArray>()),
        Arc::new(rows.iter().map(detail).collect::<StringArray>()),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|&row| decided.labels[row]))),
    ];
    RecordBatch::try_new(schema.clone(), columns).map_err(|e| Error::Settings(e.to_string()))
}
