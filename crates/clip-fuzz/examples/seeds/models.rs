//! Weights, and a fastText model.

use std::error::Error;

use clip_model::pt::{Value, write_pt};
use clip_model::read_safetensors;

use crate::Seeds;

/// What of a fastText model differs among the seeds.
struct Classifier {
    quantised: bool,
    /// How often the labels occurred: what their tree is made of.
    counts: i64,
    /// Longest subwords.
    maxn: i32,
    word: Vec<u8>,
}

/// A classifier of two labels and two words with hierarchical softmax.
fn fasttext(model: &Classifier) -> Vec<u8> {
    let quantised = model.quantised;
    let mut file = Vec::new();
    let words = |file: &mut Vec<u8>, words: &[i32]| {
        file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    };
    words(&mut file, &[793_712_314, 12]);
    // dim, ws, epoch, minCount, neg, wordNgrams, loss, model, bucket, minn, maxn, lrUpdateRate.
    words(&mut file, &[2, 5, 5, 1, 5, 2, 1, 3, 4, 2, model.maxn, 100]);
    file.extend(1e-4f64.to_le_bytes());
    words(&mut file, &[4, 2, 2]);
    file.extend(9i64.to_le_bytes());
    let pruned = [(1i32, 0i32), (3, 1)];
    file.extend(if quantised { 2i64 } else { -1 }.to_le_bytes());
    let entries = [
        (&b"</s>"[..], 3i64, 0),
        (&model.word, 2, 0),
        (b"__label__en", model.counts, 1),
        (b"__label__de", model.counts - 1, 1),
    ];
    for (word, count, kind) in entries {
        file.extend(word);
        file.push(0);
        file.extend(count.to_le_bytes());
        file.push(kind);
    }
    if quantised {
        pruned.iter().for_each(|(bucket, row)| words(&mut file, &[*bucket, *row]));
        // Quantised, without norms, 4 rows of 2 as one code each from a book of 256 pairs.
        file.extend([1, 0]);
        file.extend([4i64, 2].iter().flat_map(|n| n.to_le_bytes()));
        words(&mut file, &[4]);
        file.extend([0, 1, 2, 255]);
        words(&mut file, &[2, 1, 2, 2]);
        file.extend((0..512).flat_map(|n| (n as f32 / 512.0).to_le_bytes()));
    } else {
        file.push(0);
        file.extend([6i64, 2].iter().flat_map(|n| n.to_le_bytes()));
        file.extend((0..12).flat_map(|n| (n as f32 / 12.0).to_le_bytes()));
    }
    file.push(0);
    file.extend([2i64, 2].iter().flat_map(|n| n.to_le_bytes()));
    file.extend((0..4).flat_map(|n| (n as f32 - 1.5).to_le_bytes()));
    file
}

/// Three tensors of several types, aligned.
fn safetensors() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt"},"a.count":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]},"a.half":{"dtype":"BF16","shape":[4],"data_offsets":[32,40]},"a.none":{"dtype":"F32","shape":[0,4],"data_offsets":[40,40]}}"#;
    let width = header.len().next_multiple_of(8);
    let header = format!("{header:width$}");
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.extend(7i64.to_le_bytes());
    file.extend((0..6).flat_map(|n| (n as f32).to_le_bytes()));
    file.extend([0x80, 0x3f].repeat(4));
    file
}

/// A transposed view of a storage, as `torch.save` pickles it, in a dictionary.
fn pickle() -> Vec<u8> {
    let mut file = b"\x80\x02}q\x00(X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\nq\x01((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x0ctQK\0".to_vec();
    file.extend(b"K\x04K\x03\x86K\x01K\x04\x86\x89ccollections\nOrderedDict\n)RtR");
    file.extend(
        b"X\x05\0\0\0epochK\x03X\x02\0\0\0lrG?PbM\xd2\xf1\xa9\xfcX\x01\0\0\0l](NK\x01\x88eu.",
    );
    file
}

pub fn seeds() -> Result<Seeds, Box<dyn Error>> {
    let plain = |quantised| Classifier { quantised, counts: 5, maxn: 3, word: b"red".to_vec() };
    let folder = tempfile::tempdir()?;
    let (weights, archive) = (folder.path().join("w.safetensors"), folder.path().join("w.pt"));
    std::fs::write(&weights, safetensors())?;
    let state = Value::state_dict(&read_safetensors(&weights)?);
    write_pt(&archive, &Value::dict([("epoch", 3.into()), ("state_dict", state)]))?;
    Ok(vec![
        (
            "fasttext",
            vec![
                ("plain", fasttext(&plain(false))),
                ("quantised", fasttext(&plain(true))),
                // Labels that make no tree, and subwords of a word's whole length.
                ("counts", fasttext(&Classifier { counts: i64::MAX, ..plain(false) })),
                (
                    "subwords",
                    fasttext(&Classifier {
                        maxn: i32::MAX,
                        word: vec![b'x'; 20_000],
                        ..plain(false)
                    }),
                ),
            ],
        ),
        ("safetensors", vec![("types", safetensors())]),
        ("pt", vec![("state", std::fs::read(archive)?)]),
        ("pt_pickle", vec![("view", pickle())]),
    ])
}
