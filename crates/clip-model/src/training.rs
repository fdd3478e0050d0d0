//! What training asks of a model: its mode, dropped patches, and words instead of features.

use clip_torch::tch::{Device, Kind, Tensor, no_grad};

use crate::layers::Mode;
use crate::pass::{Pass, PatchDropout};
use crate::{Clip, Error, Result};

impl Clip {
    /// Sets what a pass does in training: whether the image tower's running statistics stay as they
    /// are.
    pub fn prepare_training(&mut self, frozen_image: bool) {
        self.pass.mode = if frozen_image { Mode::Eval } else { Mode::Train };
    }

    /// [`Clip::encode_image`] without the patches that `patches` drops, of a vision transformer.
    pub fn encode_image_dropping(&self, images: &Tensor, patches: Option<PatchDropout>) -> Tensor {
        self.project_image(&self.features(images, patches))
    }

    /// Gives the model the bias of the pairwise sigmoid loss (Zhai et al. 2023), a parameter, where
    /// it has none.
    pub fn add_logit_bias(&mut self, value: f64) {
        if self.logit_bias.is_some() {
            return;
        }
        let bias = Tensor::from(value as f32).to_device(self.device()).set_requires_grad(true);
        // PyTorch's order: after the scale.
        for list in [&mut self.state, &mut self.parameters] {
            let at = list.iter().position(|(name, _)| name == "logit_scale");
            let at = at.map_or(list.len(), |at| at + 1);
            list.insert(at, ("logit_bias".into(), bias.shallow_clone()));
        }
        self.logit_bias = Some(bias);
    }

    /// The bias of the pairwise sigmoid loss, a 0-dim tensor, if the model has one.
    pub fn logit_bias(&self) -> Option<&Tensor> {
        self.logit_bias.as_ref()
    }

    /// Copies a state dict into the model by name, into the types that it has.
    ///
    /// # Errors
    /// When names are missing, unknown, or of another shape: all of them are named. A model with a
    /// bias of the sigmoid loss takes weights without one, as open_clip does: its bias is 0
    /// then.
    pub fn load(&mut self, weights: &[(String, Tensor)]) -> Result<()> {
        let weights = weights.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
        // In 32 bits: the towers may be of different types.
        let mut loaded = Self::from_weights(self.config(), weights.collect(), Device::Cpu)?;
        match (&self.logit_bias, &loaded.logit_bias) {
            (Some(_), None) => loaded.add_logit_bias(0.0),
            (None, Some(_)) => {
                let hint = "hint: --siglip trains them";
                let what = "the weights have a logit_bias, so they are of a SigLIP model";
                return Err(Error::Config(format!("{what}\n{hint}")));
            }
            _ => {}
        }
        for ((_, target), (_, source)) in self.state.iter().zip(&loaded.state) {
            no_grad(|| target.shallow_clone().f_copy_(source))?;
        }
        Ok(())
    }

    /// Sets the temperature's inverse.
    pub fn set_logit_scale(&mut self, scale: f64) {
        let _ = no_grad(|| self.logit_scale().shallow_clone().fill_(scale.ln()));
    }

    /// Computes blocks again in the backward pass instead of keeping what is inside them: a third
    /// more time, and far less memory.
    pub fn set_grad_checkpointing(&mut self, on: bool) {
        self.pass.checkpointing = on;
    }

    /// Runs `body` with the model as it is evaluated: by running statistics.
    pub fn evaluating<T>(&mut self, body: impl FnOnce(&Self) -> T) -> T {
        let before = self.pass;
        self.pass = Pass::default();
        let result = body(self);
        self.pass = before;
        result
    }

    /// Embedded images [batch, embed_dim] as a token of the text transformer, [batch, 1, width]:
    /// through the text projection, backwards.
    pub fn image_token(&self, features: &Tensor) -> Tensor {
        features.matmul(&self.text_projection.transpose(0, 1)).unsqueeze(1)
    }

    /// Scores of all words of the vocabulary, [batch, length, vocabulary], for states [batch,
    /// length, width].
    pub fn word_logits(&self, states: &Tensor) -> Tensor {
        states.matmul(&self.token_embedding.transpose(0, 1))
    }

    /// What scores an embedded image by words: their weighted sum, through the text projection,
    /// `[embed_dim]`. `tokens` and `weights` are [prompts, length].
    pub fn word_vectors(&self, tokens: &Tensor, weights: &Tensor) -> Tensor {
        let embedded = Tensor::embedding(&self.token_embedding, tokens, -1, false, false);
        let sum = (embedded.to_kind(Kind::Float) * weights.unsqueeze(-1)).sum_dim_intlist(
            [0i64, 1].as_slice(),
            false,
            Kind::Float,
        );
        sum.matmul(&self.text_projection.to_kind(Kind::Float))
    }

    /// The text transformer as a language model: scores of the next word after `first` [batch, 1,
    /// width] and after each of `tokens` [batch, length], as [batch, 1 + length, vocabulary].
    pub fn continue_text(&self, first: &Tensor, tokens: &Tensor) -> Tensor {
        let embedded = Tensor::embedding(&self.token_embedding, tokens, -1, false, false);
        // In 32 bits: neither type of 16 holds the other's numbers, where weights are float16 and
        // autocast computes in bfloat16.
        let x = Tensor::cat(&[first, &embedded].map(|x| x.to_kind(Kind::Float)), 1);
        self.word_logits(&self.text_states(&x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_patches_are_a_samples_own_and_never_the_class() {
        let x =
            Tensor::arange(9, (Kind::Float, Device::Cpu)).view([1, 9, 1]).expand([16, 9, 2], false);
        let dropout = PatchDropout { share: 0.5, seed: 3, first: 0 };
        let kept = dropout.apply(&x);
        assert_eq!(kept.size(), [16, 5, 2]);
        let rows: Vec<Vec<f32>> = Vec::try_from(kept.select(2, 0).contiguous()).unwrap();
        assert!(rows.iter().all(|row| row[0] == 0.0 && row[1] >= 1.0 && row.is_sorted()));
        assert!(rows.windows(2).any(|pair| pair[0] != pair[1]));
        // Any piece of the batch keeps the same ones; so does the whole when others draw in
        // between.
        for (first, count) in [(0, 1), (3, 4), (7, 9), (15, 1)] {
            clip_torch::tch::manual_seed(first);
            let piece = PatchDropout { first: first as u64, ..dropout };
            let found = piece.apply(&x.narrow(0, first, count));
            assert!(found.equal(&kept.narrow(0, first, count)), "{first}");
        }
        assert!(!PatchDropout { seed: 4, ..dropout }.apply(&x).equal(&kept));
        assert_eq!(PatchDropout { share: 0.0, ..dropout }.apply(&x).size(), x.size());
    }
}
