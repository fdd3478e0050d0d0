//! What was predicted for each item, as Parquet: for contamination and for looking at mistakes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, AsArray, BooleanArray, Float32Array, RecordBatch, StringArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Schema, UInt32Type};

use crate::{Error, Result};

/// One item's prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The item's key.
    pub key: String,
    /// Its class.
    pub label: u32,
    /// The class that scored highest.
    pub prediction: u32,
    /// Place of its class among the scores, from 0.
    pub rank: u32,
    /// Score of the predicted class: the cosine of its image and the class, or for a video the
    /// mean probability.
    pub score: f32,
    /// The group that it counts for, where there are groups.
    pub group: Option<String>,
}

/// Writes `key`, `label`, `prediction`, `rank`, `correct`, `score` and `group`; `about` goes into
/// the file's metadata (the hashes of data, prompts and model).
pub fn write_predictions(
    path: &Path,
    predictions: &[Prediction],
    about: HashMap<String, String>,
) -> Result<()> {
    let fields = vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("label", DataType::UInt32, false),
        Field::new("prediction", DataType::UInt32, false),
        Field::new("rank", DataType::UInt32, false),
        Field::new("correct", DataType::Boolean, false),
        Field::new("score", DataType::Float32, false),
        Field::new("group", DataType::Utf8, true),
    ];
    let schema = Arc::new(Schema::new_with_metadata(fields, about));
    let ints = |get: fn(&Prediction) -> u32| {
        Arc::new(UInt32Array::from_iter_values(predictions.iter().map(get)))
    };
    let correct: BooleanArray = predictions.iter().map(|p| Some(p.rank == 0)).collect();
    let batch = RecordBatch::try_new(
        schema.clone(),
        vec![
            Arc::new(StringArray::from_iter_values(predictions.iter().map(|p| &p.key))),
            ints(|p| p.label),
            ints(|p| p.prediction),
            ints(|p| p.rank),
            Arc::new(correct),
            Arc::new(Float32Array::from_iter_values(predictions.iter().map(|p| p.score))),
            Arc::new(predictions.iter().map(|p| p.group.as_deref()).collect::<StringArray>()),
        ],
    )?;
    Ok(clip_corpus::write_parquet(path, schema, &[batch])?)
}

/// Reads what [`write_predictions`] wrote.
pub fn read_predictions(path: &Path) -> Result<Vec<Prediction>> {
    let mut predictions = Vec::new();
    for batch in clip_corpus::read_parquet(path)? {
        let hint = "hint: `clip-data eval zero-shot --predictions` writes such a table";
        let missing = |name: &str| Error::file(path, format!("no column `{name}`\n{hint}"));
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| missing(name));
        let ints = |name: &str| {
            column(name)?.as_primitive_opt::<UInt32Type>().ok_or_else(|| missing(name))
        };
        let (labels, predicted, ranks) = (ints("label")?, ints("prediction")?, ints("rank")?);
        let keys = column("key")?.as_string_opt::<i32>().ok_or_else(|| missing("key"))?;
        let scores = column("score")?.as_primitive_opt::<arrow::datatypes::Float32Type>();
        let scores = scores.ok_or_else(|| missing("score"))?;
        let groups = batch.column_by_name("group").and_then(|g| g.as_string_opt::<i32>());
        predictions.extend((0..keys.len()).map(|row| Prediction {
            key: keys.value(row).to_owned(),
            label: labels.value(row),
            prediction: predicted.value(row),
            rank: ranks.value(row),
            score: scores.value(row),
            group: groups.filter(|g| g.is_valid(row)).map(|g| g.value(row).to_owned()),
        }));
    }
    Ok(predictions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.parquet");
        let prediction = Prediction {
            key: "s1".into(),
            label: 3,
            prediction: 4,
            rank: 2,
            score: 0.25,
            group: Some("EU".into()),
        };
        let about = HashMap::from([("model".to_owned(), "abc".to_owned())]);
        write_predictions(&path, std::slice::from_ref(&prediction), about).unwrap();
        assert_eq!(read_predictions(&path).unwrap(), [prediction]);
    }
}
