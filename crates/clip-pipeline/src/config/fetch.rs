//! `[fetch]` and `[image]`: how images come, and how they are stored.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clip_format::ImageFormat;
use serde::{Deserialize, Serialize};
use url::Url;

use super::proxy::{Proxies, ProxySetting};

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
    /// Time between two requests to one host at first, in milliseconds.
    pub host_delay_ms: u64,
    /// Most requests a second to one host, which is reached only while its answers stay fast; see
    /// [`Self::host_delays`].
    pub max_host_rate: Option<f64>,
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
    /// Directives of `X-Robots-Tag` and of robots meta tags that forbid an image.
    pub x_robots_tag: Vec<String>,
    /// Further opt-outs that are followed.
    pub opt_out: Vec<OptOutSignal>,
    /// Whether private, loopback and link-local addresses may be asked.
    pub allow_private: bool,
    /// Name servers, each an address with or without a port; `system` alone for getaddrinfo. Empty
    /// for those of `/etc/resolv.conf`.
    pub dns: Vec<String>,
    /// The proxy that every request goes through, or `none`; without it, what the environment
    /// says. Never written with the settings, since it may hold a password and changes no byte.
    #[serde(skip_serializing)]
    pub proxy: Option<ProxySetting>,
    /// A private Ed25519 key in PEM that every request is signed with, relative to the file of the
    /// settings. Never written with them.
    #[serde(skip_serializing)]
    pub identity_key: Option<PathBuf>,
    /// The site that publishes the public key, as `https://example.org`.
    #[serde(skip_serializing)]
    pub identity_url: Option<String>,
}

/// What hosts, pages and images say about their use for training, beside robots.txt and its
/// directives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptOutSignal {
    /// IETF's `Content-Usage: train-ai=n`, in headers and in robots.txt.
    ContentUsage,
    /// TDMRep's `tdm-reservation: 1`, in headers and meta tags.
    TdmReservation,
    /// C2PA's training and mining assertion, in images.
    C2pa,
    /// `/ai.txt`: a request for each host.
    AiTxt,
    /// TDMRep's `/.well-known/tdmrep.json`: a request for each host.
    TdmrepJson,
}

/// Who is asked for the addresses of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameServers {
    /// The servers that this machine is set up with.
    Machine,
    /// The system's getaddrinfo.
    System,
    /// These servers.
    Servers(Vec<SocketAddr>),
}

impl Default for FetchConfig {
    fn default() -> Self {
        let x_robots_tag = ["noai", "noimageai", "noml", "noindex", "noimageindex"];
        Self {
            user_agent: concat!("clip-data/", env!("CARGO_PKG_VERSION")).into(),
            concurrency: 64,
            per_host: 4,
            host_delay_ms: HOST_DELAY_MS,
            max_host_rate: None,
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
            x_robots_tag: x_robots_tag.map(str::to_owned).into(),
            opt_out: vec![
                OptOutSignal::ContentUsage,
                OptOutSignal::TdmReservation,
                OptOutSignal::C2pa,
            ],
            allow_private: false,
            dns: Vec::new(),
            proxy: None,
            identity_key: None,
            identity_url: None,
        }
    }
}

