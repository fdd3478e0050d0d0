//! The linear maps of a block: as they are trained, or packed to compute with only.

use clip_torch::tch::{Kind, Tensor};
use clip_torch::{After, PackedLinear};

use crate::layers::Linear;

/// A linear map.
pub(crate) enum LinearMap {
    Plain(Linear),
    /// On the processor, in oneDNN's order, which takes half of the time of MKL's on some of them.
    Packed(PackedLinear),
}

impl LinearMap {
    /// One to compute with only; plain where it cannot be packed.
    pub fn packed(map: Linear) -> Self {
        let (weight, bias) = map.weight_and_bias();
        match PackedLinear::new(weight, bias) {
            Ok(packed) => Self::Packed(packed),
            Err(_) => Self::Plain(map),
        }
    }

    /// The map, and what comes after it.
    pub fn forward(&self, x: &Tensor, after: After) -> Tensor {
        match self {
            Self::Packed(map) => map.forward(x, after).unwrap_or_else(|e| panic!("{e}")),
            Self::Plain(map) => match after {
                After::Nothing => map.forward(x),
                After::Gelu => map.forward(x).gelu("none"),
                After::Silu => map.forward(x).silu(),
            },
        }
    }

    /// `sum` plus the map of `x`.
    pub fn forward_plus(&self, x: &Tensor, sum: &Tensor) -> Tensor {
        match self {
            Self::Packed(map) => map.forward_plus(x, sum).unwrap_or_else(|e| panic!("{e}")),
            Self::Plain(map) => sum + map.forward(x),
        }
    }

    /// One to compute with in another type, with its weight and its bias multiplied.
    pub fn for_inference(&self, weight: f64, bias: f64, kind: Kind) -> Self {
        match self {
            Self::Plain(map) => Self::packed(map.scaled(weight, bias, kind)),
            Self::Packed(map) => {
                let (own, own_bias) = map.unpacked();
                Self::packed(Linear::of(own, own_bias).scaled(weight, bias, kind))
            }
        }
    }
}
