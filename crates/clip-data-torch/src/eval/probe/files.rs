//! Features in files: `train.npy`, `train_labels.npy` and so on, as NumPy writes and reads them.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clip_datasets::Metric;
use clip_eval::{Part, ProbeItem, Target};
use clip_torch::tch::{Kind, Tensor};
use clip_torch::write_npy;
use serde::{Deserialize, Serialize};

use super::about::About;

/// What a folder of features says of them, where it says anything.
const ABOUT: &str = "features.json";

/// That file.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Described {
    dataset: Option<String>,
    model: Option<String>,
    model_hash: String,
    config_hash: String,
    space: Option<String>,
    preprocess: Option<serde_json::Value>,
    metric: Option<String>,
    classes: Vec<String>,
}

/// What is known before the features are read.
pub fn about(folder: &Path) -> anyhow::Result<About> {
    let path = folder.join(ABOUT);
    let shown = || path.display().to_string();
    let described: Described = if path.is_file() {
        let text = std::fs::read_to_string(&path).with_context(shown)?;
        serde_json::from_str(&text).with_context(shown)?
    } else {
        Described::default()
    };
    let metric = match &described.metric {
        None => Metric::Accuracy,
        Some(name) => {
            let known = Metric::ALL.into_iter().find(|metric| metric.name() == name);
            known.with_context(|| format!("{}: metric {name:?} is unknown", path.display()))?
        }
    };
    let name = folder.display().to_string();
    Ok(About {
        model: described.model.unwrap_or_else(|| name.clone()),
        name: described.dataset.unwrap_or(name),
        model_hash: described.model_hash,
        config_hash: described.config_hash,
        space: described.space.unwrap_or_else(|| "given".into()),
        preprocess: described.preprocess,
        metric,
        classes: described.classes.len(),
        class_names: described.classes,
        folds: 1,
        ..About::default()
    })
}

/// One more than the highest class, or the marks of a row.
pub fn classes(parts: [&Part; 3]) -> usize {
    let count = |part: &Part| match &part.target {
        Target::Classes(labels) => labels.iter().max().map_or(0, |most| most + 1),
        Target::Marks(marks) => marks.first().map_or(0, Vec::len),
    };
    parts.into_iter().map(count).max().unwrap_or(0)
}

/// Train, validation (or nothing) and test.
pub fn read(folder: &Path) -> anyhow::Result<(Part, Part, Part)> {
    let (train, test) = (part(folder, "train")?, part(folder, "test")?);
    let val = if folder.join("val.npy").is_file() { part(folder, "val")? } else { Part::empty() };
    let marks = |part: &Part| matches!(part.target, Target::Marks(_));
    let same = |other: &Part| {
        marks(other) == marks(&train) && other.features.size()[1] == train.features.size()[1]
    };
    if !same(&test) || !(val.is_empty() || same(&val)) {
        bail!("{}: its parts have features or labels of other shapes", folder.display());
    }
    let mut parts = [("train", train), ("val", val), ("test", test)];
    let listed = |name: &str| path(folder, name, "_items.csv");
    // Hashes of images and of features are not to be compared: images where all parts have them.
    if parts.iter().all(|(name, part)| part.is_empty() || listed(name).is_file()) {
        for (name, part) in parts.iter_mut().filter(|(_, part)| !part.is_empty()) {
            let items = items(&listed(name))?;
            if items.len() != part.len() {
                let file = listed(name);
                bail!("{}: {} items for {} rows", file.display(), items.len(), part.len());
            }
            part.items = items;
        }
    }
    let [(_, train), (_, val), (_, test)] = parts;
    Ok((train, val, test))
}

fn path(folder: &Path, part: &str, end: &str) -> PathBuf {
    folder.join(format!("{part}{end}"))
}

fn part(folder: &Path, name: &str) -> anyhow::Result<Part> {
    let open = |path: PathBuf| {
        Tensor::read_npy(&path).with_context(|| format!("{}: not an .npy file", path.display()))
    };
    let (file, labels_file) = (path(folder, name, ".npy"), path(folder, name, "_labels.npy"));
    let features = open(file.clone())?;
    if features.dim() != 2 {
        bail!("{}: not [rows, features]", file.display());
    }
    clip_torch::require_finite(&features, |row| format!("row {row} of {}", file.display()))?;
    let features =
        if features.kind() == Kind::Double { features } else { features.to_kind(Kind::Float) };
    let target = target(&open(labels_file.clone())?, features.size()[0])
        .with_context(|| labels_file.display().to_string())?;
    Ok(Part::of_features(features, target)?)
}

