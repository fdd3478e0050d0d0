//! Luma and chroma to 8-bit RGB, as libavif does it (ITU-T H.273, section 8.3).

use re_rav1d::PixelLayout;
use re_rav1d::pixel::MatrixCoefficients;

use super::container::Nclx;
use super::planes::Planes;
use crate::{Error, Result};

/// How luma and chroma give colours.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Matrix {
    /// The planes are green, blue and red.
    Identity,
    /// Chroma is differences of green and of orange.
    YCgCo,
    /// Shares of red and of blue in luma.
    Shares(f32, f32),
}

impl Matrix {
    /// By its number in the file, else by the AV1 data's.
    fn of(planes: &Planes, nclx: Option<Nclx>) -> Result<Self> {
        use MatrixCoefficients as Mc;
        const UNSPECIFIED: u16 = 2;
        let number = match nclx {
            Some(Nclx { matrix, .. }) if matrix != UNSPECIFIED => matrix,
            _ => match planes.matrix {
                Mc::Identity => 0,
                Mc::BT709 => 1,
                Mc::BT470M => 4,
                Mc::BT470BG | Mc::ST170M => 6,
                Mc::ST240M => 7,
                Mc::YCgCo => 8,
                Mc::BT2020NonConstantLuminance => 9,
                Mc::Unspecified => UNSPECIFIED,
                other => return Err(Error::Decode(format!("AVIF: {other:?} is not decoded"))),
            },
        };
        Ok(match number {
            0 => Self::Identity,
            1 => Self::Shares(0.2126, 0.0722),
            4 => Self::Shares(0.30, 0.11),
            // As libavif and browsers take what is not said.
            UNSPECIFIED | 5 | 6 => Self::Shares(0.299, 0.114),
            7 => Self::Shares(0.212, 0.087),
            8 => Self::YCgCo,
            9 => Self::Shares(0.2627, 0.0593),
            _ => {
                let what = format!("AVIF: matrix coefficients {number} are not decoded");
                return Err(Error::Decode(what));
            }
        })
    }

    /// Red, green and blue from 0 to 1.
    fn rgb(self, luma: f32, cb: f32, cr: f32) -> [f32; 3] {
        match self {
            Self::Identity => [cr, luma, cb],
            Self::YCgCo => [luma - cb + cr, luma + cb, luma - cb - cr],
            Self::Shares(red, blue) => {
                let green = 1.0 - red - blue;
                let (r, b) = (luma + 2.0 * (1.0 - red) * cr, luma + 2.0 * (1.0 - blue) * cb);
                [r, (luma - red * r - blue * b) / green, b]
            }
        }
    }
}

/// What a sample is taken from, and divided by, for a number from 0 to 1, or around 0.
#[derive(Clone, Copy)]
struct Scale(f32, f32);

impl Scale {
    fn luma(depth: u32, full_range: bool) -> Self {
        let unit = (1 << (depth - 8)) as f32;
        if full_range { Self(0.0, 256.0 * unit - 1.0) } else { Self(16.0 * unit, 219.0 * unit) }
    }

    fn chroma(depth: u32, full_range: bool) -> Self {
        let unit = (1 << (depth - 8)) as f32;
        let range = if full_range { 256.0 * unit - 1.0 } else { 224.0 * unit };
        Self(128.0 * unit, range)
    }

    fn of(self, sample: f32) -> f32 {
        (sample - self.0) / self.1
    }
}

fn level(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

/// Colours of an image, row by row.
pub(super) struct Colours<'a> {
    planes: &'a Planes,
    matrix: Matrix,
    luma: Scale,
    chroma: Scale,
}

impl<'a> Colours<'a> {
    pub fn new(planes: &'a Planes, nclx: Option<Nclx>) -> Result<Self> {
        let matrix = Matrix::of(planes, nclx)?;
        if matrix == Matrix::Identity
            && !matches!(planes.layout, PixelLayout::I444 | PixelLayout::I400)
        {
            return Err(Error::Decode("AVIF: RGB planes of several sizes".into()));
        }
        let full_range = nclx.map_or(planes.full_range, |nclx| nclx.full_range);
        let luma = Scale::luma(planes.depth, full_range);
        let chroma = match matrix {
            Matrix::Identity => luma,
            _ => Scale::chroma(planes.depth, full_range),
        };
        Ok(Self { planes, matrix, luma, chroma })
    }