/// The delay between two requests to a host, where none is set, and the rate that it may rise to.
const HOST_DELAY_MS: u64 = 50;
const MAX_HOST_RATE: f64 = 200.0;

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
            .or_else(|| within("max_host_rate", self.max_host_rate.unwrap_or(1.0), 1e-3, 1e5))
            .or_else(|| within("max_bytes", self.max_bytes as f64, 1.0, 1e12))
            .or_else(|| within("bytes_in_flight", self.bytes_in_flight as f64, 1.0, 1e12))
            .or_else(|| within("max_redirects", self.max_redirects as f64, 0.0, 100.0))
            .or_else(|| within("retries", f64::from(self.retries), 0.0, 100.0))
            .or_else(|| self.name_servers().err())
            .or_else(|| self.proxies().err())
            .or_else(|| self.identity().err())
    }

    /// The time between two requests to a host at first and at least. Without `max_host_rate`, a
    /// host that answers fast gets up to 200 requests a second, unless `host_delay_ms` was set:
    /// then that stays.
    pub fn host_delays(&self) -> [Duration; 2] {
        let first = Duration::from_millis(self.host_delay_ms);
        let automatic = (self.host_delay_ms == HOST_DELAY_MS).then_some(MAX_HOST_RATE);
        match self.max_host_rate.or(automatic) {
            Some(rate) => {
                let least = Duration::from_secs_f64(1.0 / rate.clamp(1e-3, 1e5));
                [first.max(least), least]
            }
            None => [first, first],
        }
    }

    /// The key that requests are signed with, and the site that publishes its public half.
    ///
    /// # Errors
    /// In words, where one is given without the other, or the site has no https URL.
    pub fn identity(&self) -> Result<Option<(&Path, &str)>, String> {
        let (key, site) = match (&self.identity_key, &self.identity_url) {
            (None, None) => return Ok(None),
            (Some(key), Some(site)) => (key, site),
            _ => {
                let hint = "hint: the key signs, the URL says where its public half is";
                return Err(format!("`identity_key` and `identity_url` go together\n{hint}"));
            }
        };
        let url = Url::parse(site).ok().filter(|url| {
            url.scheme() == "https" && url.username().is_empty() && url.query().is_none()
        });
        if url.is_none() || !site.is_ascii() || site.contains(['"', '\\', ' ']) {
            let hint = "hint: https://example.org, with the keys in /.well-known/http-message-signatures-directory";
            let site = clip_store::redacted(site);
            return Err(format!("`identity_url`: {site:?} is no https URL of a site\n{hint}"));
        }
        Ok(Some((key, site)))
    }

    /// The proxies that requests go through: those of the setting, else of the environment.
    ///
    /// # Errors
    /// In words, for what is no proxy.
    pub fn proxies(&self) -> Result<Proxies, String> {
        Proxies::new(self.proxy.as_ref(), |name| std::env::var(name).ok())
    }

    /// Who is asked for addresses.
    ///
    /// # Errors
    /// In words, for what is no server.
    pub fn name_servers(&self) -> Result<NameServers, String> {
        let server = |text: &String| {
            let ip = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
            ip.or_else(|_| text.parse::<SocketAddr>())
                .map_err(|_| format!("`dns`: {text:?} is no address of a name server\nhint: 1.1.1.1, 10.0.0.2:5353, or system alone"))
        };
        match self.dns.as_slice() {
            [] => Ok(NameServers::Machine),
            [word] if word == "system" => Ok(NameServers::System),
            servers => {
                servers.iter().map(server).collect::<Result<_, _>>().map(NameServers::Servers)
            }
        }
    }
}

impl ImageConfig {
    /// The first setting that no image can be stored with, as `name: reason`; none where all are in
    /// their bounds.
    pub fn fault(&self) -> Option<String> {
        if self.max_aspect_ratio.is_nan() || self.max_aspect_ratio < 1.0 {
            return Some("`max_aspect_ratio` must be at least 1".into());
        }
        // JPEG's and WebP's own limits. For PNG, the default of all formats means zlib's.
        let (side, quality) = match self.encode_format {
            EncodeFormat::Jpg => (65_500.0, (1.0, 100.0)),
            EncodeFormat::Webp => (16_383.0, (1.0, 101.0)),
            EncodeFormat::Png if self.encode_quality == Self::default().encode_quality => {
                (65_536.0, (0.0, 101.0))
            }
            EncodeFormat::Png => (65_536.0, (0.0, 9.0)),
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

impl EncodeFormat {
    /// It among the formats that are read.
    pub fn format(self) -> ImageFormat {
        match self {
            Self::Jpg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::Webp => ImageFormat::Webp,
        }
    }
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
        assert!(fetch(|c| c.max_host_rate = Some(f64::NAN)).contains("max_host_rate"));
        assert!(fetch(|c| c.dns = vec!["1.1.1.1".into(), "system".into()]).contains("system"));
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

    #[test]
    fn name_servers_have_a_port_or_not() {
        let servers = |words: &[&str]| {
            let dns = words.iter().map(|word| (*word).to_owned()).collect();
            FetchConfig { dns, ..Default::default() }.name_servers().unwrap()
        };
        assert_eq!(servers(&[]), NameServers::Machine);
        assert_eq!(servers(&["system"]), NameServers::System);
        let some = ["1.1.1.1:53", "[2606:4700::1111]:53", "127.0.0.1:5353"];
        let some = some.map(|text| text.parse().unwrap());
        assert_eq!(
            servers(&["1.1.1.1", "2606:4700::1111", "127.0.0.1:5353"]),
            NameServers::Servers(some.into())
        );
    }

    #[test]
    fn a_delay_that_was_set_stays_and_a_rate_that_was_set_is_the_ceiling() {
        let delays = |host_delay_ms, max_host_rate| {
            let config = FetchConfig { host_delay_ms, max_host_rate, ..Default::default() };
            config.host_delays().map(|delay| delay.as_millis())
        };
        assert_eq!(delays(50, None), [50, 5]);
        assert_eq!(delays(1000, None), [1000, 1000]);
        assert_eq!(delays(0, None), [0, 0]);
        assert_eq!(delays(1000, Some(2.0)), [1000, 500]);
        assert_eq!(delays(0, Some(10.0)), [100, 100]);
    }
}
