//! As much of protobuf's wire format as files of metrics have.

/// A field of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
}

/// Appends a length-delimited field.
pub(crate) fn bytes(out: &mut Vec<u8>, field: u32, content: &[u8]) {
    varint(out, u64::from(field << 3 | 2));
    varint(out, content.len() as u64);
    out.extend(content);
}

/// Appends a field of a number; without one it is 0, and protobuf writes none then.
pub(crate) fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        varint(out, u64::from(field << 3));
        varint(out, value);
    }
}

/// Appends a message.
pub(crate) fn message(out: &mut Vec<u8>, field: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    fill(&mut content);
    bytes(out, field, &content);
}

pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The fields of a message, by their numbers; none where it is no message, or has numbers of a
/// fixed width, which these files have not.
pub(crate) fn fields(mut message: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = read_varint(&mut message)?;
        let field = match tag & 7 {
            0 => Field::Varint(read_varint(&mut message)?),
            2 => {
                let length = usize::try_from(read_varint(&mut message)?).ok()?;
                let (content, rest) = message.split_at_checked(length)?;
                message = rest;
                Field::Bytes(content)
            }
            _ => return None,
        };
        fields.push((tag >> 3, field));
    }
    Some(fields)
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// A cyclic redundancy check of 32 bits, by its reversed polynomial.
pub(crate) fn crc32(polynomial: u32, data: impl IntoIterator<Item = u8>) -> u32 {
    !data.into_iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (polynomial & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        number(&mut out, 1, 300);
        number(&mut out, 2, 0);
        message(&mut out, 200, |inner| bytes(inner, 1, b"name"));
        assert_eq!(out, b"\x08\xac\x02\xc2\x0c\x06\x0a\x04name");
        let inner = b"\x0a\x04name";
        assert_eq!(fields(&out), Some(vec![(1, Field::Varint(300)), (200, Field::Bytes(inner))]));
        for cut in [1, 2, 4, 5, 9] {
            assert_eq!(fields(&out[..cut]).map(|fields| fields.len()), None, "{cut}");
        }
        assert_eq!(fields(&[0xff; 11]), None);
    }

    #[test]
    fn checksums_are_castagnolis_and_zlibs() {
        // RFC 3720, B.4.
        assert_eq!(crc32(0x82f6_3b78, [0; 32]), 0x8a91_36aa);
        assert_eq!(crc32(0x82f6_3b78, *b"123456789"), 0xe306_9283);
        assert_eq!(crc32(0xedb8_8320, *b"123456789"), 0xcbf4_3926);
    }
}
