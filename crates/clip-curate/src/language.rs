//! Keeping the languages that were asked for.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use clip_corpus::columns;
use clip_pipeline::{Error, Map, PartSink, Result};
use clip_text::{LanguageId, LanguageWorkspace};

use crate::captions::text_column;

/// Identifies the language of each caption; adds `language` and `language_prob`.
pub struct Languages {
    model: LanguageId,
    keep: Vec<String>,
    min_prob: f32,
}

impl Languages {
    /// Name of the stage.
    pub const STAGE: &'static str = "language";

    /// Opens the fastText model.
    pub fn open(model: &Path, keep: Vec<String>, min_prob: f32) -> Result<Self> {
        let model = LanguageId::open(model).map_err(|e| Error::stage(Self::STAGE, e))?;
        Ok(Self { model, keep, min_prob })
    }

    /// Refuses languages to keep of which the model knows none by that code: every row would be
    /// dropped.
    ///
    /// # Errors
    /// With the code that is probably meant.
    pub fn check(model: &Path, keep: &[String]) -> Result<()> {
        let known = LanguageId::open(model).map_err(|e| Error::Config(e.to_string()))?;
        let Some((code, nearest)) = known.unknown_code(keep) else { return Ok(()) };
        let hint = nearest.map(|code| format!("\nhint: {code:?} is the nearest code"));
        Err(Error::Config(format!(
            "language.keep: {} has no language {code:?}{}",
            model.display(),
            hint.unwrap_or_default()
        )))
    }

    fn reject(&self, language: &str, prob: f32) -> Option<(String, String)> {
        if !self.keep.iter().any(|keep| keep == language) {
            Some(("other_language".into(), format!("{language} {prob:.3}")))
        } else if prob < self.min_prob {
            Some(("unsure_language".into(), format!("{language} {prob:.3}")))
        } else {
            None
        }
    }
}

impl Map for Languages {
    fn apply(&self, batch: RecordBatch, out: &mut PartSink) -> Result<()> {
        let captions = text_column(&batch, Self::STAGE, columns::CAPTION)?;
        let mut workspace = LanguageWorkspace::default();
        let predict =
            |caption: Option<&str>| self.model.predict(caption.unwrap_or(""), &mut workspace);
        let (languages, probs): (Vec<&str>, Vec<f32>) = captions.iter().map(predict).unzip();
        let reasons: Vec<_> = languages
            .iter()
            .zip(&probs)
            .map(|(language, &prob)| self.reject(language, prob))
            .collect();
        let arrow = |e| Error::arrow(Self::STAGE, e);
        let languages: ArrayRef = Arc::new(StringArray::from(languages));
        let probs: ArrayRef = Arc::new(Float32Array::from(probs));
        let batch =
            columns::with_column(&batch, columns::LANGUAGE, false, languages).map_err(arrow)?;
        let batch =
            columns::with_column(&batch, columns::LANGUAGE_PROB, false, probs).map_err(arrow)?;
        out.split(&batch, &reasons)
    }
}
