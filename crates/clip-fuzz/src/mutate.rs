//! Mutations that are the same every time, for tests without libFuzzer.

use clip_random::SplitMix64;

/// What a mutation is drawn from.
struct Numbers(SplitMix64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0.bits()
    }

    /// A number below a bound, or 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// Numbers at which readers break.
const EDGES: [u64; 10] = [0, 1, 127, 128, 255, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];

/// `data` with one to four changes, which `seed` decides: bits, bytes, numbers, cuts, insertions,
/// copies.
pub fn mutated(data: &[u8], seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(SplitMix64::new(seed));
    let mut bytes = data.to_vec();
    for _ in 0..=numbers.below(4) {
        change(&mut bytes, &mut numbers);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    let at = numbers.below(bytes.len());
    let length = 1 + numbers.below(16.min(bytes.len().max(1)));
    let range = at..(at + length).min(bytes.len());
    match numbers.below(8) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << numbers.below(8),
        1 if !bytes.is_empty() => bytes[at] = numbers.next() as u8,
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(range)),
        4 => {
            let more: Vec<u8> = (0..length).map(|_| numbers.next() as u8).collect();
            drop(bytes.splice(at..at, more));
        }
        5 => {
            let copy = bytes[range].to_vec();
            let to = numbers.below(bytes.len() + 1);
            drop(bytes.splice(to..to, copy));
        }
        6 => {
            let edge = EDGES[numbers.below(EDGES.len())];
            let number =
                if numbers.below(2) == 0 { edge.to_le_bytes() } else { edge.to_be_bytes() };
            let width = [1, 2, 4, 8][numbers.below(4)];
            let number = if number[0] == 0 { &number[8 - width..] } else { &number[..width] };
            bytes.iter_mut().skip(at).zip(number).for_each(|(to, from)| *to = *from);
        }
        _ => bytes.extend(std::iter::repeat_n(numbers.next() as u8, length)),
    }
}

#[cfg(test)]
mod tests {
    use super::mutated;

    #[test]
    fn mutations_follow_from_their_seed_and_differ() {
        let data: Vec<u8> = (0..100).collect();
        let all: std::collections::HashSet<_> = (0..500).map(|seed| mutated(&data, seed)).collect();
        assert!(all.len() > 450, "{}", all.len());
        assert_eq!(mutated(&data, 7), mutated(&data, 7));
        assert!((0..500).all(|seed| mutated(&[], seed).len() <= 64));
    }
}
