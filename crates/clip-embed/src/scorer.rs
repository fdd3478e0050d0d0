//! Scores of (image, captions) pairs by a CLIP: similarities, heads, zero-shot classes.

use clip_image::Rgb;
use clip_score::{Fault, Greeting, Head, PairEmbeddings, PairScores, Scored};
use clip_torch::tch::{Kind, Tensor, no_grad};

use crate::head::LoadedHead;
use crate::npy::stored;
use crate::{Encoder, Error, Result};

/// Captions that are encoded at a time.
const TEXTS: usize = 64;

/// A model that scores pairs.
pub struct Scorer {
    encoder: Encoder,
    heads: Vec<LoadedHead>,
    classes: Option<Classes>,
    /// Whether embeddings are given with the scores.
    embeddings: bool,
}

/// Zero-shot classes: an embedding for each, and the model's temperature.
struct Classes {
    names: Vec<String>,
    /// [classes, embed_dim], unit rows.
    embeddings: Tensor,
    scale: f64,
}

impl Scorer {
    /// The model with its heads and the prompts of each class.
    ///
    /// # Errors
    /// When the model's tokens are not the tokenizer's, a head does not fit it, or there is one
    /// class only, whose probability would always be 1.
    pub fn new(
        encoder: Encoder,
        heads: &[Head],
        classes: &[(String, Vec<String>)],
    ) -> Result<Self> {
        encoder.check_vocabulary().map_err(Error::Scorer)?;
        let width = encoder.model().config().embed_dim;
        let heads = heads.iter().map(|head| LoadedHead::open(head, width));
        let heads = heads.collect::<Result<_>>()?;
        if classes.len() == 1 {
            let hint = "hint: the probability is among the classes; name what the others are, too";
            return Err(Error::Scorer(format!("one class, {}\n{hint}", classes[0].0)));
        }
        let classes = (!classes.is_empty()).then(|| Classes::new(&encoder, classes));
        Ok(Self { encoder, heads, classes, embeddings: false })
    }

    /// The same, which gives the embeddings of each pair, too.
    #[must_use]
    pub fn with_embeddings(self) -> Self {
        Self { embeddings: true, ..self }
    }

    /// What is given for each pair.
    pub fn greeting(&self) -> Greeting {
        let width = self.encoder.model().config().embed_dim as usize;
        Greeting { columns: self.columns().len(), width: if self.embeddings { width } else { 0 } }
    }

    /// The model.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The columns besides similarities: heads, then classes.
    pub fn columns(&self) -> Vec<&str> {
        let classes = self.classes.iter().flat_map(|classes| &classes.names).map(String::as_str);
        self.heads.iter().map(LoadedHead::name).chain(classes).collect()
    }

    /// The scores of decoded images of the model's size, each with one caption or several.
    pub fn score(&self, images: &[Rgb], captions: &[Vec<String>]) -> Vec<Scored> {
        if images.is_empty() {
            return Vec::new();
        }
        let embeddings = self.encoder.images(images);
        let columns = self.image_columns(&embeddings);
        let flat: Vec<String> = captions.iter().flatten().cloned().collect();
        let images_of = captions.iter().enumerate();
        let images_of = images_of.flat_map(|(row, own)| std::iter::repeat_n(row as i64, own.len()));
        let images_of = Tensor::from_slice(&images_of.collect::<Vec<i64>>());
        let texts: Vec<Tensor> = flat.chunks(TEXTS).map(|some| self.encoder.texts(some)).collect();
        let texts =
            if texts.is_empty() { embeddings.narrow(0, 0, 0) } else { Tensor::cat(&texts, 0) };
        let pairs = embeddings.index_select(0, &images_of) * &texts;
        let similarities = numbers(&pairs.sum_dim_intlist([-1i64].as_slice(), false, None));
        let mut similarities = similarities.into_iter();
        let mut stored = self.embeddings.then(|| Halves::new(&embeddings, &texts));
        let scored = captions.iter().enumerate().map(|(row, own)| PairScores {
            similarities: similarities.by_ref().take(own.len()).collect(),
            columns: columns.iter().map(|column| column[row]).collect(),
            embeddings: stored.as_mut().and_then(|stored| stored.next(row, own.len())),
        });
        scored.map(|scores| self.finite(scores)).collect()
    }

