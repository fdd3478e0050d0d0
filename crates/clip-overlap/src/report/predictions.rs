//! A model's predictions on an evaluation set: Parquet from `clip-data eval`, or CSV from anything
//! else.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use clip_corpus::columns;
use clip_datasets::ItemHashes;

use crate::{Error, Result};

/// What was predicted for one item.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicted {
    /// Whether it was right.
    pub correct: bool,
    /// Its class, where the file has a column `label`.
    pub label: Option<String>,
    /// What it contributes to a metric that is a mean over items, where the file has a column
    /// `value`.
    pub value: Option<f64>,
}

/// Predictions by the items' keys: columns `key` and `correct`, `label` and `value` where there
/// are.
pub fn read(path: &Path) -> Result<BTreeMap<String, Predicted>> {
    let csv = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    let found = if csv { from_csv(path)? } else { from_parquet(path)? };
    if found.is_empty() {
        return Err(Error::file(path, "no predictions"));
    }
    Ok(found)
}

fn missing(path: &Path) -> Error {
    let hint = "hint: `clip-data eval zero-shot --predictions FILE` writes them";
    Error::file(path, format!("no columns `key` and `correct`\n{hint}"))
}

/// The items that a file of `clip-data eval` has predictions of; none where it does not say it.
///
/// # Errors
/// When it cannot be read.
pub fn items(path: &Path) -> Result<Option<ItemHashes>> {
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv")) {
        return Ok(None);
    }
    let schema = clip_corpus::schema_of(path)?;
    let text = schema.metadata().get(&format!("clip_data.{}", ItemHashes::KEY));
    Ok(text.and_then(|text| ItemHashes::parse(text)))
}

/// Refuses a second prediction of an item: one of them would be lost.
fn insert(
    path: &Path,
    found: &mut BTreeMap<String, Predicted>,
    key: &str,
    predicted: Predicted,
) -> Result<()> {
    if found.insert(key.to_owned(), predicted).is_some() {
        return Err(Error::file(path, format!("item {key:?} is predicted twice")));
    }
    Ok(())
}

fn from_parquet(path: &Path) -> Result<BTreeMap<String, Predicted>> {
    let mut found = BTreeMap::new();
    for batch in clip_corpus::read_parquet(path)? {
        let keys = columns::text(&batch, "key");
        let right = batch.column_by_name("correct").and_then(|column| column.as_boolean_opt());
        let (Some(keys), Some(right)) = (keys, right) else { return Err(missing(path)) };
        let as_kind = |name: &str, kind: &DataType| {
            batch.column_by_name(name).and_then(|column| cast(column, kind).ok())
        };
        let labels = as_kind("label", &DataType::Utf8);
        let values = as_kind("value", &DataType::Float64);
        for at in 0..batch.num_rows() {
            let label = labels.as_ref().map(|c| c.as_string::<i32>()).filter(|c| c.is_valid(at));
            let value = values.as_ref().map(|c| c.as_primitive::<Float64Type>());
            let predicted = Predicted {
                correct: right.is_valid(at) && right.value(at),
                label: label.map(|c| c.value(at).to_owned()),
                value: value.filter(|c| c.is_valid(at)).map(|c| c.value(at)),
            };
            insert(path, &mut found, keys.value(at), predicted)?;
        }
    }
    Ok(found)
}

fn from_csv(path: &Path) -> Result<BTreeMap<String, Predicted>> {
    let bad = |e: csv::Error| Error::file(path, e);
    let mut reader = csv::Reader::from_path(path).map_err(bad)?;
    let header = reader.headers().map_err(bad)?.clone();
    let place = |name: &str| header.iter().position(|known| known == name);
    let (Some(key), Some(correct)) = (place("key"), place("correct")) else {
        return Err(missing(path));
    };
    let (label, value) = (place("label"), place("value"));
    let mut found = BTreeMap::new();
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(bad)?;
        let line = number + 2;
        let odd = |name: &str, cell: &str| {
            Error::file(path, format!("line {line}: `{name}` is {cell:?}"))
        };
        let right = match record[correct].trim().to_lowercase().as_str() {
            "1" | "true" => true,
            "0" | "false" => false,
            other => return Err(odd("correct", other)),
        };
        let number =
            |at: usize| record[at].trim().parse::<f64>().map_err(|_| odd("value", &record[at]));
        let predicted = Predicted {
            correct: right,
            label: label.map(|at| record[at].to_owned()),
            value: value.map(number).transpose()?,
        };
        insert(path, &mut found, &record[key], predicted)?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_read_and_odd_cells_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.csv");
        std::fs::write(&path, "key,correct,label,value\na,1,cat,0.5\nb,False,dog,0\n").unwrap();
        let found = read(&path).unwrap();
        assert_eq!((found["a"].correct, found["b"].correct), (true, false));
        assert_eq!((found["a"].label.as_deref(), found["a"].value), (Some("cat"), Some(0.5)));
        std::fs::write(&path, "key,correct\na,maybe\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("line 2: `correct` is \"maybe\""));
        std::fs::write(&path, "key,correct\na,1\na,0\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("item \"a\" is predicted twice"));
        std::fs::write(&path, "key,right\na,1\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("no columns"));
    }
}