/// The most classes that a label may be one of.
const CLASSES: usize = 1 << 20;

/// Classes from 0, one a row, or marks of 1, 0 and -1, rows x classes.
fn target(labels: &Tensor, rows: i64) -> anyhow::Result<Target> {
    let size = labels.size();
    let flat: Vec<i64> = Vec::try_from(labels.to_kind(Kind::Int64).contiguous().view([-1]))?;
    if size.first() != Some(&rows) {
        bail!("{} labels for {rows} rows", size.first().unwrap_or(&0));
    }
    if size.len() == 2 && size[1] > 1 {
        let marks: Vec<i8> = flat.iter().filter_map(|mark| i8::try_from(*mark).ok()).collect();
        if marks.len() != flat.len() || marks.iter().any(|mark| !(-1..=1).contains(mark)) {
            bail!("marks are 1, -1, or 0 where a class is not judged");
        }
        let width = size[1] as usize;
        return Ok(Target::Marks(marks.chunks_exact(width).map(<[i8]>::to_vec).collect()));
    }
    let classes: Vec<usize> =
        flat.iter().filter_map(|label| usize::try_from(*label).ok()).collect();
    if classes.len() != flat.len() {
        bail!("labels are classes from 0");
    }
    // Counts and weights are made for every class up to the highest.
    if let Some(row) = classes.iter().position(|&class| class >= CLASSES) {
        bail!("row {row}: label {}, and a label below {CLASSES} is wanted", classes[row]);
    }
    Ok(Target::Classes(classes))
}

/// Keys and hashes of the images that the rows are of.
fn items(path: &Path) -> anyhow::Result<Vec<ProbeItem>> {
    let shown = || path.display().to_string();
    let mut reader = csv::Reader::from_path(path).with_context(shown)?;
    let mut items = Vec::new();
    for (number, record) in reader.records().enumerate() {
        let record = record.with_context(shown)?;
        let hash = record.get(1).and_then(|hash| blake3::Hash::from_hex(hash.trim()).ok());
        let (Some(key), Some(hash)) = (record.get(0), hash) else {
            bail!("{}: row {}: not a key and a blake3 hash", path.display(), number + 1);
        };
        items.push(ProbeItem { key: key.to_owned(), content: *hash.as_bytes() });
    }
    Ok(items)
}

/// Writes features, labels, items and what they are of.
pub fn save(folder: &Path, about: &About, parts: [&Part; 3]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for (name, part) in ["train", "val", "test"].into_iter().zip(parts) {
        if part.is_empty() {
            continue;
        }
        write_npy(&path(folder, name, ".npy"), &part.features)?;
        let labels = match &part.target {
            Target::Classes(labels) => {
                Tensor::from_slice(&labels.iter().map(|&label| label as i64).collect::<Vec<_>>())
            }
            Target::Marks(marks) => {
                let flat: Vec<i64> = marks.iter().flatten().map(|&mark| i64::from(mark)).collect();
                Tensor::from_slice(&flat).view([marks.len() as i64, -1])
            }
        };
        write_npy(&path(folder, name, "_labels.npy"), &labels)?;
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["key", "blake3"])?;
        for item in &part.items {
            let hash = blake3::Hash::from_bytes(item.content).to_hex();
            writer.write_record([item.key.as_str(), hash.as_str()])?;
        }
        clip_format::write_atomic(&path(folder, name, "_items.csv"), &writer.into_inner()?)?;
    }
    let described = Described {
        dataset: Some(about.name.clone()),
        model: Some(about.model.clone()),
        model_hash: about.model_hash.clone(),
        config_hash: about.config_hash.clone(),
        space: Some(about.space.clone()),
        preprocess: about.preprocess.clone(),
        metric: Some(about.metric.name().to_owned()),
        classes: about.class_names.clone(),
    };
    let text = format!("{:#}\n", serde_json::to_value(&described)?);
    Ok(clip_format::write_atomic(&folder.join(ABOUT), text.as_bytes())?)
}
