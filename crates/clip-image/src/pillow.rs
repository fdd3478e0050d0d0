//! Pillow's resampling, bit for bit (`src/libImaging/Resample.c`), here for bicubic: 22-bit fixed-point weights, along
//! rows and then along columns (or the other way round, see [`columns_first`]), each rounded to 8 bits.

/// Bits after the point.
pub(crate) const BITS: u32 = 22;
const HALF: i32 = 1 << (BITS - 1);

/// A resampling filter.
pub(crate) struct Filter {
    /// It is zero from here on, either way.
    pub support: f64,
    /// Its value.
    pub value: fn(f64) -> f64,
}

/// Of target pixel `at` of `target` over `source` ones: the first source pixel and the weights from there on, with
/// [`BITS`] after the point.
pub(crate) fn weights(
    source: usize,
    target: usize,
    at: usize,
    filter: &Filter,
) -> (usize, Vec<i32>) {
    let scale = source as f64 / target as f64;
    let stretch = scale.max(1.0);
    let (support, shrink) = (filter.support * stretch, 1.0 / stretch);
    let centre = (at as f64 + 0.5) * scale;
    // The conversions truncate toward zero, as C's do.
    let first = (centre - support + 0.5).max(0.0) as usize;
    let last = ((centre + support + 0.5) as usize).min(source);
    let weight = |pixel: usize| (filter.value)((pixel as f64 - centre + 0.5) * shrink);
    let weights: Vec<f64> = (first..last).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    let fixed = |weight: &f64| {
        let weight = if sum == 0.0 { *weight } else { weight / sum };
        (weight * f64::from(1 << BITS) + 0.5f64.copysign(weight)) as i32
    };
    (first, weights.iter().map(fixed).collect())
}

/// Pixels of 8 bits and `channels` channels, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raster {
    pub width: usize,
    pub height: usize,
    pub channels: usize,
    pub data: Vec<u8>,
}

/// Weights of the source pixels for a run of target pixels along one axis.
struct Kernel {
    /// First source pixel, and where its weights begin, for each target pixel.
    starts: Vec<(usize, usize)>,
    weights: Vec<i32>,
    taps: Vec<usize>,
}

const BICUBIC: Filter = Filter { support: 2.0, value: bicubic };

/// Keys' cubic with a = -0.5.
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

impl Kernel {
    /// Targets `from..from + count` of `target` pixels over `source` ones.
    fn new(source: usize, target: usize, from: usize, count: usize) -> Self {
        let mut kernel = Self { starts: Vec::new(), weights: Vec::new(), taps: Vec::new() };
        for at in from..from + count {
            let (first, weights) = weights(source, target, at, &BICUBIC);
            kernel.starts.push((first, kernel.weights.len()));
            kernel.taps.push(weights.len());
            kernel.weights.extend(weights);
        }
        kernel
    }

    fn of(&self, at: usize) -> (usize, &[i32]) {
        let (first, weights) = self.starts[at];
        (first, &self.weights[weights..weights + self.taps[at]])
    }

    /// The source pixels that are used.
    fn range(&self) -> (usize, usize) {
        let first = self.starts.first().map_or(0, |start| start.0);
        let last = self.starts.last().map_or(0, |start| start.0 + self.taps.last().unwrap_or(&0));
        (first, last)
    }
}

fn clip(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

/// Whether Pillow resizes along columns before rows. Since version 13 it does (by its results) where the height
/// loses more than twice what the width does; the two orders round differently. Sizes are width and height.
pub(crate) fn columns_first(size: (usize, usize), target: (usize, usize)) -> bool {
    let lost = |from: usize, to: usize| from as i64 - to as i64;
    target.1 < size.1 && lost(size.1, target.1) > 2 * lost(size.0, target.0)
}

/// A part of an image resized to `width` x `height`: `crop` is (left, top, width, height) of the result. Only that
/// part is computed, with the pixels that the whole would have there.
pub(crate) fn resize_bicubic(
    image: &Raster,
    width: usize,
    height: usize,
    crop: (usize, usize, usize, usize),
) -> Raster {
    let (left, top, crop_width, crop_height) = crop;
    if columns_first((image.width, image.height), (width, height)) {
        let rows = Kernel::new(image.height, height, top, crop_height);
        let data = along_columns(&image.data, image.width * image.channels, 0, &rows);
        let (width_now, channels) = (image.width, image.channels);
        let low = Raster { width: width_now, height: crop_height, channels, data };
        return resize_bicubic(&low, width, crop_height, (left, 0, crop_width, crop_height));
    }
    let columns = (width != image.width).then(|| Kernel::new(image.width, width, left, crop_width));
    let rows =
        (height != image.height).then(|| Kernel::new(image.height, height, top, crop_height));
    let (first, last) = rows.as_ref().map_or((top, top + crop_height), Kernel::range);
    let mut wide = Vec::with_capacity((last - first) * crop_width * image.channels);
    for y in first..last {
        let stride = image.width * image.channels;
        let row = &image.data[y * stride..][..stride];
        match (&columns, image.channels) {
            (None, channels) => {
                wide.extend_from_slice(&row[left * channels..][..crop_width * channels]);
            }
            (Some(kernel), 1) => along_row::<1>(row, kernel, &mut wide),
            (Some(kernel), 2) => along_row::<2>(row, kernel, &mut wide),
            (Some(kernel), 3) => along_row::<3>(row, kernel, &mut wide),
            (Some(kernel), _) => along_row::<4>(row, kernel, &mut wide),
        }
    }
    let stride = crop_width * image.channels;
    let data = match rows {
        Some(kernel) => along_columns(&wide, stride, first, &kernel),
        None => wide,
    };
    Raster { width: crop_width, height: crop_height, channels: image.channels, data }
}

fn along_row<const C: usize>(row: &[u8], kernel: &Kernel, out: &mut Vec<u8>) {
    for at in 0..kernel.starts.len() {
        let (first, weights) = kernel.of(at);
        let mut sums = [HALF; C];
        for (pixel, &weight) in row[first * C..].chunks_exact(C).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += i32::from(value) * weight;
            }
        }
        out.extend(sums.map(clip));
    }
}

