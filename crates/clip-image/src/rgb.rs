//! An image in memory.

/// 8-bit RGB pixels, row by row (height, width, 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height * 3` bytes.
    pub data: Vec<u8>,
}

impl Rgb {
    /// An image of one colour.
    pub fn filled(width: u32, height: u32, colour: [u8; 3]) -> Self {
        let data = colour.repeat(width as usize * height as usize);
        Self { width, height, data }
    }

    /// One row of pixels.
    pub fn row(&self, y: u32) -> &[u8] {
        let stride = self.width as usize * 3;
        &self.data[y as usize * stride..][..stride]
    }

    /// ITU-R 601-2 luma as Pillow's `convert("L")` rounds it.
    pub fn luma(&self) -> Vec<u8> {
        let luma = |&[r, g, b]: &[u8; 3]| {
            let sum = 19595 * u32::from(r) + 38470 * u32::from(g) + 7471 * u32::from(b);
            ((sum + 0x8000) >> 16) as u8
        };
        self.data.as_chunks().0.iter().map(luma).collect()
    }
}

/// The part of an image from (x, y), cut at its edges.
pub fn crop(image: &Rgb, x: u32, y: u32, width: u32, height: u32) -> Rgb {
    let (x, y) = (x.min(image.width), y.min(image.height));
    let (width, height) = (width.min(image.width - x), height.min(image.height - y));
    let mut data = Vec::with_capacity(width as usize * height as usize * 3);
    for row in y..y + height {
        data.extend_from_slice(&image.row(row)[x as usize * 3..][..width as usize * 3]);
    }
    Rgb { width, height, data }
}

/// The image mirrored left to right.
pub fn flip_horizontal(image: &Rgb) -> Rgb {
    let mut turned = image.clone();
    if image.width > 0 {
        let rows = turned.data.chunks_exact_mut(3 * image.width as usize);
        rows.for_each(|row| row.as_chunks_mut::<3>().0.reverse());
    }
    turned
}
