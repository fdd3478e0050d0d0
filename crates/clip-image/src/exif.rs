//! EXIF, read entry by entry, so that one bad value costs itself only (CIPA DC-008, TIFF 6.0).

use clip_format::ImageFormat;

use crate::segments::{png_chunks, segments, webp_chunks};
use crate::{avif, jpeg_xl};

/// Entries that are read of an image: cameras write up to some 300.
const MOST_ENTRIES: usize = 1024;
/// Directories that are read of an image: there are five kinds.
const MOST_DIRECTORIES: usize = 8;

/// Where an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExifDirectory {
    /// IFD0: about the image.
    Image,
    /// IFD1: about its thumbnail.
    Thumbnail,
    /// How it was taken.
    Exif,
    /// Where it was taken.
    Gps,
    /// Compatibility of the file.
    Interop,
}

/// A tag with its value, as it is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExifEntry<'a> {
    /// Where it is.
    pub directory: ExifDirectory,
    /// The tag's number.
    pub tag: u16,
    /// TIFF's number of the type: 1 to 13.
    pub kind: u16,
    /// Whether numbers in `bytes` are big-endian.
    pub big_endian: bool,
    /// All values, one after the other.
    pub bytes: &'a [u8],
}

impl ExifEntry<'_> {
    /// The first value, where it is an integer of more than 8 bits or a signed one: single bytes
    /// are text to Pillow.
    fn integer(&self) -> Option<i64> {
        let word =
            |at| if self.big_endian { u16_be(self.bytes, at) } else { u16_le(self.bytes, at) };
        let long =
            |at| if self.big_endian { u32_be(self.bytes, at) } else { u32_le(self.bytes, at) };
        match self.kind {
            3 => word(0).map(i64::from),
            4 | 13 => long(0).map(i64::from),
            6 => self.bytes.first().map(|&byte| i64::from(byte as i8)),
            8 => word(0).map(|word| i64::from(word as i16)),
            9 => long(0).map(|long| i64::from(long as i32)),
            _ => None,
        }
    }
}

/// The EXIF of an image: a TIFF structure.
#[derive(Debug, Clone, Copy)]
pub struct Exif<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl<'a> Exif<'a> {
    /// Finds it in an encoded image.
    pub fn of(image: &'a [u8]) -> Option<Self> {
        Self::within(image, ImageFormat::sniff(image)?)
    }

    /// Finds it in an image of a known format.
    pub(crate) fn within(image: &'a [u8], format: ImageFormat) -> Option<Self> {
        let mut bytes = match format {
            ImageFormat::Jpeg => segments(image)
                .find(|s| s.marker == 0xe1 && s.body.starts_with(PREFIX))
                .map(|segment| segment.body),
            ImageFormat::Png => png_chunks(image).find(|(name, _)| *name == b"eXIf").map(|c| c.1),
            ImageFormat::Webp => webp_chunks(image).find(|(name, _)| *name == b"EXIF").map(|c| c.1),
            ImageFormat::Tiff => Some(image),
            ImageFormat::Avif => avif::exif(image),
            ImageFormat::Jxl => jpeg_xl::exif(image),
            ImageFormat::Gif | ImageFormat::Bmp | ImageFormat::Pnm => None,
        }?;
        // JPEG's prefix is also found in other containers, and twice.
        while let Some(rest) = bytes.strip_prefix(PREFIX) {
            bytes = rest;
        }
        let big_endian = match bytes.get(..4)? {
            b"MM\0*" | b"MM*\0" => true,
            b"II*\0" | b"II\0*" => false,
            _ => return None,
        };
        Some(Self { bytes, big_endian })
    }

