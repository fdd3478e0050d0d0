//! An opened evaluation set.

use std::path::{Path, PathBuf};

use crate::class_names::words_of_classes;
use crate::classes::{Classes, choose};
use crate::item::{EvalItem, Frames, Split, Task, Truth};
use crate::load::{Ask, Content, flat, folds, load};
use crate::matching::ClassMatch;
use crate::registry::{self, Dataset, Metric, Prompts, Protocol, plain};
use crate::source::{Items, Source, evenly};
use crate::subset::ClassSubset;
use crate::{Error, Result};

/// How to open a set.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Its name; a dataset of the registry brings classes, prompts and metric.
    pub name: Option<String>,
    /// Whose prompts and class order; by default the folder's own where it has some, else the
    /// paper's.
    pub protocol: Option<Protocol>,
    /// The part.
    pub split: Split,
    /// What stands for a video.
    pub frames: Frames,
    /// The layout, by name, where it shall not be recognised.
    pub loader: Option<String>,
    /// The fold, from 0, of a dataset that has several ([`EvalSet::folds`]); the first by default.
    pub fold: Option<usize>,
}

/// An evaluation set.
pub struct EvalSet {
    /// Name of the set: the one given, or its folder's.
    pub name: String,
    /// What it asks.
    pub task: Task,
    /// Its entry in the registry.
    pub dataset: Option<&'static Dataset>,
    /// Whose prompts these are.
    pub protocol: Protocol,
    /// The layout that was recognised.
    pub loader: &'static str,
    /// The file or folder that has it: the path that was opened, or one below it.
    pub root: PathBuf,
    /// The part.
    pub split: Split,
    /// Class names by class: the first of each.
    pub classes: Vec<String>,
    /// How its labels found their classes.
    pub class_match: ClassMatch,
    /// Predefined folds: a probe's score is the mean over them.
    pub folds: usize,
    /// Which classes are kept, where not all are.
    pub subset: Option<ClassSubset>,
    labels: Vec<(String, String)>,
    /// For each class the folder's word for it, where the folder has one.
    pub(crate) words: Vec<Option<String>>,
    pub(crate) prompts: Prompts,
    order: Option<Vec<usize>>,
    pub(crate) source: Source,
}

/// Opens the set in a folder, which is recognised by what is in it.
///
/// # Errors
/// When the folder has no layout that is known; the message shows those that are.
pub fn open(path: &Path) -> Result<EvalSet> {
    open_with(path, &OpenOptions::default())
}

/// `NAME=PATH`, or a path alone. CLIP_benchmark's `wds/NAME` and DataComp's `vtab/NAME` are the
/// names that they mean.
pub fn parse_named(text: &str) -> (Option<String>, PathBuf) {
    if let Some((given, path)) = text.split_once('=') {
        let name = given.strip_prefix("wds/").unwrap_or(given);
        let short = name.rsplit('/').next().unwrap_or(name);
        let grouped = || registry::find_datacomp(name).is_some() || registry::find(name).is_some();
        if !short.is_empty() && (short == name || grouped()) {
            return (Some(short.to_owned()), path.into());
        }
    }
    (None, text.into())
}

/// Opens `NAME=PATH` or a path alone.
pub fn open_named(text: &str, options: &OpenOptions) -> Result<EvalSet> {
    let (name, path) = parse_named(text);
    let name = name.or_else(|| options.name.clone());
    open_with(&path, &OpenOptions { name, ..options.clone() })
}

/// Opens a set of which only the images and captions count, whatever can be scored by it: as the
/// named dataset, else as any set, else as a plain folder of images.
///
/// # Errors
/// When it is none of these, why it is not the first.
pub fn open_unlabelled(name: &str, path: &Path) -> Result<EvalSet> {
    let options = OpenOptions { name: Some(name.to_owned()), ..OpenOptions::default() };
    let named = match open_with(path, &options) {
        Err(error) => error,
        opened => return opened,
    };
    if let Ok(set) = open(path) {
        return Ok(set);
    }
    match flat::open(path)? {
        Some(content) => {
            let loaded = Loaded { loader: "images", root: path.to_path_buf(), folds: 1, content };
            assemble(name.to_owned(), None, &OpenOptions::default(), loaded)
        }
        None => Err(named),
    }
}

