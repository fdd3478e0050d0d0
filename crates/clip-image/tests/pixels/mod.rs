//! Decoded pixels against Pillow's: golden files of images with their pixels.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clip_image::{DecodeOptions, ImageHeader, decode};
use serde_json::Value;

#[derive(Default)]
struct Row {
    section: String,
    cases: usize,
    worst: u8,
}

/// Decodes all images of a golden file and prints a line for each of its sections.
///
/// # Panics
/// When one differs by more levels than the file allows.
pub fn compare(name: &str, golden: &[u8]) {
    let mut lines = BufReader::new(flate2::read::GzDecoder::new(golden)).lines();
    let mut next =
        || -> Option<Value> { Some(serde_json::from_str(&lines.next()?.unwrap()).unwrap()) };
    let program = next().unwrap()["program"].as_str().unwrap().to_owned();
    let (mut row, mut faults) = (Row::default(), Vec::new());
    // Pillow applies no profile on its own.
    let options = DecodeOptions { icc: false, ..DecodeOptions::default() };
    while let Some(line) = next() {
        let text = |field: &str| line[field].as_str().unwrap_or_default();
        let bytes = |field: &str| STANDARD.decode(text(field)).unwrap();
        if line["wrong"].is_string() {
            let (wrong, by) = (text("wrong"), &line["wrong_by"]);
            let Row { section, cases, worst } = std::mem::take(&mut row);
            println!(
                "oracle\t{name}\t{section}\t{program}\t{cases}\t{worst}\t{wrong}: differs by {by}"
            );
            assert!(cases > 0 && by.as_u64() > Some(u64::from(worst)), "{section}");
            continue;
        }
        let (case, image, pixels) = (text("name"), bytes("image"), bytes("pixels"));
        let size = (line["width"].as_u64().unwrap(), line["height"].as_u64().unwrap());
        text("section").clone_into(&mut row.section);
        row.cases += 1;
        let label = format!("{}: {case}", row.section);
        if let Err(error) = ImageHeader::read(&image) {
            faults.push(format!("{label}: probe: {error}"));
        }
        let ours = match decode(&image, &options) {
            Ok(ours) => ours,
            Err(error) => {
                faults.push(format!("{label}: {error}"));
                continue;
            }
        };
        if (u64::from(ours.width), u64::from(ours.height)) != size {
            faults.push(format!("{label}: {}x{} for {size:?}", ours.width, ours.height));
            continue;
        }
        let far = ours.data.iter().zip(&pixels).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
        row.worst = row.worst.max(far);
        if u64::from(far) > line["levels"].as_u64().unwrap() {
            faults.push(format!("{label}: differs by {far} levels"));
        }
    }
    assert!(faults.is_empty(), "{} images differ:\n{}", faults.len(), faults.join("\n"));
}
