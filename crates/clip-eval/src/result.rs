//! Results as CLIP_benchmark and DataComp write them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What was evaluated, to the byte.
#[derive(Debug, Clone, Default)]
pub struct Hashes {
    /// blake3 of the weights' file.
    pub model: String,
    /// blake3 over items in order.
    pub data: String,
    /// blake3 over prompts in order.
    pub prompts: String,
}

/// CLIP_benchmark's result, with the keys of `more` after its own. A metric without a value is
/// null: JSON has no NaN.
pub fn document(
    dataset: &str,
    model: &str,
    task: &str,
    metrics: &BTreeMap<String, Option<f64>>,
    hashes: &Hashes,
    more: Value,
) -> Value {
    let mut document = json!({
        "dataset": dataset, "model": model, "pretrained": "", "task": task,
        "metrics": finite(metrics), "language": "en",
        "hashes": {"model": hashes.model, "data": hashes.data, "prompts": hashes.prompts},
        "precision": "fp32", "version": env!("CARGO_PKG_VERSION"),
    });
    if let (Value::Object(own), Value::Object(more)) = (&mut document, more) {
        own.extend(more);
    }
    document
}

/// A line of DataComp's `eval_results.jsonl`.
pub fn datacomp_line(
    key: &str,
    name: &str,
    metrics: &BTreeMap<String, Option<f64>>,
    main_metric: Option<f64>,
) -> String {
    let mut metrics = finite(metrics);
    metrics["main_metric"] = main_metric.filter(|value| value.is_finite()).into();
    format!("{}\n", json!({"key": key, "dataset": name, "metrics": metrics}))
}

fn finite(metrics: &BTreeMap<String, Option<f64>>) -> Value {
    let pairs = metrics.iter();
    pairs
        .map(|(name, value)| (name.clone(), json!(value.filter(|value| value.is_finite()))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_nan_in_json() {
        let metrics = BTreeMap::from([
            ("acc1".to_owned(), Some(0.5)),
            ("acc5".to_owned(), None),
            ("auc".to_owned(), Some(f64::NAN)),
        ]);
        let found =
            document("d", "m", "t", &metrics, &Hashes::default(), json!({"protocol": "openai"}));
        assert_eq!(found["metrics"], json!({"acc1": 0.5, "acc5": null, "auc": null}));
        assert_eq!(found["protocol"], "openai");
        let line = datacomp_line("cifar10", "CIFAR-10", &metrics, Some(0.5));
        let again: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(again["metrics"]["main_metric"], 0.5);
        assert!(line.ends_with('\n') && !line.contains("NaN"));
    }
}