/// What a loader found, and where.
struct Loaded {
    loader: &'static str,
    root: PathBuf,
    folds: usize,
    content: Content,
}

/// Opens a set in all detail.
pub fn open_with(path: &Path, options: &OpenOptions) -> Result<EvalSet> {
    let name = options.name.clone().unwrap_or_else(|| name_of(path));
    let dataset = registry::find(&name);
    // A name that was given stands for a dataset: its layouts alone will do.
    let named = options.name.as_ref().and(dataset);
    let fold = options.fold.unwrap_or(0);
    let ask = Ask { split: options.split, frames: options.frames, dataset: named, fold };
    let (loader, root, content) = load(path, options.loader.as_deref(), &ask)?;
    let folds = folds(loader, &root)?;
    if let Some(fold) = options.fold.filter(|fold| *fold >= folds) {
        return Err(Error::Fold { set: name, fold: fold + 1, folds });
    }
    assemble(name, dataset, options, Loaded { loader, root, folds, content })
}

/// Gives what was loaded its classes and prompts.
fn assemble(
    name: String,
    dataset: Option<&'static Dataset>,
    options: &OpenOptions,
    loaded: Loaded,
) -> Result<EvalSet> {
    let Loaded { loader, root, folds, content } = loaded;
    let Content { task, keys, own, source } = content;
    let chosen = choose(&name, dataset, options, task, &keys, own)?;
    let order = chosen.order();
    let Classes { dataset, protocol, prompts, pairing } = chosen;
    let classes: Vec<String> = prompts.names.iter().map(|names| names.join(" / ")).collect();
    let words = words_of_classes(&keys, &pairing.places, classes.len());
    let labels =
        keys.into_iter().zip(pairing.places.iter().map(|&at| classes[at].clone())).collect();
    let source = source.grouped(registry::find_datacomp(&name).and_then(|t| t.groups.as_ref()));
    Ok(EvalSet {
        name,
        task,
        dataset,
        protocol,
        loader,
        root,
        split: options.split,
        classes,
        class_match: pairing.kind,
        folds,
        subset: None,
        labels,
        words,
        prompts,
        order,
        source,
    })
}

impl EvalSet {
    /// All items, in the order of the set; with a subset of the classes, those of its classes.
    pub fn items(&self) -> Box<dyn Iterator<Item = Result<EvalItem>> + Send + '_> {
        self.kept(self.placed(self.source.items()))
    }

    /// `limit` of the `total` items, spread evenly over the set (those at `i * total / limit`), so
    /// that each class of a set that is sorted by class has its share.
    pub fn sampled(
        &self,
        limit: usize,
        total: u64,
    ) -> Box<dyn Iterator<Item = Result<EvalItem>> + Send + '_> {
        let limit = (limit as u64).min(total);
        match &self.subset {
            Some(_) => evenly(self.items(), limit, total),
            None => self.placed(self.source.sampled(limit, total)),
        }
    }

    /// The number of items; where it is not known without reading them, they are read once.
    ///
    /// # Errors
    /// An item that cannot be read.
    pub fn count(&self) -> Result<u64> {
        match self.len() {
            Some(total) => Ok(total),
            None => self.items().try_fold(0, |count, item| item.map(|_| count + 1)),
        }
    }

    /// The items of the classes that are kept.
    fn kept<'a>(&'a self, items: Items<'a>) -> Items<'a> {
        match &self.subset {
            Some(subset) => Box::new(items.filter_map(move |item| subset.keep(item).transpose())),
            None => items,
        }
    }

    /// Items with their classes in the protocol's order.
    fn placed<'a>(&'a self, items: Items<'a>) -> Items<'a> {
        let Some(order) = &self.order else { return items };
        let count = self.subset.as_ref().map_or(self.classes.len(), |subset| subset.of);
        Box::new(items.map(move |item| {
            let mut item = item?;
            item.truth = match item.truth {
                Truth::Class(class) => Truth::Class(order[class]),
                Truth::Marks(marks) => {
                    let mut placed = vec![-1; count];
                    marks.iter().zip(order).for_each(|(&mark, &to)| placed[to] = mark);
                    Truth::Marks(placed)
                }
                captions @ Truth::Captions(_) => captions,
            };
            Ok(item)
        }))
    }

    /// The number of items, where it is known without reading them.
    pub fn len(&self) -> Option<u64> {
        self.source.len().filter(|_| self.subset.is_none())
    }

    /// Whether it is known to hold nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// All prompts of a class.
    pub fn prompts(&self, class: usize) -> Vec<String> {
        self.prompts.of(class).concat()
    }

    /// Each label of the set (a folder's name, a table's word, a number) with the class that it
    /// means, in the order of the labels.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(label, class)| (label.as_str(), class.as_str()))
    }

    /// Class names and templates.
    pub fn all_prompts(&self) -> &Prompts {
        &self.prompts
    }

    /// Puts other templates in place of the set's.
    pub fn set_templates(&mut self, templates: Vec<String>) {
        self.prompts.templates = templates;
        self.prompts.own = None;
    }

    /// Puts whole prompts of each class, by class name, in place of names and templates (as `CuPL`
    /// does).
    ///
    /// # Errors
    /// When a class has none.
    pub fn set_class_prompts(
        &mut self,
        prompts: &std::collections::BTreeMap<String, Vec<String>>,
    ) -> Result<()> {
        let find = |class: &String| {
            let found = prompts.get(class).or_else(|| {
                let same = |entry: &(&String, &Vec<String>)| plain(entry.0) == plain(class);
                prompts.iter().find(same).map(|(_, prompts)| prompts)
            });
            found.filter(|prompts| !prompts.is_empty()).cloned().ok_or_else(|| Error::Classes {
                set: self.name.clone(),
                reason: format!("no prompts for the class {class:?}"),
            })
        };
        self.prompts.own = Some(self.classes.iter().map(find).collect::<Result<_>>()?);
        Ok(())
    }

    /// How the set is scored: the registry's metric, or what its task has.
    pub fn metric(&self) -> Metric {
        match (self.task, self.dataset) {
            (Task::Retrieval, _) => Metric::Retrieval,
            (Task::MultiLabel, _) => Metric::Map11Point,
            (Task::Classification, Some(dataset)) if dataset.metric != Metric::Map11Point => {
                dataset.metric
            }
            _ => Metric::Accuracy,
        }
    }
}

