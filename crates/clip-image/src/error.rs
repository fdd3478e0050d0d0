//! What can be wrong with an image.

/// Why bytes give no image, or an image no bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No decoder knows these bytes.
    #[error("not an image of a known format")]
    UnknownFormat,
    /// An image, of a format that is not decoded.
    #[error("{0} is not decoded")]
    Undecoded(&'static str),
    /// The header is there, the image is not.
    #[error("image decoding error: {0}")]
    Decode(String),
    /// The header announces more pixels than are allowed.
    #[error("{width}x{height} pixels are more than the {limit} allowed")]
    TooLarge {
        /// Announced width in pixels.
        width: u32,
        /// Announced height in pixels.
        height: u32,
        /// Limit in pixels.
        limit: u64,
    },
    /// The encoder refused.
    #[error("image encoding error: {0}")]
    Encode(String),
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
