//! Sizes that files claim: checked against what the file can hold before anything is allocated for
//! them.

use std::path::Path;

/// The most bytes that a byte of deflate's can become (zlib, "Maximum Expansion Factor").
const DEFLATE: u64 = 1032;

/// The bytes that a file can hold: its length, or what a packed file of that length can unpack to.
///
/// # Errors
/// When the file cannot be asked for its length.
pub fn room(path: &Path, packed: bool) -> std::io::Result<u64> {
    let length = std::fs::metadata(path)?.len();
    Ok(if packed { unpacked_room(length) } else { length })
}

/// The most bytes that this many packed ones can become.
pub fn unpacked_room(packed: u64) -> u64 {
    packed.saturating_mul(DEFLATE)
}

/// Bytes of an array with these sizes and this many bytes a value.
///
/// # Errors
/// In words, when they are more than `room`.
pub fn claim(sizes: &[u64], each: u64, room: u64) -> Result<u64, String> {
    let bytes = sizes.iter().try_fold(each, |bytes, &size| bytes.checked_mul(size));
    bytes.filter(|bytes| *bytes <= room).ok_or_else(|| {
        let sizes: Vec<String> = sizes.iter().map(u64::to_string).collect();
        format!(
            "it claims {} values of {each} bytes, and has room for {room} bytes",
            sizes.join(" x ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::claim;

    #[test]
    fn what_is_more_than_there_is_room_for_is_refused() {
        assert_eq!(claim(&[2, 3], 4, 24), Ok(24));
        assert_eq!(claim(&[0, u64::MAX], 4, 24), Ok(0));
        assert!(claim(&[2, 3], 4, 23).unwrap_err().contains("2 x 3 values of 4 bytes"));
        assert!(claim(&[1 << 40, 1 << 40], 1, u64::MAX).is_err(), "the product overflows");
    }
}
