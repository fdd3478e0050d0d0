//! Settings of `[[score]]`: models that score pairs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clip_score::{Activation, Head, HeadOutput, Similarity, check_names};
use serde::{Deserialize, Serialize};

/// `[[score]]`: a CLIP, with heads and zero-shot classes on its image embeddings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// What its columns begin with: `clip` gives `clip_similarity`.
    #[serde(default = "default_name")]
    pub name: String,
    /// Weights: a folder (open_clip's or transformers'), a `.safetensors` or `.pt` file, OpenAI's
    /// archive; of a run a checkpoint's folder, not the run's.
    pub model: PathBuf,
    /// The model's name or `model_cfg` (.json), where the weights do not say it.
    pub model_name: Option<String>,
    /// Another image size: positional embeddings are interpolated.
    pub image_size: Option<u32>,
    /// Mean of the pixels; the model's when absent, as with the next three.
    pub image_mean: Option<[f64; 3]>,
    /// Standard deviation of the pixels.
    pub image_std: Option<[f64; 3]>,
    /// `bicubic` or `bilinear`.
    pub image_interpolation: Option<String>,
    /// `shortest`, `longest` or `squash`.
    pub image_resize_mode: Option<String>,
    /// The arithmetic.
    #[serde(default)]
    pub precision: ScorePrecision,
    /// Where the model runs. There is no `auto`: scores of a GPU have other last digits.
    #[serde(default)]
    pub device: ScoreDevice,
    /// Whether the embeddings of images and captions are stored beside the rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub embeddings: bool,
    /// Heads by the names of their columns.
    #[serde(default)]
    pub heads: BTreeMap<String, ScoreHead>,
    /// Prompts of each zero-shot class, by the name of its column.
    #[serde(default)]
    pub classes: BTreeMap<String, Vec<String>>,
}

fn default_name() -> String {
    "clip".into()
}

/// A head of `[score.heads]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreHead {
    /// Its weights.
    pub file: PathBuf,
    /// What is between its layers.
    #[serde(default)]
    pub activation: Activation,
    /// What is after the last.
    #[serde(default)]
    pub output: HeadOutput,
}

/// The type of weights and activations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScorePrecision {
    /// float32.
    #[default]
    Fp32,
    /// bfloat16.
    Bf16,
}

/// Where a model runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScoreDevice {
    /// The processor.
    #[default]
    Cpu,
    /// The first GPU.
    Cuda,
}

impl Score {
    /// The heads, with their files below `base`.
    pub fn heads(&self, base: &Path) -> Vec<Head> {
        let head = |(name, head): (&String, &ScoreHead)| Head {
            name: name.clone(),
            file: base.join(&head.file),
            activation: head.activation,
            output: head.output,
        };
        self.heads.iter().map(head).collect()
    }

    /// The columns besides similarities: heads, then classes, each by name.
    pub fn columns(&self) -> Vec<String> {
        self.heads.keys().chain(self.classes.keys()).cloned().collect()
    }

    /// The file that `model_name` is, if it is one.
    pub fn model_config(&self) -> Option<&Path> {
        self.model_name
            .as_deref()
            .map(Path::new)
            .filter(|name| name.extension().is_some_and(|extension| extension == "json"))
    }
}

/// What is wrong with the scorers together: a column that two have, or that is another's.
pub(crate) fn fault(scorers: &[Score], taken: &[String]) -> Option<String> {
    for scorer in scorers {
        let name = &scorer.name;
        if scorer.classes.len() == 1 {
            let hint = "hint: the probability is among the classes; name what the others are, too";
            return Some(format!("[score.classes] of `{name}` has one class\n{hint}"));
        }
        if let Some((class, _)) = scorer.classes.iter().find(|(_, prompts)| prompts.is_empty()) {
            return Some(format!("[score.classes] of `{name}`: {class} has no prompt"));
        }
    }
    let columns: Vec<String> = scorers
        .iter()
        .flat_map(|scorer| {
            let similarity = Similarity::of(&scorer.name);
            similarity.names().map(str::to_owned).into_iter().chain(scorer.columns())
        })
        .collect();
    let own = clip_corpus::columns::BUILD;
    let other =
        |name: &&String| own.contains(&name.as_str()) || *name == "uid" || taken.contains(name);
    let names = check_names(columns.iter().map(String::as_str));
    let names = names.err().or_else(|| {
        columns.iter().find(other).map(|name| {
            format!("{name:?} is a column that pairs have already\nhint: give it another name")
        })
    });
    names.map(|fault| format!("[[score]]: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scorers(text: &str) -> Result<Vec<Score>, toml::de::Error> {
        #[derive(Deserialize)]
        struct File {
            score: Vec<Score>,
        }
        toml::from_str::<File>(text).map(|file| file.score)
    }

    #[test]
    fn scorers_have_columns_of_their_own() {
        let text = "
            [[score]]
            model = 'a'
            [score.heads.aesthetic]
            file = 'sac.safetensors'
            [score.classes]
            nsfw = ['x', 'y']
            safe = ['z']
            [[score]]
            name = 'l14'
            model = 'b'
            precision = 'bf16'
            device = 'cuda'
        ";
        let found = scorers(text).unwrap();
        assert_eq!(found[0].columns(), ["aesthetic", "nsfw", "safe"]);
        assert_eq!((found[0].name.as_str(), found[1].name.as_str()), ("clip", "l14"));
        assert_eq!(fault(&found, &[]), None);
        for (text, named) in [
            ("[[score]]\nmodel = 'a'\n[[score]]\nmodel = 'b'", "two columns"),
            ("[[score]]\nmodel = 'a'\nclasses = {nsfw = ['x']}", "one class"),
            ("[[score]]\nmodel = 'a'\nclasses = {nsfw = ['x'], safe = []}", "no prompt"),
            ("[[score]]\nmodel = 'a'\nheads = {phash = {file = 'x'}}", "have already"),
            ("[[score]]\nmodel = 'a'\nheads = {score = {file = 'x'}}", "have already"),
            ("[[score]]\nname = 'A'\nmodel = 'a'", "cannot be the name"),
        ] {
            let found = fault(&scorers(text).unwrap(), &["score".into()]);
            assert!(found.as_ref().is_some_and(|found| found.contains(named)), "{text}: {found:?}");
        }
        assert!(scorers("[[score]]\nmodel = 'a'\ndevice = 'auto'").is_err());
    }
}
