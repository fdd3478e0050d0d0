//! What a training from nothing begins with.

use clip_model::{Clip, ModelConfig};
use clip_torch::tch::Device;

use crate::Objective;

/// A model with fresh weights, drawn from libtorch's global generator, as the objective wants it:
/// the sigmoid loss begins at a scale of 10 and a bias of -10 (Zhai et al. 2023), since a batch is
/// mostly wrong pairs.
pub fn fresh(config: &ModelConfig, objective: Objective, device: Device) -> Clip {
    let mut model = Clip::new(config, device);
    if objective == Objective::Sigmoid {
        model.set_logit_scale(10.0);
        model.add_logit_bias(-10.0);
    }
    model
}
