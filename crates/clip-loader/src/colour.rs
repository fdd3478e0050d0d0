//! torchvision's colour adjustments, in Pillow's arithmetic.

use clip_image::Rgb;

/// Pillow's weights of a grey value.
fn luma(pixel: &[u8]) -> u8 {
    let [r, g, b] = [0, 1, 2].map(|channel| u32::from(pixel[channel]));
    ((r * 19_595 + g * 38_470 + b * 7471 + 0x8000) >> 16) as u8
}

/// `ImageChops.blend`: from one value to another, and beyond.
fn blend(from: u8, to: u8, share: f32) -> u8 {
    // The cast truncates, as Pillow's does, and stops at 0 and 255.
    (f32::from(from) + share * (f32::from(to) - f32::from(from))) as u8
}

/// `adjust_brightness`.
pub(crate) fn brightness(image: &mut Rgb, factor: f32) {
    for value in &mut image.data {
        *value = blend(0, *value, factor);
    }
}

/// `adjust_contrast`: about the mean of the grey values.
pub(crate) fn contrast(image: &mut Rgb, factor: f32) {
    let sum: u64 = image.data.chunks_exact(3).map(|pixel| u64::from(luma(pixel))).sum();
    let count = image.data.len() as f64 / 3.0;
    let mean = (sum as f64 / count + 0.5) as u8;
    for value in &mut image.data {
        *value = blend(mean, *value, factor);
    }
}

/// `adjust_saturation`.
pub(crate) fn saturation(image: &mut Rgb, factor: f32) {
    for pixel in image.data.chunks_exact_mut(3) {
        let grey = luma(pixel);
        for value in pixel {
            *value = blend(grey, *value, factor);
        }
    }
}

/// `to_grayscale` in three channels.
pub(crate) fn grey(image: &mut Rgb) {
    for pixel in image.data.chunks_exact_mut(3) {
        let grey = luma(pixel);
        pixel.fill(grey);
    }
}

/// `adjust_hue` by a part of the circle, from -0.5 to 0.5.
pub(crate) fn hue(image: &mut Rgb, factor: f32) {
    let turn = (factor * 255.0) as i32 as u8;
    for pixel in image.data.chunks_exact_mut(3) {
        let [h, s, v] = to_hsv(pixel);
        pixel.copy_from_slice(&from_hsv(h.wrapping_add(turn), s, v));
    }
}

/// Pillow's `rgb2hsv`, with its mixture of precisions.
fn to_hsv(pixel: &[u8]) -> [u8; 3] {
    let [r, g, b] = [0, 1, 2].map(|channel| pixel[channel]);
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    if most == least {
        return [0, 0, most];
    }
    let range = f32::from(most - least);
    let saturation = range / f32::from(most);
    let [rc, gc, bc] = [r, g, b].map(|value| f32::from(most - value) / range);
    let sector = if r == most {
        bc - gc
    } else if g == most {
        (2.0 + f64::from(rc) - f64::from(bc)) as f32
    } else {
        (4.0 + f64::from(gc) - f64::from(rc)) as f32
    };
    let hue = ((f64::from(sector) / 6.0 + 1.0) % 1.0) as f32;
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, most]
}

/// Pillow's `hsv2rgb`.
fn from_hsv(h: u8, s: u8, v: u8) -> [u8; 3] {
    if s == 0 {
        return [v; 3];
    }
    let place = f64::from(h) * 6.0 / 255.0;
    let sector = place.floor();
    let rest = (place - f64::from(sector as f32)) as f32;
    let (s, full) = ((f64::from(s) / 255.0) as f32, f64::from(v));
    let round = |share: f64| (full * (1.0 - share)).round() as u8;
    let p = round(f64::from(s));
    let q = round(f64::from(s * rest));
    let t = round(f64::from(s) * (1.0 - f64::from(rest)));
    match sector as u8 % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 24;

    /// The image of `scripts/golden/colour.py`.
    fn image() -> Rgb {
        let value = |at: u64| ((at * 2_654_435_761 % (1 << 32)) >> 24) as u8;
        let mut data: Vec<u8> = (0..(WIDTH * 16 * 3) as u64).map(value).collect();
        let (first, rest) = data.split_at_mut(WIDTH * 3);
        first.chunks_exact_mut(3).for_each(|pixel| pixel.fill(pixel[0]));
        rest[..WIDTH * 3].iter_mut().for_each(|value| *value = if *value > 127 { 255 } else { 0 });
        Rgb { width: WIDTH as u32, height: 16, data }
    }

    #[test]
    fn adjustments_are_torchvisions_to_the_bit() {
        let golden = include_bytes!("../tests/golden/colour/results.bin");
        let factors = [0.0, 0.37, 1.0, 1.4, 2.0];
        let hues = [-0.5, -0.08, 0.0, 0.031, 0.5];
        let mut wanted = golden.chunks_exact(image().data.len());
        let mut compare = |name: &str, adjust: &dyn Fn(&mut Rgb, f32), factors: &[f32]| {
            for &factor in factors {
                let mut adjusted = image();
                adjust(&mut adjusted, factor);
                assert!(adjusted.data == wanted.next().unwrap(), "{name} {factor}");
            }
        };
        compare("brightness", &brightness, &factors);
        compare("contrast", &contrast, &factors);
        compare("saturation", &saturation, &factors);
        compare("hue", &hue, &hues);
        compare("grey", &|image, _| grey(image), &[0.0]);
        assert_eq!(wanted.count(), 0);
    }
}
