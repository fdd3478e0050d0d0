//! `[fetch]` and `[image]`: how images come, and how they are stored.

use serde::{Deserialize, Serialize};

/// `[fetch]`: politeness and limits, for pages and images alike.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FetchConfig {
    /// Who asks, with an address where one can complain.
    pub user_agent: String,
    /// Requests in flight at a time.
    pub concurrency: usize,
    /// Requests in flight at a time to one host.
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
    /// Longest `Retry-After` that is waited for, in seconds; a host that asks for more is left
    /// alone.
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

impl FetchConfig {
    /// The first setting that no fetch can work with, as `name: reason`; none where all are in
    /// their bounds.
    pub fn fault(&self) -> Option<String> {
        let times = [
            ("connect_timeout", self.connect_timeout),
            ("idle_timeout", self.idle_timeout),
            ("timeout", self.timeout),
        ];
        let time = times.iter().find(|(_, seconds)| !(*seconds > 0.0 && *seconds <= DAY));
        if let Some((name, _)) = time {
            return Some(format!("`{name}` must be above 0 and at most {DAY} seconds"));
        }
        within("max_pause", self.max_pause, 0.0, DAY)
            .or_else(|| within("min_rate", self.min_rate, 0.0, 1e12))
            .or_else(|| within("concurrency", self.concurrency as f64, 1.0, 65_536.0))
            .or_else(|| within("per_host", self.per_host as f64, 1.0, 65_536.0))
            .or_else(|| within("host_delay_ms", self.host_delay_ms as f64, 0.0, 1e3 * DAY))
            .or_else(|| within("max_bytes", self.max_bytes as f64, 1.0, 1e12))
            .or_else(|| within("bytes_in_flight", self.bytes_in_flight as f64, 1.0, 1e12))
            .or_else(|| within("max_redirects", self.max_redirects as f64, 0.0, 100.0))
            .or_else(|| within("retries", f64::from(self.retries), 0.0, 100.0))
    }
}

impl ImageConfig {
    /// The first setting that no image can be stored with, as `name: reason`; none where all are in
    /// their bounds.
    pub fn fault(&self) -> Option<String> {
        if self.max_aspect_ratio.is_nan() || self.max_aspect_ratio < 1.0 {
            return Some("`max_aspect_ratio` must be at least 1".into());
        }
        // JPEG's and WebP's own limits. For PNG, above zlib's 9 means its default.
        let (side, quality) = match self.encode_format {
            EncodeFormat::Jpg => (65_500.0, (1.0, 100.0)),
            EncodeFormat::Webp => (16_383.0, (1.0, 101.0)),
            EncodeFormat::Png => (65_536.0, (0.0, 101.0)),
        };
        within("image_size", f64::from(self.image_size), 1.0, side)
            .or_else(|| {
                within("encode_quality", f64::from(self.encode_quality), quality.0, quality.1)
            })
            .or_else(|| within("max_pixels", self.max_pixels as f64, 1.0, 1e9))
    }
}

/// Seconds of a day: nothing is waited for longer.
const DAY: f64 = 86_400.0;

fn within(name: &str, value: f64, least: f64, most: f64) -> Option<String> {
    let inside = value >= least && value <= most;
    (!inside).then(|| format!("`{name}` must be {least} to {most}, not {value}"))
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
    /// Whether a JPEG more than twice as large as what is stored is decoded at a half, quarter or
    /// eighth: quicker, and nearly the exact average.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nothing_can_work_with_is_refused_by_name() {
        assert_eq!(FetchConfig::default().fault(), None);
        assert_eq!(ImageConfig::default().fault(), None);
        let fetch = |change: fn(&mut FetchConfig)| {
            let mut config = FetchConfig::default();
            change(&mut config);
            config.fault().unwrap()
        };
        assert!(fetch(|c| c.timeout = f64::NAN).contains("timeout"));
        assert!(fetch(|c| c.idle_timeout = f64::INFINITY).contains("idle_timeout"));
        assert!(fetch(|c| c.per_host = usize::MAX).contains("per_host"));
        assert!(fetch(|c| c.min_rate = f64::NAN).contains("min_rate"));
        assert!(fetch(|c| c.concurrency = 0).contains("concurrency"));
        let image = |change: fn(&mut ImageConfig)| {
            let mut config = ImageConfig::default();
            change(&mut config);
            config.fault().unwrap()
        };
        assert!(image(|c| c.image_size = 4_000_000_000).contains("image_size"));
        assert!(image(|c| c.image_size = 0).contains("image_size"));
        assert!(image(|c| c.max_aspect_ratio = f32::NAN).contains("max_aspect_ratio"));
        assert!(image(|c| c.encode_quality = 101).contains("encode_quality"));
    }
}
