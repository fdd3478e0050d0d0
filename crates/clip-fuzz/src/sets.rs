//! Files of evaluation sets, each as its authors publish it, through the loader of the set.

use std::path::Path;

use clip_datasets::{OpenOptions, Truth, choice as choices, open_with};

use crate::scratch::{gzipped, with_files};
use crate::{choice, must};

/// Items that are read of a set.
const ITEMS: usize = 64;
/// A file of NumPy's h5py with five labels: the half of a set that is not under test.
const H5_LABELS: &[u8] =
    include_bytes!("../../clip-datasets/tests/golden/pcam/camelyonpatch_level_2_split_test_y.h5");
const H5_IMAGES: &[u8] =
    include_bytes!("../../clip-datasets/tests/golden/pcam/camelyonpatch_level_2_split_test_x.h5");
const MAT_LABELS: &[u8] = include_bytes!("../../clip-datasets/tests/golden/imagelabels.mat");
const MAT_PARTS: &[u8] = include_bytes!("../../clip-datasets/tests/golden/setid.mat");
const MAT_CARS: &[u8] = include_bytes!("../../clip-datasets/tests/golden/cars.mat");

/// Opens a set by its layout and reads its first items: each has a class or marks of the set's.
fn open(path: &Path, loader: &str) {
    let options = OpenOptions { loader: Some(loader.to_owned()), ..OpenOptions::default() };
    let Ok(set) = open_with(path, &options) else { return };
    let classes = set.classes.len();
    for item in set.items().take(ITEMS) {
        let Ok(item) = item else { continue };
        match item.truth {
            Truth::Class(class) => assert!(class < classes, "class {class} of {classes}"),
            Truth::Marks(marks) => assert_eq!(marks.len(), classes),
            Truth::Captions(_) => {}
        }
    }
    let _ = set.keys();
}

fn open_files(files: &[(&str, &[u8])], loader: &str) {
    with_files(files, |folder| open(folder, loader));
}

/// MNIST's files: the first byte chooses how much of the input are the labels.
pub fn idx(data: &[u8]) {
    let (first, content) = choice(data);
    let (labels, images) = content.split_at((first & 127).min(content.len()));
    if first < 128 {
        let files = [("t10k-images-idx3-ubyte", images), ("t10k-labels-idx1-ubyte", labels)];
        return open_files(&files, "idx");
    }
    let (images, labels) = (gzipped(images), gzipped(labels));
    let files =
        [("t10k-images-idx3-ubyte.gz", &images[..]), ("t10k-labels-idx1-ubyte.gz", &labels[..])];
    open_files(&files, "idx");
}

/// MATLAB's files, the first byte choosing the set that they are of.
pub fn mat(data: &[u8]) {
    let (first, mat) = choice(data);
    let image = ("jpg/image_00001.jpg", &b"\xff\xd8\xff"[..]);
    match first % 5 {
        0 => open_files(&[("test_32x32.mat", mat)], "svhn"),
        1 => open_files(&[image, ("imagelabels.mat", mat), ("setid.mat", MAT_PARTS)], "flowers"),
        2 => open_files(&[image, ("imagelabels.mat", MAT_LABELS), ("setid.mat", mat)], "flowers"),
        3 => open_files(&[("cars_test_annos_withlabels.mat", mat)], "cars"),
        _ => {
            let files = [("cars_test_annos_withlabels.mat", MAT_CARS), ("cars_meta.mat", mat)];
            open_files(&files, "cars");
        }
    }
}

/// CIFAR's pickles: a batch, or the names of the classes where the first byte is odd.
pub fn pickle(data: &[u8]) {
    let (first, pickle) = choice(data);
    let batch = cifar_batch();
    match first % 4 {
        0 => open_files(&[("test_batch", pickle)], "cifar10"),
        1 => open_files(&[("test_batch", &batch), ("batches.meta", pickle)], "cifar10"),
        2 => open_files(&[("train", pickle), ("test", pickle)], "cifar100"),
        _ => open_files(&[("train", pickle), ("test", pickle), ("meta", pickle)], "cifar100"),
    }
}

