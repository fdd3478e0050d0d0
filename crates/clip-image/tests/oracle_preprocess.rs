//! Pixels of open_clip's evaluation transform for every `preprocess_cfg`, which
//! `scripts/oracles/preprocess.py` makes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clip_image::{Preprocess, Resampling, ResizeMode};
use serde_json::Value;

fn bytes(text: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(text.as_str().unwrap()).unwrap()
}

fn preprocess(case: &Value, size: u32) -> Preprocess {
    let resize_mode = match case["resize_mode"].as_str().unwrap() {
        "shortest" => ResizeMode::Shortest,
        "longest" => ResizeMode::Longest,
        _ => ResizeMode::Squash,
    };
    // open_clip evaluates with bicubic where training draws the kernel.
    let bilinear = case["interpolation"] == "bilinear";
    let resampling = if bilinear { Resampling::Bilinear } else { Resampling::Bicubic };
    let fill_color = case["fill_color"].as_u64().unwrap() as u8;
    Preprocess { size, resize_mode, resampling, fill_color }
}

#[test]
fn pixels_are_open_clips() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/oracle/preprocess/pixels.jsonl.gz");
    let mut golden = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut golden).unwrap();
    // Of each transform: cases, and how far the likeliest mistakes are off in some of them.
    let mut rows: BTreeMap<String, (usize, u8, u64)> = BTreeMap::new();
    let mut faults = Vec::new();
    for line in golden.lines() {
        let image: Value = serde_json::from_str(line).unwrap();
        let (encoded, size) = (bytes(&image["image"]), image["size"].as_u64().unwrap() as u32);
        for case in image["cases"].as_array().unwrap() {
            let what = format!("{} {}", case["resize_mode"], case["interpolation"]);
            let what = what.replace('"', "");
            let found = preprocess(case, size).pixels(&encoded).unwrap();
            let wanted = bytes(&case["pixels"]);
            assert_eq!(found.data.len(), wanted.len());
            let worst = found.data.iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            if worst > 0 {
                faults.push(format!(
                    "{} {what}, fill {}: {worst}",
                    image["name"], case["fill_color"]
                ));
            }
            let row = rows.entry(what).or_default();
            let wrong = case["wrong_by"]["kernel"].as_u64().unwrap();
            *row = (row.0 + 1, row.1.max(worst), row.2.max(wrong));
        }
    }
    assert_eq!(faults, [""; 0]);
    assert_eq!((golden.lines().count(), rows.len()), (30, 9));
    for (what, (cases, worst, wrong)) in rows {
        println!(
            "oracle\tpreprocessing\tpixels, {what}\topen_clip 3.3.0\t{cases}\t{worst} levels\tthe other kernel: differs by {wrong} levels"
        );
        assert!(wrong > 0, "{what}");
    }
}
