//! The layouts that are read.

mod benchmark;
mod boxes;
mod cifar;
mod cifar_python;
mod coco;
pub(crate) mod fer2013;
pub(crate) mod flat;
mod flickr;
mod folder;
mod frames;
mod gtsrb;
mod idx;
mod ilsvrc;
mod kitti;
mod lists;
mod manifest;
mod mat;
mod mat_file;
mod memes;
mod nested;
pub(crate) mod pcam;
mod pickle;
pub(crate) mod prompts;
mod shards;
mod stl10;
mod svhn;
mod voc;

pub(crate) use nested::own_folder;

use std::path::{Component, Path, PathBuf};

use clip_format::ImageFormat;

use crate::item::{Frames, Split, Task};
use crate::registry::{self, Dataset, Prompts};
use crate::source::{FileItem, Source};
use crate::{Error, Result};

/// What a loader is asked for.
pub(crate) struct Ask {
    pub split: Split,
    pub frames: Frames,
    /// The dataset of the registry that was named.
    pub dataset: Option<&'static Dataset>,
    /// The fold of the train part (or of all parts), from 0, where the dataset has several.
    pub fold: usize,
}

/// What a loader found.
pub(crate) struct Content {
    pub task: Task,
    /// A word for each class, in the order in which the loader numbers them.
    pub keys: Vec<String>,
    /// Class names and templates that the folder brings itself.
    pub own: Option<Prompts>,
    pub source: Source,
    /// What of the folder is in no item, in words.
    pub left_out: Vec<String>,
}

impl Content {
    pub(crate) fn classes(keys: Vec<String>, source: Source) -> Self {
        Self { keys, ..Self::of(Task::Classification, source) }
    }

    /// Without classes.
    pub(crate) fn of(task: Task, source: Source) -> Self {
        Self { task, keys: Vec::new(), own: None, source, left_out: Vec::new() }
    }

    /// Files, each with its class's word; classes are numbered in the order of `keys`.
    pub(crate) fn files(
        root: &Path,
        keys: Vec<String>,
        files: Vec<(PathBuf, String, String)>,
    ) -> Result<Self> {
        let place: std::collections::HashMap<&str, usize> =
            keys.iter().enumerate().map(|(at, key)| (key.as_str(), at)).collect();
        let item = |(path, key, class): (PathBuf, String, String)| {
            let Some(&at) = place.get(class.as_str()) else {
                return Err(Error::item(root, &key, format!("class {class:?} is not listed")));
            };
            Ok(FileItem::new(path, key, crate::Truth::Class(at)))
        };
        let items = files.into_iter().map(item).collect::<Result<Vec<_>>>()?;
        Ok(Self::classes(keys.clone(), Source::files(items)))
    }
}

struct Loader {
    name: &'static str,
    tree: &'static str,
    detect: fn(&Path) -> bool,
    open: fn(&Path, &Ask) -> Result<Content>,
}

const fn loader(
    name: &'static str,
    tree: &'static str,
    detect: fn(&Path) -> bool,
    open: fn(&Path, &Ask) -> Result<Content>,
) -> Loader {
    Loader { name, tree, detect, open }
}