    /// A row of colours.
    pub fn row(&self, row: usize) -> Vec<[u8; 3]> {
        let luma = self.planes.row(0, row).iter().map(|&sample| self.luma.of(f32::from(sample)));
        if self.planes.layout == PixelLayout::I400 {
            return luma.map(|luma| [level(luma); 3]).collect();
        }
        let [cb, cr] = [1, 2].map(|plane| upsampled(self.planes, plane, row));
        let chroma =
            cb.into_iter().zip(cr).map(|(cb, cr)| (self.chroma.of(cb), self.chroma.of(cr)));
        luma.zip(chroma).map(|(luma, (cb, cr))| self.matrix.rgb(luma, cb, cr).map(level)).collect()
    }
}

/// A row of levels from 0 to 255, as alpha has them.
pub(super) fn levels(planes: &Planes, row: usize) -> impl Iterator<Item = u8> {
    let luma = Scale::luma(planes.depth, planes.full_range);
    planes.row(0, row).iter().map(move |&sample| level(luma.of(f32::from(sample))))
}

/// A row of chroma at every column: of samples that are there for two, the nearest counts three
/// times as much as the next.
fn upsampled(planes: &Planes, plane: usize, row: usize) -> Vec<f32> {
    let (across, down) = planes.shifts(plane);
    let near = planes.row(plane, row >> down);
    let mix = |near: f32, next: f32| 0.75 * near + 0.25 * next;
    let next_row = next(row, down, planes.rows(plane));
    let far = planes.row(plane, next_row);
    let column = |at: usize| match down {
        0 => f32::from(near[at]),
        _ => mix(f32::from(near[at]), f32::from(far[at])),
    };
    let columns = (0..planes.width).map(|x| match across {
        0 => column(x),
        _ => mix(column(x >> 1), column(next(x, across, near.len()))),
    });
    columns.collect()
}

/// The sample after the nearest one to a place, on the place's side of it.
fn next(place: usize, shift: usize, samples: usize) -> usize {
    let near = place >> shift;
    let next = if place % 2 == 1 { near + 1 } else { near.saturating_sub(1) };
    next.min(samples - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_has_no_chroma_and_the_primaries_of_each_matrix_come_out() {
        for matrix in [Matrix::Shares(0.299, 0.114), Matrix::Shares(0.2126, 0.0722), Matrix::YCgCo]
        {
            assert_eq!(matrix.rgb(0.5, 0.0, 0.0).map(level), [128; 3]);
        }
        // Red: luma is its share, and its difference is the largest.
        let red = Matrix::Shares(0.299, 0.114).rgb(0.299, -0.299 / 1.772, 0.5);
        assert_eq!(red.map(level), [255, 0, 0]);
        assert_eq!(Matrix::YCgCo.rgb(0.5, 0.5, 0.0).map(level), [0, 255, 0]);
        assert_eq!(Matrix::Identity.rgb(1.0, 0.0, 0.5).map(level), [128, 255, 0]);
    }

    #[test]
    fn ranges_reach_from_black_to_white_at_each_depth() {
        for (depth, black, white) in [(8, 16, 235), (10, 64, 940), (12, 256, 3760)] {
            let scale = Scale::luma(depth, false);
            assert_eq!([black, white].map(|s| level(scale.of(s as f32))), [0, 255]);
            let most = (1 << depth) - 1;
            let scale = Scale::luma(depth, true);
            assert_eq!([0, most].map(|s| level(scale.of(s as f32))), [0, 255]);
        }
        assert_eq!(Scale::chroma(10, false).of(512.0), 0.0);
    }

    #[test]
    fn the_next_sample_is_on_the_near_side_and_inside() {
        assert_eq!([0, 1, 2, 3, 4].map(|x| next(x, 1, 3)), [0, 1, 0, 2, 1]);
        assert_eq!((next(5, 1, 3), next(0, 1, 1)), (2, 0));
    }
}
