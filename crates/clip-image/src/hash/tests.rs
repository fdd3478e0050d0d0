//! Golden hashes of the Python tools, for the photographs of `testdata/photographs`.

use super::*;
use crate::{DecodeOptions, decode};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/photographs");

fn photograph(name: &str) -> Rgb {
    decode(&std::fs::read(format!("{FOLDER}/{name}")).unwrap(), &DecodeOptions::stored()).unwrap()
}

/// Rows of `testdata/hashes.tsv` (made by `scripts/golden/hashes`): a name, and its hashes.
fn golden() -> Vec<(&'static str, Vec<&'static str>)> {
    let rows = include_str!("../../testdata/hashes.tsv").lines().skip(1);
    let rows = rows.map(|row| row.split('\t').collect::<Vec<_>>());
    rows.map(|row| (row[0], row[1..].to_vec())).collect()
}

#[test]
fn hashes_are_those_of_the_python_tools() {
    let golden = golden();
    assert_eq!(golden.len(), 39);
    for (name, golden) in golden {
        let image = photograph(name);
        let pdq = pdq::Pdq::of(&image);
        let ours = [phash(&image), dhash(&image), ahash(&image), whash(&image)].map(hex);
        let theirs = [imagehash::phash, imagehash::dhash, imagehash::ahash, imagehash::whash];
        let theirs = theirs.map(|hash| hex(hash(&image)));
        let found = ours.into_iter().chain(theirs).chain([pdq.hex(), pdq.quality.to_string()]);
        assert_eq!(found.collect::<Vec<_>>(), golden, "{name}");
    }
}

#[test]
fn the_fast_hash_is_the_full_one_up_to_few_bits() {
    let mut bits = Vec::new();
    for (name, _) in golden() {
        let image = photograph(name);
        let large =
            crate::resize(&image, image.width * 3, image.height * 3, crate::Filter::Lanczos);
        let jpeg = crate::encode_jpeg(&large, 90).unwrap();
        let options = DecodeOptions { min_side: Some(FAST_SIDE), ..Default::default() };
        let (full, fast) = (decode(&jpeg, &DecodeOptions::default()), decode(&jpeg, &options));
        bits.push((phash(&full.unwrap()) ^ phash(&fast.unwrap())).count_ones());
    }
    bits.sort_unstable();
    assert!(bits[20] <= 2 && bits[38] <= 8, "{bits:?}");
}

#[test]
fn blank_images_are_flat_and_photographs_are_not() {
    assert!(is_flat(&Rgb::filled(300, 200, [0, 0, 0])));
    assert!(!is_flat(&photograph("456_123.jpg")));
}