/// Looked at in this order; the plain folder comes last, since nearly anything looks like one.
static LOADERS: [Loader; 28] = [
    loader("wds", benchmark::TREE, benchmark::detect, benchmark::open),
    loader("manifest", manifest::TREE, manifest::detect, manifest::open),
    loader("karpathy", coco::KARPATHY, coco::detect_karpathy, coco::open_karpathy),
    loader(
        "flickr30k",
        flickr::TREE,
        |path| flickr::detect(path, "30k"),
        |path, ask| flickr::open(path, "30k", ask),
    ),
    loader(
        "flickr8k",
        flickr::SMALL,
        |path| flickr::detect(path, "8k"),
        |path, ask| flickr::open(path, "8k", ask),
    ),
    loader("flickr30k-all", flickr::ALL, flickr::detect_all, flickr::open_all),
    loader("coco", coco::TREE, coco::detect, coco::open),
    loader("idx", idx::TREE, idx::detect, idx::open),
    loader(
        "cifar10",
        cifar::TEN,
        |root| cifar::detect(root, 10),
        |root, ask| cifar::open(root, 10, ask),
    ),
    loader(
        "cifar100",
        cifar::HUNDRED,
        |root| cifar::detect(root, 100),
        |root, ask| cifar::open(root, 100, ask),
    ),
    loader("svhn", svhn::TREE, svhn::detect, svhn::open),
    loader("stl10", stl10::TREE, stl10::detect, stl10::open),
    loader("voc", voc::TREE, voc::detect, voc::open),
    loader("aircraft", lists::AIRCRAFT, lists::detect_aircraft, lists::aircraft),
    loader("pets", lists::PETS, lists::detect_pets, lists::pets),
    loader(
        "food101",
        lists::FOOD.tree,
        |root| lists::detect(root, &lists::FOOD),
        |root, ask| lists::open(root, &lists::FOOD, ask),
    ),
    loader(
        "dtd",
        lists::DTD.tree,
        |root| lists::detect(root, &lists::DTD),
        |root, ask| lists::open(root, &lists::DTD, ask),
    ),
    loader(
        "sun397",
        lists::SUN.tree,
        |root| lists::detect(root, &lists::SUN),
        |root, ask| lists::open(root, &lists::SUN, ask),
    ),
    loader(
        "birdsnap",
        lists::BIRDSNAP.tree,
        |root| lists::detect(root, &lists::BIRDSNAP),
        |root, ask| lists::open(root, &lists::BIRDSNAP, ask),
    ),
    loader("gtsrb", gtsrb::TREE, gtsrb::detect, gtsrb::open),
    loader("flowers", boxes::FLOWERS, boxes::detect_flowers, boxes::flowers),
    loader("cars", boxes::CARS, boxes::detect_cars, boxes::cars),
    loader("hateful-memes", memes::TREE, memes::detect, memes::open),
    loader("clevr", kitti::CLEVR, kitti::detect_clevr, kitti::clevr),
    loader("kitti", kitti::TREE, kitti::detect, kitti::open),
    loader("pcam", pcam::TREE, pcam::detect, pcam::open),
    loader("fer2013", fer2013::TREE, fer2013::detect, fer2013::open),
    loader("ilsvrc", ilsvrc::TREE, ilsvrc::detect, ilsvrc::open),
];
static FRAMES: Loader = loader("frames", frames::TREE, frames::detect, frames::open);
static SHARDS: Loader = loader("shards", shards::TREE, shards::detect, shards::open);
static OBJECTNET: Loader =
    loader("objectnet", folder::OBJECTNET, folder::detect_objectnet, folder::objectnet);
static FOLDER: Loader = loader("folder", folder::TREE, |_| false, folder::open);

fn all() -> impl Iterator<Item = &'static Loader> {
    LOADERS.iter().chain([&FRAMES, &OBJECTNET, &SHARDS, &FOLDER])
}

/// The names of all layouts.
pub fn loader_names() -> Vec<&'static str> {
    all().map(|loader| loader.name).collect()
}

/// The tree that a layout expects.
pub fn tree(loader: &str) -> Option<&'static str> {
    by_name(loader).map(|known| known.tree)
}

fn by_name(name: &str) -> Option<&'static Loader> {
    all().find(|known| known.name == name)
}

