//! Sources of (image URL, caption) pairs and the polite downloader.

mod address;
mod client;
mod error;
mod exif;
mod feed;
mod fetch;
mod folder;
mod hosts;
mod html;
mod image;
mod list;
mod local;
mod normal;
mod predicate;
mod retry;
mod robots;
mod rows;
mod sets;
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
pub use list::ListSource;
pub use normal::normal_url;
pub use predicate::Predicate;
pub use retry::RetryFetch;
pub use sources::{inputs, source};
pub use web::WebSource;
