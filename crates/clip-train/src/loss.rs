//! The contrastive loss (CLIP paper, figure 3).

use clip_torch::tch::{Kind, Tensor};

/// Rows of unit length, in 32 bits.
pub(crate) fn unit(features: &Tensor) -> Tensor {
    let features = features.to_kind(Kind::Float);
    let norm = features.square().sum_dim_intlist([-1i64].as_slice(), true, Kind::Float).sqrt();
    features / norm.clamp_min(1e-12)
}

/// The mean of both directions' cross entropies: each picture among all texts, each text among all pictures.
///
/// Features are [batch, width] and of any length; `scale` is the temperature's inverse, not its logarithm.
pub fn contrastive(images: &Tensor, texts: &Tensor, scale: &Tensor) -> Tensor {
    let logits = unit(images).matmul(&unit(texts).transpose(0, 1)) * scale;
    let labels = Tensor::arange(logits.size()[0], (Kind::Int64, logits.device()));
    let by_image = logits.cross_entropy_for_logits(&labels);
    let by_text = logits.transpose(0, 1).cross_entropy_for_logits(&labels);
    (by_image + by_text) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_torch::tch::Device;

    #[test]
    fn blind_features_cost_ln_batch_and_perfect_ones_nothing() {
        let same = Tensor::ones([8, 4], (Kind::Float, Device::Cpu));
        let scale = Tensor::from(100f32);
        let blind = contrastive(&same, &same, &scale).double_value(&[]);
        assert!((blind - 8f64.ln()).abs() < 1e-6);
        let eye = Tensor::eye(8, (Kind::Float, Device::Cpu));
        assert!(contrastive(&(&eye * 3.0), &eye, &scale).double_value(&[]) < 1e-6);
    }
}
