//! Interpolations against OpenCV's pixels: `scripts/golden/resize` makes them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use clip_image::{Interpolation, Rgb, opencv_resize};

/// A number after `"key":` in a line of JSON.
fn number(line: &str, key: &str) -> u32 {
    let rest = line.split_once(&format!("\"{key}\":")).unwrap().1;
    rest.split([',', '}']).next().unwrap().parse().unwrap()
}

#[test]
fn pixels_are_opencvs_to_within_a_level() {
    let pixel = |x: u32, y: u32, c: u32| ((x * 37 + y * 91 + c * 53 + x * y * 7) % 256) as u8;
    let rows = (0..7).flat_map(|y| (0..11).flat_map(move |x| (0..3).map(move |c| pixel(x, y, c))));
    let source = Rgb { width: 11, height: 7, data: rows.collect() };
    let mut compared = 0;
    for line in include_str!("golden/opencv.jsonl").lines() {
        let how = [
            ("nearest", Interpolation::Nearest),
            ("linear", Interpolation::Linear),
            ("cubic", Interpolation::Cubic),
            ("area", Interpolation::Area),
            ("lanczos", Interpolation::Lanczos4),
        ];
        let (name, how) = how.into_iter().find(|(name, _)| line.contains(name)).unwrap();
        let (width, height) = (number(line, "width"), number(line, "height"));
        let pixels = line.split_once('[').unwrap().1.trim_end_matches("]}");
        let expected: Vec<u8> = pixels.split(',').map(|value| value.parse().unwrap()).collect();
        let found = opencv_resize(&source, width, height, how);
        let far = found.data.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(far <= 1, "{name} to {width}x{height}: {far} levels off");
        compared += 1;
    }
    assert_eq!(compared, 20);
}
