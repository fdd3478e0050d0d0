//! Near-copies of evaluation images, as they turn up on the web.

use clip_image::{Filter, Rgb, crop, flip_horizontal, resize};

/// Number of copies that are planted.
pub const COUNT: usize = 60;

/// How a copy differs from its original.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Saved again as JPEG.
    Reencoded,
    /// Made smaller.
    Resized,
    /// Cut at its edges.
    Cropped,
    /// Left and right exchanged.
    Mirrored,
    /// Lighter, with other colours.
    Recoloured,
}

impl Change {
    /// The change of planted copy number `index`.
    pub fn of(index: usize) -> Self {
        [Self::Reencoded, Self::Resized, Self::Cropped, Self::Mirrored, Self::Recoloured][index % 5]
    }

    /// One word for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reencoded => "reencoded",
            Self::Resized => "resized",
            Self::Cropped => "cropped",
            Self::Mirrored => "mirrored",
            Self::Recoloured => "recoloured",
        }
    }

    /// The changed image.
    pub fn apply(self, image: &Rgb) -> Rgb {
        let (w, h) = (image.width, image.height);
        match self {
            Self::Reencoded => image.clone(),
            Self::Resized => resize(image, w * 3 / 4, h * 3 / 4, Filter::Bicubic),
            Self::Cropped => crop(image, w / 20, h / 20, w - w / 10, h - h / 10),
            Self::Mirrored => flip_horizontal(image),
            Self::Recoloured => {
                let shift = [10i16, -6, 4];
                let data = image.data.iter().enumerate().map(|(at, &value)| {
                    let value = i16::from(value) * 9 / 10 + 14 + shift[at % 3];
                    value.clamp(0, 255) as u8
                });
                Rgb { data: data.collect(), ..*image }
            }
        }
    }
}