/// Opens a path: in the layout that is asked for; else, where a dataset was named, in one of its
/// own layouts or in one that carries its own split and labels; else in the first that it has.
/// Returns the layout and the folder that has it too.
pub(crate) fn load(
    path: &Path,
    layout: Option<&str>,
    ask: &Ask,
) -> Result<(&'static str, PathBuf, Content)> {
    let wanted: Vec<&'static Loader> = match (layout, ask.dataset) {
        (Some(name), _) => vec![by_name(name).ok_or_else(|| Error::Unknown {
            what: "layout",
            name: name.to_owned(),
            known: loader_names().join(", "),
        })?],
        (None, Some(dataset)) => dataset.layouts().filter_map(by_name).collect(),
        (None, None) => Vec::new(),
    };
    let trees = || match &wanted[..] {
        [] => known(),
        own => own.iter().map(|loader| loader.tree).collect::<Vec<_>>().join("\n"),
    };
    if !path.exists() {
        return Err(match ask.dataset {
            Some(_) => Error::layout(path, "no such file or folder", &trees()),
            None => absent(path),
        });
    }
    if is_packed(path) {
        let hint = "hint: unpack it, and name the folder that it gives";
        return Err(Error::file(
            path,
            format!("a packed archive, which is not read as it is\n{hint}"),
        ));
    }
    let found = nested::find(path, &wanted, layout.is_some(), ask, &trees)?;
    let (loader, root) = match (found, layout, ask.dataset) {
        (Some(found), ..) => found,
        // Its own message names what is missing.
        (None, Some(_), _) => (wanted[0], path.to_path_buf()),
        (None, None, Some(dataset)) if !dataset.layouts().any(|name| name == FOLDER.name) => {
            let reason = format!("this is not {} as it is published", dataset.name);
            let tree = format!(
                "{}\n  or CLIP_benchmark's shards (wds) or a table (manifest); folders of images that have the names of its classes will do, too, and under another name than the dataset's (mine=PATH) folders of any names",
                trees()
            );
            return Err(Error::layout(path, reason, &tree));
        }
        (None, None, _) => (&FOLDER, path.to_path_buf()),
    };
    match (loader.open)(&root, ask) {
        Ok(content) => {
            // A table is the user's own and may name images anywhere.
            if loader.name != "manifest" {
                check_inside(&root, &content.source)?;
            }
            if let Some(dataset) = ask.dataset
                && content.task == Task::Retrieval
                && !dataset.has_captions()
            {
                let reason = format!("a set of captions, and not {}", dataset.name);
                return Err(Error::layout(&root, reason, &trees()));
            }
            Ok((loader.name, root, content))
        }
        // A dataset that was named has its own tree; anything else, those that are common.
        Err(Error::Layout { path, reason, tree }) if tree == folder::TREE => {
            Err(Error::Layout { path, reason, tree: trees() })
        }
        Err(Error::Part { path, part, tree }) if tree == folder::TREE => {
            Err(Error::Part { path, part, tree: trees() })
        }
        Err(error) => Err(error),
    }
}

/// Whether a path is an archive as datasets are published, which no layout reads.
fn is_packed(path: &Path) -> bool {
    let name = name(path).to_lowercase();
    let endings = [".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz", ".7z"];
    path.is_file() && endings.iter().any(|ending| name.ends_with(ending))
}

/// No file and no folder; a dataset's name alone is what users of CLIP_benchmark give.
fn absent(path: &Path) -> Error {
    let text = path.to_string_lossy();
    let name = text.strip_prefix("wds/").unwrap_or(&text);
    let hint = match registry::find(name) {
        Some(dataset) => format!(
            "nothing is downloaded: name the folder of {}, as in --dataset {}=PATH; `clip-data eval datasets {}` prints its tree",
            dataset.name, dataset.id, dataset.id
        ),
        None => "check the path; `clip-data eval datasets` lists the datasets".to_owned(),
    };
    Error::file(path, format!("no such file or folder\nhint: {hint}"))
}

/// Whether a name of a dataset's own list stays below the folder that it is joined to.
pub(crate) fn stays_below(name: &Path) -> bool {
    name.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// Checks that the images which a dataset's lists name are in its folder: a dataset from elsewhere
/// must not have other files of this machine read, scored or exported.
fn check_inside(root: &Path, source: &Source) -> Result<()> {
    let Source::Files(files) = source else { return Ok(()) };
    // A list that was opened itself: its folder, or for `annotations/LIST` the one above.
    let folder = if root.is_file() { root.parent().unwrap_or(root) } else { root };
    let folder = match folder.parent() {
        Some(above) if root.is_file() && folder.ends_with("annotations") => above,
        _ => folder,
    };
    let outside = |file: &&FileItem| !file.path.strip_prefix(folder).is_ok_and(stays_below);
    match files.iter().find(outside) {
        Some(file) => Err(Error::item(root, &file.key, "the name leads out of the folder")),
        None => Ok(()),
    }
}

/// The number of predefined folds of a dataset: a probe's score is the mean over them.
pub(crate) fn folds(loader: &str, path: &Path) -> Result<usize> {
    match loader {
        "stl10" => stl10::folds(path),
        "frames" => Ok(frames::folds(path)),
        _ => Ok(1),
    }
}

/// The trees of the layouts that are not one dataset's own.
fn known() -> String {
    let common = ["wds", "folder", "manifest", "shards", "coco", "idx"];
    let trees: Vec<&str> = common.iter().filter_map(|name| tree(name)).collect();
    format!("{}\n(others: {})", trees.join("\n"), loader_names().join(", "))
}

/// The first of these folders below `root` that is there.
pub(crate) fn below(root: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| root.join(name)).find(|path| path.is_dir())
}

