//! What training asks of a model: memory tricks, dropped patches, and words instead of features.

use clip_torch::checkpoint;
use clip_torch::tch::{Kind, Tensor};

use crate::Clip;
use crate::layers::Mode;

/// How a forward pass is run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pass {
    /// What batch normalisation does.
    pub mode: Mode,
    /// Whether blocks are computed again in the backward pass instead of kept.
    pub checkpointing: bool,
    /// Share of patches that a vision transformer does not see.
    pub patch_dropout: f64,
}

impl Default for Pass {
    fn default() -> Self {
        Self { mode: Mode::Eval, checkpointing: false, patch_dropout: 0.0 }
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

    /// Leaves out random patches of each picture, never the class token: [batch, 1 + patches, width]
    /// (Li et al. 2023, "FLIP").
    pub fn drop_patches(self, x: &Tensor) -> Tensor {
        let (batch, patches, width) = (x.size()[0], x.size()[1] - 1, x.size()[2]);
        let kept = ((patches as f64 * (1.0 - self.patch_dropout)) as i64).max(1);
        if self.patch_dropout <= 0.0 || kept == patches {
            return x.shallow_clone();
        }
        let chances = Tensor::rand([batch, patches], (Kind::Float, x.device()));
        let (_, chosen) = chances.topk(kept, 1, true, false);
        let chosen = (chosen + 1).unsqueeze(-1).expand([-1, -1, width], false);
        Tensor::cat(&[x.narrow(1, 0, 1), x.gather(1, &chosen, false)], 1)
    }
}

impl Clip {
    /// Sets what a pass does in training: the share of dropped patches, and whether the image tower's running
    /// statistics stay as they are.
    pub fn prepare_training(&mut self, patch_dropout: f64, frozen_image: bool) {
        self.pass.patch_dropout = patch_dropout;
        self.pass.mode = if frozen_image { Mode::Eval } else { Mode::Train };
    }

    /// Computes blocks again in the backward pass instead of keeping what is inside them: a third more time, and
    /// far less memory.
    pub fn set_grad_checkpointing(&mut self, on: bool) {
        self.pass.checkpointing = on;
    }

    /// Runs `body` with the model as it is evaluated: running statistics, all patches.
    pub fn evaluating<T>(&mut self, body: impl FnOnce(&Self) -> T) -> T {
        let before = self.pass;
        self.pass = Pass::default();
        let result = body(self);
        self.pass = before;
        result
    }

    /// Embedded pictures [batch, embed_dim] as a token of the text transformer, [batch, 1, width]: through the
    /// text projection, backwards.
    pub fn picture_token(&self, pictures: &Tensor) -> Tensor {
        pictures.matmul(&self.text_projection.transpose(0, 1)).unsqueeze(1)
    }

    /// Scores of all words of the vocabulary, [batch, length, vocabulary], for states [batch, length, width].
    pub fn word_logits(&self, states: &Tensor) -> Tensor {
        states.matmul(&self.token_embedding.transpose(0, 1))
    }

    /// What scores an embedded picture by words: their weighted sum, through the text projection, `[embed_dim]`.
    /// `tokens` and `weights` are [prompts, length].
    pub fn word_vectors(&self, tokens: &Tensor, weights: &Tensor) -> Tensor {
        let embedded = Tensor::embedding(&self.token_embedding, tokens, -1, false, false);
        let sum = (embedded.to_kind(Kind::Float) * weights.unsqueeze(-1)).sum_dim_intlist(
            [0i64, 1].as_slice(),
            false,
            Kind::Float,
        );
        sum.matmul(&self.text_projection.to_kind(Kind::Float))
    }

    /// The text transformer as a language model: scores of the next word after `first` [batch, 1, width] and
    /// after each of `tokens` [batch, length], as [batch, 1 + length, vocabulary].
    pub fn continue_text(&self, first: &Tensor, tokens: &Tensor) -> Tensor {
        let embedded = Tensor::embedding(&self.token_embedding, tokens, -1, false, false);
        let x = Tensor::cat(&[first.to_kind(embedded.kind()), embedded], 1);
        self.word_logits(&self.text_states(&x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_torch::tch::Device;

    #[test]
    fn dropped_patches_are_others_for_each_picture_and_never_the_class() {
        clip_torch::tch::manual_seed(3);
        let x =
            Tensor::arange(9, (Kind::Float, Device::Cpu)).view([1, 9, 1]).expand([4, 9, 2], false);
        let pass = Pass { patch_dropout: 0.5, ..Pass::default() };
        let kept = pass.drop_patches(&x);
        assert_eq!(kept.size(), [4, 5, 2]);
        let rows: Vec<Vec<f32>> = Vec::try_from(kept.select(2, 0).contiguous()).unwrap();
        assert!(rows.iter().all(|row| row[0] == 0.0 && row[1..].iter().all(|&p| p >= 1.0)));
        assert!(rows.windows(2).any(|pair| pair[0] != pair[1]));
        assert_eq!(Pass::default().drop_patches(&x).size(), [4, 9, 2]);
    }
}