/// Name of a set: the last part of its path, without CLIP_benchmark's `wds_` before and `_test`
/// after.
pub(crate) fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_prefix("wds_").unwrap_or(&name);
    let name = name.strip_suffix("_test").unwrap_or(name);
    let name = name.strip_suffix(".csv").or_else(|| name.strip_suffix(".tsv")).unwrap_or(name);
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_path() {
        assert_eq!(parse_named("cifar10=/data/c"), (Some("cifar10".into()), "/data/c".into()));
        assert_eq!(parse_named("/data/a=b"), (None, "/data/a=b".into()));
        assert_eq!(parse_named("wds/cifar10=/data/c"), (Some("cifar10".into()), "/data/c".into()));
        assert_eq!(parse_named("wds/mine=x"), (Some("mine".into()), "x".into()));
        let grouped = parse_named("wds/vtab/caltech101=/c");
        assert_eq!(grouped, (Some("caltech101".into()), "/c".into()));
        assert_eq!(parse_named("wds/=x").0, None);
    }

    #[test]
    fn a_flat_folder_of_images_is_a_set_without_labels() {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in
            [("b.png", "2"), ("a.JPG", "1"), ("a.txt", "one\n\n two \n"), ("n.md", "")]
        {
            std::fs::write(dir.path().join(file), text).unwrap();
        }
        assert!(open(dir.path()).is_err());
        let items = |name: &str, path: &Path| -> Vec<EvalItem> {
            open_unlabelled(name, path).unwrap().items().map(|item| item.unwrap()).collect()
        };
        let found = items("mine", dir.path());
        let keys: Vec<&str> = found.iter().map(|item| item.key.as_str()).collect();
        assert_eq!(keys, ["a.JPG", "b.png"]);
        assert_eq!(found[0].truth, Truth::Captions(vec!["one".into(), "two".into()]));
        assert_eq!(found[1].truth, Truth::Captions(Vec::new()));
        assert_eq!(items("cifar10", dir.path()).len(), 2, "a dataset's name asks for no labels");
        std::fs::create_dir(dir.path().join("empty")).unwrap();
        assert!(open_unlabelled("mine", &dir.path().join("empty")).is_err());
    }
}
