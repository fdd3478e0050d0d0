//! An opened evaluation set.

use std::path::{Path, PathBuf};

use crate::item::{EvalItem, Frames, Split, Task, Truth};
use crate::load::{Ask, Content, load};
use crate::registry::{self, Dataset, Metric, Prompts, Protocol, plain, prompts, subset};
use crate::source::{Items, Source};
use crate::{Error, Result};

/// The template of sets that bring none: the paper's default (section 3.1.4).
const DEFAULT_TEMPLATE: &str = "a photo of a {c}.";

/// How to open a set.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Its name; a dataset of the registry brings classes, prompts and metric.
    pub name: Option<String>,
    /// Whose prompts and class order; by default the folder's own where it has some, else the paper's.
    pub protocol: Option<Protocol>,
    /// The part.
    pub split: Split,
    /// What stands for a video.
    pub frames: Frames,
    /// The layout, by name, where it shall not be recognised.
    pub loader: Option<String>,
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
    prompts: Prompts,
    order: Option<Vec<usize>>,
    source: Source,
}

/// Opens the set in a folder, which is recognised by what lies in it.
///
/// # Errors
/// When the folder has no layout that is known; the message shows those that are.
pub fn open(path: &Path) -> Result<EvalSet> {
    open_with(path, &OpenOptions::default())
}

/// `NAME=PATH`, or a path alone.
pub fn parse_named(text: &str) -> (Option<String>, PathBuf) {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !name.contains('/') => {
            (Some(name.to_owned()), path.into())
        }
        _ => (None, text.into()),
    }
}

/// Opens `NAME=PATH` or a path alone.
pub fn open_named(text: &str, options: &OpenOptions) -> Result<EvalSet> {
    let (name, path) = parse_named(text);
    let name = name.or_else(|| options.name.clone());
    open_with(&path, &OpenOptions { name, ..options.clone() })
}

/// Opens a set in all detail.
pub fn open_with(path: &Path, options: &OpenOptions) -> Result<EvalSet> {
    let name = options.name.clone().unwrap_or_else(|| name_of(path));
    let dataset = registry::find(&name);
    // A name that was given stands for a dataset: its layouts alone will do.
    let named = options.name.as_ref().and(dataset);
    let ask = Ask { split: options.split, frames: options.frames, dataset: named };
    let (loader, root, content) = load(path, options.loader.as_deref(), &ask)?;
    let Content { task, keys, own, source } = content;
    let registered = options.name.is_some() || options.protocol.is_some();
    // The paper's protocol before the others, as far as it knows the dataset.
    let default = dataset.filter(|_| own.is_none() && registered).and_then(|dataset| {
        let known = |protocol: &Protocol| prompts(&dataset.id, *protocol).is_some();
        [Protocol::OpenAi, Protocol::ClipBenchmark].into_iter().find(known)
    });
    let protocol = options.protocol.or(default).unwrap_or(Protocol::Folder);
    // DataComp's prompts are those in its folders.
    let theirs = dataset
        .filter(|_| protocol != Protocol::DataComp || own.is_none())
        .and_then(|d| prompts(&d.id, protocol));
    let (prompts, order) = match (theirs, own) {
        _ if task == Task::Retrieval => (Prompts::default(), None),
        (Some(theirs), own) => {
            let own_names = own.map(|own| own.names);
            let keys = own_names.map_or(keys, |names| names.into_iter().map(first).collect());
            let order = order(&name, &keys, &theirs, dataset.and_then(|d| d.folders(protocol)))?;
            (theirs, order)
        }
        (None, _) if matches!(protocol, Protocol::OpenAi | Protocol::ClipBenchmark) => {
            let reason = format!(
                "the protocol {} has no prompts for it\nhint: name the dataset, as cifar10=PATH; `clip-data eval datasets` lists the names",
                protocol.name()
            );
            return Err(Error::Classes { set: name, reason });
        }
        (None, Some(own)) => (own, None),
        (None, None) => {
            let names = keys.iter().map(|key| vec![key.replace('_', " ")]).collect();
            (Prompts { names, templates: vec![DEFAULT_TEMPLATE.into()], own: None }, None)
        }
    };
    let classes = prompts.names.iter().map(|names| names.join(" / ")).collect();
    let split = options.split;
    let source = source.grouped(registry::find_datacomp(&name).and_then(|t| t.groups.as_ref()));
    Ok(EvalSet {
        name,
        task,
        dataset,
        protocol,
        loader,
        root,
        split,
        classes,
        prompts,
        order,
        source,
    })
}

fn first(names: Vec<String>) -> String {
    names.into_iter().next().unwrap_or_default()
}

