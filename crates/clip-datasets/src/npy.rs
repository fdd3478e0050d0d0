//! NumPy's `.npy`, as far as labels and features need it.

/// The numbers of a one-dimensional (or flat) array of any plain type.
pub(crate) fn numbers(bytes: &[u8]) -> Result<Vec<f64>, String> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("not a .npy file")?;
    let (&[major, _], rest) = rest.split_first_chunk::<2>().ok_or("a cut .npy header")?;
    let (size, rest) = if major == 1 {
        let (size, rest) = rest.split_first_chunk::<2>().ok_or("a cut .npy header")?;
        (usize::from(u16::from_le_bytes(*size)), rest)
    } else {
        let (size, rest) = rest.split_first_chunk::<4>().ok_or("a cut .npy header")?;
        (u32::from_le_bytes(*size) as usize, rest)
    };
    let header = rest.get(..size).ok_or("a cut .npy header")?;
    let header = std::str::from_utf8(header).map_err(|e| e.to_string())?;
    let data = &rest[size..];
    let after = header.split("'descr':").nth(1).ok_or("no type in the .npy header")?;
    let kind = after.split('\'').nth(1).ok_or("no type in the .npy header")?;
    fn each<const N: usize>(data: &[u8], of: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        data.as_chunks::<N>().0.iter().map(|chunk| of(*chunk)).collect()
    }
    Ok(match kind.trim_start_matches(['<', '|', '=']) {
        "b1" | "u1" => each::<1>(data, |b| f64::from(b[0])),
        "i1" => each::<1>(data, |b| f64::from(b[0] as i8)),
        "i2" => each(data, |b| f64::from(i16::from_le_bytes(b))),
        "i4" => each(data, |b| f64::from(i32::from_le_bytes(b))),
        "i8" => each(data, |b| i64::from_le_bytes(b) as f64),
        "u8" => each(data, |b| u64::from_le_bytes(b) as f64),
        "f4" => each(data, |b| f64::from(f32::from_le_bytes(b))),
        "f8" => each(data, f64::from_le_bytes),
        other => return Err(format!("a .npy array of type {other}")),
    })
}

/// A vector of 64-bit integers as `.npy`, as NumPy writes it.
pub(crate) fn write(values: &[i64]) -> Vec<u8> {
    let mut header =
        format!("{{'descr': '<i8', 'fortran_order': False, 'shape': ({},), }}", values.len());
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 11;
    header.extend(std::iter::repeat_n(' ', padded - header.len()));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_come_back_and_cut_ones_are_refused() {
        let bytes = write(&[1, 0, -3]);
        assert_eq!(bytes.len() % 8, 0);
        assert_eq!(numbers(&bytes).unwrap(), [1.0, 0.0, -3.0]);
        assert!(numbers(&bytes[..20]).is_err());
        assert!(numbers(b"PK").is_err());
    }
}