    /// All entries that can be read, up to 1,024: the image's, with those of the directories that
    /// it points to, then the thumbnail's.
    pub fn entries(&self) -> Vec<ExifEntry<'a>> {
        let (mut seen, mut found) = (Vec::new(), Vec::new());
        self.walk(self.first(), ExifDirectory::Image, &mut seen, &mut found);
        if let Some(next) = self.first().and_then(|at| self.next(at)) {
            self.walk(Some(next), ExifDirectory::Thumbnail, &mut seen, &mut found);
        }
        found
    }

    /// The orientation, 1 to 8; 1 where there is none.
    pub fn orientation(&self) -> u32 {
        self.image_tag(0x0112)
            .and_then(|value| u32::try_from(value).ok())
            .filter(|value| (1..=8).contains(value))
            .unwrap_or(1)
    }

    /// The first integer of a tag in IFD0, from the first entry of that tag that can be read.
    pub(crate) fn image_tag(&self, tag: u16) -> Option<i64> {
        self.directory(self.first()?, ExifDirectory::Image)
            .find(|entry| entry.tag == tag)?
            .integer()
    }

    fn u16(&self, at: usize) -> Option<u16> {
        if self.big_endian { u16_be(self.bytes, at) } else { u16_le(self.bytes, at) }
    }

    fn u32(&self, at: usize) -> Option<u32> {
        if self.big_endian { u32_be(self.bytes, at) } else { u32_le(self.bytes, at) }
    }

    /// Where IFD0 is.
    fn first(&self) -> Option<usize> {
        self.u32(4).map(|at| at as usize).filter(|&at| at != 0)
    }

    /// Where the directory after the one at `at` is.
    fn next(&self, at: usize) -> Option<usize> {
        let count = usize::from(self.u16(at)?);
        self.u32(at + 2 + 12 * count).map(|at| at as usize).filter(|&at| at != 0)
    }

    /// The entries of one directory whose type is known and whose value is in the file.
    fn directory(self, at: usize, directory: ExifDirectory) -> impl Iterator<Item = ExifEntry<'a>> {
        let count = usize::from(self.u16(at).unwrap_or(0));
        let places = (0..count).map(move |index| at + 2 + 12 * index);
        places.filter_map(move |at| {
            let (tag, kind) = (self.u16(at)?, self.u16(at + 2)?);
            let size = size_of(kind)?.checked_mul(self.u32(at + 4)? as usize)?;
            let place = if size <= 4 { at + 8 } else { self.u32(at + 8)? as usize };
            let bytes = self.bytes.get(place..place.checked_add(size)?)?;
            Some(ExifEntry { directory, tag, kind, big_endian: self.big_endian, bytes })
        })
    }

    /// The entries of a directory and, in the place of a pointer, those of the directory that it
    /// points to.
    fn walk(
        &self,
        at: Option<usize>,
        directory: ExifDirectory,
        seen: &mut Vec<usize>,
        found: &mut Vec<ExifEntry<'a>>,
    ) {
        let Some(at) = at.filter(|at| !seen.contains(at) && seen.len() < MOST_DIRECTORIES) else {
            return;
        };
        seen.push(at);
        for entry in self.directory(at, directory) {
            if found.len() >= MOST_ENTRIES {
                return;
            }
            match child(directory, entry.tag) {
                Some(child) => self.walk(pointer(&entry), child, seen, found),
                None => found.push(entry),
            }
        }
    }
}

/// What a tag of a directory points to.
fn child(directory: ExifDirectory, tag: u16) -> Option<ExifDirectory> {
    match (directory, tag) {
        (ExifDirectory::Image, 0x8769) => Some(ExifDirectory::Exif),
        (ExifDirectory::Image, 0x8825) => Some(ExifDirectory::Gps),
        (ExifDirectory::Exif, 0xa005) => Some(ExifDirectory::Interop),
        _ => None,
    }
}

const PREFIX: &[u8] = b"Exif\0\0";

fn pointer(entry: &ExifEntry) -> Option<usize> {
    usize::try_from(entry.integer()?).ok()
}