/// The first of these files below `root` that is there.
pub(crate) fn file(root: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| root.join(name)).find(|path| path.is_file())
}

/// The first of these files that a path is or holds.
pub(crate) fn listed(path: &Path, names: &[&str]) -> Option<PathBuf> {
    if path.is_file() {
        return names.contains(&name(path).as_str()).then(|| path.to_path_buf());
    }
    file(path, names)
}

/// A part that the layout has not.
pub(crate) fn no_split(path: &Path, split: Split, tree: &str) -> Error {
    Error::Part { path: path.to_path_buf(), part: split.name(), tree: tree.to_owned() }
}

/// Whether a file or folder is of the set, and not what a file manager, a notebook or macOS left in
/// it: `.DS_Store`, `._1.jpg`, `.ipynb_checkpoints`, `__MACOSX`.
fn is_content(name: &str) -> bool {
    !name.starts_with('.') && name != "__MACOSX"
}

/// Entries of a folder that are content, sorted by name.
pub(crate) fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    let entries = entries.map(|entry| entry.map(|e| e.path()).map_err(|e| Error::io(folder, e)));
    let mut paths = entries.collect::<Result<Vec<PathBuf>>>()?;
    paths.retain(|path| is_content(&name(path)));
    paths.sort();
    Ok(paths)
}

pub(crate) fn is_image(path: &Path) -> bool {
    ImageFormat::of_path(path).is_some() && is_content(&name(path))
}

/// The last part of a path as text.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// "0" to "n-1".
pub(crate) fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use crate::open;

    #[test]
    fn lists_name_images_of_their_own_folder_only() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret.jpg");
        std::fs::write(&secret, "x").unwrap();
        let secret = secret.to_str().unwrap();
        type Text = Box<dyn Fn(&str) -> String>;
        let lists: [(&str, Text); 5] = [
            ("meta/test.txt", Box::new(|name| format!("{}\n", name.trim_end_matches(".jpg")))),
            ("test_images.txt", Box::new(|name| format!("path\n{name}\n"))),
            ("dev.jsonl", Box::new(|name| format!(r#"{{"id":1,"img":"{name}","label":1}}"#))),
            (
                "annotations/captions_val2014.json",
                Box::new(|name| {
                    format!(
                        r#"{{"images":[{{"id":1,"file_name":"{name}"}}],"annotations":[{{"image_id":1,"caption":"a"}}]}}"#
                    )
                }),
            ),
            (
                "dataset_coco.json",
                Box::new(|name| format!(r#"[{{"image":"{name}","caption":["a"]}}]"#)),
            ),
        ];
        for (at, (list, text)) in lists.iter().enumerate() {
            let root = dir.path().join(format!("set{at}"));
            let path = root.join(list);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::create_dir_all(root.join("images")).unwrap();
            for name in ["../secret.jpg", "../../secret.jpg", secret] {
                std::fs::write(&path, text(name)).unwrap();
                let opened = open(&root).and_then(|set| set.items().next().unwrap().map(|_| ()));
                let opened = opened.unwrap_err().to_string();
                // A slash at the start means the folder in some published lists.
                let allowed = ["leads out", "No such file", "is not there"];
                assert!(allowed.iter().any(|part| opened.contains(part)), "{list}: {opened}");
            }
        }
    }
}
