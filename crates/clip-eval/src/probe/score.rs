//! What a probe's scores are worth.

use clip_datasets::Metric;
use clip_torch::tch::Tensor;
use serde::Serialize;

use super::Target;
use crate::metrics::{
    Accuracy, eleven_points, mean_average_precision, mean_per_class, rank_of, roc_auc,
};
use crate::{Error, Result};

/// Every metric that the truths allow.
#[derive(Debug, Clone, Serialize)]
pub struct TestScores {
    /// Items.
    pub n: usize,
    /// Top-1, with one class an item.
    pub acc1: Option<Accuracy>,
    /// Top-5, with five classes or more.
    pub acc5: Option<Accuracy>,
    /// Mean over the classes present of their share right.
    pub mean_per_class_recall: Option<f64>,
    /// Area under the ROC curve of the second class, with two classes.
    pub roc_auc: Option<f64>,
    /// Mean over classes of the 11-point average precision, with marks.
    pub map_11_point: Option<f64>,
    /// By class the 11-point average precision, with marks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision_by_class: Option<Vec<Option<f64>>>,
}

impl TestScores {
    /// Scores [n, classes] of rows.
    pub fn of(scores: &Tensor, target: &Target, classes: usize) -> Result<Self> {
        let exact: Vec<f64> = Vec::try_from(scores.contiguous().view([-1]))?;
        let flat: Vec<f32> = exact.iter().map(|score| *score as f32).collect();
        let mut found = Self {
            n: target.len(),
            acc1: None,
            acc5: None,
            mean_per_class_recall: None,
            roc_auc: None,
            map_11_point: None,
            precision_by_class: None,
        };
        let rows = flat.chunks_exact(classes);
        match target {
            Target::Marks(marks) => {
                let rows: Vec<Vec<f64>> =
                    exact.chunks_exact(classes).map(<[f64]>::to_vec).collect();
                let (mean, by_class) = mean_average_precision(&rows, marks, eleven_points);
                found.map_11_point = Some(mean);
                found.precision_by_class = Some(by_class);
            }
            Target::Classes(labels) => {
                let ranks: Vec<usize> =
                    rows.clone().zip(labels).map(|(row, &label)| rank_of(row, label)).collect();
                let within = |k: usize| Accuracy::of(ranks.iter().map(|&rank| rank < k));
                let pairs = ranks.iter().zip(labels).map(|(&rank, &label)| (label, rank == 0));
                found.acc1 = Some(within(1)?);
                found.acc5 = if classes >= 5 { Some(within(5)?) } else { None };
                found.mean_per_class_recall = Some(mean_per_class(pairs, classes));
                if classes == 2 {
                    let margins: Vec<f64> =
                        exact.chunks_exact(2).map(|row| row[1] - row[0]).collect();
                    let positive: Vec<bool> = labels.iter().map(|&label| label == 1).collect();
                    found.roc_auc = roc_auc(&margins, &positive);
                }
            }
        }
        Ok(found)
    }

    /// The mean of top-1 and top-5 (Kinetics).
    pub fn mean_acc1_acc5(&self) -> Option<f64> {
        Some(f64::midpoint(self.acc1?.value, self.acc5?.value))
    }

    /// A metric by its name in the registry.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Accuracy => self.acc1.map(|a| a.value),
            Metric::MeanPerClass => self.mean_per_class_recall,
            Metric::MeanTop1Top5 => self.mean_acc1_acc5(),
            Metric::RocAuc => self.roc_auc,
            Metric::Map11Point => self.map_11_point,
            Metric::Retrieval => None,
        }
    }

    /// The same, where it must be there.
    pub(super) fn wanted(&self, metric: Metric) -> Result<f64> {
        self.value(metric).ok_or_else(|| {
            let reason = format!("no {} over {} items, all of one class?", metric.name(), self.n);
            Error::Probe(reason)
        })
    }
}

/// The metric that a set of these truths and classes can have: `wanted`, else top-1 or average
/// precision.
pub fn metric_for(wanted: Metric, target: &Target, classes: usize) -> Metric {
    match (target, wanted) {
        (Target::Marks(_), _) => Metric::Map11Point,
        (_, Metric::MeanTop1Top5) if classes < 5 => Metric::Accuracy,
        (_, Metric::RocAuc) if classes != 2 => Metric::Accuracy,
        (_, Metric::Map11Point | Metric::Retrieval) => Metric::Accuracy,
        _ => wanted,
    }
}
