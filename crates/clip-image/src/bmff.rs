//! The boxes of AVIF and JPEG XL files (ISO/IEC 14496-12, section 4.2).

/// Names and bodies of boxes, up to one that is cut off.
pub(crate) fn boxes(bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let mut head = Numbers(rest);
        let size = head.number(4)?;
        let name = head.bytes(4)?.first_chunk()?;
        let size = match size {
            // Up to the end.
            0 => rest.len(),
            1 => usize::try_from(head.number(8)?).ok()?,
            size => size as usize,
        };
        let body = rest.get(rest.len() - head.0.len()..size)?;
        rest = &rest[size..];
        Some((name, body))
    })
}

/// The body of the first box of a name.
pub(crate) fn find<'a>(bytes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).find(|(found, _)| *found == name).map(|(_, body)| body)
}

/// Big-endian numbers, one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers<'a>(pub &'a [u8]);

impl<'a> Numbers<'a> {
    /// The next bytes.
    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A number of up to 8 bytes; 0 of none.
    pub fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.bytes(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// The version and the flags that a full box begins with.
    pub fn version(&mut self) -> Option<(u8, u32)> {
        let word = self.number(4)? as u32;
        Some(((word >> 24) as u8, word & 0x00ff_ffff))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_have_three_kinds_of_length_and_end_where_one_is_cut_off() {
        let long = b"\0\0\0\x01long\0\0\0\0\0\0\0\x12ab";
        let file = [&b"\0\0\0\x09onlyx"[..], long, b"\0\0\0\0restof"].concat();
        let found: Vec<_> = boxes(&file).collect();
        let expected: [(&[u8; 4], &[u8]); 3] =
            [(b"only", b"x"), (b"long", b"ab"), (b"rest", b"of")];
        assert_eq!(found, expected);
        assert_eq!(find(&file, b"rest"), Some(&b"of"[..]));
        assert_eq!(find(&file, b"none"), None);
        for cut in [&b"\0\0\0\x0acuto"[..], b"\0\0\0\x07less", b"\0\0\0\x01long\xff", b"ab", b""] {
            assert!(boxes(cut).next().is_none(), "{cut:?}");
        }
    }

    #[test]
    fn numbers_are_big_endian_and_never_beyond_the_end() {
        let mut numbers = Numbers(b"\x01\0\0\x02\x01\x02\xff");
        assert_eq!(numbers.version(), Some((1, 2)));
        assert_eq!((numbers.number(2), numbers.number(0)), (Some(0x102), Some(0)));
        assert_eq!((numbers.number(2), numbers.number(1)), (None, Some(255)));
    }
}
