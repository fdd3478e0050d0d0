//! Panics of decoders as errors.

use clip_guard::catch_panic;

use crate::{Error, Result};

/// A decoder's result, where a panic is one more reason why an image cannot be decoded.
pub(crate) fn guarded<T>(decoder: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_panic(decoder)
        .unwrap_or_else(|why| Err(Error::Decode(format!("the decoder panicked: {why}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_one_more_reason() {
        let failed: Result<u8> = guarded(|| panic!("assertion failed"));
        let shown = failed.unwrap_err().to_string();
        assert_eq!(shown, "image decoding error: the decoder panicked: assertion failed");
        assert_eq!(guarded::<u8>(|| Err(Error::UnknownFormat)), Err(Error::UnknownFormat));
    }
}
