//! JPEG by libjpeg-turbo: Pillow's pixels.

use std::borrow::Cow;

use turbojpeg::{Colorspace, DecompressHeader, Decompressor, PixelFormat, ScalingFactor};

use crate::segments::{SOS, segments};
use crate::{Error, Result, Rgb, icc};

/// Scans of a progressive JPEG. Encoders write some ten; each further one costs a pass over all
/// blocks. It is the limit of libjpeg-turbo's own fuzzers.
const MOST_SCANS: u32 = 500;

/// A JPEG whose header was read.
pub(crate) struct Jpeg<'a> {
    decompressor: Decompressor,
    header: DecompressHeader,
    bytes: Cow<'a, [u8]>,
}

fn fail(error: turbojpeg::Error) -> Error {
    Error::Decode(error.to_string())
}

impl<'a> Jpeg<'a> {
    /// Reads the header.
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        let mut decompressor = Decompressor::new().map_err(fail)?;
        decompressor.set_scan_limit(MOST_SCANS).map_err(fail)?;
        let (header, bytes) = match decompressor.read_header(bytes) {
            Ok(header) => (header, Cow::Borrowed(bytes)),
            // turbojpeg gives no header with a warning.
            Err(error) if is_harmless(&error) => {
                let plain = plain(bytes).ok_or_else(|| fail(error))?;
                (decompressor.read_header(&plain).map_err(fail)?, Cow::Owned(plain))
            }
            Err(error) => return Err(fail(error)),
        };
        Ok(Self { decompressor, header, bytes })
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.header.width as u32, self.header.height as u32)
    }

    /// Decodes, at 1/2, 1/4 or 1/8 where the shorter side keeps `min_side` pixels, with a profile's
    /// colours as sRGB.
    pub fn decode(mut self, min_side: Option<u32>, profile: Option<&[u8]>) -> Result<Rgb> {
        let shorter = self.header.width.min(self.header.height);
        let factor = [8, 4, 2]
            .map(|denominator| ScalingFactor::new(1, denominator))
            .into_iter()
            .find(|f| min_side.is_some_and(|side| f.scale(shorter) >= side as usize))
            .filter(|_| !self.header.is_lossless)
            .unwrap_or(ScalingFactor::ONE);
        let inks = matches!(self.header.colorspace, Colorspace::CMYK | Colorspace::YCCK);
        self.decompressor.set_scaling_factor(factor).map_err(fail)?;
        let size = self.header.scaled(factor);
        let (format, channels) = if inks { (PixelFormat::CMYK, 4) } else { (PixelFormat::RGB, 3) };
        let mut data = vec![0; size.width * size.height * channels];
        self.decompress(&mut data, size.width, size.height, format)?;
        if inks {
            // The paper that is left is stored, not the ink: by Adobe, whom all decoders follow for
            // all files.
            data.iter_mut().for_each(|value| *value = 255 - *value);
        }
        let converted = profile.and_then(|profile| icc::to_srgb(&data, channels, profile));
        let data = match converted {
            Some(data) => data,
            None if inks => {
                let left = |ink: u8, black: u8| {
                    ((u16::from(255 - ink) * u16::from(255 - black) + 127) / 255) as u8
                };
                data.chunks_exact(4).flat_map(|p| [0, 1, 2].map(|c| left(p[c], p[3]))).collect()
            }
            None => data,
        };
        Ok(Rgb { width: size.width as u32, height: size.height as u32, data })
    }

    fn decompress(
        &mut self,
        pixels: &mut [u8],
        width: usize,
        height: usize,
        format: PixelFormat,
    ) -> Result<()> {
        let pitch = width * format.size();
        let mut output = turbojpeg::Image { pixels, width, pitch, height, format };
        let first = self.decompressor.decompress(&self.bytes, output.as_deref_mut());
        let result = match first {
            // All pixels of one scan may be there where only the end marker is not: with that, a
            // warning is about pixels.
            Err(error)
                if is_cut(&error) && !self.header.is_progressive && has_one_scan(&self.bytes) =>
            {
                let ended = [&self.bytes[..], b"\xff\xd9"].concat();
                self.decompressor.decompress(&ended, output.as_deref_mut())
            }
            first => first,
        };
        match result {
            Err(error) if !is_harmless(&error) => Err(fail(error)),
            _ => Ok(()),
        }
    }
}

/// Warnings of libjpeg about bytes that are not pixels; every other one means that pixels are
/// missing.
fn is_harmless(warning: &turbojpeg::Error) -> bool {
    let warning = warning.to_string();
    [
        "extraneous bytes before marker",
        "JFIF revision number",
        "Adobe color transform",
        "bad ICC marker",
    ]
    .iter()
    .any(|words| warning.contains(words))
}

/// Whether the file ended before its end marker.
fn is_cut(warning: &turbojpeg::Error) -> bool {
    warning.to_string().contains("Premature end of JPEG file")
}

/// Whether a marker is a start of frame.
fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

/// Whether the first scan has all components of the frame.
fn has_one_scan(jpeg: &[u8]) -> bool {
    let (mut frame, mut scan) = (None, None);
    for segment in segments(jpeg) {
        match segment.marker {
            marker if is_frame(marker) => frame = segment.body.get(5),
            SOS => scan = segment.body.first(),
            _ => {}
        }
    }
    frame.is_some() && frame == scan
}

