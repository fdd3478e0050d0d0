//! Image formats: which are decoded, by the names and the first bytes of files.

use std::path::Path;

/// A format that is decoded. Their order is that in which the fields of a sample are looked
/// through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageFormat {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
    /// GIF, its first frame.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF.
    Tiff,
    /// Netpbm: PPM, PGM, PBM.
    Pnm,
    /// AVIF, its primary image.
    Avif,
    /// JPEG XL, its first frame.
    Jxl,
}

impl ImageFormat {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Jpeg,
        Self::Png,
        Self::Webp,
        Self::Gif,
        Self::Bmp,
        Self::Tiff,
        Self::Pnm,
        Self::Avif,
        Self::Jxl,
    ];

    /// Its file extensions without their dot, the usual one first.
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Jpeg => &["jpg", "jpeg", "jpe", "jfif"],
            Self::Png => &["png"],
            Self::Webp => &["webp"],
            Self::Gif => &["gif"],
            Self::Bmp => &["bmp"],
            Self::Tiff => &["tiff", "tif"],
            Self::Pnm => &["ppm", "pgm", "pbm", "pnm"],
            Self::Avif => &["avif"],
            Self::Jxl => &["jxl"],
        }
    }

    /// The usual file extension.
    pub fn extension(self) -> &'static str {
        self.extensions()[0]
    }

    /// The media type (RFC 9110, section 8.3.1), as browsers know it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
            Self::Bmp => "image/bmp",
            Self::Tiff => "image/tiff",
            Self::Pnm => "image/x-portable-anymap",
            Self::Avif => "image/avif",
            Self::Jxl => "image/jxl",
        }
    }

    /// Whether every present browser shows it in a page.
    pub fn is_shown_by_browsers(self) -> bool {
        match self {
            Self::Jpeg | Self::Png | Self::Webp | Self::Gif | Self::Bmp | Self::Avif => true,
            Self::Tiff | Self::Pnm | Self::Jxl => false,
        }
    }

    /// The format with this extension, in letters of any case.
    pub fn of_extension(extension: &str) -> Option<Self> {
        let is = |known: &&str| known.eq_ignore_ascii_case(extension);
        Self::ALL.into_iter().find(|format| format.extensions().iter().any(is))
    }

    /// The format that a file's name announces.
    pub fn of_path(path: &Path) -> Option<Self> {
        Self::of_extension(path.extension()?.to_str()?)
    }

    /// The format that the first bytes announce.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', ..] => Some(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            [b'G', b'I', b'F', b'8', ..] => Some(Self::Gif),
            [b'B', b'M', ..] => Some(Self::Bmp),
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(Self::Tiff),
            [b'P', b'1'..=b'6', b' ' | b'\n' | b'\r' | b'\t', ..] => Some(Self::Pnm),
            [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => Some(Self::Jxl),
            _ => {
                brands(bytes).any(|brand| matches!(brand, b"avif" | b"avis")).then_some(Self::Avif)
            }
        }
    }

    /// The name of a format that is known by its first bytes, and not decoded.
    pub fn undecoded(bytes: &[u8]) -> Option<&'static str> {
        match bytes {
            [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xff, 0x4f, 0xff, 0x51, ..] => {
                Some("JPEG 2000")
            }
            _ if Self::sniff(bytes).is_some() => None,
            _ => match brands(bytes).next()? {
                b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => {
                    Some("HEIC")
                }
                _ => None,
            },
        }
    }

    /// Which of these names of a sample's fields is its image: the first by the order of formats
    /// and extensions.
    pub fn first_of<'a>(fields: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        let rank = |field: &str| {
            Self::ALL.iter().flat_map(|format| format.extensions()).position(|e| *e == field)
        };
        let ranked = fields.into_iter().filter_map(|field| Some((rank(field)?, field)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, field)| field)
    }
}

/// The brands of an ISO base media file (ISO/IEC 14496-12, section 4.3): its own, then those that
/// it is compatible with.
fn brands(bytes: &[u8]) -> impl Iterator<Item = &[u8; 4]> {
    let body = match bytes {
        [a, b, c, d, b'f', b't', b'y', b'p', rest @ ..] => {
            let size = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            &rest[..rest.len().min(size.saturating_sub(8))]
        }
        _ => &[],
    };
    // A version is after the first.
    body.as_chunks().0.iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, brand)| brand)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_each_of_its_names() {
        for format in ImageFormat::ALL {
            for extension in format.extensions() {
                assert_eq!(ImageFormat::of_extension(extension), Some(format));
                let path = format!("a/b.{}", extension.to_uppercase());
                assert_eq!(ImageFormat::of_path(Path::new(&path)), Some(format));
            }
        }
        assert_eq!(ImageFormat::of_path(Path::new("jpg")), None);
        assert_eq!(ImageFormat::of_extension("json"), None);
    }

    fn boxed(brands: &[&[u8; 4]]) -> Vec<u8> {
        let brands = [brands[0], b"\0\0\0\0"].into_iter().chain(brands[1..].iter().copied());
        let body: Vec<u8> = brands.flatten().copied().collect();
        [&(body.len() as u32 + 8).to_be_bytes()[..], b"ftyp", &body, b"\0\0\0\x08avif"].concat()
    }

    #[test]
    fn formats_that_are_not_decoded_have_their_names() {
        for (bytes, name) in [
            (boxed(&[b"heic"]), Some("HEIC")),
            (boxed(&[b"mif1", b"heic"]), Some("HEIC")),
            (boxed(&[b"isom", b"mp41"]), None),
            (b"\0\0\0\x1cftyphe".to_vec(), None),
            (b"\0\0\0\x0cjP  \r\n\x87\n".to_vec(), Some("JPEG 2000")),
            (b"<html>".to_vec(), None),
            (b"\xff\xd8\xff\xe0".to_vec(), None),
        ] {
            assert_eq!(ImageFormat::undecoded(&bytes), name, "{bytes:?}");
            assert_eq!(ImageFormat::sniff(&bytes).is_some(), bytes.starts_with(b"\xff\xd8"));
        }
    }

    #[test]
    fn an_avif_is_known_by_any_of_its_brands_and_a_jpeg_xl_with_and_without_boxes() {
        for (bytes, format) in [
            (boxed(&[b"avif", b"mif1"]), ImageFormat::Avif),
            (boxed(&[b"avis"]), ImageFormat::Avif),
            (boxed(&[b"mif1", b"miaf", b"avif"]), ImageFormat::Avif),
            (b"\xff\x0a\xfa".to_vec(), ImageFormat::Jxl),
            (b"\0\0\0\x0cJXL \r\n\x87\n".to_vec(), ImageFormat::Jxl),
        ] {
            assert_eq!(ImageFormat::sniff(&bytes), Some(format), "{bytes:?}");
            assert_eq!(ImageFormat::undecoded(&bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn of_several_images_the_first_format_is_taken() {
        assert_eq!(ImageFormat::first_of(["json", "tif", "png", "txt"]), Some("png"));
        assert_eq!(ImageFormat::first_of(["pgm"]), Some("pgm"));
        assert_eq!(ImageFormat::first_of(["txt"]), None);
    }
}
