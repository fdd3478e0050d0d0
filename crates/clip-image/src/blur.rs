//! Boxes made unrecognisable: faces, by the recipe of the face-obfuscated ImageNet (Yang et al.
//! 2021).

use crate::Rgb;

/// Left, top, right and bottom of a box, each from 0 to 1 of the image's width or height.
pub type BoundingBox = [f32; 4];

/// Blurs boxes: each grows by a tenth of its longer side, sigma is a tenth of the longest side of
/// all, and the edges of the boxes are as soft as the blur.
pub fn blur_boxes(image: &Rgb, boxes: &[BoundingBox]) -> Rgb {
    let (w, h) = (image.width as usize, image.height as usize);
    let mut mask = vec![0f32; w * h];
    let mut longest = 0.0f32;
    for part in boxes.iter().filter(|part| part.iter().all(|side| side.is_finite())) {
        let pixel =
            |at: usize| (part[at] * if at.is_multiple_of(2) { w as f32 } else { h as f32 }).trunc();
        let [left, top, right, bottom] = [0, 1, 2, 3].map(pixel);
        let side = (right - left).max(bottom - top);
        longest = longest.max(side);
        let grown = |value: f32, most: usize| (value.trunc().max(0.0) as usize).min(most);
        let (left, right) = (grown(left - 0.1 * side, w), grown(right + 0.1 * side, w));
        let (top, bottom) = (grown(top - 0.1 * side, h), grown(bottom + 0.1 * side, h));
        for y in top..bottom {
            mask[y * w + left.min(right)..y * w + right].fill(1.0);
        }
    }
    if longest <= 0.0 {
        return image.clone();
    }
    let kernel = gaussian(0.1 * longest);
    let blurred: Vec<Vec<f32>> = (0..3)
        .map(|channel| {
            let plane = image.data.iter().skip(channel).step_by(3).map(|&v| f32::from(v)).collect();
            smooth(plane, w, h, &kernel)
        })
        .collect();
    let mask = smooth(mask, w, h, &kernel);
    let mut data = Vec::with_capacity(image.data.len());
    for (at, pixel) in image.data.chunks_exact(3).enumerate() {
        data.extend((0..3).map(|channel| {
            let sharp = f32::from(pixel[channel]);
            // Cut off, not rounded: as the recipe's code does.
            (sharp * (1.0 - mask[at]) + blurred[channel][at] * mask[at]).clamp(0.0, 255.0) as u8
        }));
    }
    Rgb { data, ..*image }
}

/// A box of an image as it is stored in the file, where it is once an EXIF orientation is undone.
pub fn upright_box(part: BoundingBox, orientation: u32) -> BoundingBox {
    let [l, t, r, b] = part;
    match orientation {
        2 => [1.0 - r, t, 1.0 - l, b],
        3 => [1.0 - r, 1.0 - b, 1.0 - l, 1.0 - t],
        4 => [l, 1.0 - b, r, 1.0 - t],
        5 => [t, l, b, r],
        6 => [1.0 - b, l, 1.0 - t, r],
        7 => [1.0 - b, 1.0 - r, 1.0 - t, 1.0 - l],
        8 => [t, 1.0 - r, b, 1.0 - l],
        _ => part,
    }
}

fn gaussian(sigma: f32) -> Vec<f32> {
    let reach = (4.0 * sigma).ceil() as i32;
    let weights = (-reach..=reach).map(|at| (-((at * at) as f32) / (2.0 * sigma * sigma)).exp());
    let weights: Vec<f32> = weights.collect();
    let sum: f32 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// A plane smoothed on both axes; beyond the edge it is mirrored, the edge itself not doubled.
fn smooth(plane: Vec<f32>, w: usize, h: usize, kernel: &[f32]) -> Vec<f32> {
    let reach = kernel.len() / 2;
    let mirrored = |at: i64, length: usize| {
        let last = length as i64 - 1;
        if last == 0 {
            return 0;
        }
        let at = at.rem_euclid(2 * last);
        at.min(2 * last - at) as usize
    };
    let mut wide = vec![0f32; w * h];
    let mut line = vec![0f32; w + 2 * reach];
    for (row, out) in plane.chunks_exact(w).zip(wide.chunks_exact_mut(w)) {
        for (at, value) in line.iter_mut().enumerate() {
            *value = row[mirrored(at as i64 - reach as i64, w)];
        }
        for (x, value) in out.iter_mut().enumerate() {
            *value = line[x..].iter().zip(kernel).map(|(v, weight)| v * weight).sum();
        }
    }
    let mut out = plane;
    out.fill(0.0);
    for (y, line) in out.chunks_exact_mut(w).enumerate() {
        for (at, weight) in kernel.iter().enumerate() {
            let from = mirrored((y + at) as i64 - reach as i64, h) * w;
            line.iter_mut().zip(&wide[from..from + w]).for_each(|(sum, v)| *sum += weight * v);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripes() -> Rgb {
        let data = (0..60 * 40).flat_map(|i| [if i % 2 == 0 { 0 } else { 255 }; 3]).collect();
        Rgb { width: 60, height: 40, data }
    }

    #[test]
    fn inside_is_smooth_and_far_outside_is_untouched() {
        let image = stripes();
        let blurred = blur_boxes(&image, &[[0.0, 0.0, 0.5, 0.5]]);
        let contrast = |x: usize, y: usize| {
            let at = |x: usize| i32::from(blurred.data[(y * 60 + x) * 3]);
            (at(x) - at(x + 1)).abs()
        };
        // At the very edge too: a box that grows beyond the image is cut, not dropped.
        assert!(contrast(0, 0) < 10 && contrast(12, 8) < 10);
        assert_eq!(contrast(58, 38), 255);
        assert_eq!(blur_boxes(&image, &[]), image);
        assert_eq!(blur_boxes(&image, &[[f32::NAN, 0.0, 1.0, 1.0]]), image);
    }

    #[test]
    fn boxes_turn_with_the_image() {
        // Twice a quarter turn is a half turn.
        let part = [0.1, 0.2, 0.4, 0.3];
        let twice = upright_box(upright_box(part, 6), 6);
        let half = upright_box(part, 3);
        assert!(twice.iter().zip(half).all(|(a, b)| (a - b).abs() < 1e-6));
        assert_eq!(upright_box(upright_box(part, 5), 5), part);
    }
}
