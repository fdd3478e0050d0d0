//! Rows that must not be in the corpus: by host or URL before the fetch, by hash after it.

mod images;
mod list;
mod urls;

pub use images::BlockImages;
pub use urls::BlockUrls;
