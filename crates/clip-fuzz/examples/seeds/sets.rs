//! Files of evaluation sets.

use crate::{Seeds, chosen};

/// A golden file of the loaders' own tests, after the byte that chooses its set.
macro_rules! golden {
    ($first:expr, $name:literal) => {
        chosen($first, include_bytes!(concat!("../../../clip-datasets/tests/golden/", $name)))
    };
}

fn idx(labels: &[u8], first: u8) -> Vec<u8> {
    let mut file = vec![0, 0, 8, 1];
    file.extend((labels.len() as u32).to_be_bytes());
    file.extend(labels);
    let split = file.len() as u8;
    file.extend([0, 0, 8, 3]);
    file.extend([labels.len() as u32, 2, 2].iter().flat_map(|n| n.to_be_bytes()));
    file.extend((0..labels.len()).flat_map(|n| [n as u8, 1, 2, 3]));
    chosen(first + split, file)
}

/// `{KEY: [WORDS]}`, and numbers where there are no words, as Python 2 pickles it.
fn names(key: &str, words: &[&str]) -> Vec<u8> {
    let text = |word: &str| [&[b'U', word.len() as u8], word.as_bytes()].concat();
    let mut file = b"\x80\x02}(".to_vec();
    file.extend(text(key));
    file.extend(b"](");
    file.extend(words.iter().flat_map(|word| text(word)));
    file.extend(b"K\x03M\x01\x01J\xff\xff\xff\xff\x8a\x01\x05eu.");
    file
}

fn batch(labels: &str) -> Vec<u8> {
    let mut file = b"\x80\x02}q\x01(U\x04datacnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nK\0\x85U\x01b\x87R(K\x01(M\x01\0M\0\x0ctcnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T\0\x0c\0\0".to_vec();
    file.resize(file.len() + 3072, 7);
    file.extend(b"tb");
    file.extend([b'U', labels.len() as u8]);
    file.extend(labels.bytes());
    file.extend(b"]q\x02(K\x03eu.");
    file
}

fn npy(kind: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': (3,), }}\n");
    [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

pub fn seeds() -> Seeds {
    vec![
        ("idx", vec![("plain", idx(&[9, 0, 3], 0)), ("packed", idx(&[1, 2], 128))]),
        (
            "mat",
            vec![
                ("svhn", golden!(0, "svhn/test_32x32.mat")),
                ("svhn_wrong", golden!(0, "svhn/wrong.mat")),
                ("flowers", golden!(1, "imagelabels.mat")),
                ("parts", golden!(2, "setid.mat")),
                ("cars", golden!(3, "cars.mat")),
                ("values", golden!(4, "values_plain.mat")),
                ("packed", golden!(4, "values_packed.mat")),
            ],
        ),
        (
            "pickle",
            vec![
                ("batch", chosen(0, batch("labels"))),
                ("names", chosen(1, names("label_names", &["a", "b", "c", "d", "e", "f"]))),
                ("fine", chosen(2, batch("fine_labels"))),
                ("refused", chosen(3, b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.")),
            ],
        ),
        (
            "npy",
            vec![
                ("marks", chosen(0, npy("<i8", &[1; 24]))),
                ("bytes", chosen(0, npy("|u1", &[0, 1, 1]))),
                ("floats", chosen(1, npy("<f4", &[0; 12]))),
                ("group", chosen(1, npy("<f8", &[0; 8]))),
            ],
        ),
        (
            "hdf5",
            vec![
                ("images", golden!(0, "pcam/camelyonpatch_level_2_split_test_x.h5")),
                ("labels", golden!(1, "pcam/camelyonpatch_level_2_split_test_y.h5")),
            ],
        ),
        (
            "eval_table",
            vec![
                (
                    "karpathy",
                    chosen(
                        0,
                        r#"{"images":[{"filename":"a.jpg","split":"test","sentences":[{"raw":"a cat"}]}]}"#,
                    ),
                ),
                (
                    "coco",
                    chosen(
                        1,
                        r#"{"images":[{"id":1,"file_name":"a.jpg"}],"annotations":[{"image_id":1,"caption":"a cat"}]}"#,
                    ),
                ),
                ("flickr", chosen(2, "image,caption\na.jpg,\"a cat, red\"\n")),
                ("flickr_all", chosen(3, "image_name| comment_number| comment\na.jpg| 0| a cat\n")),
                ("token", chosen(4, "a.jpg#0\ta cat\na.jpg#1\ta dog\n")),
                ("fer2013", chosen(5, "emotion,pixels,Usage\n3,1 2 3,PrivateTest\n")),
                (
                    "gtsrb",
                    chosen(
                        6,
                        "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\na.ppm;1;1;0;0;1;1;5\n",
                    ),
                ),
                ("memes", chosen(7, "{\"id\":1,\"img\":\"a.jpg\",\"label\":1,\"text\":\"t\"}\n")),
                (
                    "clevr",
                    chosen(8, r#"{"scenes":[{"image_filename":"a.jpg","objects":[{},{},{}]}]}"#),
                ),
                (
                    "kitti",
                    chosen(9, "Car 0.00 0 1.5 1 2 3 4 1 1 1 0.5 1.0 12.5 0.1\nDontCare -1\n"),
                ),
                ("birds", chosen(10, "path\nant/a.jpg\n")),
                ("food", chosen(11, "ant/a\nbee/b\n")),
                ("pets", chosen(12, "Abyssinian_201 1 1 1\nbeagle_2 2 2 1\n")),
                ("stl10", chosen(13, [1, 10])),
                (
                    "ilsvrc",
                    chosen(
                        14,
                        "ImageId,PredictionString\nILSVRC2012_val_00000001,n01440764 1 2 3 4\n",
                    ),
                ),
                ("objectnet", chosen(15, r#"{"air_freshener":"Air freshener"}"#)),
                (
                    "winoground",
                    chosen(
                        16,
                        r#"{"id":0,"image_0":"a","image_1":"a","caption_0":"x y","caption_1":"y x","collapsed_tag":"Object"}"#,
                    ),
                ),
                (
                    "winogavil",
                    chosen(17, r#"{"cue":"Owl","candidates":["a","a"],"associations":["a"]}"#),
                ),
                (
                    "sugarcrepe",
                    chosen(
                        18,
                        r#"{"0":{"filename":"a.jpg","caption":"x","negative_caption":"y"}}"#,
                    ),
                ),
                (
                    "manifest",
                    chosen(19, "image,label,split\na.jpg,ant,test\na.jpg,bee|cat,train\n"),
                ),
            ],
        ),
    ]
}