/// Bytes of a value of a type.
fn size_of(kind: u16) -> Option<usize> {
    match kind {
        1 | 2 | 6 | 7 => Some(1),
        3 | 8 => Some(2),
        4 | 9 | 11 | 13 => Some(4),
        5 | 10 | 12 => Some(8),
        _ => None,
    }
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u16_be(bytes: &[u8], at: usize) -> Option<u16> {
    bytes_at(bytes, at).map(u16::from_be_bytes)
}

fn u16_le(bytes: &[u8], at: usize) -> Option<u16> {
    bytes_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    bytes_at(bytes, at).map(u32::from_be_bytes)
}

fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    bytes_at(bytes, at).map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orientation(image: &[u8]) -> u32 {
        Exif::of(image).map_or(1, |exif| exif.orientation())
    }

    fn exif_entries(image: &[u8]) -> Vec<ExifEntry<'_>> {
        Exif::of(image).map_or_else(Vec::new, |exif| exif.entries())
    }

    /// A little-endian directory at 8: tag, type, count and the four bytes of value or offset of
    /// each entry.
    fn tiff(entries: &[(u16, u16, u32, [u8; 4])], next: u32) -> Vec<u8> {
        let mut bytes = b"II*\0\x08\0\0\0".to_vec();
        bytes.extend((entries.len() as u16).to_le_bytes());
        for (tag, kind, count, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(count.to_le_bytes());
            bytes.extend(value);
        }
        bytes.extend(next.to_le_bytes());
        bytes
    }

    fn jpeg(tiff: &[u8]) -> Vec<u8> {
        let length = (tiff.len() + 8) as u16;
        [b"\xff\xd8\xff\xe1", &length.to_be_bytes()[..], PREFIX, tiff, b"\xff\xd9"].concat()
    }

    const SIX: (u16, u16, u32, [u8; 4]) = (0x112, 3, 1, [6, 0, 0, 0]);

    #[test]
    fn a_bad_value_costs_itself_only() {
        let far = (0x10f, 2, 100, [0xff, 0xff, 0, 0]);
        let unknown = (0x110, 99, 1, [0; 4]);
        let sub = (0x8769, 4, 1, [0xff, 0xff, 0xff, 0x7f]);
        let whole = tiff(&[far, unknown, sub, SIX], 0x7fff_ffff);
        for bytes in [
            jpeg(&whole),
            jpeg(&[PREFIX, &whole[..]].concat()),
            // Cut before the place of the next directory.
            jpeg(&whole[..whole.len() - 4]),
            jpeg(&tiff(&[SIX, sub], 8)),
            whole.clone(),
        ] {
            assert_eq!(orientation(&bytes), 6);
            let tags: Vec<u16> = exif_entries(&bytes).iter().map(|entry| entry.tag).collect();
            assert_eq!(tags, [0x112]);
        }
        assert_eq!(orientation(&jpeg(&whole[..whole.len() - 8])), 1);
    }

    #[test]
    fn containers_may_have_the_prefix_of_jpeg() {
        let block = [PREFIX, &tiff(&[SIX], 0)].concat();
        let mut webp = b"RIFF\0\0\0\0WEBPVP8X\x01\0\0\0X\0EXIF".to_vec();
        webp.extend((block.len() as u32).to_le_bytes());
        webp.extend(&block);
        assert_eq!(orientation(&webp), 6);
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\0IDAT....".to_vec();
        png.extend((block.len() as u32).to_be_bytes());
        png.extend(b"eXIf");
        png.extend(&block);
        assert_eq!(orientation(&png), 6);
        assert_eq!(orientation(&png[..png.len() - 1]), 1);
        assert_eq!(orientation(b"\xff\xd8\xff"), 1);
        assert_eq!(orientation(b""), 1);
    }

    #[test]
    fn values_are_integers_from_one_to_eight_and_the_first_counts() {
        let of = |kind, count, value| orientation(&tiff(&[(0x112, kind, count, value)], 0));
        assert_eq!(of(3, 1, [0; 4]), 1);
        assert_eq!(of(3, 1, [9, 0, 0, 0]), 1);
        assert_eq!(of(3, 2, [6, 0, 8, 0]), 6);
        assert_eq!(of(4, 1, [8, 0, 0, 0]), 8);
        assert_eq!(of(1, 1, [6, 0, 0, 0]), 1);
        assert_eq!(orientation(&tiff(&[SIX, (0x112, 3, 1, [3, 0, 0, 0])], 0)), 6);
    }

    #[test]
    fn entries_are_bounded_and_directories_are_read_once() {
        let many = vec![(0x9000, 3, 1, [1, 0, 0, 0]); 5000];
        assert_eq!(exif_entries(&tiff(&many, 8)).len(), MOST_ENTRIES);
        // A directory that points to itself, and one that points to thousands of others.
        let looped = tiff(&[(0x8769, 4, 1, [8, 0, 0, 0]), SIX], 8);
        assert_eq!(exif_entries(&looped).len(), 1);
        let pointers: Vec<_> =
            (0..60_000u32).map(|at| (0x8769, 4, 1, (10 + at).to_le_bytes())).collect();
        assert!(exif_entries(&tiff(&pointers, 0)).len() <= MOST_ENTRIES);
    }
}
