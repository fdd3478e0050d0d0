//! What an image shows below large words with an outline, as memes have them.

use clip_image::Rgb;

/// Channels from which on a pixel is light, and up to which it is dark.
const LIGHT: u8 = 230;
const DARK: u8 = 40;
/// Pixels between light and dark of one letter; this and the radii for a longer side of [`SIDE`].
const STROKE: usize = 3;
const SIDE: usize = 256;
/// Longer side in pixels below which no letters can be read.
const LEAST: usize = 128;
/// Share of the image that is words: of 500 photographs one in a hundred has the lower one.
const SHARE: [f32; 2] = [0.04, 0.5];
/// Radii of the windows that give a pixel its colour: the first that shows enough.
const RADII: [usize; 5] = [2, 4, 8, 16, 32];
/// Share of a window that must not be words.
const ENOUGH: f32 = 0.15;

/// The image with its words filled in by the means of what is around them; nothing where it has
/// none.
pub(super) fn without_words(image: &Rgb) -> Option<Rgb> {
    let (width, height) = (image.width as usize, image.height as usize);
    let longer = width.max(height);
    if longer < LEAST {
        return None;
    }
    let scale = longer.div_ceil(SIDE);
    let pixels = || image.data.chunks_exact(3);
    let light: Vec<bool> = pixels().map(|own| own.iter().all(|&v| v >= LIGHT)).collect();
    let dark: Vec<bool> = pixels().map(|own| own.iter().all(|&v| v <= DARK)).collect();
    let few = |mask: &[bool]| is_few(mask, SHARE[0] / 4.0);
    if few(&light) || few(&dark) {
        return None;
    }
    let sides = (width, height);
    let near = |mask: &[bool], reach| Windows::new(sides, mask, None).dilated(reach);
    let (by_light, by_dark) = (near(&light, scale * STROKE), near(&dark, scale * STROKE));
    let letters: Vec<bool> = (0..width * height)
        .map(|at| (light[at] && by_dark[at]) || (dark[at] && by_light[at]))
        .collect();
    if is_few(&letters, SHARE[0]) || !is_few(&letters, SHARE[1]) {
        return None;
    }
    // What scaling and compression left beside an edge is neither light nor dark.
    let words = near(&letters, scale);
    let shown: Vec<bool> = words.iter().map(|words| !words).collect();
    let windows = Windows::new(sides, &shown, Some(image));
    let mut filled = image.clone();
    for (at, pixel) in filled.data.chunks_exact_mut(3).enumerate().filter(|(at, _)| words[*at]) {
        if let Some(mean) = RADII.iter().find_map(|radius| windows.mean(at, scale * radius)) {
            pixel.copy_from_slice(&mean);
        }
    }
    Some(filled)
}

fn is_few(mask: &[bool], share: f32) -> bool {
    (mask.iter().filter(|own| **own).count() as f32) < share * mask.len() as f32
}

/// Sums over rectangles of a mask, and of an image where the mask is set.
struct Windows {
    width: usize,
    height: usize,
    /// Sums of the channels, and the number of pixels, above and left of each corner.
    sums: Vec<[u32; 4]>,
}

impl Windows {
    fn new((width, height): (usize, usize), mask: &[bool], image: Option<&Rgb>) -> Self {
        let mut sums = vec![[0; 4]; (width + 1) * (height + 1)];
        for y in 0..height {
            let mut row = [0u32; 4];
            for x in 0..width {
                let at = y * width + x;
                if mask[at] {
                    let colour =
                        image.map_or([0; 3], |image| [0, 1, 2].map(|c| image.data[3 * at + c]));
                    let own = [colour[0], colour[1], colour[2], 1];
                    row.iter_mut().zip(own).for_each(|(sum, own)| *sum += u32::from(own));
                }
                let above = sums[y * (width + 1) + x + 1];
                sums[(y + 1) * (width + 1) + x + 1] = std::array::from_fn(|c| above[c] + row[c]);
            }
        }
        Self { width, height, sums }
    }

    /// The sums of the pixels within a distance on each axis, and how many pixels that are.
    fn around(&self, at: usize, reach: usize) -> ([u32; 4], usize) {
        let (x, y) = (at % self.width, at / self.width);
        let (left, top) = (x.saturating_sub(reach), y.saturating_sub(reach));
        let (right, bottom) = ((x + reach + 1).min(self.width), (y + reach + 1).min(self.height));
        let corner = |x: usize, y: usize| self.sums[y * (self.width + 1) + x];
        let [a, b, c, d] =
            [(right, bottom), (left, top), (left, bottom), (right, top)].map(|(x, y)| corner(x, y));
        let sums = std::array::from_fn(|i| a[i] + b[i] - c[i] - d[i]);
        (sums, (right - left) * (bottom - top))
    }

    /// Whether each pixel has one of the mask within a distance.
    fn dilated(&self, reach: usize) -> Vec<bool> {
        (0..self.width * self.height).map(|at| self.around(at, reach).0[3] > 0).collect()
    }

    /// The mean colour around a pixel, where enough of that is in the mask.
    fn mean(&self, at: usize, reach: usize) -> Option<[u8; 3]> {
        let ([r, g, b, count], all) = self.around(at, reach);
        let enough = count > 0 && count as f32 >= ENOUGH * all as f32;
        enough.then(|| [r, g, b].map(|sum| (sum / count) as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slope of greys.
    fn slope() -> Rgb {
        let pixel = |at: usize| [60 + (at % 256) as u8 / 2; 3];
        Rgb { width: 256, height: 192, data: (0..256 * 192).flat_map(pixel).collect() }
    }

    /// Upright light bars with a dark outline, at the top.
    fn written(image: &Rgb, letters: usize) -> Rgb {
        let mut page = image.clone();
        for letter in 0..letters {
            for (y, x) in (10..50).flat_map(|y| (0..8).map(move |x| (y, 8 + 12 * letter + x))) {
                let inner = (2..6).contains(&(x - 8 - 12 * letter)) && (12..48).contains(&y);
                page.data[3 * (256 * y + x)..][..3].fill(if inner { 255 } else { 0 });
            }
        }
        page
    }

    #[test]
    fn words_with_an_outline_are_filled_in_and_other_images_stay_as_they_are() {
        let plain = slope();
        assert!(without_words(&plain).is_none());
        // Two letters may be a highlight beside a shadow.
        assert!(without_words(&written(&plain, 2)).is_none());
        let filled = without_words(&written(&plain, 18)).unwrap();
        let apart = filled.data.iter().zip(&plain.data).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(apart.unwrap() <= 12, "{apart:?}");
    }
}
