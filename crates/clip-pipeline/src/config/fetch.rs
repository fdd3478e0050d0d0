//! `[fetch]` and `[image]`: how images come, and how they are stored.

use serde::{Deserialize, Serialize};

/// `[fetch]`: politeness and limits, for pages and images alike.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FetchConfig {
    /// Who asks, with an address where one can complain.
    pub user_agent: String,
    /// Requests under way at a time.
    pub concurrency: usize,
    /// Requests under way at a time to one host.
    pub per_host: usize,
    /// Least time between two requests to one host, in milliseconds.
    pub host_delay_ms: u64,
    /// Most time to connect, in seconds.
    pub connect_timeout: f64,
    /// Most time without a byte, in seconds.
    pub idle_timeout: f64,
    /// Most time for a whole request, redirects included, in seconds.
    pub timeout: f64,
    /// Least rate of a body after its first seconds, in bytes a second.
    pub min_rate: f64,
    /// Longest `Retry-After` that is waited for, in seconds; a host that asks for more is left alone.
    pub max_pause: f64,
    /// Longest body, in bytes.
    pub max_bytes: u64,
    /// Bytes of bodies held at a time.
    pub bytes_in_flight: u64,
    /// Most redirects.
    pub max_redirects: usize,
    /// Times that a request is repeated after a passing fault.
    pub retries: u32,
    /// Faults in a row after which a host is left alone for ten minutes.
    pub host_faults: u32,
    /// Whether robots.txt is followed.
    pub robots: bool,
    /// `X-Robots-Tag` directives that forbid an image.
    pub x_robots_tag: Vec<String>,
    /// Whether private, loopback and link-local addresses may be asked.
    pub allow_private: bool,
}

impl Default for FetchConfig {
    fn default() -> Self {
        let x_robots_tag = ["noai", "noimageai", "noindex", "noimageindex"].map(str::to_owned);
        Self {
            user_agent: concat!("clip-data/", env!("CARGO_PKG_VERSION")).into(),
            concurrency: 64,
            per_host: 4,
            host_delay_ms: 50,
            connect_timeout: 5.0,
            idle_timeout: 10.0,
            timeout: 30.0,
            min_rate: 1000.0,
            max_pause: 60.0,
            max_bytes: 20_000_000,
            bytes_in_flight: 256_000_000,
            max_redirects: 5,
            retries: 2,
            host_faults: 20,
            robots: true,
            x_robots_tag: x_robots_tag.into(),
            allow_private: false,
        }
    }
}

/// `[image]`: which images may stay, and how they are stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageConfig {
    /// Least of width and height, in pixels.
    pub min_image_size: u32,
    /// Most pixels.
    pub max_image_area: u64,
    /// Most of longer side over shorter side.
    pub max_aspect_ratio: f32,
    /// Most pixels that a header may announce before anything is decoded.
    pub max_pixels: u64,
    /// Whether EXIF orientation is applied; img2dataset ignores it.
    pub orient: bool,
    /// Whether an ICC profile is applied, so that what is stored is sRGB; img2dataset ignores it.
    pub icc: bool,
    /// Whether a JPEG more than twice as large as what is stored is decoded at a half, quarter or eighth:
    /// quicker, and nearly the exact average.
    pub fast_decode: bool,
    /// Side that the resize mode is about, in pixels.
    pub image_size: u32,
    /// img2dataset's resize modes.
    pub resize_mode: ResizeMode,
    /// Whether images that are small already stay as they are.
    pub resize_only_if_bigger: bool,
    /// How small images are made large.
    pub upscale_interpolation: Interpolation,
    /// How large images are made small.
    pub downscale_interpolation: Interpolation,
    /// Format of what is stored.
    pub encode_format: EncodeFormat,
    /// JPEG and WebP: 1 to 100, above that WebP without loss. PNG: zlib's level, 0 to 9.
    pub encode_quality: u8,
    /// Whether bytes that need no resize and have the format already are stored as they came.
    pub skip_reencode: bool,
}

impl Default for ImageConfig {
    fn default() -> Self {
        Self {
            min_image_size: 0,
            max_image_area: u64::MAX >> 1,
            max_aspect_ratio: f32::MAX,
            max_pixels: 64_000_000,
            orient: true,
            icc: true,
            fast_decode: false,
            image_size: 256,
            resize_mode: ResizeMode::KeepRatio,
            resize_only_if_bigger: true,
            upscale_interpolation: Interpolation::Lanczos,
            downscale_interpolation: Interpolation::Area,
            encode_format: EncodeFormat::Jpg,
            encode_quality: 95,
            skip_reencode: true,
        }
    }
}

/// img2dataset's resize modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeMode {
    /// As it came.
    No,
    /// Longer side to the size, white around to a square.
    Border,
    /// Shorter side to the size.
    KeepRatio,
    /// Longer side to the size.
    KeepRatioLargest,
    /// Shorter side to the size, then the middle square.
    CenterCrop,
}

/// OpenCV's interpolations, by img2dataset's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// The nearest pixel.
    Nearest,
    /// Two pixels on each axis.
    #[serde(alias = "bilinear")]
    Linear,
    /// Four pixels on each axis.
    #[serde(alias = "bicubic")]
    Cubic,
    /// The average over the area that a pixel covers.
    Area,
    /// Eight pixels on each axis.
    #[serde(alias = "lanczos4")]
    Lanczos,
}

/// Formats that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncodeFormat {
    /// JPEG, 4:2:0.
    Jpg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
}
