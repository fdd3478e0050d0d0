//! Sources of (image URL, caption) pairs and the polite downloader.
//!
//! ```
//! use clip_crawl::{RobotsRules, extract};
//!
//! let page: url::Url = "https://example.org/foxes/".parse().unwrap();
//! let found = extract(br#"<img src="red.jpg" alt="a red fox">"#, "text/html", &page);
//! assert_eq!(found.images[0].url, "https://example.org/foxes/red.jpg");
//! assert_eq!(found.images[0].caption, "a red fox");
//!
//! let rules = RobotsRules::parse("clip-data", b"User-agent: *\nDisallow: /private/");
//! let url = |path: &str| page.join(path).unwrap();
//! assert!(rules.check(&url("/foxes/red.jpg")).is_ok());
//! assert!(rules.check(&url("/private/red.jpg")).is_err());
//! ```

mod address;
mod archive;
mod asks;
mod client;
mod coco_vg;
pub mod dataset;
mod dispatch;
mod dns;
mod error;
mod exif;
mod fetch;
mod folder;
mod host_queue;
mod hosts;
mod html;
mod identity;
mod image;
mod image_columns;
mod known;
mod lease;
mod list;
mod local;
mod message;
mod normalize_url;
mod opt_out;
mod pair_reader;
mod proxy;
mod rate;
mod retry;
mod robots;
mod rows;
mod sitemap;
mod sources;
mod spool;
mod warc;
mod wat;
mod web;
mod window;
mod yfcc_wit;

pub use client::{Client, Reply};
pub use error::{FetchError, Kind};
pub use fetch::ImageFetch;
pub use html::{Extracted, Found, extract};
pub use list::{
    filled_columns, holds_lists, is_plain_text, is_text_list, list_column, list_rows,
    require_column, text_lists,
};
pub use normalize_url::{find_rows, normal_url};
pub use retry::{RetryFetch, rejected_rows};
pub use robots::Rules as RobotsRules;
pub use rows::STAGE as COLLECT;
pub use sitemap::locations as sitemap_locations;
pub use sources::{check_source, inputs, source};
pub use web::WebSource;
