//! The datasets that are known by name: what the paper evaluates on, how, and what it found.

mod labels;
mod prompts;

use std::sync::LazyLock;

use serde::Deserialize;

pub(crate) use labels::{Labels, is_wordnet_id, labels, wordnet_places};
pub(crate) use prompts::subset;
pub use prompts::{Prompts, Protocol, prompts};

use crate::{Error, Result};

/// How a set is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Top-1 accuracy.
    #[default]
    Accuracy,
    /// The mean over classes of their accuracy.
    MeanPerClass,
    /// Pascal VOC 2007's mean average precision at eleven recalls.
    #[serde(rename = "map-11-point")]
    Map11Point,
    /// Area under the receiver operating characteristic.
    RocAuc,
    /// The mean of top-1 and top-5 accuracy.
    MeanTop1Top5,
    /// Recall at K, both ways.
    Retrieval,
}

impl Metric {
    /// All of them, in the order in which they are printed.
    pub const ALL: [Self; 6] = [
        Self::Accuracy,
        Self::MeanTop1Top5,
        Self::MeanPerClass,
        Self::RocAuc,
        Self::Map11Point,
        Self::Retrieval,
    ];

    /// The score of a guess among `classes`; of average precision and retrieval, whose guesses
    /// depend on the items, that of top-1.
    pub fn guess(self, classes: usize) -> f64 {
        let one = 1.0 / classes as f64;
        match self {
            Self::Accuracy | Self::MeanPerClass | Self::Map11Point | Self::Retrieval => one,
            Self::RocAuc => 0.5,
            Self::MeanTop1Top5 => f64::midpoint(one, (5.0 * one).min(1.0)),
        }
    }

    /// Its name in result files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "acc1",
            Self::MeanPerClass => "mean_per_class_recall",
            Self::Map11Point => "map_11_point",
            Self::RocAuc => "roc_auc",
            Self::MeanTop1Top5 => "mean_acc1_acc5",
            Self::Retrieval => "mean_recall@1",
        }
    }
}

/// A dataset of the registry.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// Its name on the command line.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// `paper-27`, `shift-7` or `other`.
    pub collection: String,
    /// Number of classes; none for retrieval.
    pub classes: Option<usize>,
    /// Items to fit on, as the paper counts them.
    pub train: Option<u64>,
    /// Items that are scored, as the paper counts them.
    pub test: Option<u64>,
    /// How the paper scores it.
    pub metric: Metric,
    /// The metric of a guess.
    pub chance: Option<f64>,
    /// The layouts that it is published in, with commas between.
    pub loader: String,
    /// Which items are which part.
    pub split: String,
    /// Its names in CLIP_benchmark and DataComp.
    pub aliases: Vec<String>,
    /// The paper's zero-shot figures in percent, in the order of [`models`].
    pub zero_shot: Vec<Option<f64>>,
    /// Which of them a second source confirms; the others are as recalled.
    pub verified: Vec<bool>,
    /// Zero-shot CLIP less a fully supervised ResNet-50 probe, in points (paper, figure 5).
    pub figure5: Option<f64>,
    /// Whether a second source confirms that.
    #[serde(default)]
    pub figure5_verified: bool,
    /// The setting of the robustness testbed that it is.
    pub testbed: Option<String>,
}

impl Dataset {
    /// The names of the layouts that it is published in: the authors' own before others.
    pub fn layouts(&self) -> impl Iterator<Item = &str> {
        self.loader.split(", ")
    }

    /// Whether a name is its id, its name or an alias, in any spelling.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let wanted = plain(name);
        let own = [&self.id, &self.name];
        own.into_iter().chain(&self.aliases).any(|known| plain(known) == wanted)
    }

    /// Whether its items have captions in place of classes.
    pub fn has_captions(&self) -> bool {
        self.metric == Metric::Retrieval
    }

    /// Whether `items` are its whole test part, the paper's or DataComp's; so is any number
    /// where neither is known.
    pub fn has_test_size(&self, items: u64) -> bool {
        let datacomp = find_datacomp(&self.id).map(|task| task.size);
        let mut known = self.test.into_iter().chain(datacomp).peekable();
        known.peek().is_none() || known.any(|size| size == items)
    }

    /// The paper's zero-shot figure of one of its models, in percent, and whether it was confirmed.
    pub fn published(&self, model: &str) -> Option<(f64, bool)> {
        let at = models().iter().position(|known| known == model)?;
        let value = (*self.zero_shot.get(at)?)?;
        Some((value, self.verified.get(at).copied().unwrap_or(false)))
    }
}