    /// A list for each column, a number for each image.
    fn image_columns(&self, embeddings: &Tensor) -> Vec<Vec<f32>> {
        let mut columns: Vec<Vec<f32>> =
            self.heads.iter().map(|head| numbers(&head.forward(embeddings))).collect();
        if let Some(classes) = &self.classes {
            let of_class = classes.probabilities(embeddings).unbind(1);
            columns.extend(of_class.iter().map(numbers));
        }
        columns
    }

    /// The scores, if all of them are numbers.
    fn finite(&self, scores: PairScores) -> Scored {
        let similar = scores.similarities.iter().map(|value| ("the similarity", *value));
        let names = self.columns();
        let mut all = similar.chain(names.into_iter().zip(scores.columns.iter().copied()));
        match all.find(|(_, value)| !value.is_finite()) {
            Some((name, value)) => Err(Fault::NotFinite(format!("{name} is {value}"))),
            None => Ok(scores),
        }
    }
}

/// Embeddings of a batch as they are stored.
struct Halves {
    images: Vec<u8>,
    texts: Vec<u8>,
    /// Bytes of an embedding.
    width: usize,
    /// The next caption.
    caption: usize,
}

impl Halves {
    fn new(images: &Tensor, texts: &Tensor) -> Self {
        let bytes = |rows: &Tensor| stored(&rows.to_kind(Kind::Half));
        let width = 2 * images.size()[1] as usize;
        Self { images: bytes(images), texts: bytes(texts), width, caption: 0 }
    }

    /// Those of the next pair, with its number of captions; none where it has no caption.
    fn next(&mut self, row: usize, captions: usize) -> Option<PairEmbeddings> {
        let text = self.caption;
        self.caption += captions;
        let own = |bytes: &[u8], at: usize| bytes[at * self.width..][..self.width].to_vec();
        (captions > 0)
            .then(|| PairEmbeddings { image: own(&self.images, row), text: own(&self.texts, text) })
    }
}

impl Classes {
    /// The embedding of a class is the mean of its prompts' unit embeddings, of length 1 again, as
    /// in the paper's ensembles.
    fn new(encoder: &Encoder, classes: &[(String, Vec<String>)]) -> Self {
        let embedding = |(_, prompts): &(String, Vec<String>)| {
            let mean = encoder.texts(prompts).mean_dim([0i64].as_slice(), false, None);
            let norm = mean.norm();
            mean / norm
        };
        no_grad(|| {
            let embeddings: Vec<Tensor> = classes.iter().map(embedding).collect();
            Self {
                names: classes.iter().map(|(name, _)| name.clone()).collect(),
                embeddings: Tensor::stack(&embeddings, 0),
                scale: encoder.model().logit_scale().exp().double_value(&[]),
            }
        })
    }

    /// [n, embed_dim] to [n, classes].
    fn probabilities(&self, embeddings: &Tensor) -> Tensor {
        let logits = embeddings.matmul(&self.embeddings.tr()) * self.scale;
        logits.softmax(-1, None)
    }
}

