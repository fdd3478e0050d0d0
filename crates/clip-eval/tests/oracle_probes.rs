//! The probe beside scikit-learn: objective, scores, predictions and metrics on made features
//! (`scripts/oracles/probes.py`).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use clip_datasets::Metric;
use clip_eval::{Options, Part, Parts, ProbeScore, Target, linear_probe};
use clip_torch::tch::{Kind, Tensor};
use serde_json::Value;

const OUTSIDE: &str = "scikit-learn 1.7.2";
const EXACT: Options = Options { tolerance: 1e-10, iterations: 20_000 };

fn golden(name: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/oracle/probes");
    let text = std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NEG_INFINITY);
    value.as_array().unwrap().iter().map(number).collect()
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(numbers).collect()
}

fn part(document: &Value, name: &str) -> Part {
    let rows = rows(&document[name]);
    let features = Tensor::from_slice(&rows.concat()).view([rows.len() as i64, -1]);
    let target = match document.get(format!("{name}_marks")) {
        Some(marks) => {
            let marks = self::rows(marks);
            Target::Marks(marks.iter().map(|row| row.iter().map(|m| *m as i8).collect()).collect())
        }
        None => {
            let labels = numbers(&document[format!("{name}_labels")]);
            Target::Classes(labels.iter().map(|label| *label as usize).collect())
        }
    };
    Part::of_features(features, target).unwrap()
}

fn probe(document: &Value, case: &Value) -> ProbeScore {
    let parts = Parts {
        train: part(document, "train"),
        val: Part::empty(),
        test: part(document, "test"),
        classes: document["classes"].as_u64().unwrap() as usize,
        metric: Metric::Accuracy,
    };
    linear_probe(&parts, Some(case["lambda"].as_f64().unwrap()), EXACT, |_| {}).unwrap()
}

/// Rows of scores, for classes less their mean: a number added to all classes changes nothing.
fn scores(found: &ProbeScore, centred: bool) -> Vec<Vec<f64>> {
    let classes = found.logits.size()[1] as usize;
    let flat = Vec::<f64>::try_from(found.logits.to_kind(Kind::Double).contiguous().view([-1]));
    let centre = |row: &[f64]| {
        let finite: Vec<f64> = row.iter().copied().filter(|score| score.is_finite()).collect();
        let mean = finite.iter().sum::<f64>() / finite.len() as f64;
        row.iter().map(|score| if centred { score - mean } else { *score }).collect()
    };
    flat.unwrap().chunks_exact(classes).map(centre).collect()
}

/// The largest difference; scores that do not exist must not exist on either side.
fn apart(found: &[f64], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let difference = |(a, b): (&f64, &f64)| if a == b { 0.0 } else { (a - b).abs() };
    found.iter().zip(wanted).map(difference).fold(0.0, f64::max)
}

fn report(document: &Value, what: &str, cases: usize, largest: f64, wrong: &[&str]) {
    let wrong: Vec<String> = wrong
        .iter()
        .map(|name| {
            let by = document["wrong_by"][*name].as_f64().unwrap();
            assert!(by > 1e-3, "{name}");
            format!("{name}: differs by {by:.3}")
        })
        .collect();
    println!("oracle\tprobes\t{what}\t{OUTSIDE}\t{cases}\t{largest:.1e}\t{}", wrong.join(", "));
}

/// Runs every strength of a file; checks the objective, the scores (relative to the largest) and
/// what `metrics` names.
fn check(name: &str, metrics: impl Fn(&ProbeScore) -> Vec<(&'static str, f64)>) -> [f64; 3] {
    let document = golden(name);
    let mut largest = [0.0f64; 3];
    for case in document["cases"].as_array().unwrap() {
        let found = probe(&document, case);
        assert!(found.converged, "{name}: {found:?}");
        let objective = (found.objective - case["objective"].as_f64().unwrap()).abs();
        assert!(objective < 1e-6, "{name} {}: objective {}", case["lambda"], found.objective);
        let (own, theirs) =
            (scores(&found, name != "marks").concat(), rows(&case["scores"]).concat());
        let most =
            theirs.iter().filter(|s| s.is_finite()).fold(1.0f64, |most, s| most.max(s.abs()));
        let score = apart(&own, &theirs) / most;
        assert!(score < 1e-5, "{name} {}: scores differ by {score}", case["lambda"]);
        if let Some(predictions) = case.get("predictions") {
            let classes = document["classes"].as_u64().unwrap() as usize;
            let own = own.chunks_exact(classes).map(|row| {
                (0..classes).fold(0, |best, at| if row[at] > row[best] { at } else { best })
            });
            let theirs: Vec<usize> =
                numbers(predictions).iter().map(|class| *class as usize).collect();
            assert_eq!(own.collect::<Vec<_>>(), theirs, "{name} {}", case["lambda"]);
        }
        for (metric, value) in metrics(&found) {
            let by = (value - case[metric].as_f64().unwrap()).abs();
            assert!(by < 1e-6, "{name} {}: {metric} {value}", case["lambda"]);
            largest[2] = largest[2].max(by);
        }
        largest = [largest[0].max(objective), largest[1].max(score), largest[2]];
    }
    largest
}

#[test]
fn several_classes_of_which_one_is_absent() {
    let found = check("classes", |found| {
        vec![
            ("acc1", found.scores.acc1.unwrap().value),
            ("acc5", found.scores.acc5.unwrap().value),
            ("mean_per_class_recall", found.scores.mean_per_class_recall.unwrap()),
        ]
    });
    let document = golden("classes");
    let fits = ["strength for C", "mean of losses"];
    report(&document, "objective, 8 classes", 3, found[0], &fits);
    report(&document, "test scores, 8 classes", 3, found[1], &["bias penalised"]);
    let metrics = ["micro for mean per class", "top-4 for top-5"];
    report(&document, "top-1, top-5, mean per class", 9, found[2], &metrics);
}

#[test]
fn two_classes_have_one_vector_of_weights() {
    let found = check("binary", |found| {
        vec![
            ("acc1", found.scores.acc1.unwrap().value),
            ("mean_per_class_recall", found.scores.mean_per_class_recall.unwrap()),
            ("roc_auc", found.scores.roc_auc.unwrap()),
        ]
    });
    let document = golden("binary");
    report(&document, "objective, 2 classes", 3, found[0], &["strength for C", "mean of losses"]);
    let fits = ["two vectors of weights", "bias penalised"];
    report(&document, "test scores, 2 classes", 3, found[1], &fits);
    report(&document, "ROC AUC of the margin", 3, found[2], &["area over predictions"]);
}

#[test]
fn several_classes_an_item_are_one_against_the_rest() {
    let found = check("marks", |found| vec![("map_11_point", found.scores.map_11_point.unwrap())]);
    let document = golden("marks");
    for case in document["cases"].as_array().unwrap() {
        let by_class = probe(&document, case).scores.precision_by_class.unwrap();
        let own: Vec<f64> = by_class.into_iter().map(Option::unwrap).collect();
        assert!(apart(&own, &numbers(&case["precision_by_class"])) < 1e-6, "{own:?}");
    }
    report(
        &document,
        "objective, one against the rest",
        3,
        found[0],
        &["unjudged as negative in train"],
    );
    report(
        &document,
        "test scores, one against the rest",
        3,
        found[1],
        &["unjudged as negative in train"],
    );
    let metrics = ["all points for eleven", "unjudged as negative in test"];
    report(&document, "11-point mAP (VOC devkit's formula)", 3, found[2], &metrics);
}
