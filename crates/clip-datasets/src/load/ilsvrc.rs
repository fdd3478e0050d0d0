//! ImageNet's validation images as they are published: 50,000 in one folder, their classes in a
//! file of the development kit, of Kaggle's, or a list of WordNet ids.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::mat::Mat;
use super::mat_file::read_mat;
use super::{Ask, Content, file, folder, no_split};
use crate::error::lines;
use crate::item::Split;
use crate::{Error, Result};

pub(crate) const TREE: &str = "  ILSVRC2012_val_00000001.JPEG … (also below val/, ILSVRC2012_img_val/ or ILSVRC/Data/CLS-LOC/val/), and one of\n    ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt with meta.mat (the development kit)\n    LOC_val_solution.csv (Kaggle), imagenet_2012_validation_synset_labels.txt (a WordNet id a line)\n    torchvision's meta.bin is a pickle of PyTorch's and not read";
const FIRST: &str = "ILSVRC2012_val_00000001.JPEG";

/// The folder of the images.
fn images(root: &Path) -> Option<PathBuf> {
    let folders = ["", "val", "ILSVRC2012_img_val", "ILSVRC/Data/CLS-LOC/val", "Data/CLS-LOC/val"];
    folders.iter().map(|inner| root.join(inner)).find(|inner| inner.join(FIRST).is_file())
}

pub(crate) fn detect(root: &Path) -> bool {
    images(root).is_some()
}

pub(crate) fn open(root: &Path, ask: &Ask) -> Result<Content> {
    let images = images(root).ok_or_else(|| Error::layout(root, format!("no {FIRST}"), TREE))?;
    match ask.split {
        Split::Test => {}
        // The train part is a folder a class everywhere.
        Split::Train => {
            let inner = images != root && !root.join("train").is_dir();
            let holder = images.parent().filter(|_| inner).unwrap_or(root);
            return folder::open(holder, ask);
        }
        Split::Val => return Err(no_split(root, ask.split, TREE)),
    }
    let (list, classes) = classes(root)?;
    let files = classes.into_iter().map(|(image, wnid)| {
        let name = format!("{image}.JPEG");
        (images.join(&name), name, wnid)
    });
    let files: Vec<_> = files.collect();
    let mut keys: Vec<String> = files.iter().map(|(_, _, wnid)| wnid.clone()).collect();
    keys.sort();
    keys.dedup();
    Content::files(&list, keys, files)
}

/// Image and WordNet id, and the file that they are from.
fn classes(root: &Path) -> Result<(PathBuf, Vec<(String, String)>)> {
    if let Some(list) = file(root, &["LOC_val_solution.csv"]) {
        let found = kaggle(&list)?;
        return Ok((list, found));
    }
    let numbered = |(at, wnid): (usize, String)| (format!("ILSVRC2012_val_{:08}", at + 1), wnid);
    if let Some(list) = file(root, &["imagenet_2012_validation_synset_labels.txt"]) {
        let found = lines(&list)?.into_iter().enumerate().map(numbered).collect();
        return Ok((list, found));
    }
    let kit = ["ILSVRC2012_devkit_t12/data", "devkit/data", "data", ""].map(|dir| root.join(dir));
    let truth = "ILSVRC2012_validation_ground_truth.txt";
    let Some(kit) = kit.iter().find(|dir| dir.join(truth).is_file()) else {
        return Err(Error::layout(
            root,
            "images in one folder, and no file of their classes",
            TREE,
        ));
    };
    let (list, meta) = (kit.join(truth), kit.join("meta.mat"));
    if !meta.is_file() {
        return Err(Error::layout(kit, format!("{truth} without meta.mat"), TREE));
    }
    let ids = synsets(&meta)?;
    let wnid = |(at, line): (usize, String)| {
        let id = line.parse::<u64>().ok().and_then(|id| ids.get(&id).cloned());
        let reason = || Error::file(&list, format!("line {}: {line:?} is not in meta.mat", at + 1));
        Ok(numbered((at, id.ok_or_else(reason)?)))
    };
    let found = lines(&list)?.into_iter().enumerate().map(wnid).collect::<Result<_>>()?;
    Ok((list, found))
}

/// `ImageId,PredictionString`: the string begins with the WordNet id, boxes follow.
fn kaggle(list: &Path) -> Result<Vec<(String, String)>> {
    let mut reader = csv::Reader::from_path(list).map_err(|e| Error::file(list, e))?;
    let row = |record: csv::Result<csv::StringRecord>| {
        let record = record.map_err(|e| Error::file(list, e))?;
        let image = record.get(0).filter(|image| !image.is_empty());
        let pair = image.zip(record.get(1).and_then(|boxes| boxes.split_whitespace().next()));
        let (image, wnid) =
            pair.ok_or_else(|| Error::file(list, "a row without image and class"))?;
        Ok((image.to_owned(), wnid.to_owned()))
    };
    let mut found = reader.records().map(row).collect::<Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}

