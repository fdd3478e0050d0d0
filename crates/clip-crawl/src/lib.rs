//! Sources of (image URL, caption) pairs and the polite downloader.

mod address;
mod client;
mod error;
mod fetch;
mod hosts;
mod html;
mod image;
mod list;
mod robots;
mod rows;
mod web;

pub use client::{Client, Reply};
pub use error::{FetchError, Kind};
pub use fetch::ImageFetch;
pub use html::{Extracted, Found, extract};
pub use list::ListSource;
pub use web::WebSource;