fn numbers(values: &Tensor) -> Vec<f32> {
    let mut numbers = vec![0f32; values.numel()];
    values.contiguous().copy_data(&mut numbers, values.numel());
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_model::{Clip, ModelConfig};
    use clip_text::Tokenizer;
    use clip_torch::tch::Device;

    const TINY: &str = r#"{"embed_dim": 8, "quick_gelu": true,
        "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1}}"#;

    fn encoder() -> Encoder {
        clip_torch::tch::manual_seed(3);
        Encoder::new(Clip::new(&ModelConfig::parse(TINY).unwrap(), Device::Cpu))
    }

    fn image(seed: usize) -> Rgb {
        let data = (0..16 * 16 * 3).map(|at| ((at * (7 + seed)) % 251) as u8).collect();
        Rgb { width: 16, height: 16, data }
    }

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    fn classes() -> Vec<(String, Vec<String>)> {
        vec![
            ("cat".into(), texts(&["a cat", "a photo of a cat"])),
            ("dog".into(), texts(&["a dog"])),
        ]
    }

    #[test]
    fn similarities_are_cosines_and_classes_are_shares_of_one() {
        assert_eq!(Tokenizer::VOCABULARY, 49408);
        let scorer = Scorer::new(encoder(), &[], &classes()).unwrap();
        assert_eq!(scorer.columns(), ["cat", "dog"]);
        let images = [image(0), image(1), image(2)];
        let captions = [texts(&["a red boat", "boat"]), texts(&["a dog"]), texts(&["x"])];
        let scored = scorer.score(&images, &captions);
        let scored: Vec<PairScores> = scored.into_iter().map(|s| s.unwrap()).collect();
        let embeddings = scorer.encoder().images(&images);
        for (row, (scores, own)) in scored.iter().zip(&captions).enumerate() {
            let expected = scorer.encoder().texts(own).matmul(&embeddings.get(row as i64));
            for (at, similarity) in scores.similarities.iter().enumerate() {
                let expected = expected.double_value(&[at as i64]);
                assert!((f64::from(*similarity) - expected).abs() < 1e-6);
            }
            assert_eq!(scores.similarities.len(), own.len());
            assert!((scores.columns.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
        let dog = scorer.encoder().texts(&texts(&["a dog"]));
        let cats = scorer.encoder().texts(&texts(&["a cat", "a photo of a cat"]));
        let cat = cats.mean_dim([0i64].as_slice(), true, None);
        let cat = &cat / cat.norm();
        let scale = scorer.encoder().model().logit_scale().exp();
        let logit =
            |class: &Tensor| (embeddings.get(1) * class * &scale).sum(None).double_value(&[]);
        let expected = 1.0 / (1.0 + (logit(&dog) - logit(&cat)).exp());
        assert!((f64::from(scored[1].columns[0]) - expected).abs() < 1e-5);
    }

    #[test]
    fn embeddings_are_those_of_the_image_and_of_the_first_caption() {
        let plain = Scorer::new(encoder(), &[], &[]).unwrap();
        assert_eq!(plain.greeting(), Greeting { columns: 0, width: 0 });
        let scorer = Scorer::new(encoder(), &[], &[]).unwrap().with_embeddings();
        assert_eq!(scorer.greeting(), Greeting { columns: 0, width: 8 });
        let images = [image(0), image(1)];
        let captions = [texts(&["a red boat", "boat"]), texts(&["a dog"])];
        let scored = scorer.score(&images, &captions);
        let kind = Kind::Half;
        let own = scorer.encoder().images(&images).to_kind(kind);
        let first = scorer.encoder().texts(&texts(&["a red boat", "a dog"])).to_kind(kind);
        for (row, scores) in scored.into_iter().enumerate() {
            let found = scores.unwrap().embeddings.unwrap();
            let row = row as i64;
            assert_eq!(found.image, stored(&own.get(row)));
            // Captions beside it change how far a text is padded, and so its last bits.
            let near = |bytes: &[u8], other: &Tensor| {
                let halves = Tensor::from_data_size(bytes, &[8], kind).to_kind(Kind::Float);
                halves.allclose(&other.to_kind(Kind::Float), 1e-3, 1e-3, false)
            };
            assert!(near(&found.text, &first.get(row)));
        }
    }

    #[test]
    fn what_is_not_finite_is_a_fault_of_its_row_alone() {
        let scorer = Scorer::new(encoder(), &[], &[]).unwrap();
        let fine = PairScores { similarities: vec![0.5], ..PairScores::default() };
        assert_eq!(scorer.finite(fine.clone()), Ok(fine));
        let nan = PairScores { similarities: vec![0.5, f32::NAN], ..PairScores::default() };
        let fault = scorer.finite(nan).unwrap_err();
        assert_eq!((fault.reason(), fault.detail()), ("score_not_finite", "the similarity is NaN"));
    }

    #[test]
    fn one_class_and_other_tokens_are_refused() {
        let one = Scorer::new(encoder(), &[], &classes()[..1]).err().unwrap().to_string();
        assert!(one.contains("cat") && one.contains("hint: "), "{one}");
        let config = ModelConfig::parse(&TINY.replace("49408", "100")).unwrap();
        let encoder = Encoder::new(Clip::new(&config, Device::Cpu));
        assert!(Scorer::new(encoder, &[], &[]).err().unwrap().to_string().contains("100 tokens"));
    }
}