/// The development kit's numbers, and their WordNet ids.
fn synsets(meta: &Path) -> Result<HashMap<u64, String>> {
    let values = read_mat(meta)?;
    let bad = || Error::file(meta, "no structures `synsets` with ILSVRC2012_ID and WNID");
    let Some(Mat::Structs(fields)) = values.get("synsets") else { return Err(bad()) };
    let (ids, wnids) = fields.get("ILSVRC2012_ID").zip(fields.get("WNID")).ok_or_else(bad)?;
    let pair =
        |(id, wnid): (&Mat, &Mat)| Some((*id.numbers()?.first()? as u64, wnid.text()?.to_owned()));
    ids.iter().zip(wnids).map(pair).collect::<Option<_>>().ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use crate::{OpenOptions, Split, open_named};
    use std::path::Path;

    fn classes(root: &Path) -> crate::Result<Vec<(String, usize)>> {
        let set = open_named(&format!("imagenet={}", root.display()), &OpenOptions::default())?;
        assert_eq!((set.loader, set.classes.len()), ("ilsvrc", 1000));
        let item = |item: crate::EvalItem| (item.key, item.truth.class().unwrap());
        set.items().map(|found| found.map(item)).collect()
    }

    #[test]
    fn images_in_one_folder_take_their_classes_from_any_of_three_files() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ilsvrc_meta.mat");
        let dir = tempfile::tempdir().unwrap();
        let val = dir.path().join("imagenet/val");
        std::fs::create_dir_all(&val).unwrap();
        for n in 1..=3 {
            std::fs::write(val.join(format!("ILSVRC2012_val_{n:08}.JPEG")), [n]).unwrap();
        }
        let message = classes(dir.path()).unwrap_err().to_string();
        assert!(message.contains("no file of their classes\nhint: "), "{message}");
        assert!(message.contains("meta.bin"), "{message}");

        let root = dir.path().join("imagenet");
        // SciPy's meta.mat has 1: n15075141 (class 999), 2: n01440764 (0), 3: a node above,
        // n00001740.
        let kit = root.join("ILSVRC2012_devkit_t12/data");
        std::fs::create_dir_all(&kit).unwrap();
        let truth = kit.join("ILSVRC2012_validation_ground_truth.txt");
        std::fs::write(&truth, "2\n1\n2\n").unwrap();
        assert!(classes(&root).unwrap_err().to_string().contains("without meta.mat"));
        std::fs::copy(golden, kit.join("meta.mat")).unwrap();
        let name = |n: usize| format!("ILSVRC2012_val_{n:08}.JPEG");
        let wanted = vec![(name(1), 0), (name(2), 999), (name(3), 0)];
        assert_eq!(classes(dir.path()).unwrap(), wanted);
        std::fs::write(&truth, "2\n7\n2\n").unwrap();
        assert!(classes(&root).unwrap_err().to_string().contains("line 2: \"7\""));

        std::fs::remove_dir_all(root.join("ILSVRC2012_devkit_t12")).unwrap();
        let list = root.join("imagenet_2012_validation_synset_labels.txt");
        std::fs::write(&list, "n01440764\nn15075141\nn01440764\n").unwrap();
        assert_eq!(classes(&root).unwrap(), wanted);
        std::fs::remove_file(list).unwrap();
        std::fs::write(
            root.join("LOC_val_solution.csv"),
            "ImageId,PredictionString\nILSVRC2012_val_00000002,n15075141 1 2 3 4 \nILSVRC2012_val_00000001,n01440764 1 2 3 4 n01440764 5 6 7 8 \nILSVRC2012_val_00000003,n01440764 1 2 3 4\n",
        )
        .unwrap();
        assert_eq!(classes(&root).unwrap(), wanted);

        let train = root.join("train/n01440764");
        std::fs::create_dir_all(&train).unwrap();
        std::fs::write(train.join("a.JPEG"), b"x").unwrap();
        let options = OpenOptions { split: Split::Train, ..OpenOptions::default() };
        let set = open_named(&format!("imagenet={}", root.display()), &options).unwrap();
        assert_eq!(set.items().next().unwrap().unwrap().key, "n01440764/a.JPEG");
    }
}
