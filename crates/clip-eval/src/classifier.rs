//! The text classifier (paper, section 3.1.4): prompt ensembling in embedding space.

use std::path::{Path, PathBuf};

use clip_datasets::EvalSet;
use clip_model::Clip;
use clip_text::Tokenizer;
use clip_torch::tch::{Device, Kind, Tensor, no_grad};
use clip_torch::{first_not_finite, require_finite};

use crate::{Error, Result};

/// Prompts that are embedded at a time.
const BATCH: usize = 256;

/// What stands for a class of several names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Names {
    /// The mean over all prompts of all its names.
    #[default]
    Mean,
    /// Its best name: each name has a vector, the class the highest of their scores.
    Max,
}

/// Vectors of all names, and which class each belongs to.
pub struct Classifier {
    /// One unit vector for each name, [embed_dim, names].
    vectors: Tensor,
    /// The class of each name, ascending.
    owner: Vec<usize>,
    classes: usize,
}

impl Classifier {
    /// Embeds the prompts of a set: for each class the mean of its prompts' unit embeddings, of
    /// unit length again.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when `stop` says so, which is asked before each batch of prompts.
    pub fn new(
        model: &Clip,
        tokenizer: &Tokenizer,
        set: &EvalSet,
        names: Names,
        stop: &dyn Fn() -> bool,
    ) -> Result<Self> {
        let classes = set.classes.len();
        let (mut prompts, mut counts, mut owner) = (Vec::new(), Vec::new(), Vec::new());
        for class in 0..classes {
            let by_name = set.all_prompts().of(class);
            let groups = if names == Names::Mean { vec![by_name.concat()] } else { by_name };
            for group in groups {
                counts.push(group.len() as i64);
                owner.push(class);
                prompts.extend(group);
            }
        }
        let embedded = embed_unless(stop, model, tokenizer, &prompts)?;
        let means = embedded
            .split_with_sizes(counts.as_slice(), 0)
            .into_iter()
            .map(|rows| rows.mean_dim(0, true, Kind::Float));
        let means = Tensor::cat(&means.collect::<Vec<_>>(), 0);
        Ok(Self { vectors: unit(&means).tr().contiguous(), owner, classes })
    }

    /// The same, kept in a folder under a name made of model, prompts and rule: the second time
    /// it is read. `model_hash` is of its weights, which do not tell its activation.
    pub fn cached(
        folder: Option<&Path>,
        model_hash: &str,
        model: &Clip,
        tokenizer: &Tokenizer,
        set: &EvalSet,
        names: Names,
    ) -> Result<Self> {
        let never = || false;
        let Some(folder) = folder else {
            return Self::new(model, tokenizer, set, names, &never);
        };
        let path = cache_path(folder, (model_hash, model), &set.all_prompts().hash(), names);
        if let Some(known) = Self::read(&path, set.classes.len()) {
            return Ok(known);
        }
        let fresh = Self::new(model, tokenizer, set, names, &never)?;
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        let owner: Vec<f32> = fresh.owner.iter().map(|&class| class as f32).collect();
        let tensors = [
            ("vectors".to_owned(), fresh.vectors.shallow_clone()),
            ("owner".to_owned(), Tensor::from_slice(&owner)),
        ];
        clip_model::write_safetensors(&path, &tensors)?;
        Ok(fresh)
    }

    /// A cache that cannot be read is no error: it is made again.
    fn read(path: &Path, classes: usize) -> Option<Self> {
        let tensors = clip_model::read_safetensors(path).ok()?;
        let find = |name: &str| tensors.iter().find(|(n, _)| n == name).map(|(_, t)| t);
        let owner = Vec::<f32>::try_from(find("owner")?).ok()?;
        let owner: Vec<usize> = owner.into_iter().map(|class| class as usize).collect();
        let vectors = find("vectors")?.shallow_clone();
        let fits = owner.last().is_some_and(|last| last + 1 == classes)
            && vectors.size().last() == Some(&(owner.len() as i64))
            && first_not_finite(&vectors).is_none();
        fits.then_some(Self { vectors, owner, classes })
    }

    /// Logits [n, classes] of unit image features [n, embed_dim]: 100 times the cosines.
    pub fn logits(&self, features: &Tensor) -> Tensor {
        let scores = (features * 100.0).matmul(&self.vectors);
        if self.owner.len() == self.classes {
            return scores;
        }
        let columns = (0..self.classes).map(|class| {
            let first = self.owner.partition_point(|&owner| owner < class);
            let count = self.owner[first..].partition_point(|&owner| owner == class);
            scores.narrow(1, first as i64, count as i64).amax([1i64], true)
        });
        Tensor::cat(&columns.collect::<Vec<_>>(), 1)
    }
}

