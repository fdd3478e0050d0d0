//! 64-bit hashes of words, for tables in memory and files of one run; they are written nowhere
//! else.

const KEYS: [u64; 3] = [0x9e37_79b9_7f4a_7c15, 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The hash of a word.
pub(crate) fn word(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64 ^ KEYS[0];
    let (eights, rest) = bytes.as_chunks::<8>();
    for eight in eights {
        hash = fold(hash ^ u64::from_le_bytes(*eight), KEYS[1]);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    fold(fold(hash ^ u64::from_le_bytes(last), KEYS[2]) ^ KEYS[0], KEYS[1])
}

/// The hash of a sequence, from the hash of all but its last word and the hash of that word.
pub(crate) fn then(before: u64, word: u64) -> u64 {
    fold(before.rotate_left(23) ^ word, KEYS[2]) ^ word.rotate_left(41)
}

/// Lets a map take such a hash as it is.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct AsIs(u64);

impl std::hash::Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = word(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// A map from hashes.
pub(crate) type HashedMap<V> =
    std::collections::HashMap<u64, V, std::hash::BuildHasherDefault<AsIs>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_sequences_have_hashes_of_their_own() {
        let mut seen = std::collections::HashSet::new();
        for a in 0..200_000u32 {
            assert!(seen.insert(word(a.to_string().as_bytes())));
        }
        for a in 0..300u64 {
            for b in 0..300u64 {
                assert!(seen.insert(then(word(&a.to_le_bytes()), word(&b.to_le_bytes()))));
            }
        }
        assert_ne!(word(b"a"), word(b"a\0"));
        assert_ne!(word(b""), word(b"\0\0"));
    }
}