fn along_columns(wide: &[u8], stride: usize, first_row: usize, kernel: &Kernel) -> Vec<u8> {
    let mut out = Vec::with_capacity(stride * kernel.starts.len());
    let mut sums = vec![HALF; stride];
    for at in 0..kernel.starts.len() {
        sums.fill(HALF);
        let (first, weights) = kernel.of(at);
        for (row, &weight) in wide[(first - first_row) * stride..].chunks_exact(stride).zip(weights)
        {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += i32::from(value) * weight;
            }
        }
        out.extend(sums.iter().map(|&sum| clip(sum)));
    }
    out
}

/// The same for images of a palette or of two colours, whose pixels Pillow never mixes.
pub(crate) fn resize_nearest(
    image: &Raster,
    width: usize,
    height: usize,
    crop: (usize, usize, usize, usize),
) -> Raster {
    let (left, top, crop_width, crop_height) = crop;
    let at = |target: usize, source: usize, to: usize| {
        (((target as f64 + 0.5) * source as f64 / to as f64) as usize).min(source - 1)
    };
    let mut data = Vec::with_capacity(crop_width * crop_height * image.channels);
    for y in top..top + crop_height {
        let row = at(y, image.height, height) * image.width;
        for x in left..left + crop_width {
            let pixel = (row + at(x, image.width, width)) * image.channels;
            data.extend_from_slice(&image.data[pixel..pixel + image.channels]);
        }
    }
    Raster { width: crop_width, height: crop_height, channels: image.channels, data }
}

/// Multiplies colours by the last channel, in Pillow's arithmetic.
pub(crate) fn premultiply(image: &mut Raster) {
    for pixel in image.data.chunks_exact_mut(image.channels) {
        if let Some((alpha, colours)) = pixel.split_last_mut() {
            for colour in colours {
                let product = u32::from(*colour) * u32::from(*alpha) + 128;
                *colour = (((product >> 8) + product) >> 8) as u8;
            }
        }
    }
}

/// Undoes [`premultiply`].
pub(crate) fn unpremultiply(image: &mut Raster) {
    for pixel in image.data.chunks_exact_mut(image.channels) {
        if let Some((&mut alpha, colours)) = pixel.split_last_mut()
            && alpha != 0
            && alpha != 255
        {
            for colour in colours {
                *colour = (255 * u32::from(*colour) / u32::from(alpha)).min(255) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: usize, height: usize, channels: usize) -> Raster {
        let value = |i: usize| (i * 7919 % 251) as u8;
        Raster {
            width,
            height,
            channels,
            data: (0..width * height * channels).map(value).collect(),
        }
    }

    #[test]
    fn a_part_has_the_pixels_of_the_whole() {
        let image = ramp(40, 30, 3);
        for (width, height) in [(17, 11), (80, 61), (40, 11), (17, 30)] {
            let whole = resize_bicubic(&image, width, height, (0, 0, width, height));
            let part = resize_bicubic(&image, width, height, (3, 2, 9, 7));
            for y in 0..7 {
                let from = ((y + 2) * width + 3) * 3;
                assert_eq!(part.data[y * 27..][..27], whole.data[from..from + 27]);
            }
        }
    }

    #[test]
    fn alpha_goes_in_and_out() {
        let mut image =
            Raster { width: 2, height: 1, channels: 4, data: vec![200, 100, 50, 128, 9, 9, 9, 0] };
        premultiply(&mut image);
        assert_eq!(image.data, [100, 50, 25, 128, 0, 0, 0, 0]);
        unpremultiply(&mut image);
        assert_eq!(image.data, [199, 99, 49, 128, 0, 0, 0, 0]);
    }
}
