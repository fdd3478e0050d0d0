//! How a forward pass is run in training: what is kept, and which patches are seen.

use clip_torch::tch::{Kind, Tensor};
use clip_torch::{Stream, checkpoint};

use crate::layers::Mode;

/// How a forward pass is run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pass {
    /// What batch normalisation does.
    pub mode: Mode,
    /// Whether blocks are computed again in the backward pass instead of kept.
    pub checkpointing: bool,
}

/// Patches that a vision transformer does not see in training (Li et al. 2023, "FLIP"): others for
/// each image, and the same for the same sample, whatever part of a batch it is given in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PatchDropout {
    /// The share of patches that is dropped, below 1.
    pub share: f64,
    /// Seed of the step.
    pub seed: u64,
    /// Number of the first image given within the step's whole batch.
    pub first: u64,
}

impl Default for Pass {
    fn default() -> Self {
        Self { mode: Mode::Eval, checkpointing: false }
    }
}

impl Pass {
    /// `body(x)`, kept or computed again. Fails as tch's own functions do: by a panic.
    pub fn segment(self, x: &Tensor, body: impl Fn(&Tensor) -> Tensor + 'static) -> Tensor {
        if !self.checkpointing {
            return body(x);
        }
        match checkpoint(x, body) {
            Ok(y) => y,
            Err(error) => panic!("{error}"),
        }
    }
}

impl PatchDropout {
    /// Leaves out random patches of each image, never the class token: [batch, 1 + patches, width].
    pub(crate) fn apply(self, x: &Tensor) -> Tensor {
        let (batch, patches, width) = (x.size()[0], x.size()[1] - 1, x.size()[2]);
        let kept = ((patches as f64 * (1.0 - self.share)) as i64).max(1);
        if self.share <= 0.0 || kept == patches {
            return x.shallow_clone();
        }
        let first = self.first as i64 * patches;
        let drawn = Stream::new(self.seed).bits(first, batch * patches, x.device());
        // The patch's own number decides between equal draws.
        let places = Tensor::arange(patches, (Kind::Int64, x.device()));
        let drawn = drawn.view([batch, patches]).to_kind(Kind::Int64) * patches + places;
        let (_, chosen) = drawn.topk(kept, 1, true, false);
        let (chosen, _) = chosen.sort(1, false);
        let chosen = (chosen + 1).unsqueeze(-1).expand([-1, -1, width], false);
        Tensor::cat(&[x.narrow(1, 0, 1), x.gather(1, &chosen, false)], 1)
    }
}