/// One row of the comparison with Visual N-Grams (paper, table 1), in percent.
#[derive(Debug, Clone, Deserialize)]
pub struct NGrams {
    /// The dataset.
    pub dataset: String,
    /// Visual N-Grams (Li et al. 2017).
    pub n_grams: f64,
    /// CLIP.
    pub clip: f64,
}

/// A task of DataComp's evaluation.
#[derive(Debug, Clone, Deserialize)]
pub struct DataCompTask {
    /// Its key, as `vtab/caltech101`.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// Items.
    pub size: u64,
    /// The metric that counts.
    pub metric: String,
    /// Classes; none for retrieval.
    pub classes: Option<usize>,
    /// The score of a guess.
    pub chance: Option<f64>,
    /// How its items are grouped, where it scores by group.
    #[serde(default)]
    pub groups: Option<Grouping>,
    /// The groups that it belongs to.
    pub tags: Vec<String>,
}

impl DataCompTask {
    /// Whether `items` are all of its set: within one in a hundred, since releases of one differ by
    /// a few.
    pub fn is_size(&self, items: u64) -> bool {
        items.abs_diff(self.size) * 100 <= self.size
    }
}

/// Which number of an item's metadata is its group: WILDS's metadata fields, as DataComp's shards
/// store them in `.npy` next to `.cls`, and the field that DataComp's evaluation groups by.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grouping {
    /// The fields, in the order of the row.
    pub metadata: Vec<String>,
    /// The field whose value is the group.
    pub by: String,
    /// The value that WILDS calls "Other" and leaves out of the worst group. DataComp's evaluation
    /// has numbers in place of names, and so counts it.
    #[serde(default)]
    pub other: Option<u64>,
}

impl Grouping {
    /// The name of a group, as WILDS writes it: `region:3`.
    pub fn name(&self, value: u64) -> String {
        format!("{}:{value}", self.by)
    }

    /// The group of an item with this row of metadata.
    ///
    /// # Errors
    /// Why the row has none: another number of fields, or a value that is no index.
    pub fn of(&self, row: &[f64]) -> std::result::Result<String, String> {
        let fields = self.metadata.join(", ");
        if row.len() != self.metadata.len() {
            return Err(format!("{} numbers in .npy, not those of {fields}", row.len()));
        }
        let at = self.metadata.iter().position(|field| *field == self.by);
        // A fraction is cut off, as WILDS does it.
        match at.map(|at| row[at].trunc()) {
            Some(value) if (0.0..=1e9).contains(&value) => Ok(self.name(value as u64)),
            value => Err(format!("{} is {value:?} in .npy ({fields}), not an index", self.by)),
        }
    }
}

#[derive(Deserialize)]
struct Registry {
    models: Vec<String>,
    visual_n_grams: Vec<NGrams>,
    datasets: Vec<Dataset>,
}

#[expect(clippy::expect_used, reason = "constants, read by every test")]
static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../data/registry.json")).expect("the registry is valid")
});

#[expect(clippy::expect_used, reason = "constants, read by every test")]
static DATACOMP: LazyLock<Vec<DataCompTask>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../data/datacomp.json")).expect("the tasks are valid")
});

/// All datasets of the registry.
pub fn datasets() -> &'static [Dataset] {
    &REGISTRY.datasets
}

/// The paper's nine models.
pub fn models() -> &'static [String] {
    &REGISTRY.models
}

/// The comparison with Visual N-Grams.
pub fn visual_n_grams() -> &'static [NGrams] {
    &REGISTRY.visual_n_grams
}

/// DataComp's 38 tasks and its two fairness sets without a main metric.
pub fn datacomp() -> &'static [DataCompTask] {
    &DATACOMP
}

/// A dataset by its id, its name, or what CLIP_benchmark or DataComp call it.
pub fn dataset(name: &str) -> Result<&'static Dataset> {
    find(name).ok_or_else(|| Error::Unknown {
        what: "dataset",
        name: name.to_owned(),
        known: datasets().iter().map(|d| d.id.as_str()).collect::<Vec<_>>().join(", "),
    })
}

