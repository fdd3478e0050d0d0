//! Numbers of a file, none of them beyond its end.

use std::io::BufRead;

/// What is still to be read. It is read as it is needed: a model of gigabytes is in memory once.
pub(super) struct Input<R> {
    reader: R,
    /// Bytes that the file has left.
    left: u64,
}

/// Bytes that are turned into numbers at a time.
const CHUNK: usize = 1 << 13;

impl<R: BufRead> Input<R> {
    /// A file of that length.
    pub(super) fn new(reader: R, length: u64) -> Self {
        Self { reader, left: length }
    }

    /// Takes a claim of `bytes` off what is left.
    fn claim(&mut self, bytes: u64) -> Result<(), String> {
        self.left = self.left.checked_sub(bytes).ok_or("the model is cut off")?;
        Ok(())
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), String> {
        self.reader.read_exact(bytes).map_err(|e| e.to_string())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        self.claim(N as u64)?;
        self.fill(&mut array)?;
        Ok(array)
    }

    pub(super) fn i32(&mut self) -> Result<i32, String> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, String> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(super) fn flag(&mut self) -> Result<bool, String> {
        Ok(self.array()? != [0])
    }

    pub(super) fn skip(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes(bytes).map(drop)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<Vec<u8>, String> {
        self.claim(count as u64)?;
        let mut bytes = vec![0; count];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn floats(&mut self, count: usize) -> Result<Vec<f32>, String> {
        let bytes = clip_guard::claim(&[count as u64], 4, self.left)
            .map_err(|_| "the model is cut off".to_owned())?;
        self.claim(bytes)?;
        let mut floats = Vec::with_capacity(count);
        let mut buffer = [0; CHUNK];
        while floats.len() < count {
            let part = &mut buffer[..(4 * (count - floats.len())).min(CHUNK)];
            self.reader.read_exact(part).map_err(|e| e.to_string())?;
            let (values, _) = part.as_chunks::<4>();
            floats.extend(values.iter().map(|&value| f32::from_le_bytes(value)));
        }
        if floats.iter().all(|value| value.is_finite()) {
            Ok(floats)
        } else {
            Err("a value of its matrices is not a number".into())
        }
    }

    /// Bytes up to a zero.
    pub(super) fn word(&mut self) -> Result<Box<[u8]>, String> {
        let mut word = Vec::new();
        let mut reader = std::io::Read::take(&mut self.reader, self.left);
        let read = reader.read_until(0, &mut word).map_err(|e| e.to_string())?;
        self.claim(read as u64)?;
        match word.pop() {
            Some(0) => Ok(word.into()),
            _ => Err("the model is cut off".into()),
        }
    }
}
