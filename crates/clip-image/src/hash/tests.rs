//! Golden hashes of imagededup's own test pictures.

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;

use super::*;
use crate::{DecodeOptions, decode};

/// The pictures of a tar, or nothing (said so) where the shared test data is absent; in CI that is a failure.
fn pictures_of(tar: &str) -> Option<HashMap<String, Rgb>> {
    let shared = std::env::var_os("CLIP_DATA_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = shared.join(tar);
    let Ok(file) = std::fs::File::open(&path) else {
        assert!(std::env::var_os("CI").is_none(), "{} is absent", path.display());
        eprintln!("skipped: {} is absent", path.display());
        return None;
    };
    let mut pictures = HashMap::new();
    for entry in tar::Archive::new(file).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if let Ok(image) = decode(&bytes, &DecodeOptions::stored()) {
            pictures.insert(name, image);
        }
    }
    Some(pictures)
}

fn pictures() -> Option<HashMap<String, Rgb>> {
    pictures_of("imagededup_images.tar")
}

/// Rows of `testdata/hashes.tsv` (made by `scripts/golden/hashes`) for one tar: name to columns.
fn golden(tar: &str) -> HashMap<&'static str, Vec<&'static str>> {
    let rows = include_str!("../../testdata/hashes.tsv").lines().skip(1);
    let rows = rows.map(|row| row.split('\t').collect::<Vec<_>>());
    rows.filter(|row| row[0] == tar).map(|row| (row[1], row[2..].to_vec())).collect()
}

/// Bits in which hashes in hex differ.
fn distance(a: &str, b: &str) -> u32 {
    let digit = |c: char| c.to_digit(16).unwrap();
    a.chars().zip(b.chars()).map(|(a, b)| (digit(a) ^ digit(b)).count_ones()).sum()
}

#[test]
fn hashes_of_500_photographs_are_those_of_the_python_tools() {
    const TAR: &str = "imagenet_sample_500.tar";
    let Some(pictures) = pictures_of(TAR) else { return };
    let golden = golden(TAR);
    assert_eq!((golden.len(), pictures.len()), (500, 500));
    let mut wrong = Vec::new();
    for (name, golden) in &golden {
        let image = &pictures[*name];
        let pdq = pdq::Pdq::of(image);
        let found = [phash(image), dhash(image), ahash(image), whash(image)].map(hex);
        let theirs = [imagehash::phash, imagehash::dhash, imagehash::ahash, imagehash::whash];
        let theirs = theirs.map(|hash| hex(hash(image)));
        let found = found.into_iter().chain(theirs).chain([pdq.hex()]);
        wrong.extend(found.zip(golden).enumerate().filter_map(|(column, (found, golden))| {
            let bits = distance(&found, golden);
            (bits > 0).then(|| format!("{name} column {column}: {bits} bits"))
        }));
        assert_eq!(pdq.quality.to_string(), golden[9], "{name}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_fast_hash_is_the_full_one_up_to_few_bits() {
    const TAR: &str = "imagenet_sample_500.tar";
    let Some(pictures) = pictures_of(TAR) else { return };
    let mut bits = Vec::new();
    let mut names: Vec<&String> = pictures.keys().collect();
    names.sort();
    for image in names.into_iter().take(100).map(|name| &pictures[name]) {
        let jpeg = crate::encode_jpeg(image, 90).unwrap();
        let options = DecodeOptions { min_side: Some(FAST_SIDE), ..Default::default() };
        let (full, fast) = (decode(&jpeg, &DecodeOptions::default()), decode(&jpeg, &options));
        bits.push((phash(&full.unwrap()) ^ phash(&fast.unwrap())).count_ones());
    }
    bits.sort_unstable();
    assert!(bits[50] <= 2 && bits[99] <= 8, "{bits:?}");
}

#[test]
fn hashes_are_imagededups() {
    let Some(pictures) = pictures() else { return };
    for (name, golden) in [
        (
            "ukbench00120.jpg",
            ["9fee256239984d71", "2b69707551f1b87a", "81b83c3c3c3c1e0a", "89b8bc3c3c3c5e0e"],
        ),
        (
            "ukbench00120_hflip.jpg",
            ["cabb7237e8cd3824", "2b29f1517570e2a1", "811d3c3c3c3c7850", "911d3d3c3c3c7a70"],
        ),
        (
            "ukbench00120_rotation.jpg",
            ["850d513c4fdcbb72", "64d2d1717568acd0", "103e7c3dbfbf5c28", "103c3c3dbf3f5c20"],
        ),
        (
            "ukbench09268.jpg",
            ["c73c36c2da2f29c9", "ac9c72f8e1c2c448", "04061e3e7c783000", "040e3e7ffc7c7030"],
        ),
    ] {
        let image = &pictures[&format!("./mixed_images/{name}")];
        let found = [phash(image), dhash(image), ahash(image), whash(image)].map(hex);
        assert_eq!(found, golden, "{name}");
    }
    let resized = &pictures["./mixed_images/ukbench00120_resize.jpg"];
    assert_eq!(hex(phash(resized)), "9fee25623c984d71");
    assert!(!pictures.contains_key("./mixed_images/ukbench09268_corrupt.jpg"));
}

#[test]
fn hashes_are_imagehashs() {
    let Some(pictures) = pictures() else { return };
    let image = |name: &str| &pictures[&format!("./mixed_images/{name}")];
    for (name, golden) in [
        ("ukbench00120.jpg", "9fee256238984d71"),
        ("ukbench00120_hflip.jpg", "cabb7237e8cd1824"),
        ("ukbench00120_rotation.jpg", "850d513c4fdcbb32"),
        ("ukbench09268.jpg", "c73436c2da2f29c9"),
    ] {
        assert_eq!(hex(imagehash::phash(image(name))), golden, "{name}");
    }
    assert_eq!(hex(imagehash::dhash(image("ukbench00120_rotation.jpg"))), "74d2d1717568acd0");
    assert_eq!(hex(imagehash::dhash(image("ukbench09268.jpg"))), "acdc72f8e1c2c448");
}

#[test]
fn blank_pictures_are_flat_and_photographs_are_not() {
    assert!(is_flat(&Rgb::filled(300, 200, [0, 0, 0])));
    let Some(pictures) = pictures() else { return };
    assert!(!is_flat(&pictures["./mixed_images/ukbench00120.jpg"]));
}
