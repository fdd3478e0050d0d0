//! An opened evaluation set.

use std::path::PathBuf;

use crate::item::{EvalItem, Split, Task, Truth};
use crate::matching::ClassMatch;
use crate::registry::{Dataset, Metric, Prompts, Protocol, plain};
use crate::source::{Items, Source, evenly};
use crate::subset::ClassSubset;
use crate::{Error, Result};

/// An evaluation set.
pub struct EvalSet {
    /// Name of the set: the one given, or its folder's.
    pub name: String,
    /// Whether the name was given.
    pub named: bool,
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
    /// What of its folder is in no item, in words: images beside the class folders, folders without
    /// an image.
    pub left_out: Vec<String>,
    pub(crate) labels: Vec<(String, String)>,
    /// For each class the folder's word for it, where the folder has one.
    pub(crate) words: Vec<Option<String>>,
    pub(crate) prompts: Prompts,
    pub(crate) order: Option<Vec<usize>>,
    pub(crate) source: Source,
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