/// `{"data": array of 1 x 3072 bytes, "labels": [3]}` in protocol 2, as Python 2's cPickle writes
/// it.
fn cifar_batch() -> Vec<u8> {
    let mut file = b"\x80\x02}q\x01(U\x04datacnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nK\0\x85U\x01b\x87R(K\x01(M\x01\0M\0\x0ctcnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T\0\x0c\0\0".to_vec();
    file.resize(file.len() + 3072, 7);
    file.extend(b"tbU\x06labels]q\x02(K\x03eu.");
    file
}

/// NumPy's arrays as marks or metadata of a sample, as CLIP_benchmark has them in shards.
pub fn npy(data: &[u8]) {
    let (first, array) = choice(data);
    let kind: &[u8] = if first & 1 == 0 { b"multilabel" } else { b"classification" };
    let shard = shard(&[("0.jpg", b"\xff\xd8\xff"), ("0.cls", b"1"), ("0.npy", array)]);
    let files = [
        ("test/nshards.txt", &b"1\n"[..]),
        ("test/0.tar", &shard),
        ("dataset_type.txt", kind),
        ("classnames.txt", b"ant\nbee\ncat\n"),
        ("zeroshot_classification_templates.txt", b"a photo of a {c}.\n"),
    ];
    open_files(&files, "wds");
}

/// A tar of plain files.
pub(crate) fn shard(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        must(archive.append_data(&mut header, name, *content));
    }
    must(archive.into_inner())
}

/// PatchCamelyon's files of HDF5: images, or labels where the first byte is odd.
pub fn hdf5(data: &[u8]) {
    let (first, content) = choice(data);
    let (images, labels) = if first & 1 == 0 { (content, H5_LABELS) } else { (H5_IMAGES, content) };
    let files = [
        ("camelyonpatch_level_2_split_test_x.h5", images),
        ("camelyonpatch_level_2_split_test_y.h5", labels),
    ];
    open_files(&files, "pcam");
}

/// Layouts whose labels are in one file of text, and that file.
const TABLES: [(&str, &str); 16] = [
    ("karpathy", "dataset_coco.json"),
    ("coco", "annotations/captions_val2014.json"),
    ("flickr30k", "flickr30k_test_karpathy.txt"),
    ("flickr30k-all", "results.csv"),
    ("flickr30k-all", "results_20130124.token"),
    ("fer2013", "fer2013.csv"),
    ("gtsrb", "GT-final_test.csv"),
    ("hateful-memes", "dev.jsonl"),
    ("clevr", "scenes/CLEVR_val_scenes.json"),
    ("kitti", "label_2/a.txt"),
    ("birdsnap", "test_images.txt"),
    ("food101", "meta/test.txt"),
    ("pets", "annotations/test.txt"),
    ("stl10", "test_y.bin"),
    ("ilsvrc", "LOC_val_solution.csv"),
    ("objectnet", "mappings/folder_to_objectnet_label.json"),
];
/// Files of choices among captions or images.
const CHOICES: [&str; 3] = ["examples.jsonl", "winogavil.jsonl", "swap_att.json"];

/// Tables and lists of sets, the first byte choosing the layout.
pub fn eval_table(data: &[u8]) {
    let (first, table) = choice(data);
    let image = b"\xff\xd8\xff".as_slice();
    let at = first % (TABLES.len() + CHOICES.len() + 1);
    if let Some((loader, name)) = TABLES.get(at) {
        let files = [
            (*name, table),
            ("a.jpg", image),
            ("images/a.jpg", image),
            ("image_2/a.png", image),
            ("Final_Test/Images/a.ppm", image),
            ("ILSVRC2012_val_00000001.JPEG", image),
        ];
        return open_files(&files, loader);
    }
    if let Some(name) = CHOICES.get(at - TABLES.len()) {
        return with_files(&[(*name, table), ("images/a.jpg", image)], |folder| {
            let Ok(found) = choices::open(folder) else { return };
            for instance in found.iter().take(ITEMS) {
                let _ = instance.read();
                assert!(!instance.captions.is_empty() || !instance.images.is_empty());
            }
        });
    }
    with_files(&[("set.csv", table), ("a.jpg", image)], |folder| {
        open(&folder.join("set.csv"), "manifest");
    });
}
