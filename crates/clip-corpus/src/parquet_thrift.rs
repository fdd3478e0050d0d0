//! The footer and the page headers of a Parquet file in Thrift's compact protocol, passed to their
//! end before the `parquet` crate reads them.
//!
//! The crate passes over as many elements as are claimed, up to 2^31, of which truth values take no
//! bytes; and it reads a field that it knows as what it should be, whatever type is written there.
//! So types are compared with the format's (`parquet.thrift` of apache/parquet-format): what is
//! passed here is what the crate passes.

use Kind::{Byte, Double, List, Number, Struct, Text, Truth};

/// How deep structures nest, at most.
const DEEPEST: usize = 32;

/// What a field is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// In the type of its field, without a byte.
    Truth,
    Byte,
    /// Of 16, 32 or 64 bits, which are written alike.
    Number,
    Double,
    Text,
    List(&'static Kind),
    Struct(Fields),
}

/// The fields of a structure that the crate knows, by their numbers.
pub(crate) type Fields = &'static [(i32, Kind)];

const EMPTY: Fields = &[];

const STATISTICS: Fields =
    &[(1, Text), (2, Text), (3, Number), (4, Number), (5, Text), (6, Text), (7, Truth), (8, Truth)];

pub(crate) const PAGE_HEADER: Fields = &[
    (1, Number),
    (2, Number),
    (3, Number),
    (4, Number),
    (5, Struct(&[(1, Number), (2, Number), (3, Number), (4, Number), (5, Struct(STATISTICS))])),
    (6, Struct(EMPTY)),
    (7, Struct(&[(1, Number), (2, Number), (3, Truth)])),
    (
        8,
        Struct(&[
            (1, Number),
            (2, Number),
            (3, Number),
            (4, Number),
            (5, Number),
            (6, Number),
            (7, Truth),
            (8, Struct(STATISTICS)),
        ]),
    ),
];

const TIME: Fields =
    &[(1, Truth), (2, Struct(&[(1, Struct(EMPTY)), (2, Struct(EMPTY)), (3, Struct(EMPTY))]))];

const LOGICAL_TYPE: Fields = &[
    (1, Struct(EMPTY)),
    (2, Struct(EMPTY)),
    (3, Struct(EMPTY)),
    (4, Struct(EMPTY)),
    (5, Struct(&[(1, Number), (2, Number)])),
    (6, Struct(EMPTY)),
    (7, Struct(TIME)),
    (8, Struct(TIME)),
    (10, Struct(&[(1, Byte), (2, Truth)])),
    (11, Struct(EMPTY)),
    (12, Struct(EMPTY)),
    (13, Struct(EMPTY)),
    (14, Struct(EMPTY)),
    (15, Struct(EMPTY)),
    (16, Struct(&[(1, Byte)])),
    (17, Struct(&[(1, Text)])),
    (18, Struct(&[(1, Text), (2, Number)])),
];

const SCHEMA_ELEMENT: Fields = &[
    (1, Number),
    (2, Number),
    (3, Number),
    (4, Text),
    (5, Number),
    (6, Number),
    (7, Number),
    (8, Number),
    (9, Number),
    (10, Struct(LOGICAL_TYPE)),
];

const KEY_VALUE: Fields = &[(1, Text), (2, Text)];

const BOUNDING_BOX: Fields = &[
    (1, Double),
    (2, Double),
    (3, Double),
    (4, Double),
    (5, Double),
    (6, Double),
    (7, Double),
    (8, Double),
];

const COLUMN_META_DATA: Fields = &[
    (1, Number),
    (2, List(&Number)),
    (3, List(&Text)),
    (4, Number),
    (5, Number),
    (6, Number),
    (7, Number),
    (8, List(&Struct(KEY_VALUE))),
    (9, Number),
    (10, Number),
    (11, Number),
    (12, Struct(STATISTICS)),
    (13, List(&Struct(&[(1, Number), (2, Number), (3, Number)]))),
    (14, Number),
    (15, Number),
    (16, Struct(&[(1, Number), (2, List(&Number)), (3, List(&Number))])),
    (17, Struct(&[(1, Struct(BOUNDING_BOX)), (2, List(&Number))])),
];

