//! The samples of an image: AV1 frames, decoded and put side by side.

use re_rav1d::pixel::{MatrixCoefficients, YUVRange};
use re_rav1d::{Decoder, Picture as Frame, PixelLayout, PlanarImageComponent, Settings};

use super::container::Tiles;
use crate::{Error, Result};

/// Frames in the data of one image: layers of a progressive one. More would be a bomb: a frame that
/// is not shown takes a few bytes and the time of a whole one.
const FRAMES: usize = 8;

/// The samples of an image: luma, then chroma where it has some, row by row.
pub(super) struct Planes {
    pub width: usize,
    pub height: usize,
    /// Bits of a sample: 8, 10 or 12.
    pub depth: u32,
    pub layout: PixelLayout,
    pub matrix: MatrixCoefficients,
    pub full_range: bool,
    samples: Vec<Vec<u16>>,
}

fn fail(what: impl std::fmt::Display) -> Error {
    Error::Decode(format!("AV1: {what}"))
}

impl Planes {
    /// Decodes the tiles of an image.
    pub fn decode(tiles: &Tiles, max_pixels: u64) -> Result<Self> {
        let mut all = None;
        for (at, data) in tiles.data.iter().enumerate() {
            let frame = first_frame(data, tiles.tile, max_pixels)?;
            let planes = match &mut all {
                Some(planes) => planes,
                None => all.insert(Self::like(&frame, tiles)?),
            };
            let (column, row) = (at % tiles.columns as usize, at / tiles.columns as usize);
            planes.paste(&frame, column * tiles.tile.0 as usize, row * tiles.tile.1 as usize)?;
        }
        all.ok_or_else(|| fail("no frame"))
    }

    /// Black planes of the kind of a frame.
    fn like(frame: &Frame, tiles: &Tiles) -> Result<Self> {
        let depth = frame.bits_per_component().ok_or_else(|| fail("an unknown depth"))?.0 as u32;
        let mut planes = Self {
            width: tiles.width as usize,
            height: tiles.height as usize,
            depth,
            layout: frame.pixel_layout(),
            matrix: frame.matrix_coefficients(),
            full_range: frame.color_range() == YUVRange::Full,
            samples: Vec::new(),
        };
        let odd = tiles.tile.0 % 2 == 1 || tiles.tile.1 % 2 == 1;
        if odd && tiles.data.len() > 1 && planes.shifts(1) != (0, 0) {
            return Err(fail("tiles of odd sides"));
        }
        let count = if planes.layout == PixelLayout::I400 { 1 } else { 3 };
        for plane in 0..count {
            let (width, height) = planes.size(plane);
            planes.samples.push(vec![0; width * height]);
        }
        Ok(planes)
    }

    /// By how many bits the sides of a plane are smaller than the image's.
    pub fn shifts(&self, plane: usize) -> (usize, usize) {
        match (plane, self.layout) {
            (0, _) | (_, PixelLayout::I444 | PixelLayout::I400) => (0, 0),
            (_, PixelLayout::I422) => (1, 0),
            (_, PixelLayout::I420) => (1, 1),
        }
    }

    /// Width and height of a plane.
    fn size(&self, plane: usize) -> (usize, usize) {
        let (across, down) = self.shifts(plane);
        (self.width.div_ceil(1 << across), self.height.div_ceil(1 << down))
    }

    /// Puts a frame where its first sample is at (left, top); what is outside is dropped.
    fn paste(&mut self, frame: &Frame, left: usize, top: usize) -> Result<()> {
        let depth = frame.bits_per_component().map(|bits| bits.0 as u32);
        if frame.pixel_layout() != self.layout || depth != Some(self.depth) {
            return Err(fail("tiles of several kinds"));
        }
        let names = [PlanarImageComponent::Y, PlanarImageComponent::U, PlanarImageComponent::V];
        for (plane, name) in names.into_iter().enumerate().take(self.samples.len()) {
            let (width, height) = self.size(plane);
            let (across, down) = self.shifts(plane);
            let (left, top) = (left >> across, top >> down);
            let bytes = frame.plane(name);
            let rows = bytes.chunks_exact((frame.stride(name) as usize).max(1));
            let own = self.samples[plane].chunks_exact_mut(width.max(1)).take(height).skip(top);
            let columns = (frame.width() as usize).div_ceil(1 << across);
            for (to, from) in own.zip(rows) {
                let to = to.iter_mut().skip(left).take(columns);
                if self.depth == 8 {
                    to.zip(from).for_each(|(to, from)| *to = u16::from(*from));
                } else {
                    let from = from.as_chunks().0.iter();
                    to.zip(from).for_each(|(to, from)| *to = u16::from_ne_bytes(*from));
                }
            }
        }
        Ok(())
    }

