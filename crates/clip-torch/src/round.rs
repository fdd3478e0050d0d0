//! Stochastic rounding to float16: weights in 16 bits that still learn from updates below their last bit.

use tch::{Kind, Tensor, no_grad};

/// Bits of a float32 mantissa below those of a float16.
const BELOW: i64 = 13;
/// The smallest normal float16; below it the spacing is constant.
const NORMAL: f64 = 6.103_515_625e-5;
/// That spacing.
const SUBNORMAL: f64 = 5.960_464_477_539_063e-8;

/// Each value up or down to a neighbouring float16, with the probability that keeps its mean; draws from
/// libtorch's global generator. Values beyond float16's range become its largest.
///
/// "Stochastically rounded text encoder weights" (CLIP paper, section 2.5; the authors: up or down to
/// float16 pseudorandomly, openai/CLIP issue 29).
pub fn round_stochastically(x: &Tensor) -> Tensor {
    no_grad(|| {
        let x = x.to_kind(Kind::Float);
        let noise = Tensor::randint_low(0, 1 << BELOW, x.size(), (Kind::Int, x.device()));
        // Adding below the mantissa's end and cutting there rounds away from zero as often as it should.
        let bits = (x.view_dtype(Kind::Int) + noise).bitwise_and(-(1 << BELOW));
        let normal = bits.view_dtype(Kind::Float);
        let share = Tensor::rand(x.size(), (Kind::Float, x.device()));
        let small = (&x / SUBNORMAL + share).floor() * SUBNORMAL;
        small
            .where_self(&x.abs().lt(NORMAL), &normal)
            .clamp(-65_504.0, 65_504.0)
            .to_kind(Kind::Half)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn the_mean_stays_and_only_neighbours_come_out() {
        tch::manual_seed(5);
        for value in [1.0003f32, -0.777_77, 3.3e-5, -2e-7, 1234.567, 2.5e-8] {
            let n = 40_000;
            let x = Tensor::full([n], f64::from(value), (Kind::Float, Device::Cpu));
            let rounded = round_stochastically(&x).to_kind(Kind::Double);
            let (low, high) = (rounded.min().double_value(&[]), rounded.max().double_value(&[]));
            let step = high - low;
            let exact = f64::from(value);
            assert!(low <= exact && exact <= high && step > 0.0, "{value}: {low} to {high}");
            // The two are neighbours: nothing in 16 bits lies between.
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
        let rounded = round_stochastically(&exact).to_kind(Kind::Float);
        assert!(rounded.equal(&exact));
        let far = round_stochastically(&Tensor::from_slice(&[1e6f32, -1e6]));
        assert_eq!(Vec::<f32>::try_from(far.to_kind(Kind::Float)).unwrap(), [65_504.0, -65_504.0]);
    }
}
