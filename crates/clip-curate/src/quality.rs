//! Keeping captions that models find good.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use clip_corpus::columns;
use clip_pipeline::config::text::Quality;
use clip_pipeline::{Error, Map, PartSink, Result};
use clip_text::{Classifier, ClassifierWorkspace};

use crate::captions::text_column;

/// Drops captions whose label is less likely than a model of `[[quality]]` wants; adds
/// `quality_NAME` for each model whose column is asked for.
///
/// Models are asked in their order; the first that finds a caption too bad gives the reason.
pub struct QualityFilter {
    models: Vec<QualityModel>,
}

/// A model and what is wanted of it.
pub struct QualityModel {
    classifier: Classifier,
    /// Place of the label.
    label: usize,
    settings: Quality,
}

impl QualityModel {
    /// Opens the fastText model of one `[[quality]]`.
    ///
    /// # Errors
    /// Naming the file, when it is not a whole supervised model, or has no such label.
    pub fn open(path: &Path, settings: &Quality) -> Result<Self> {
        let classifier =
            Classifier::open(path).map_err(|e| Error::stage(QualityFilter::STAGE, e))?;
        let Some(label) = classifier.label(&settings.label) else {
            let some: Vec<&str> = classifier.labels().iter().take(10).map(String::as_str).collect();
            return Err(Error::Config(format!(
                "quality.{}: {}: no label {:?} among its {}\nhint: the first are {}",
                settings.name,
                path.display(),
                settings.label,
                classifier.labels().len(),
                some.join(", ")
            )));
        };
        Ok(Self { classifier, label, settings: settings.clone() })
    }

    fn reject(&self, prob: f32) -> Option<(String, String)> {
        let Quality { name, label, min_prob, .. } = &self.settings;
        (prob < *min_prob).then(|| (format!("low_quality_{name}"), format!("{label} {prob:.3}")))
    }
}

impl QualityFilter {
    /// Name of the stage.
    pub const STAGE: &'static str = "quality";

    /// With these models.
    pub fn new(models: Vec<QualityModel>) -> Self {
        Self { models }
    }
}

impl Map for QualityFilter {
    fn apply(&self, batch: RecordBatch, out: &mut PartSink) -> Result<()> {
        let captions = text_column(&batch, Self::STAGE, columns::CAPTION)?.clone();
        let mut reasons: Vec<Option<(String, String)>> = vec![None; batch.num_rows()];
        let mut workspace = ClassifierWorkspace::default();
        let mut widened = batch;
        for model in &self.models {
            let ask = |caption: Option<&str>| {
                model.classifier.probability(caption.unwrap_or(""), model.label, &mut workspace)
            };
            let probs: Vec<f32> = captions.iter().map(ask).collect();
            for (reason, prob) in reasons.iter_mut().zip(&probs) {
                if reason.is_none() {
                    *reason = model.reject(*prob);
                }
            }
            if !model.settings.column {
                continue;
            }
            let name = format!("quality_{}", model.settings.name);
            if widened.column_by_name(&name).is_some() {
                let hint = "hint: give the [[quality]] another name, or leave the column out";
                let error = format!("the source has a column {name:?} of its own\n{hint}");
                return Err(Error::Config(error));
            }
            let probs: ArrayRef = Arc::new(Float32Array::from(probs));
            widened = columns::with_column(&widened, &name, false, probs)
                .map_err(|e| Error::arrow(Self::STAGE, e))?;
        }
        out.split(&widened, &reasons)
    }
}
