//! JPEG XL, its first frame, by the decoder of libjxl's authors (ISO/IEC 18181).

use image::{DynamicImage, RgbImage, RgbaImage};
use jxl::api::{
    AlphaMode, Event, ExtraChannel, JxlBasicInfo, JxlColorEncoding, JxlColorProfile, JxlColorType,
    JxlDataFormat, JxlDecoder, JxlDecoderOptions, JxlOutputBuffer, JxlParallelRunner,
    JxlParallelRunnerFun, JxlPixelFormat, ProfileLevel,
};

use crate::bmff::find;
use crate::{Error, Result, avif};

/// Pixels that all frames and passes of an image may come to. What is seen of an image may be made
/// of many frames that are not, each of a few bytes.
const WORK: u64 = 1 << 32;
/// What a pass costs, however small its frame.
const PASS: u64 = 1 << 16;
/// Pixels that a frame may have beside its image: some are larger.
const BESIDE: usize = 1 << 20;

fn fail(error: impl std::fmt::Display) -> Error {
    Error::Decode(format!("JPEG XL: {error}"))
}

/// What a header says.
pub(crate) struct Header {
    /// Width and height, before it is turned.
    pub size: (u32, u32),
    /// EXIF's number of how it must be turned. The one in EXIF itself does not count (ISO/IEC
    /// 18181-2, section 9.5).
    pub orientation: u32,
}

/// Reads a header.
pub(crate) fn header(file: &[u8]) -> Result<Header> {
    let (_, info, _) = opened(file, options(None))?;
    let side = |side: usize| u32::try_from(side).map_err(fail);
    Ok(Header {
        size: (side(info.size.0)?, side(info.size.1)?),
        orientation: info.orientation as u32,
    })
}

/// The EXIF of a file with boxes, from its TIFF header on; what is packed by Brotli is not read.
pub(crate) fn exif(file: &[u8]) -> Option<&[u8]> {
    avif::tiff_header(find(file, b"Exif")?)
}

/// The image, of 8 bits with alpha where it has some, and the profile of its colours where they are
/// not sRGB.
pub(crate) fn decode(file: &[u8]) -> Result<(DynamicImage, Option<Vec<u8>>)> {
    let (_, info, _) = opened(file, options(None))?;
    let (width, height) = info.size;
    let channels = 3 + info.extra_channels.len();
    let most = width.max(16).saturating_mul(height).saturating_mul(2).saturating_add(BESIDE);
    let sample_limit = Some(most.saturating_mul(channels));
    let (mut decoder, info, mut rest) = opened(file, options(sample_limit))?;
    if decoder.embedded_color_profile().is_some_and(JxlColorProfile::is_cmyk) {
        return Err(fail("CMYK is not decoded"));
    }
    let alpha = info.extra_channels.iter().any(|channel| channel.ec_type == ExtraChannel::Alpha);
    let (kind, bytes) = if alpha { (JxlColorType::Rgba, 4) } else { (JxlColorType::Rgb, 3) };
    let format = JxlPixelFormat {
        color_type: kind,
        color_data_format: Some(JxlDataFormat::U8 { bit_depth: 8 }),
        extra_channel_format: vec![None; info.extra_channels.len()],
    };
    decoder.set_pixel_format(format).map_err(fail)?;
    let profile = decoder.output_color_profile().and_then(profile);
    let mut pixels = vec![0; width * height * bytes];
    let mut work = Work { left: WORK, pass: (width * height) as u64 + PASS };
    loop {
        let mut buffers = [JxlOutputBuffer::new(&mut pixels, height, width * bytes)];
        match decoder.process(&mut rest, Some(&mut buffers), Some(&mut work)).map_err(fail)? {
            Event::FrameComplete { .. } | Event::Complete => break,
            Event::NeedMoreInput { .. } => return Err(fail("it is cut off")),
            Event::BasicInfo | Event::FrameHeader => {}
        }
    }
    let (width, height) = (width as u32, height as u32);
    let image = if alpha {
        RgbaImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgba8)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
    };
    Ok((image.ok_or_else(|| fail("pixels are missing"))?, profile))
}

/// Frames of more samples than `limit` are refused.
fn options(limit: Option<usize>) -> JxlDecoderOptions {
    let mut options = JxlDecoderOptions::default();
    options.adjust_orientation = false;
    options.alpha_mode = AlphaMode::Unpremultiplied;
    options.max_profile_level = ProfileLevel::Main10;
    options.sample_limit = limit;
    options
}

/// A decoder that has read the header, what it says, and what follows.
fn opened(file: &[u8], options: JxlDecoderOptions) -> Result<(JxlDecoder, JxlBasicInfo, &[u8])> {
    let (mut decoder, mut rest) = (JxlDecoder::new(options), file);
    match decoder.process(&mut rest, None, None).map_err(fail)? {
        Event::BasicInfo => {}
        _ => return Err(fail("it is cut off")),
    }
    let info = decoder.basic_info().ok_or_else(|| fail("no header"))?.clone();
    Ok((decoder, info, rest))
}

/// The profile of colours that are not sRGB.
fn profile(colours: &JxlColorProfile) -> Option<Vec<u8>> {
    let srgb = |grey| JxlColorProfile::Simple(JxlColorEncoding::srgb(grey));
    if [true, false].into_iter().any(|grey| colours.same_color_encoding(&srgb(grey))) {
        return None;
    }
    colours.try_as_icc().map(std::borrow::Cow::into_owned)
}

/// Does the work of a decoder on its own thread, as long as it is not too much.
struct Work {
    left: u64,
    /// What each pass over a frame costs.
    pass: u64,
}

impl JxlParallelRunner for Work {
    fn run(&mut self, count: usize, work: &JxlParallelRunnerFun<'_>) -> jxl::error::Result<()> {
        self.run_ordered(count, None, work)
    }

    fn num_threads(&self) -> usize {
        // Images are decoded side by side already.
        1
    }

    fn run_ordered(
        &mut self,
        count: usize,
        _: Option<usize>,
        work: &JxlParallelRunnerFun<'_>,
    ) -> jxl::error::Result<()> {
        let left = self.left.checked_sub(self.pass);
        self.left = left.ok_or(jxl::error::Error::ApiUsageError("more frames than are allowed"))?;
        (0..count).try_for_each(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends_when_it_is_too_much() {
        let mut work = Work { left: 10, pass: 4 };
        let count = std::sync::atomic::AtomicUsize::new(0);
        let mut pass = || {
            work.run_ordered(3, None, &|_| {
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Ok(())
            })
        };
        assert!(pass().is_ok() && pass().is_ok() && pass().is_err());
        assert_eq!(count.into_inner(), 6);
    }
}
