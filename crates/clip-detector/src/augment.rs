//! What happens to images on the web (appendix C's list), at random.

use clip_image::{DecodeOptions, Filter, Rgb, crop, decode, encode_jpeg, resize};
use clip_random::Draw;

fn chance(draw: &mut Draw, share: f32) -> bool {
    draw.between(0.0, 1.0) < share
}

/// A random kernel at every step: copies on the web were made by all of them.
fn kernel(draw: &mut Draw) -> Filter {
    [Filter::Bicubic, Filter::Lanczos, Filter::Box, Filter::Area][draw.below(4)]
}

/// A random copy of an image, `size` pixels square: cropped and zoomed, its aspect changed, turned
/// a little, scaled down and up again, its colours shifted, and compressed.
pub fn altered(image: &Rgb, size: u32, seed: u64, step: u64, at: u64) -> Rgb {
    let mut draw = Draw::of([seed, step, at]);
    let mut copy = cropped(image, &mut draw);
    if chance(&mut draw, 0.5) {
        copy = turned(&copy, draw.between(-0.12, 0.12));
    }
    if chance(&mut draw, 0.6) {
        let side = draw.between(20.0, 96.0) as u32;
        let filter = kernel(&mut draw);
        copy = resize(&copy, side, side, filter);
    }
    if chance(&mut draw, 0.7) {
        copy = jittered(&copy, &mut draw);
    }
    if chance(&mut draw, 0.6) {
        let quality = draw.between(15.0, 95.0) as u8;
        let bytes = encode_jpeg(&copy, quality).ok();
        let back = bytes.and_then(|bytes| decode(&bytes, &DecodeOptions::default()).ok());
        copy = back.unwrap_or(copy);
    }
    let filter = kernel(&mut draw);
    resize(&copy, size, size, filter)
}

/// A random part of it, or it within a border.
fn cropped(image: &Rgb, draw: &mut Draw) -> Rgb {
    if chance(draw, 0.15) {
        return bordered(image, draw);
    }
    let area = if chance(draw, 0.2) { 1.0 } else { draw.between(0.35, 1.0) };
    let aspect = draw.between(-0.28, 0.28).exp();
    let side = |length: u32, share: f32| {
        ((length as f32 * share).round() as u32).clamp(1.max(length / 4), length)
    };
    let width = side(image.width, (area * aspect).sqrt());
    let height = side(image.height, (area / aspect).sqrt());
    let x = draw.below((image.width - width + 1) as usize) as u32;
    let y = draw.below((image.height - height + 1) as usize) as u32;
    crop(image, x, y, width, height)
}

fn bordered(image: &Rgb, draw: &mut Draw) -> Rgb {
    let mut margin = |length: u32| (length as f32 * draw.between(0.0, 0.15)) as u32;
    let [left, right] = [margin(image.width), margin(image.width)];
    let [top, bottom] = [margin(image.height), margin(image.height)];
    let shade = [0u8, 255, 255, draw.below(256) as u8][draw.below(4)];
    let mut whole =
        Rgb::filled(image.width + left + right, image.height + top + bottom, [shade; 3]);
    for y in 0..image.height {
        let at = ((y + top) * whole.width + left) as usize * 3;
        whole.data[at..at + image.width as usize * 3].copy_from_slice(image.row(y));
    }
    whole
}

/// Turned by this many radians about its middle; what comes into view is the edge, drawn out.
fn turned(image: &Rgb, angle: f32) -> Rgb {
    let (sin, cos) = angle.sin_cos();
    let (w, h) = (image.width as f32, image.height as f32);
    let mut data = Vec::with_capacity(image.data.len());
    for y in 0..image.height {
        for x in 0..image.width {
            let (u, v) = (x as f32 + 0.5 - w / 2.0, y as f32 + 0.5 - h / 2.0);
            let (u, v) = (cos * u - sin * v + w / 2.0 - 0.5, sin * u + cos * v + h / 2.0 - 0.5);
            data.extend(at(image, u, v));
        }
    }
    Rgb { data, ..*image }
}

/// The colour at a place, between pixels by bilinear mixing.
fn at(image: &Rgb, x: f32, y: f32) -> [u8; 3] {
    let x = x.clamp(0.0, (image.width - 1) as f32);
    let y = y.clamp(0.0, (image.height - 1) as f32);
    let (left, top) = (x as usize, y as usize);
    let right = (left + 1).min(image.width as usize - 1);
    let bottom = (top + 1).min(image.height as usize - 1);
    let (fx, fy) = (x - left as f32, y - top as f32);
    let pixel = |x: usize, y: usize, c: usize| {
        f32::from(image.data[(y * image.width as usize + x) * 3 + c])
    };
    std::array::from_fn(|c| {
        let upper = pixel(left, top, c) * (1.0 - fx) + pixel(right, top, c) * fx;
        let lower = pixel(left, bottom, c) * (1.0 - fx) + pixel(right, bottom, c) * fx;
        (upper + fy * (lower - upper)).round() as u8
    })
}

/// Hue, saturation, value and contrast shifted; sometimes no colour at all.
fn jittered(image: &Rgb, draw: &mut Draw) -> Rgb {
    let grey = chance(draw, 0.1);
    let saturation = if grey { 0.0 } else { draw.between(0.5, 1.5) };
    let (value, contrast) = (draw.between(0.75, 1.3), draw.between(0.75, 1.3));
    // A rotation of hue, to first order: channels lend to each other.
    let hue = draw.between(-0.12, 0.12);
    let mut data = Vec::with_capacity(image.data.len());
    for pixel in image.data.chunks_exact(3) {
        let [r, g, b] = [0, 1, 2].map(|c| f32::from(pixel[c]));
        let luma = 0.299 * r + 0.587 * g + 0.114 * b;
        let mixed = [r + hue * (g - b), g + hue * (b - r), b + hue * (r - g)];
        data.extend(mixed.map(|c| {
            let c = luma + saturation * (c - luma);
            ((c - 128.0) * contrast + 128.0).mul_add(value, 0.0).round().clamp(0.0, 255.0) as u8
        }));
    }
    Rgb { data, ..*image }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_repeat_by_their_numbers_and_differ_otherwise() {
        let data = (0..90 * 70 * 3).map(|i| (i * 31 % 255) as u8).collect();
        let image = Rgb { width: 90, height: 70, data };
        let copy = |at| altered(&image, 64, 7, 3, at);
        for at in 0..40 {
            let made = copy(at);
            assert_eq!((made.width, made.height, made.data.len()), (64, 64, 64 * 64 * 3));
            assert_eq!(made, copy(at));
        }
        assert_ne!(copy(1), copy(2));
        // The smallest image there is.
        altered(&Rgb::filled(1, 1, [9; 3]), 64, 1, 1, 1);
    }

    #[test]
    fn a_turn_of_nothing_changes_nothing() {
        let data = (0..20 * 10 * 3).map(|i| (i * 31 % 255) as u8).collect();
        let image = Rgb { width: 20, height: 10, data };
        assert_eq!(turned(&image, 0.0), image);
    }
}
