//! Language identification with fastText's lid.176.ftz.
//!
//! The `fasttext` crate reads the model and makes the sentence vector. Its own prediction treats the model's
//! hierarchical softmax as a flat one and gives wrong labels, so the descent of the Huffman tree is done here
//! (Joulin et al. 2016; C++ fastText, `HierarchicalSoftmaxLoss`).

use std::path::Path;

use fasttext::FastText;
use fasttext::dictionary::EntryType;

use crate::{Error, Result};

/// Names the language of a text.
pub struct LanguageId {
    model: FastText,
    tree: Tree,
    dim: usize,
}

impl LanguageId {
    /// Reads a quantised or full fastText model with hierarchical softmax.
    pub fn open(path: &Path) -> Result<Self> {
        let bad = |reason: String| Error::Model { path: path.to_path_buf(), reason };
        let model = FastText::load_model(path).map_err(|e| bad(e.to_string()))?;
        let counts = model.dict().get_counts(EntryType::Label);
        let dim = model.get_dimension().max(0) as usize;
        if counts.is_empty() || model.output_matrix().data().len() < (counts.len() - 1) * dim {
            return Err(bad("not a model with labels".into()));
        }
        let tree = Tree::new(&counts);
        Ok(Self { model, tree, dim })
    }

    /// ISO 639 code of the likeliest language, and its probability.
    pub fn predict(&self, text: &str) -> (String, f32) {
        let line = text.replace(['\n', '\r'], " ");
        let mut hidden = vec![0f32; self.dim];
        self.model.get_sentence_vector_into(&line, &mut hidden);
        let output = self.model.output_matrix().data();
        let (label, log_prob) = self.tree.best(output, &hidden);
        let label = self.model.dict().get_label(label as i32).map(|l| l.to_string());
        let label = label.unwrap_or_default();
        (label.trim_start_matches("__label__").to_owned(), log_prob.exp().min(1.0))
    }
}

/// The Huffman tree over the labels: node `n` below `leaves` is label `n`, the last node is the root.
struct Tree {
    children: Vec<Option<(usize, usize)>>,
    leaves: usize,
}

impl Tree {
    /// Built as C++ fastText does: counts descend, so two queues suffice.
    fn new(counts: &[i64]) -> Self {
        let leaves = counts.len();
        let mut weights = vec![i64::MAX / 4; 2 * leaves - 1];
        weights[..leaves].copy_from_slice(counts);
        let mut children = vec![None; 2 * leaves - 1];
        let (mut leaf, mut node) = (leaves, leaves);
        for parent in leaves..2 * leaves - 1 {
            let mut lightest = || {
                if leaf > 0 && weights[leaf - 1] < weights[node] {
                    leaf -= 1;
                    leaf
                } else {
                    node += 1;
                    node - 1
                }
            };
            let (left, right) = (lightest(), lightest());
            weights[parent] = weights[left] + weights[right];
            children[parent] = Some((left, right));
        }
        Self { children, leaves }
    }

    /// The likeliest label and its log probability.
    fn best(&self, output: &[f32], hidden: &[f32]) -> (usize, f32) {
        let mut best = (0, f32::NEG_INFINITY);
        let mut open = vec![(2 * self.leaves - 2, 0f32)];
        while let Some((node, score)) = open.pop() {
            if score < best.1 {
                continue;
            }
            let Some((left, right)) = self.children[node] else {
                best = (node, score);
                continue;
            };
            let row = &output[(node - self.leaves) * hidden.len()..][..hidden.len()];
            let dot: f32 = row.iter().zip(hidden).map(|(a, b)| a * b).sum();
            let right_share = 1.0 / (1.0 + (-dot).exp());
            // fastText adds 1e-5 before the logarithm.
            let log = |share: f32| (share + 1e-5).ln();
            open.push((right, score + log(right_share)));
            open.push((left, score + log(1.0 - right_share)));
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// The model that scripts/setup puts into the cache; in CI it must be there.
    fn model() -> Option<LanguageId> {
        let cache = std::env::var_os("CLIP_DATA_CACHE").map_or_else(
            || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/clip-data"),
            PathBuf::from,
        );
        let path = cache.join("models/lid.176.ftz");
        if !path.exists() {
            assert!(std::env::var_os("CI").is_none(), "{} is absent", path.display());
            eprintln!("skipped: {} is absent", path.display());
            return None;
        }
        Some(LanguageId::open(&path).unwrap())
    }

    #[test]
    fn languages_are_named() {
        let Some(model) = model() else { return };
        for (text, language) in [
            ("a drawing of a red apple on a table", "en"),
            ("un dessin d'une pomme rouge sur une table", "fr"),
            ("eine Zeichnung von einem roten Apfel auf dem Tisch", "de"),
            ("un dibujo de una manzana roja sobre la mesa", "es"),
            ("桌子上的红苹果的图画", "zh"),
            ("これは赤いりんごの絵です", "ja"),
        ] {
            let (found, prob) = model.predict(text);
            assert_eq!(found, language, "{text}");
            assert!((0.3..=1.0).contains(&prob), "{text}: {prob}");
        }
        // A line end is no word, and nothing at all is still an answer.
        assert_eq!(model.predict("hello my friend\nhow are you").0, "en");
        assert!(model.predict("").1 >= 0.0);
    }

    #[test]
    fn a_file_that_is_no_model_is_an_error_that_names_it() {
        let path = std::env::temp_dir().join("clip-text-no-model.ftz");
        std::fs::write(&path, b"not a model").unwrap();
        let message = LanguageId::open(&path).err().unwrap().to_string();
        assert!(
            message.contains("clip-text-no-model.ftz") && message.contains("hint:"),
            "{message}"
        );
    }
}
