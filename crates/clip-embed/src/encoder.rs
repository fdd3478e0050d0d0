//! Images and texts to unit embeddings.

use clip_image::{Preprocess, Rgb};
use clip_model::{Clip, image_bytes};
use clip_text::Tokenizer;
use clip_torch::tch::{Device, Kind, Tensor, no_grad};

/// A model with its tokenizer.
pub struct Encoder {
    model: Clip,
    tokenizer: Tokenizer,
}

impl Encoder {
    /// Takes over a model; its weights' type is the arithmetic.
    pub fn new(model: Clip) -> Self {
        Self { model, tokenizer: Tokenizer::new() }
    }

    /// The model.
    pub fn model(&self) -> &Clip {
        &self.model
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Tokens that the tokenizer knows.
    pub fn vocabulary(&self) -> i64 {
        Tokenizer::VOCABULARY as i64
    }

    /// Whether the model's tokens are the tokenizer's.
    ///
    /// # Errors
    /// In words, when it has another number of them.
    pub fn check_vocabulary(&self) -> std::result::Result<(), String> {
        let (known, wanted) = (self.vocabulary(), self.model.config().text_cfg.vocab_size);
        let fault = || format!("the model has {wanted} tokens, and the tokenizer {known}");
        if known == wanted { Ok(()) } else { Err(fault()) }
    }

    /// What makes the images that [`Encoder::images`] takes.
    pub fn transform(&self) -> Preprocess {
        self.model.transform()
    }

    /// Square images of the model's size to unit embeddings [n, embed_dim] in f32 on the CPU.
    pub fn images(&self, images: &[Rgb]) -> Tensor {
        let bytes: Vec<&[u8]> = images.iter().map(|image| image.data.as_slice()).collect();
        let bytes = image_bytes(&bytes, self.model.config().vision_cfg.image_size);
        let input = self.model.pixels(&bytes).to_kind(self.model.kind());
        no_grad(|| unit(&self.model.encode_image(&input)))
    }

    /// Texts to unit embeddings [n, embed_dim] in f32 on the CPU. Padding beyond the longest text
    /// is not computed.
    pub fn texts(&self, texts: &[String]) -> Tensor {
        let context = self.model.config().text_cfg.context_length as usize;
        let tokens: Vec<Vec<i64>> =
            texts.iter().map(|text| self.tokenizer.tokenize(text, context)).collect();
        let length =
            |tokens: &Vec<i64>| tokens.iter().rposition(|&id| id != 0).map_or(1, |end| end + 1);
        let longest = tokens.iter().map(length).max().unwrap_or(1);
        let flat: Vec<i64> = tokens.iter().flat_map(|tokens| &tokens[..longest]).copied().collect();
        let input = Tensor::from_slice(&flat).view([tokens.len() as i64, longest as i64]);
        no_grad(|| unit(&self.model.encode_text(&input.to_device(self.model.device()))))
    }
}

fn unit(features: &Tensor) -> Tensor {
    let features = features.to_kind(Kind::Float);
    let norm = features.norm_scalaropt_dim(2.0, [-1i64].as_slice(), true);
    (features / norm).to_device(Device::Cpu)
}
