//! Colour profiles that images carry, and sRGB.

use std::cell::RefCell;
use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};

use crate::segments::segments;

/// The profile in the APP2 segments of a JPEG: its pieces in their order (ICC.1 annex B.4), where
/// all are there.
pub(crate) fn of_jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    const NAME: &[u8] = b"ICC_PROFILE\0";
    let mut pieces: Vec<(u8, u8, &[u8])> = segments(bytes)
        .filter(|segment| segment.marker == 0xe2)
        .filter_map(|segment| match segment.body.strip_prefix(NAME)? {
            [number, count, piece @ ..] => Some((*number, *count, piece)),
            _ => None,
        })
        .collect();
    pieces.sort_by_key(|(number, ..)| *number);
    let all = pieces.len();
    let whole = (1..).zip(&pieces).all(|(at, piece)| (piece.0, usize::from(piece.1)) == (at, all));
    (all > 0 && whole).then(|| pieces.iter().flat_map(|piece| piece.2).copied().collect())
}

/// Longest profile that is applied, in bytes: a printer's has up to some 2 million.
const LONGEST: usize = 4 << 20;
/// Profiles whose transforms a thread keeps: the web has many images and few profiles.
const KEPT: usize = 16;

/// A profile's transform to sRGB, or that it needs none.
struct Known {
    profile: Vec<u8>,
    channels: usize,
    transform: Option<Arc<Transform8BitExecutor>>,
}

/// Pixels of 3 (RGB) or 4 (CMYK) bytes in a profile's colours, as sRGB.
///
/// Nothing when the profile is sRGB's own, is for other pixels, or cannot be read: they stay as
/// they are.
pub(crate) fn to_srgb(pixels: &[u8], channels: usize, profile: &[u8]) -> Option<Vec<u8>> {
    thread_local! {
        static KNOWN: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
    }
    if profile.len() > LONGEST {
        return None;
    }
    let transform = KNOWN.with_borrow_mut(|known| {
        let same = |known: &Known| known.channels == channels && known.profile == profile;
        if let Some(at) = known.iter().position(same) {
            known[..=at].rotate_right(1);
        } else {
            let transform = transform(channels, profile);
            known.truncate(KEPT - 1);
            known.insert(0, Known { profile: profile.to_vec(), channels, transform });
        }
        known[0].transform.clone()
    })?;
    let mut out = vec![0; pixels.len() / channels * 3];
    transform.transform(pixels, &mut out).ok()?;
    Some(out)
}

fn transform(channels: usize, profile: &[u8]) -> Option<Arc<Transform8BitExecutor>> {
    let source = ColorProfile::new_from_slice(profile).ok()?;
    let layout = match (channels, source.color_space) {
        (3, DataColorSpace::Rgb) if !is_srgb(profile) => Layout::Rgb,
        // moxcms calls four inks by the place of alpha.
        (4, DataColorSpace::Cmyk) => Layout::Rgba,
        _ => return None,
    };
    let srgb = ColorProfile::new_srgb();
    source.create_transform_8bit(layout, &srgb, Layout::Rgb, TransformOptions::default()).ok()
}

/// By its description: nearly every profile on the web is sRGB's, and reading further would cost
/// for nothing.
fn is_srgb(profile: &[u8]) -> bool {
    let head = &profile[..profile.len().min(2048)];
    let wide: Vec<u8> = b"sRGB".iter().flat_map(|&byte| [0, byte]).collect();
    head.windows(4).skip(128).any(|four| four == b"sRGB") || head.windows(8).any(|w| w == wide)
}