/// The same, or nothing.
pub fn find(name: &str) -> Option<&'static Dataset> {
    datasets().iter().find(|dataset| dataset.is_named(name))
}

/// DataComp's task for a name, in any of the spellings of a folder.
pub fn find_datacomp(name: &str) -> Option<&'static DataCompTask> {
    let own = plain(name);
    let names = |task: &&DataCompTask| {
        let short = task.key.rsplit('/').next().unwrap_or_default();
        plain(&task.key) == own || plain(short) == own || plain(&task.name) == own
    };
    datacomp().iter().find(names).or_else(|| {
        let dataset = find(name)?;
        datacomp().iter().find(|task| dataset.aliases.contains(&task.key) || dataset.id == task.key)
    })
}

/// Letters and digits alone, in lower case.
pub(crate) fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_sets_are_whole() {
        let of = |name: &str| datasets().iter().filter(|d| d.collection == name).count();
        assert_eq!((of("paper-27"), of("shift-7")), (27, 7));
        assert_eq!(models().len(), 9);
        for dataset in datasets().iter().filter(|d| d.collection == "paper-27") {
            assert_eq!(dataset.zero_shot.len(), 9, "{}", dataset.id);
            let prompts = prompts(&dataset.id, Protocol::OpenAi).unwrap();
            assert_eq!(Some(prompts.names.len()), dataset.classes, "{}", dataset.id);
        }
        let verified: usize = datasets()
            .iter()
            .filter(|d| d.collection == "paper-27")
            .map(|d| d.verified.iter().filter(|v| **v).count())
            .sum();
        assert_eq!(verified, 73);
        assert_eq!(dataset("imagenet1k").unwrap().published("ViT-L/14@336px"), Some((76.2, true)));
        // Table 11's average of ViT-L/14@336px and figure 5's count of wins.
        assert_eq!(datasets().iter().filter(|d| d.figure5.is_some_and(|x| x > 0.0)).count(), 16);
        assert_eq!(visual_n_grams().len(), 3);
        assert_eq!(
            datacomp()
                .iter()
                .filter(|t| t.key != "fairness/fairface" && t.key != "fairness/utkface")
                .count(),
            38
        );
    }

    #[test]
    fn names_of_other_tools_are_known() {
        for (name, id) in [
            ("vtab/caltech101", "caltech101"),
            ("wds_imagenet-a", ""),
            ("imagenet_sketch", "imagenet-sketch"),
            ("Oxford-IIIT Pets", "pets"),
            ("voc2007_multilabel", "voc2007"),
        ] {
            assert_eq!(find(name).map_or("", |d| &d.id), id, "{name}");
        }
        assert_eq!(find_datacomp("cars").unwrap().size, 8041);
        assert_eq!(find_datacomp("aircraft").unwrap().metric, "mean_per_class_recall");
        assert!(dataset("cifar11").unwrap_err().to_string().contains("cifar100"));
        for (folder, key) in [
            ("wilds-fmow", "wilds/fmow"),
            ("fairness-dollar_street", "fairness/dollar_street"),
            ("geode", "fairness/geode"),
            ("vtab-clevr_closest_object_distance", "vtab/clevr_closest_object_distance"),
        ] {
            assert_eq!(find_datacomp(folder).unwrap().key, key);
        }
    }

    #[test]
    fn a_group_is_one_field_of_the_metadata() {
        let by = |key: &str| find_datacomp(key).unwrap().groups.as_ref().unwrap();
        assert_eq!(by("fmow").of(&[3.0, 14.0, 61.0]).unwrap(), "region:3");
        assert_eq!(by("camelyon17").of(&[2.0, 21.0, 1.0]).unwrap(), "slide:21");
        assert_eq!(by("geode").of(&[5.0, 17.0]).unwrap(), "region:5");
        assert_eq!(by("dollar_street").of(&[1.9, 2.0, 0.0]).unwrap(), "income_ds:1");
        assert!(by("fmow").of(&[3.0]).unwrap_err().contains("region, year, y"));
        assert!(by("fmow").of(&[-1.0, 0.0, 0.0]).is_err());
        assert!(by("fmow").of(&[f64::NAN, 0.0, 0.0]).is_err());
        assert!(find_datacomp("iwildcam").unwrap().groups.is_none());
    }
}