fn cache_path(folder: &Path, model: (&str, &Clip), prompts: &str, names: Names) -> PathBuf {
    let (weights, model) = model;
    let model = format!("{weights} {:?} {:?}", model.config(), model.kind());
    let hash = blake3::hash(format!("{model} {prompts} {names:?} 2").as_bytes()).to_hex();
    folder.join(format!("{}.safetensors", &hash[..32]))
}

/// Unit embeddings of texts, [n, embed_dim] in f32 on the processor.
///
/// Texts of like length are embedded together, so that little is spent on padding; the order is the
/// caller's.
///
/// # Errors
/// Embeddings that are not finite, with the first text; a model with fewer tokens than the
/// tokenizer.
pub fn embed_texts(model: &Clip, tokenizer: &Tokenizer, texts: &[String]) -> Result<Tensor> {
    embed_unless(&|| false, model, tokenizer, texts)
}

/// The same, given up when `stop` says so.
fn embed_unless(
    stop: &dyn Fn() -> bool,
    model: &Clip,
    tokenizer: &Tokenizer,
    texts: &[String],
) -> Result<Tensor> {
    let (known, has) = (Tokenizer::VOCABULARY as i64, model.config().text_cfg.vocab_size);
    if has < known {
        let reason = format!("the model has {has} tokens, and the tokenizer {known}");
        return Err(clip_model::Error::Config(reason).into());
    }
    let context = model.config().text_cfg.context_length as usize;
    let ids: Vec<Vec<i64>> = texts.iter().map(|text| tokenizer.tokenize(text, context)).collect();
    let length = |at: usize| ids[at].iter().rposition(|&id| id != 0).map_or(1, |last| last + 1);
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|&at| length(at));
    let mut rows = Vec::new();
    for batch in order.chunks(BATCH) {
        if stop() {
            return Err(Error::Interrupted);
        }
        let longest = batch.iter().map(|&at| length(at)).max().unwrap_or(1);
        let flat: Vec<i64> =
            batch.iter().flat_map(|&at| ids[at][..longest].iter().copied()).collect();
        let tokens = Tensor::from_slice(&flat).view([batch.len() as i64, longest as i64]);
        let tokens = tokens.to_device(model.device());
        let embedded = no_grad(|| unit(&model.encode_text(&tokens).to_kind(Kind::Float)));
        require_finite(&embedded, |row| format!("the text {:?}", texts[batch[row]]))?;
        rows.push(embedded);
    }
    let sorted = Tensor::cat(&rows, 0).to_device(Device::Cpu);
    let mut place = vec![0i64; order.len()];
    order.iter().enumerate().for_each(|(at, &text)| place[text] = at as i64);
    Ok(sorted.index_select(0, &Tensor::from_slice(&place)))
}

/// Rows of unit length.
pub(crate) fn unit(rows: &Tensor) -> Tensor {
    rows / rows.norm_scalaropt_dim(2.0, [1i64], true).clamp_min(1e-12)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_model::{ModelConfig, TextConfig, VisionConfig};

    #[test]
    fn a_model_of_fewer_tokens_is_refused() {
        let text_cfg =
            TextConfig { context_length: 8, vocab_size: 512, layers: 1, ..TextConfig::paper(64) };
        let vision_cfg = VisionConfig::vit(16, 8, 1, 64);
        let config = ModelConfig { embed_dim: 16, quick_gelu: true, vision_cfg, text_cfg };
        let model = Clip::new(&config, Device::Cpu);
        let error = embed_texts(&model, &Tokenizer::new(), &["a cat".into()]).unwrap_err();
        assert!(error.to_string().contains("the model has 512 tokens"), "{error}");
    }

    #[test]
    fn a_cached_classifier_is_of_one_configuration_of_its_weights() {
        let mut config = ModelConfig {
            embed_dim: 16,
            quick_gelu: true,
            vision_cfg: VisionConfig::vit(16, 8, 1, 64),
            text_cfg: TextConfig { layers: 1, ..TextConfig::paper(64) },
        };
        let path = |config: &ModelConfig| {
            let model = Clip::new(config, Device::Cpu);
            cache_path(Path::new(""), ("the same weights", &model), "prompts", Names::default())
        };
        let quick = path(&config);
        assert_eq!(path(&config), quick);
        config.quick_gelu = false;
        assert_ne!(path(&config), quick);
    }

    #[test]
    fn a_cached_classifier_that_is_not_finite_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.safetensors");
        for (value, good) in [(0.5f32, true), (f32::NAN, false), (f32::INFINITY, false)] {
            let vectors = Tensor::from_slice(&[1f32, 0.0, value, 1.0]).view([2, 2]);
            let owner = Tensor::from_slice(&[0f32, 1.0]);
            let tensors = [("vectors".to_owned(), vectors), ("owner".to_owned(), owner)];
            clip_model::write_safetensors(&path, &tensors).unwrap();
            assert_eq!(Classifier::read(&path, 2).is_some(), good, "{value}");
        }
    }
}
