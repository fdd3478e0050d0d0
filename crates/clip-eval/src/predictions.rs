//! What was predicted for each item, as Parquet: for contamination and for looking at mistakes.

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
    /// Cosine of its image and the predicted class.
    pub score: f32,
}

/// Writes `key`, `label`, `prediction`, `rank`, `correct`, `score`.
pub fn write_predictions(path: &Path, predictions: &[Prediction]) -> Result<()> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("label", DataType::UInt32, false),
        Field::new("prediction", DataType::UInt32, false),
        Field::new("rank", DataType::UInt32, false),
        Field::new("correct", DataType::Boolean, false),
        Field::new("score", DataType::Float32, false),
    ]));
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
        ],
    )?;
    Ok(clip_corpus::write_parquet(path, schema, &[batch])?)
}

/// Reads what [`write_predictions`] wrote.
pub fn read_predictions(path: &Path) -> Result<Vec<Prediction>> {
    let mut predictions = Vec::new();
    for batch in clip_corpus::read_parquet(path)? {
        let column = |name: &str| {
            let missing = || Error::Predictions {
                path: path.to_path_buf(),
                reason: format!("no column `{name}`"),
            };
            batch.column_by_name(name).ok_or_else(missing)
        };
        let ints = |name: &str| Ok::<_, Error>(column(name)?.as_primitive::<UInt32Type>());
        let (labels, predicted, ranks) = (ints("label")?, ints("prediction")?, ints("rank")?);
        let keys = column("key")?.as_string::<i32>();
        let scores = column("score")?.as_primitive::<arrow::datatypes::Float32Type>();
        predictions.extend((0..keys.len()).map(|row| Prediction {
            key: keys.value(row).to_owned(),
            label: labels.value(row),
            prediction: predicted.value(row),
            rank: ranks.value(row),
            score: scores.value(row),
        }));
    }
    Ok(predictions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_come_back() {
        let path = std::env::temp_dir().join(format!("clip-eval-{}.parquet", std::process::id()));
        let prediction =
            Prediction { key: "s1".into(), label: 3, prediction: 4, rank: 2, score: 0.25 };
        write_predictions(&path, std::slice::from_ref(&prediction)).unwrap();
        assert_eq!(read_predictions(&path).unwrap(), [prediction]);
    }
}