const COLUMN_CHUNK: Fields = &[
    (1, Text),
    (2, Number),
    (3, Struct(COLUMN_META_DATA)),
    (4, Number),
    (5, Number),
    (6, Number),
    (7, Number),
    (8, Struct(&[(1, Struct(EMPTY)), (2, Struct(&[(1, List(&Text)), (2, Text)]))])),
    (9, Text),
];

const ROW_GROUP: Fields = &[
    (1, List(&Struct(COLUMN_CHUNK))),
    (2, Number),
    (3, Number),
    (4, List(&Struct(&[(1, Number), (2, Truth), (3, Truth)]))),
    (5, Number),
    (6, Number),
    (7, Number),
];

const CIPHER: Fields = &[(1, Text), (2, Text), (3, Truth)];

pub(crate) const FOOTER: Fields = &[
    (1, Number),
    (2, List(&Struct(SCHEMA_ELEMENT))),
    (3, Number),
    (4, List(&Struct(ROW_GROUP))),
    (5, List(&Struct(KEY_VALUE))),
    (6, Text),
    (7, List(&Struct(&[(1, Struct(EMPTY))]))),
    (8, Struct(&[(1, Struct(CIPHER)), (2, Struct(CIPHER))])),
    (9, Text),
];

/// Why a structure was not passed to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error("a list of {0} elements")]
    List(u64),
    #[error("a list of {0} truth values")]
    Truths(u64),
    #[error("what has no end")]
    Short,
    #[error("what is no structure of Parquet's")]
    Malformed,
}

impl Stop {
    /// Whether more bytes may change it.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::List(_) | Self::Short)
    }
}

type Passed<T = ()> = std::result::Result<T, Stop>;

/// Passes a structure with these fields; others, of later versions of the format, by their types.
pub(crate) fn pass(bytes: &mut &[u8], known: Fields) -> Passed {
    structure(bytes, known, 0)
}

fn structure(bytes: &mut &[u8], known: Fields, depth: usize) -> Passed {
    let mut number = 0;
    loop {
        let field = byte(bytes)?;
        let (delta, written) = (field >> 4, field & 15);
        if written == 0 {
            return Ok(());
        }
        // Without a difference to that before it, the number itself follows.
        number = if delta > 0 { number + i32::from(delta) } else { signed(bytes)? };
        let kind = known.iter().find(|(known, _)| *known == number).map(|(_, kind)| kind);
        if !kind.is_none_or(|kind| fits(written, *kind)) {
            return Err(Stop::Malformed);
        }
        // A truth value is in the type of its field.
        if !matches!(written, 1 | 2) {
            value(written, kind.copied(), bytes, depth)?;
        }
    }
}

/// Whether a type that is written is that of a kind.
fn fits(written: u8, kind: Kind) -> bool {
    match kind {
        Truth => matches!(written, 1 | 2),
        Byte => written == 3,
        Number => matches!(written, 4..=6),
        Double => written == 7,
        Text => written == 8,
        List(_) => matches!(written, 9 | 10),
        Struct(_) => written == 12,
    }
}

fn value(written: u8, kind: Option<Kind>, bytes: &mut &[u8], depth: usize) -> Passed {
    match written {
        _ if depth > DEEPEST => Err(Stop::Malformed),
        3 => byte(bytes).map(drop),
        4..=6 => unsigned(bytes).map(drop),
        7 => skip(bytes, 8),
        8 => {
            let length = unsigned(bytes)?;
            skip(bytes, length)
        }
        9 | 10 => {
            let head = byte(bytes)?;
            let size = if head >> 4 == 15 { unsigned(bytes)? } else { u64::from(head >> 4) };
            if size == 0 {
                return Ok(());
            }
            let (written, element) =
                (head & 15, if let Some(List(e)) = kind { Some(*e) } else { None });
            if matches!(written, 1 | 2) {
                return Err(Stop::Truths(size));
            }
            if !element.is_none_or(|element| fits(written, element)) {
                return Err(Stop::Malformed);
            }
            // Each takes a byte at least.
            if size > bytes.len() as u64 {
                return Err(Stop::List(size));
            }
            (0..size).try_for_each(|_| value(written, element, bytes, depth + 1))
        }
        12 => {
            let known = if let Some(Struct(known)) = kind { known } else { EMPTY };
            structure(bytes, known, depth + 1)
        }
        13 => skip(bytes, 16),
        // Parquet has no maps.
        _ => Err(Stop::Malformed),
    }
}

