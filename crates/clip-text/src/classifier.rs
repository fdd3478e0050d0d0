//! Classifiers of texts: supervised fastText models of any loss.

pub mod train;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::fasttext::{Model, Workspace};
use crate::{Error, Result};

/// A supervised fastText model, `.bin` or `.ftz`.
pub struct Classifier {
    model: Model,
}

/// What a thread needs to look at one text after another.
#[derive(Default)]
pub struct ClassifierWorkspace(Workspace);

/// Reads a model; the error says what is wrong with the file.
pub(crate) fn open(path: &Path) -> std::result::Result<Model, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    Model::read(BufReader::with_capacity(1 << 16, file), length)
}

impl Classifier {
    /// Reads a model of any loss: hierarchical softmax, softmax, one-vs-all or negative sampling.
    ///
    /// # Errors
    /// Naming the file, when it is not a whole supervised model.
    pub fn open(path: &Path) -> Result<Self> {
        let bad = |reason| Error::Classifier { path: path.to_path_buf(), reason };
        Ok(Self { model: open(path).map_err(bad)? })
    }

    /// The labels without `__label__`, in the order of the model: the most frequent first.
    pub fn labels(&self) -> &[String] {
        self.model.labels()
    }

    /// The place of a label, with or without `__label__`.
    pub fn label(&self, name: &str) -> Option<usize> {
        let name = name.strip_prefix(crate::fasttext::LABEL).unwrap_or(name);
        self.labels().iter().position(|label| label == name)
    }

    /// Up to `k` of the likeliest labels with a probability of at least `min_prob`, best first, and
    /// their probabilities, as C++ fastText gives them to a line; a line end is white space here.
    pub fn predict<'a>(
        &'a self,
        text: &str,
        k: usize,
        min_prob: f32,
        workspace: &mut ClassifierWorkspace,
    ) -> Vec<(&'a str, f32)> {
        let found = self.model.predict(text, k, min_prob, &mut workspace.0);
        found.iter().map(|&(score, label)| (&*self.labels()[label as usize], prob(score))).collect()
    }

    /// The probability of a label, by its place; 0 where fastText has no row for anything of the
    /// text.
    pub fn probability(
        &self,
        text: &str,
        label: usize,
        workspace: &mut ClassifierWorkspace,
    ) -> f32 {
        let found = self.model.predict(text, usize::MAX, 0.0, &mut workspace.0);
        let own = found.iter().find(|(_, found)| *found as usize == label);
        own.map_or(0.0, |&(score, _)| prob(score))
    }
}

/// fastText's own sums exceed 1 by a hair.
pub(crate) fn prob(score: f32) -> f32 {
    score.exp().min(1.0)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod trained_tests;
