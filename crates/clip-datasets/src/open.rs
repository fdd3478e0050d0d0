//! Opening a set: its layout is recognised, and its labels find their classes.

use std::path::{Path, PathBuf};

use crate::class_names::words_of_classes;
use crate::classes::{Classes, choose};
use crate::item::Task;
use crate::load::{Ask, Content, flat, folds, load, own_folder};
use crate::open_options::OpenOptions;
use crate::registry::{self, Dataset};
use crate::set::EvalSet;
use crate::set_name::{name_of, parse_named};
use crate::{Error, Result};

/// Opens the set in a folder, which is recognised by what is in it.
///
/// # Errors
/// When the folder has no layout that is known; the message shows those that are.
pub fn open(path: &Path) -> Result<EvalSet> {
    open_with(path, &OpenOptions::default())
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
    let dataset = registry::find(name);
    let own = dataset.and_then(|dataset| own_folder(path, dataset));
    let path = own.as_deref().unwrap_or(path);
    if let Ok(set) = open(path) {
        // Of a dataset without captions, a set of captions is another's.
        let other = set.task == Task::Retrieval && dataset.is_some_and(|d| !d.has_captions());
        return if other { Err(named) } else { Ok(set) };
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
    let Content { task, keys, own, source, left_out } = content;
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
        named: options.name.is_some(),
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
        left_out,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EvalItem, Truth};

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