/// The same JPEG with a header that gives no warning: only what a decoder needs, nothing between
/// segments, and known versions. Nothing where there is no scan.
fn plain(jpeg: &[u8]) -> Option<Vec<u8>> {
    let layers = segments(jpeg).find(|s| is_frame(s.marker)).and_then(|s| s.body.get(5));
    let mut plain = vec![0xff, 0xd8];
    for segment in segments(jpeg) {
        let mut body = segment.body.to_vec();
        match (segment.marker, &mut body[..]) {
            // JFIF's version and Adobe's transform, which libjpeg takes for these where it knows
            // them not.
            (0xe0, [b'J', b'F', b'I', b'F', 0, major, ..]) => *major = 1,
            (0xee, [b'A', b'd', b'o', b'b', b'e', _, _, _, _, _, _, transform, ..]) => {
                *transform = match (*transform, layers) {
                    (0, _) => 0,
                    (_, Some(4)) => 2,
                    _ => 1,
                };
            }
            (0xe0..=0xef | 0xfe | 0x01 | 0xd0..=0xd8, _) => continue,
            _ => {}
        }
        plain.extend([0xff, segment.marker]);
        plain.extend((body.len() as u16 + 2).to_be_bytes());
        plain.extend(body);
        if segment.marker == SOS {
            plain.extend_from_slice(&jpeg[segment.end..]);
            return Some(plain);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DecodeOptions, ImageHeader, decode, encode_jpeg};

    fn ramp(width: u32, height: u32) -> Rgb {
        let pixel = |i: u32| [(i % width * 5) as u8, (i / width * 7) as u8, 90];
        Rgb { width, height, data: (0..width * height).flat_map(pixel).collect() }
    }

    /// A JPEG with bytes in the place of its first segment, JFIF's.
    fn with(head: &[u8]) -> Vec<u8> {
        let jpeg = encode_jpeg(&ramp(40, 30), 90).unwrap();
        [&jpeg[..2], head, &jpeg[20..]].concat()
    }

    #[test]
    fn scaled_decoding_keeps_the_shorter_side() {
        let bytes = encode_jpeg(&ramp(400, 300), 95).unwrap();
        let options = DecodeOptions { min_side: Some(70), ..Default::default() };
        let image = decode(&bytes, &options).unwrap();
        assert_eq!((image.width, image.height), (100, 75));
    }

    #[test]
    fn warnings_about_the_header_are_harmless_to_the_probe_and_to_the_decoder() {
        let options = DecodeOptions::default();
        let clean = decode(&with(b""), &options).unwrap();
        for head in [
            &b"\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0junk\0"[..],
            b"\xff\xe2\0\x11ICC_PROFILE\0\x02\x01z",
            b"\xff\xe0\0\x10JFIF\0\x09\x01\0\0\x01\0\x01\0\0",
            b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x07",
        ] {
            let bytes = with(head);
            let header = ImageHeader::read(&bytes).unwrap();
            assert_eq!((header.width, header.height), (40, 30), "{head:?}");
            assert_eq!(decode(&bytes, &options).unwrap(), clean, "{head:?}");
            assert!(decode(&bytes[..bytes.len() - 40], &options).is_err(), "{head:?}");
        }
    }

    #[test]
    fn an_end_marker_may_be_missing_but_no_pixel() {
        let bytes = with(b"");
        let options = DecodeOptions::default();
        let (whole, cut) = (decode(&bytes, &options).unwrap(), &bytes[..bytes.len() - 2]);
        assert_eq!(decode(cut, &options).unwrap(), whole);
        assert!(decode(&cut[..cut.len() - 8], &options).is_err());
    }

    /// A grey progressive JPEG of zero blocks, with `scans` scans after the first.
    fn progressive(scans: usize) -> Vec<u8> {
        let mut jpeg = b"\xff\xd8\xff\xdb\0\x43\0".to_vec();
        jpeg.extend([1; 64]);
        jpeg.extend(b"\xff\xc2\0\x0b\x08\0\x10\0\x10\x01\x01\x11\0");
        // One code of one bit in each table: no difference, and a run of 16384 to 32767 blocks that
        // end.
        jpeg.extend(b"\xff\xc4\0\x14\0\x01");
        jpeg.extend([0; 16]);
        jpeg.extend(b"\xff\xc4\0\x14\x10\x01");
        jpeg.extend([0; 15]);
        jpeg.push(0xe0);
        jpeg.extend(b"\xff\xda\0\x08\x01\x01\0\0\0\0\0");
        for _ in 0..scans {
            jpeg.extend(b"\xff\xda\0\x08\x01\x01\0\x01\x3f\0\0\0");
        }
        jpeg.extend(b"\xff\xd9");
        jpeg
    }

    #[test]
    fn scans_are_limited() {
        let options = DecodeOptions::default();
        let image = decode(&progressive(MOST_SCANS as usize - 1), &options).unwrap();
        assert_eq!(image, Rgb::filled(16, 16, [128; 3]));
        let error = decode(&progressive(MOST_SCANS as usize), &options).unwrap_err().to_string();
        assert!(error.contains("more than 500 scans"), "{error}");
    }
}