fn byte(bytes: &mut &[u8]) -> Passed<u8> {
    let (first, rest) = bytes.split_first().ok_or(Stop::Short)?;
    *bytes = rest;
    Ok(*first)
}

fn skip(bytes: &mut &[u8], length: u64) -> Passed {
    let length = usize::try_from(length).map_err(|_| Stop::Malformed)?;
    *bytes = bytes.get(length..).ok_or(Stop::Short)?;
    Ok(())
}

/// A number of seven bits a byte, the lowest first.
fn unsigned(bytes: &mut &[u8]) -> Passed<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = byte(bytes)?;
        number |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Ok(number);
        }
    }
    Err(Stop::Malformed)
}

/// A field's number: the sign is the lowest bit.
fn signed(bytes: &mut &[u8]) -> Passed<i32> {
    let number = unsigned(bytes)?;
    let value = (number >> 1) as i64 ^ -((number & 1) as i64);
    i16::try_from(value).map(i32::from).map_err(|_| Stop::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(bytes: &[u8]) -> std::result::Result<(), String> {
        pass(&mut &bytes[..], EMPTY).map_err(|stop| stop.to_string())
    }

    #[test]
    fn what_claims_more_than_it_has_is_refused() {
        // Field 1: the number 5, then the end.
        assert_eq!(passed(&[0x15, 10, 0]), Ok(()));
        // Field 1: three bytes.
        assert_eq!(passed(&[0x19, 0x33, 1, 2, 3, 0]), Ok(()));
        let many = [0xff, 0xff, 0xff, 0xff, 7];
        let list = |kind: u8| [&[0x19, 0xf0 | kind], &many[..], &[0; 8]].concat();
        for kind in [3, 8, 12] {
            assert!(passed(&list(kind)).unwrap_err().contains("2147483647 elements"), "{kind}");
        }
        for kind in [1, 2] {
            assert!(passed(&list(kind)).unwrap_err().contains("2147483647 truth"), "{kind}");
        }
        assert!(passed(&[0x19, 0x21, 1, 1, 0]).unwrap_err().contains("2 truth values"));
        // A map of truth values.
        let map = [&[0x1b], &many[..], &[0x11, 0]].concat();
        assert!(passed(&map).unwrap_err().contains("no structure"));
        assert!(passed(&[0x1c; 64]).is_err() && passed(&[0x15]).is_err());
    }

    #[test]
    fn a_known_field_has_the_type_that_the_crate_takes_it_for() {
        let of = |bytes: &[u8]| pass(&mut &bytes[..], PAGE_HEADER);
        // Field 5, the header of a data page, with field 1, and its end; then that of the whole.
        assert!(of(&[0x5c, 0x15, 2, 0, 0]).is_ok());
        // The same as text, whose bytes the crate would read as a structure.
        let hidden = [0x58, 8, 0xb9, 0xf1, 0xff, 0xff, 0xff, 0xff, 7, 0, 0];
        assert!(matches!(of(&hidden), Err(Stop::Malformed)));
        assert!(passed(&hidden).is_ok());
        // By its number in full, and a list of elements of another type.
        assert!(matches!(of(&[0x08, 10, 1, 0, 0]), Err(Stop::Malformed)));
        let footer = |bytes: &[u8]| pass(&mut &bytes[..], FOOTER);
        assert!(footer(&[0x29, 0x1c, 0x48, 1, b'a', 0, 0]).is_ok());
        assert!(matches!(footer(&[0x29, 0x18, 1, b'a', 0]), Err(Stop::Malformed)));
        // Writers give an empty list any type.
        assert!(footer(&[0x29, 0, 0]).is_ok());
    }
}
