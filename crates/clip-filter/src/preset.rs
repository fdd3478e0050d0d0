//! DataComp's filtering baselines by name (`baselines.py`, commit 4a8df19), and what each needs.

use std::path::PathBuf;
use std::str::FromStr;

use crate::{Error, Result};

/// A baseline of DataComp's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Every pair.
    NoFilter,
    /// English, three words, six characters, a short side of 200 pixels, an aspect of at most 3.
    BasicFilter,
    /// English, and a word whose first synset is in a list (ImageNet-21k's).
    TextBased,
    /// The best by CLIP score.
    ClipScore,
    /// English, two words, six characters, and an image near one of a target set (ImageNet's).
    ImageBased,
    /// Both.
    ImageBasedIntersectClipScore,
    /// English by CLD3, and a ViT-B/32 score of 0.28.
    Laion2b,
}

impl Preset {
    /// All, in DataComp's order, with their names there.
    pub const ALL: [(&'static str, Self); 7] = [
        ("no_filter", Self::NoFilter),
        ("basic_filter", Self::BasicFilter),
        ("text_based", Self::TextBased),
        ("clip_score", Self::ClipScore),
        ("image_based", Self::ImageBased),
        ("image_based_intersect_clip_score", Self::ImageBasedIntersectClipScore),
        ("laion2b", Self::Laion2b),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, preset)| *preset == self).map_or("", |(name, _)| name)
    }

    /// Whether it asks fastText for the language.
    pub fn needs_language(self) -> bool {
        matches!(self, Self::BasicFilter | Self::TextBased) || self.needs_images()
    }

    /// Whether it cuts by a CLIP score that the caller chooses.
    pub fn needs_score(self) -> bool {
        matches!(self, Self::ClipScore | Self::ImageBasedIntersectClipScore)
    }

    /// Whether it reads embeddings of images.
    pub fn needs_images(self) -> bool {
        matches!(self, Self::ImageBased | Self::ImageBasedIntersectClipScore)
    }
}

impl FromStr for Preset {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, preset)| *preset).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
            Error::Settings(format!("no preset {name:?}\nhint: one of {}", names.join(", ")))
        })
    }
}

/// Where a score is cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cut {
    /// Pairs with this score or a higher one.
    Threshold(f64),
    /// The threshold is the score at this fraction of the pool, counted from the best; pairs with
    /// just this score are kept, so that a few more than the fraction are.
    Fraction(f64),
}

/// A preset with what it needs; what it does not need must be absent.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The preset.
    pub preset: Preset,
    /// fastText's lid.176, `.bin` or `.ftz`.
    pub language_model: Option<PathBuf>,
    /// WordNet 3.0's folder.
    pub wordnet: Option<PathBuf>,
    /// The list of synsets: `n01440764`, one a line.
    pub synsets: Option<PathBuf>,
    /// The pool's centroids, `.npy`, [centroids, width].
    pub centroids: Option<PathBuf>,
    /// Embeddings of the target set, `.npy` of `[images, width]`, or numbers of centroids, `[n]`.
    pub targets: Vec<PathBuf>,
    /// The array of the `.npz` files that has the embeddings.
    pub embedding: Option<String>,
    /// The column of the score.
    pub score: Option<String>,
    /// Where it is cut.
    pub cut: Option<Cut>,
    /// A column that says which captions are English: `en`, or true.
    pub english_column: Option<String>,
}

impl Settings {
    /// Compares the settings with what the preset needs.
    ///
    /// # Errors
    /// When one is missing, or would have no effect; it names the option.
    pub fn check(&self) -> Result<()> {
        let preset = self.preset;
        let text = preset == Preset::TextBased;
        let images = preset.needs_images();
        let laion = preset == Preset::Laion2b;
        let options = [
            ("--lid", self.language_model.is_some(), preset.needs_language()),
            ("--wordnet", self.wordnet.is_some(), text),
            ("--synsets", self.synsets.is_some(), text),
            ("--centroids", self.centroids.is_some(), images),
            ("--targets", !self.targets.is_empty(), images),
            ("--embedding", self.embedding.is_some(), images),
            ("--arch", self.score.is_some(), preset.needs_score()),
            ("--fraction or --threshold", self.cut.is_some(), preset.needs_score()),
            ("--english-column", self.english_column.is_some(), laion),
        ];
        for (option, given, needed) in options {
            let name = preset.name();
            match (given, needed) {
                (false, true) => {
                    return Err(Error::Settings(format!("{name} needs {option}")));
                }
                (true, false) => {
                    let hint = "hint: leave it out";
                    let why = format!("{option} has no effect on {name}\n{hint}");
                    return Err(Error::Settings(why));
                }
                _ => {}
            }
        }
        match self.cut {
            // DataComp's index is beyond the end at 1, and counts from the end below 0.
            Some(Cut::Fraction(fraction)) if !(0.0..1.0).contains(&fraction) => {
                let hint = "hint: 0.3 keeps the best 30%; no_filter keeps all";
                Err(Error::Settings(format!("--fraction {fraction}: from 0, below 1\n{hint}")))
            }
            Some(Cut::Threshold(threshold)) if !threshold.is_finite() => {
                Err(Error::Settings(format!("--threshold {threshold}: not a number")))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(preset: Preset) -> Settings {
        Settings {
            preset,
            language_model: None,
            wordnet: None,
            synsets: None,
            centroids: None,
            targets: Vec::new(),
            embedding: None,
            score: None,
            cut: None,
            english_column: None,
        }
    }

    #[test]
    fn what_is_missing_or_has_no_effect_is_named() {
        for (name, preset) in Preset::ALL {
            assert_eq!(name.parse::<Preset>().unwrap(), preset);
        }
        assert!("best".parse::<Preset>().unwrap_err().to_string().contains("hint: one of no_f"));
        settings(Preset::NoFilter).check().unwrap();
        let refused = |settings: Settings| settings.check().unwrap_err().to_string();
        assert_eq!(refused(settings(Preset::BasicFilter)), "basic_filter needs --lid");
        let cut = Some(Cut::Fraction(0.3));
        let given = Settings { cut, ..settings(Preset::NoFilter) };
        assert!(refused(given).starts_with("--fraction or --threshold has no effect on no_filter"));
        for (cut, reason) in [
            (Cut::Fraction(1.0), "--fraction 1: from 0, below 1"),
            (Cut::Fraction(f64::NAN), "--fraction NaN"),
            (Cut::Threshold(f64::NAN), "--threshold NaN"),
        ] {
            let score = Some("clip_l14_similarity_score".to_owned());
            let given = Settings { cut: Some(cut), score, ..settings(Preset::ClipScore) };
            assert!(refused(given).starts_with(reason));
        }
    }
}
