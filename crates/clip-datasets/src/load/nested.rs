//! Which layout a path has, or the one folder below it: a root that is a level or two too high is
//! common, since archives unpack to a folder of their own and torchvision puts another around that.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::{Ask, FOLDER, Loader, all, benchmark, by_name, is_image, name, sorted};
use crate::registry::{self, Dataset, Metric, Protocol, plain, prompts};
use crate::set_name::name_of;
use crate::{Error, Result};

/// Levels that are looked at below the path of a dataset that was named.
const LEVELS: usize = 2;
/// A folder of more folders than this is one of classes, not of datasets.
const FEW: usize = 64;
/// What the parts of a folder set are called.
const PARTS: [&str; 5] = ["train", "val", "valid", "validation", "test"];

type Found = (&'static Loader, PathBuf);

/// The wanted layout at the path or below it: of the path itself, else of the one folder a level
/// below that has it, else of the one folder two levels below. None where there is none.
///
/// # Errors
/// When several folders of a level have it, and none of them alone has the dataset's name.
pub(super) fn find(
    path: &Path,
    wanted: &[&'static Loader],
    forced: bool,
    ask: &Ask,
    trees: &dyn Fn() -> String,
) -> Result<Option<Found>> {
    if wanted.is_empty() {
        // Without a name nothing is expected: the first layout that a folder has counts.
        return search(path, 1, ask, trees, &|dir| all().find(|loader| (loader.detect)(dir)));
    }
    if forced {
        return search(path, LEVELS, ask, trees, &|dir| {
            wanted.iter().copied().find(|loader| (loader.detect)(dir))
        });
    }
    let folders = ask.dataset.filter(|_| wanted.iter().any(|loader| loader.name == FOLDER.name));
    let classes = folders.map(class_folders).unwrap_or_default();
    let found = search(path, LEVELS, ask, trees, &|dir| {
        // Shards and tables carry their own split and labels.
        let own = wanted.iter().copied().chain(["wds", "manifest"].into_iter().filter_map(by_name));
        let mut own = own.filter(|loader| (loader.detect)(dir) && fits(loader, dir, ask.dataset));
        own.next().or_else(|| holds_classes(dir, &classes).then_some(&FOLDER))
    })?;
    let copy = |dataset: &'static Dataset| Some((&FOLDER, class_tree(path, dataset)?));
    Ok(found.or_else(|| ask.dataset.and_then(copy)))
}

/// Whether shards have captions where the dataset has them, and classes where it has those.
fn fits(loader: &Loader, dir: &Path, dataset: Option<&Dataset>) -> bool {
    loader.name != "wds"
        || dataset.is_none_or(|dataset| dataset.has_captions() == benchmark::has_captions(dir))
}

/// The path, or the folder of the dataset's name in it, where it is a folder a class and each has a
/// class's name: a copy of a dataset that its authors publish in another layout. Deeper folders are
/// not looked at: below what is published there may be such a folder of all parts.
fn class_tree(path: &Path, dataset: &Dataset) -> Option<PathBuf> {
    // Of videos an item is not an image, and of several labels not a folder.
    let other = dataset.metric == Metric::Map11Point || dataset.layouts().any(|l| l == "frames");
    let labels = registry::labels(Some(&dataset.id));
    let protocols = [Protocol::OpenAi, Protocol::ClipBenchmark].into_iter().filter(|_| !other);
    let spellings: Vec<_> = protocols
        .filter_map(|protocol| prompts(&dataset.id, protocol))
        .map(|prompts| labels.spellings(&prompts.names))
        .collect();
    let all_named = |dir: &PathBuf| {
        let (all, image) = class_dirs(dir);
        let known = |words: &BTreeMap<String, Vec<usize>>| {
            all.iter().all(|dir| words.contains_key(&labels.spelling(&name(dir))))
        };
        image && spellings.iter().any(known)
    };
    [Some(path.to_path_buf()), own_folder(path, dataset)].into_iter().flatten().find(all_named)
}

/// The folders of a folder, or of the parts in it, and whether one of them holds an image.
fn class_dirs(dir: &Path) -> (Vec<PathBuf>, bool) {
    let here = if dir.is_dir() { folders(dir) } else { Vec::new() };
    let parts: Vec<&PathBuf> =
        here.iter().filter(|dir| PARTS.contains(&name(dir).as_str())).collect();
    let all: Vec<PathBuf> =
        if parts.is_empty() { here } else { parts.into_iter().flat_map(|p| folders(p)).collect() };
    let image = all.iter().any(|dir| holds_image(dir));
    (all, image)
}

fn holds_image(dir: &Path) -> bool {
    sorted(dir).is_ok_and(|files| files.iter().any(|file| is_image(file)))
}

fn search(
    path: &Path,
    levels: usize,
    ask: &Ask,
    trees: &dyn Fn() -> String,
    layout: &dyn Fn(&Path) -> Option<&'static Loader>,
) -> Result<Option<Found>> {
    let mut level = vec![path.to_path_buf()];
    for depth in 0..=levels {
        // The dataset's own folder counts before any other that has a layout.
        if let Some(dataset) = ask.dataset.filter(|_| depth > 0) {
            let own: Vec<PathBuf> =
                level.iter().filter(|dir| is_own(dataset, dir)).cloned().collect();
            if !own.is_empty() {
                level = own;
            }
        }
        let mut found: Vec<Found> =
            level.iter().filter_map(|dir| Some((layout(dir)?, dir.clone()))).collect();
        if found.len() > 1 {
            let named = |dir: &Path| ask.dataset.is_some_and(|d| is_below(d, path, dir));
            let own: Vec<Found> = found.iter().filter(|(_, dir)| named(dir)).cloned().collect();
            if own.len() == 1 {
                found = own;
            }
        }
        match &found[..] {
            [] if depth == levels => {}
            [] => level = level.iter().flat_map(|dir| children(dir, ask.dataset)).collect(),
            [_] => return Ok(found.pop()),
            several => {
                let names: Vec<String> = several
                    .iter()
                    .map(|(_, dir)| dir.strip_prefix(path).unwrap_or(dir).display().to_string())
                    .collect();
                let reason = format!("{} folders in it fit: {}", names.len(), names.join(", "));
                return Err(Error::layout(path, reason, &trees()));
            }
        }
    }
    Ok(None)
}

/// Whether one of the folders between has the dataset's name.
fn is_below(dataset: &Dataset, path: &Path, dir: &Path) -> bool {
    let inner = dir.strip_prefix(path).unwrap_or(dir);
    inner.iter().any(|part| is_own(dataset, Path::new(part)))
}

fn is_own(dataset: &Dataset, dir: &Path) -> bool {
    dataset.is_named(&name_of(dir))
}

/// The folder in this one that has the dataset's name.
pub(crate) fn own_folder(path: &Path, dataset: &Dataset) -> Option<PathBuf> {
    let here = if path.is_dir() { folders(path) } else { Vec::new() };
    here.into_iter().find(|dir| is_own(dataset, dir))
}

/// The folders of a folder, but for those that have another dataset's name.
fn children(dir: &Path, wanted: Option<&Dataset>) -> Vec<PathBuf> {
    let other = |dir: &Path| {
        wanted.is_some_and(|wanted| {
            registry::find(&name_of(dir)).is_some_and(|found| found.id != wanted.id)
        })
    };
    let dirs = if dir.is_dir() { folders(dir) } else { Vec::new() };
    if dirs.len() > FEW { Vec::new() } else { dirs.into_iter().filter(|d| !other(d)).collect() }
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    sorted(dir).unwrap_or_default().into_iter().filter(|entry| entry.is_dir()).collect()
}

/// All words that a class of a dataset may have as its folder's name, letters and digits alone, and
/// its numbers.
fn class_folders(dataset: &Dataset) -> HashSet<String> {
    let labels = registry::labels(Some(&dataset.id));
    let mut words = HashSet::new();
    for protocol in [Protocol::OpenAi, Protocol::ClipBenchmark] {
        let names = prompts(&dataset.id, protocol).unwrap_or_default().names;
        words.extend(labels.spellings(&names).into_keys());
        for &base in &labels.numbers.bases {
            words.extend((0..names.len() as u64).map(|number| (base + number).to_string()));
        }
    }
    words
}

/// Whether at least half of the folders here, or in the parts here, are classes, and one of them
/// holds an image.
fn holds_classes(dir: &Path, classes: &HashSet<String>) -> bool {
    if classes.is_empty() {
        return false;
    }
    let (all, _) = class_dirs(dir);
    let own: Vec<&PathBuf> =
        all.iter().filter(|dir| classes.contains(&plain(&name(dir)))).collect();
    !own.is_empty() && own.len() * 2 >= all.len() && own.iter().any(|dir| holds_image(dir))
}

#[cfg(test)]
mod tests {
    use crate::test_files::write;
    use crate::{OpenOptions, datasets, open, open_named, tree};
    use std::path::Path;

    fn named(name: &str, root: &Path) -> crate::Result<crate::EvalSet> {
        open_named(&format!("{name}={}", root.display()), &OpenOptions::default())
    }

    #[test]
    fn a_named_dataset_is_never_a_plain_folder_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &["images/a/1.jpg", "images/b/2.jpg", "train/a/3.jpg", "test/b/4.jpg"]);
        let mut refused = 0;
        for dataset in datasets() {
            let layouts: Vec<&str> = dataset.layouts().collect();
            assert!(layouts.iter().all(|layout| tree(layout).is_some()), "{}", dataset.id);
            if layouts.contains(&"folder") {
                continue;
            }
            refused += 1;
            let message = named(&dataset.id, dir.path()).map(|_| ()).unwrap_err().to_string();
            let first = tree(layouts[0]).unwrap();
            assert!(message.contains(&dataset.name) && message.contains(first), "{message}");
            assert!(message.contains("(mine=PATH)"), "{message}");
            assert!(!message.contains("--layout folder"), "{message}");
            let options = OpenOptions { loader: Some("folder".into()), ..OpenOptions::default() };
            let forced = open_named(&format!("{}={}", dataset.id, dir.path().display()), &options);
            match forced {
                Ok(set) => assert_eq!(set.loader, "folder", "{}", dataset.id),
                Err(error) => {
                    assert!(matches!(error, crate::Error::Classes { .. }), "{error}");
                }
            }
        }
        assert_eq!(refused, 28);
    }

    #[test]
    fn shards_and_tables_are_taken_for_any_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("wds_food101");
        write(&root, &["test/0.tar"]);
        std::fs::write(root.join("test/nshards.txt"), "1\n").unwrap();
        std::fs::write(root.join("classnames.txt"), "waffles\n").unwrap();
        assert_eq!(named("food101", &root).unwrap().loader, "wds");
        assert_eq!(named("food101", dir.path()).unwrap().loader, "wds", "a level too high");
    }

    #[test]
    fn captions_are_no_set_of_classes() {
        let dir = tempfile::tempdir().unwrap();
        let captions = dir.path().join("sets/wds_captions");
        write(&captions, &["test/0.tar"]);
        std::fs::write(captions.join("test/nshards.txt"), "1\n").unwrap();
        std::fs::write(captions.join("dataset_type.txt"), "retrieval\n").unwrap();
        let refused = |path: &Path| named("cifar10", path).map(drop).unwrap_err().to_string();
        assert!(refused(dir.path()).contains("this is not CIFAR-10"), "{}", refused(dir.path()));
        assert!(crate::open_unlabelled("cifar10", &captions).is_err());
        assert!(crate::open_unlabelled("mine", &captions).is_ok());
        assert!(named("flickr30k", &captions).is_ok());
        // Nor does it hide the dataset's own folders.
        write(dir.path(), &["test/cat/1.png", "test/dog/2.png"]);
        assert_eq!(named("cifar10", dir.path()).unwrap().loader, "folder");
    }

    #[test]
    fn a_root_a_level_or_two_too_high_finds_its_folder() {
        for (name, files, item) in [
            ("sst2", &["rendered-sst2/test/negative/1.png"][..], "negative/1.png"),
            ("country211", &["country211/test/FR/1.jpg", "country211/train/FR/2.jpg"], "FR/1.jpg"),
            ("eurosat", &["eurosat/EuroSAT_RGB/River/1.jpg"], "River/1.jpg"),
            (
                "caltech101",
                &["caltech101/101_ObjectCategories/emu/1.jpg", "caltech101/Annotations/emu/1.mat"],
                "emu/1.jpg",
            ),
            ("imagenet-a", &["imagenet-a/n01498041/1.jpg"], "n01498041/1.jpg"),
            ("imagenetv2", &["imagenetv2-matched-frequency-format-val/0/1.jpeg"], "0/1.jpeg"),
            (
                "kitti",
                &["Kitti/raw/training/image_2/1.png", "Kitti/raw/training/label_2/1.txt"],
                "",
            ),
        ] {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), files);
            let set = named(name, dir.path()).unwrap_or_else(|e| panic!("{name}: {e}"));
            if !item.is_empty() {
                assert_eq!(set.items().next().unwrap().unwrap().key, item, "{name}");
            }
        }
    }

    #[test]
    fn several_that_fit_are_named_unless_one_has_the_datasets_name() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &["one/test/negative/1.png", "two/test/negative/1.png"]);
        let message = named("sst2", dir.path()).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("2 folders in it fit: one, two\nhint: the expected"), "{message}");
        write(dir.path(), &["renderedsst2/test/negative/3.png"]);
        let item = named("sst2", dir.path()).unwrap().items().next().unwrap().unwrap();
        assert_eq!(item.key, "negative/3.png");
    }

    #[test]
    fn another_set_beside_the_datasets_own_folder_is_not_it() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &["cifar10/cat/1.png", "cifar10/dog/2.png", "sets/test/0.tar"]);
        std::fs::write(dir.path().join("sets/test/nshards.txt"), "1\n").unwrap();
        for set in [named("cifar10", dir.path()), crate::open_unlabelled("cifar10", dir.path())] {
            let set = set.unwrap();
            assert_eq!((set.root, set.loader), (dir.path().join("cifar10"), "folder"));
        }
        std::fs::rename(dir.path().join("cifar10/dog"), dir.path().join("cifar10/x")).unwrap();
        let message = named("cifar10", dir.path()).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("this is not CIFAR-10 as it is published"), "{message}");
        let set = crate::open_unlabelled("cifar10", dir.path()).unwrap();
        assert_eq!((set.root, set.loader), (dir.path().join("cifar10"), "folder"));
    }

    #[test]
    fn class_folders_with_a_datasets_names_are_a_copy_of_it() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &["train/cat/1.png", "train/automobile/2.png", "test/cat/3.png", "test/Dog/4.png"],
        );
        let set = named("cifar10", dir.path()).unwrap();
        assert_eq!((set.classes.len(), set.loader), (10, "folder"));
        assert!(set.prompts(3)[0].contains("photo of a cat"), "{:?}", set.prompts(3));
        let keys: Vec<_> = set.items().map(|item| item.unwrap().key).collect();
        assert_eq!(keys, ["Dog/4.png", "cat/3.png"], "the test part alone");
        let other = crate::open_unlabelled("cifar10", dir.path()).unwrap();
        assert_eq!(other.classes, set.classes, "one owner");
        // A folder below what is published holds all parts, and videos are no images.
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &["images/waffles/1.jpg", "meta/notes.txt", "Archery/1.jpg"]);
        for name in ["food101", "ucf101"] {
            assert!(named(name, dir.path()).is_err(), "{name}");
        }
    }

    #[test]
    fn one_root_may_hold_both_kinds_of_digits() {
        let dir = tempfile::tempdir().unwrap();
        for (folder, label) in [("MNIST/raw", 3), ("FashionMNIST/raw", 9)] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
            super::super::idx::tests::write(&dir.path().join(folder), "t10k", &[label], false);
        }
        for (name, label) in [("mnist", 3), ("fashion-mnist", 9)] {
            let set = named(name, dir.path()).unwrap();
            let item = set.items().next().unwrap().unwrap();
            assert_eq!(item.truth.class(), Some(label), "{name}");
        }
        std::fs::remove_dir_all(dir.path().join("MNIST")).unwrap();
        assert!(named("mnist", dir.path()).is_err(), "Fashion-MNIST is not MNIST");
    }

    #[test]
    fn a_path_alone_finds_the_one_dataset_in_it() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &["dtd/images/banded/b.jpg"]);
        std::fs::create_dir(dir.path().join("dtd/labels")).unwrap();
        std::fs::write(dir.path().join("dtd/labels/test1.txt"), "banded/b.jpg\n").unwrap();
        let set = open(dir.path()).unwrap();
        assert_eq!((set.loader, set.root), ("dtd", dir.path().join("dtd")));
    }
}