    /// A row of a plane.
    pub fn row(&self, plane: usize, row: usize) -> &[u16] {
        let (width, _) = self.size(plane);
        &self.samples[plane][row * width..][..width]
    }

    /// Rows of a plane.
    pub fn rows(&self, plane: usize) -> usize {
        self.size(plane).1
    }
}

/// Decodes the frame that is shown first. It must have the size that the file announces.
fn first_frame(data: &[u8], (width, height): (u32, u32), max_pixels: u64) -> Result<Frame> {
    if frames(data) > FRAMES {
        return Err(fail(format!("more than {FRAMES} frames in one image")));
    }
    let mut settings = Settings::new();
    // Images are decoded side by side already.
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_all_layers(false);
    settings.set_frame_size_limit(u32::try_from(max_pixels).unwrap_or(u32::MAX));
    let mut decoder = Decoder::with_settings(&settings).map_err(fail)?;
    match decoder.send_data(data.to_vec(), None, None, None) {
        Err(error) if !error.is_again() => return Err(fail(error)),
        _ => {}
    }
    let frame = match decoder.get_picture() {
        Err(error) if error.is_again() => {
            decoder.send_pending_data().map_err(fail)?;
            decoder.get_picture()
        }
        frame => frame,
    };
    let frame = frame.map_err(fail)?;
    let found = (frame.width(), frame.height());
    if found != (width, height) {
        let (w, h) = found;
        return Err(fail(format!("a frame of {w}x{h} for an image of {width}x{height}")));
    }
    Ok(frame)
}

/// The frames in AV1 data, by the headers of its OBUs (AV1 specification, section 5.3).
fn frames(data: &[u8]) -> usize {
    let (mut rest, mut count) = (data, 0);
    while let [head, after @ ..] = rest {
        const FRAME_HEADER: u8 = 3;
        const FRAME: u8 = 6;
        count += usize::from([FRAME_HEADER, FRAME].contains(&(head >> 3 & 15)));
        let (extended, sized) = (head & 4 != 0, head & 2 != 0);
        let after = after.get(usize::from(extended)..).unwrap_or_default();
        rest = match sized.then(|| leb128(after)) {
            Some(Some((size, body))) => body.get(size..).unwrap_or_default(),
            // One without a size is the last.
            _ => &[],
        };
    }
    count
}

/// A number of 7 bits a byte, the lowest first, and what follows it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let length = bytes.iter().take(8).position(|byte| byte & 0x80 == 0)? + 1;
    let (number, rest) = bytes.split_at(length);
    let number = number.iter().rev().fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7f));
    Some((usize::try_from(number).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_and_many_are_refused_before_one_is_decoded() {
        // A temporal delimiter, a frame with an extension, a header, and one without a size.
        let data = b"\x12\0\x36\0\x81\0x\x1a\x01y\x30zzz";
        assert_eq!(frames(data), 3);
        assert_eq!(frames(&data[..2]), 0);
        assert_eq!((frames(b""), frames(b"\x32\xff\xff\xff")), (0, 1));
        let many = b"\x32\0".repeat(FRAMES + 1);
        let refused = first_frame(&many, (8, 8), 64).err().unwrap().to_string();
        assert!(refused.contains("more than 8 frames"), "{refused}");
    }

    #[test]
    fn lengths_end_where_a_byte_says_so() {
        assert_eq!(leb128(b"\x81\x01z"), Some((129, &b"z"[..])));
        assert_eq!((leb128(b"\x80"), leb128(&[0xff; 9])), (None, None));
    }
}
