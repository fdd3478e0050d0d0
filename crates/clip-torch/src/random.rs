//! Random numbers from counters (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2,
//! 3"): number `i` of a stream depends on the stream's key and `i` alone, never on the device, on
//! threads, or on what was drawn before.

use tch::{Device, Kind, Tensor};

/// A stream of 32-bit numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    low: i32,
    high: i32,
}

/// The multipliers of a 32-bit finaliser with little bias (Wellons, "Prospecting for Hash
/// Functions").
const FACTORS: [u32; 2] = [0x7feb_352d, 0x846c_a68b];

impl Stream {
    /// The stream with that key: [`clip_random::mix`] makes one of a seed and what the numbers are
    /// for.
    pub fn new(key: u64) -> Self {
        Self { low: key as u32 as i32, high: (key >> 32) as u32 as i32 }
    }

    /// Numbers `first` to `first + count` of the stream, int32 of `count`.
    pub fn bits(self, first: i64, count: i64, device: Device) -> Tensor {
        let counter = Tensor::arange_start(first, first + count, (Kind::Int64, device));
        let mut x = counter.to_kind(Kind::Int);
        let _ = x.g_add_scalar_(i64::from(self.low));
        fold(&mut x, 16);
        let _ = x.g_mul_scalar_(i64::from(FACTORS[0] as i32));
        let _ = x.bitwise_xor_(i64::from(self.high));
        fold(&mut x, 15);
        let _ = x.g_mul_scalar_(i64::from(FACTORS[1] as i32));
        fold(&mut x, 16);
        x
    }
}

/// `x ^= x >> by`, of the bits as an unsigned number.
fn fold(x: &mut Tensor, by: i64) {
    let mut high = x.bitwise_right_shift_tensor_scalar(by);
    let _ = high.bitwise_and_((1i64 << (32 - by)) - 1);
    let _ = x.bitwise_xor_tensor_(&high);
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_random::mix;

    /// The same in plain arithmetic.
    fn number(key: u64, at: u32) -> u32 {
        let mut x = at.wrapping_add(key as u32);
        x ^= x >> 16;
        x = x.wrapping_mul(FACTORS[0]) ^ (key >> 32) as u32;
        x ^= x >> 15;
        x = x.wrapping_mul(FACTORS[1]);
        x ^ (x >> 16)
    }

    #[test]
    fn a_number_depends_on_its_key_and_place_alone() {
        for key in [0, 7, mix(1, 2, 3), u64::MAX] {
            let all = Stream::new(key).bits(0, 1000, Device::Cpu);
            let found: Vec<i32> = Vec::try_from(&all).unwrap();
            let wanted: Vec<i32> = (0..1000).map(|at| number(key, at) as i32).collect();
            assert_eq!(found, wanted);
            assert!(Stream::new(key).bits(300, 20, Device::Cpu).equal(&all.narrow(0, 300, 20)));
        }
    }

    #[test]
    fn bits_are_even_and_streams_differ() {
        let bits = |key| -> Vec<i32> {
            Vec::try_from(Stream::new(key).bits(0, 100_000, Device::Cpu)).unwrap()
        };
        let (a, b) = (bits(mix(5, 0, 0)), bits(mix(5, 0, 1)));
        for at in 0..32 {
            let set = |numbers: &[i32]| numbers.iter().filter(|x| *x >> at & 1 == 1).count();
            let same = a.iter().zip(&b).filter(|(x, y)| (*x ^ *y) >> at & 1 == 0).count();
            // Six standard deviations of 158.
            for count in [set(&a), same] {
                assert!(count.abs_diff(50_000) < 950, "bit {at}: {count}");
            }
        }
    }
}
