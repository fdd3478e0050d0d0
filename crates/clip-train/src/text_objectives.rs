//! The two objectives that the paper tried first (section 2.3, figure 2): the caption word by word,
//! and its words in any order. Both use CLIP's own parameters, so that one checkpoint format and
//! one evaluation serve all three.

use clip_model::{Clip, PatchDropout};
use clip_torch::tch::{Kind, Tensor};
use clip_torch::{Precision, autocast};

use crate::Objective;

/// The mean loss of some pairs. Tokens are [rows, length], zero padded after the end token.
pub(crate) fn loss(
    model: &Clip,
    objective: Objective,
    images: &Tensor,
    tokens: &Tensor,
    patches: Option<PatchDropout>,
) -> Tensor {
    let features = model.encode_image_dropping(images, patches);
    if objective == Objective::BagOfWords {
        bag_of_words(model, &features, tokens)
    } else {
        let (found, count) = caption(model, &features, tokens);
        -(found / count).mean(Kind::Float)
    }
}

/// Words of a caption: what is neither padding, start nor end.
fn words(model: &Clip, tokens: &Tensor) -> Tensor {
    tokens.gt(0).logical_and(&tokens.lt(model.config().text_cfg.vocab_size - 2))
}

/// Cross entropy against the caption's words, each with the same share (Joulin et al. 2016).
fn bag_of_words(model: &Clip, features: &Tensor, tokens: &Tensor) -> Tensor {
    let logits = model.word_logits(&model.image_token(features)).squeeze_dim(1);
    let chances = logits.to_kind(Kind::Float).log_softmax(-1, Kind::Float);
    let words = words(model, tokens).to_kind(Kind::Float);
    let found = chances.gather(1, tokens, false) * &words;
    let of = |x: &Tensor| x.sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
    -(of(&found) / of(&words).clamp_min(1.0)).mean(Kind::Float)
}

/// Log-probability of each caption's tokens after the start, given its image, and their number: two
/// [rows].
fn caption(model: &Clip, features: &Tensor, tokens: &Tensor) -> (Tensor, Tensor) {
    let length = tokens.size()[1];
    // The image is where the start token would.
    let first = model.image_token(features);
    let logits = model.continue_text(&first, &tokens.narrow(1, 1, length - 2));
    let next = tokens.narrow(1, 1, length - 1);
    let chances = logits.to_kind(Kind::Float).log_softmax(-1, Kind::Float);
    let found = chances.gather(2, &next.unsqueeze(2), false).squeeze_dim(2);
    let real = next.gt(0).to_kind(Kind::Float);
    let of = |x: &Tensor| x.sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
    (of(&(found * &real)), of(&real))
}

/// How images are distinguished by the prompts of their classes, without training on them.
pub enum ClassScorer {
    /// Image embeddings times a matrix, [embed_dim, classes].
    Linear(Tensor),
    /// The likelihood of each class's first prompt, token ids [1, length].
    Captions(Vec<Tensor>),
}

impl ClassScorer {
    /// Of token ids [prompts, length] for each class, for the objectives that predict words.
    pub fn words(model: &Clip, objective: Objective, classes: Vec<Tensor>) -> Self {
        if objective == Objective::Caption {
            return Self::Captions(classes.iter().map(|prompts| prompts.narrow(0, 0, 1)).collect());
        }
        // The mean log-probability of a prompt's words is linear in the image, but for what all
        // classes share.
        let vectors: Vec<Tensor> = classes
            .iter()
            .map(|tokens| {
                let real = words(model, tokens).to_kind(Kind::Float);
                let mean = real.sum(Kind::Float).clamp_min(1.0);
                model.word_vectors(tokens, &(real / mean))
            })
            .collect();
        Self::Linear(Tensor::stack(&vectors, 1))
    }

    /// Scores [images, classes] of embedded images; what runs the model does so in its arithmetic.
    pub fn scores(&self, model: &Clip, precision: Precision, features: &Tensor) -> Tensor {
        match self {
            Self::Linear(weights) => features.matmul(weights),
            Self::Captions(classes) => {
                let rows = features.size()[0];
                let likelihood =
                    |tokens: &Tensor| caption(model, features, &tokens.expand([rows, -1], false)).0;
                let all = autocast(precision, model.device(), || {
                    classes.iter().map(likelihood).collect::<Vec<_>>()
                });
                Tensor::stack(&all, 1)
            }
        }
    }
}