/// For each class of the folder its place among the protocol's; none where they agree.
fn order(
    set: &str,
    keys: &[String],
    prompts: &Prompts,
    folders: Option<&[String]>,
) -> Result<Option<Vec<usize>>> {
    let count = prompts.names.len();
    // Names may stand twice (two of ImageNet's do): each is taken once, in order.
    let places = |names: &[String]| -> Option<Vec<usize>> {
        let mut names: Vec<Option<String>> = names.iter().map(|name| Some(plain(name))).collect();
        let mut take = |key: &String| {
            let wanted = plain(key);
            let at = names.iter().position(|name| name.as_ref() == Some(&wanted))?;
            names[at] = None;
            Some(at)
        };
        keys.iter().map(&mut take).collect()
    };
    let named: Vec<String> = prompts.names.iter().map(|names| names[0].clone()).collect();
    let listed = match folders {
        Some([mark]) if mark.starts_with('@') => {
            let special: Vec<String> = match mark.strip_prefix("@wnids") {
                Some(letter) => {
                    let letter = letter.trim_start_matches('-');
                    subset(letter).into_iter().map(|(wnid, _)| wnid.to_owned()).collect()
                }
                None => (0..count).map(|n| n.to_string()).collect(),
            };
            places(&special)
        }
        Some(folders) => places(folders),
        None => None,
    };
    let order = listed.or_else(|| places(&named));
    if let Some(order) = order {
        let same = order.len() == count && order.iter().enumerate().all(|(at, &to)| at == to);
        return Ok((!same).then_some(order));
    }
    if keys.len() == count {
        return Ok(None);
    }
    let reason = format!(
        "{} classes in the folder, {count} in the prompts, and not all by the same names (the folder's first is {:?})",
        keys.len(),
        keys.first().map_or("", String::as_str)
    );
    Err(Error::Classes { set: set.to_owned(), reason })
}

impl EvalSet {
    /// All items, in the order of the set.
    pub fn items(&self) -> Box<dyn Iterator<Item = Result<EvalItem>> + Send + '_> {
        self.placed(self.source.items())
    }

    /// `limit` of the `total` items, spread evenly over the set (those at `i * total / limit`), so that each class of a
    /// set that is sorted by class has its share.
    pub fn sampled(
        &self,
        limit: usize,
        total: u64,
    ) -> Box<dyn Iterator<Item = Result<EvalItem>> + Send + '_> {
        self.placed(self.source.sampled((limit as u64).min(total), total))
    }

    /// The number of items; where it is not known without reading them, they are read once.
    ///
    /// # Errors
    /// An item that cannot be read.
    pub fn count(&self) -> Result<u64> {
        match self.len() {
            Some(total) => Ok(total),
            None => self.source.items().try_fold(0, |count, item| item.map(|_| count + 1)),
        }
    }

    /// Items with their classes in the protocol's order.
    fn placed<'a>(&'a self, items: Items<'a>) -> Items<'a> {
        let Some(order) = &self.order else { return items };
        Box::new(items.map(move |item| {
            let mut item = item?;
            item.truth = match item.truth {
                Truth::Class(class) => Truth::Class(order[class]),
                Truth::Marks(marks) => {
                    let mut placed = vec![-1; self.classes.len()];
                    marks.iter().zip(order).for_each(|(&mark, &to)| placed[to] = mark);
                    Truth::Marks(placed)
                }
                captions @ Truth::Captions(_) => captions,
            };
            Ok(item)
        }))
    }

    /// The number of items, where it can be told without reading them.
    pub fn len(&self) -> Option<u64> {
        self.source.len()
    }

    /// Whether it is known to hold nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// All prompts of a class.
    pub fn prompts(&self, class: usize) -> Vec<String> {
        self.prompts.of(class).concat()
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

    /// Puts whole prompts of each class, by class name, in place of names and templates (as `CuPL` does).
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

/// Name of a set: the last part of its path, without CLIP_benchmark's `wds_` before and `_test` after.
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

    fn prompts_of(names: &[&str]) -> Prompts {
        let names = names.iter().map(|name| vec![(*name).to_owned()]).collect();
        Prompts { names, templates: vec!["{c}".into()], own: None }
    }

    #[test]
    fn classes_are_matched_by_name_then_by_number() {
        let keys = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let prompts = prompts_of(&["polar bear", "ant"]);
        let found = order("x", &keys(&["Ant", "Polar_Bear"]), &prompts, None).unwrap();
        assert_eq!(found, Some(vec![1, 0]));
        assert_eq!(order("x", &keys(&["0", "1"]), &prompts, None).unwrap(), None);
        assert_eq!(order("x", &keys(&["ant"]), &prompts, None).unwrap(), Some(vec![1]));
        let listed = keys(&["b", "a"]);
        let found = order("x", &keys(&["a", "b"]), &prompts, Some(&listed)).unwrap();
        assert_eq!(found, Some(vec![1, 0]));
        let message = order("x", &keys(&["a", "b", "c"]), &prompts, None).unwrap_err().to_string();
        assert!(message.contains("3 classes") && message.contains("2 in"), "{message}");
    }

    #[test]
    fn a_name_and_a_path() {
        assert_eq!(parse_named("cifar10=/data/c"), (Some("cifar10".into()), "/data/c".into()));
        assert_eq!(parse_named("/data/a=b"), (None, "/data/a=b".into()));
    }
}
