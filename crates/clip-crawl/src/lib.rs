//! Sources of (image URL, caption) pairs and the polite downloader.

mod address;
mod client;
pub mod dataset;
mod error;
mod exif;
mod feed;
mod fetch;
mod folder;
mod hosts;
mod html;
mod image;
mod lease;
mod list;
mod local;
mod normal;
mod predicate;
mod retry;
mod robots;
mod rows;
mod sets;
mod sitemap;
mod sources;
mod spool;
mod tables;
mod warc;
mod wat;
mod web;

pub use client::{Client, Reply};
pub use error::{FetchError, Kind};
pub use fetch::ImageFetch;
pub use html::{Extracted, Found, extract};
pub use normal::normal_url;
pub use predicate::Predicate;
pub use retry::{RetryFetch, rejected_rows};
pub use sources::{inputs, source};
pub use web::WebSource;
