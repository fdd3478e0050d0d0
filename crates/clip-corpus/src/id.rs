//! Identities of pairs and rows.

/// The identity of a pair: the first 16 bytes of blake3(url, 0, caption), as 32 hex digits.
///
/// 128 bits, like DataComp's `uid`, so that its subset files apply.
pub fn uid(url: &str, caption: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(url.as_bytes()).update(&[0]).update(caption.as_bytes());
    hasher.finalize().to_hex()[..32].to_owned()
}

/// The identity of a row in a run: its part in the upper half, its index in the lower.
pub fn row_id(part: usize, index: usize) -> u64 {
    ((part as u64) << 32) | index as u64
}

/// The part that a row was collected in.
pub fn row_part(row: u64) -> usize {
    (row >> 32) as usize
}

/// The index that a row had in the part it was collected in.
pub fn row_index(row: u64) -> usize {
    (row & 0xffff_ffff) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_keeps_url_and_caption_apart() {
        assert_eq!(uid("a", "b").len(), 32);
        assert_ne!(uid("ab", "c"), uid("a", "bc"));
    }

    #[test]
    fn rows_order_by_part_then_index() {
        let row = row_id(3, 17);
        assert_eq!((row_part(row), row_index(row)), (3, 17));
        assert!(row_id(2, 999_999) < row);
    }
}
