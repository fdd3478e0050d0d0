//! Stochastic rounding to float16: weights in 16 bits that still learn from updates below their
//! last bit.

use tch::{Kind, Tensor, no_grad};

use crate::Stream;

/// Bits of a float32 mantissa below those of a float16.
const BELOW: i64 = 13;
/// The smallest normal float16; below it the spacing is constant.
const NORMAL: f64 = 6.103_515_625e-5;
/// That spacing.
const SUBNORMAL: f64 = 5.960_464_477_539_063e-8;

/// Values that are rounded at a time.
const AT_ONCE: i64 = 1 << 20;

/// Each value up or down to a neighbouring float16, with the probability that keeps its mean, by
/// the numbers of `stream`: the same on each process that rounds the same values. Values beyond
/// float16's range become its largest.
///
/// "Stochastically rounded text encoder weights" (CLIP paper, section 2.5; the authors: up or down
/// to float16 pseudorandomly, openai/CLIP issue 29).
pub fn round_stochastically(x: &Tensor, stream: Stream) -> Tensor {
    no_grad(|| {
        let flat = x.to_kind(Kind::Float).contiguous().view([-1]);
        let all = flat.size()[0];
        let rounded = Tensor::empty([all], (Kind::Half, x.device()));
        for first in (0..all).step_by(AT_ONCE as usize) {
            let count = AT_ONCE.min(all - first);
            let bits = stream.bits(first, count, x.device());
            let values = round(&flat.narrow(0, first, count), &bits);
            rounded.narrow(0, first, count).copy_(&values);
        }
        rounded.view(x.size().as_slice())
    })
}

fn round(x: &Tensor, bits: &Tensor) -> Tensor {
    let noise = bits.bitwise_and((1i64 << BELOW) - 1);
    // Adding below the mantissa's end and cutting there rounds away from zero as often as it
    // should.
    let sum = (x.view_dtype(Kind::Int) + noise).bitwise_and(-(1i64 << BELOW));
    let normal = sum.view_dtype(Kind::Float);
    let share = bits.bitwise_right_shift_tensor_scalar(8).bitwise_and((1i64 << 24) - 1);
    let share = share.to_kind(Kind::Float) / f64::from(1 << 24);
    let small = (x / SUBNORMAL + share).floor() * SUBNORMAL;
    small.where_self(&x.abs().lt(NORMAL), &normal).clamp(-65_504.0, 65_504.0).to_kind(Kind::Half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn the_mean_stays_and_only_neighbours_come_out() {
        for value in [1.0003f32, -0.777_77, 3.3e-5, -2e-7, 1234.567, 2.5e-8] {
            let n = 40_000;
            let x = Tensor::full([n], f64::from(value), (Kind::Float, Device::Cpu));
            let rounded = round_stochastically(&x, Stream::new(5)).to_kind(Kind::Double);
            let (low, high) = (rounded.min().double_value(&[]), rounded.max().double_value(&[]));
            let step = high - low;
            let exact = f64::from(value);
            assert!(low <= exact && exact <= high && step > 0.0, "{value}: {low} to {high}");
            // The two are neighbours: nothing in 16 bits is between.
            let middle = Tensor::from(f64::midpoint(low, high)).to_kind(Kind::Half);
            assert!([low, high].contains(&middle.double_value(&[])), "{value}");
            let share = (exact - low) / step;
            let sigma = step * (share * (1.0 - share) / n as f64).sqrt();
            let mean = rounded.mean(Kind::Double).double_value(&[]);
            assert!((mean - exact).abs() <= 4.0 * sigma + 1e-12, "{value}: mean {mean}");
        }
    }

    #[test]
    fn what_fits_stays() {
        let exact =
            Tensor::from_slice(&[0f32, 1.0, -2.5, 6.103_515_6e-5, 5.960_464_5e-8, 65_504.0]);
        let rounded = round_stochastically(&exact, Stream::new(1)).to_kind(Kind::Float);
        assert!(rounded.equal(&exact));
        let far = round_stochastically(&Tensor::from_slice(&[1e6f32, -1e6]), Stream::new(1));
        assert_eq!(Vec::<f32>::try_from(far.to_kind(Kind::Float)).unwrap(), [65_504.0, -65_504.0]);
    }
    #[test]
    fn pieces_and_other_draws_change_nothing() {
        let x = Tensor::linspace(-2.0, 2.0, AT_ONCE + 100, (Kind::Float, Device::Cpu));
        let stream = Stream::new(9);
        let once = round_stochastically(&x, stream);
        tch::manual_seed(1);
        let _ = Tensor::rand([5], (Kind::Float, Device::Cpu));
        assert!(round_stochastically(&x, stream).equal(&once));
        let tail = x.narrow(0, AT_ONCE, 100);
        let bits = stream.bits(AT_ONCE, 100, Device::Cpu);
        assert!(round(&tail, &bits).equal(&once.narrow(0, AT_ONCE, 100)));
        assert!(!round_stochastically(&x, Stream::new(10)).equal(&once));
    }
}
