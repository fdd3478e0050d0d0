//! The conditions of a preset, one after the other, the cheapest first.

use std::collections::HashSet;
use std::path::Path;

use clip_query::Lexicon;
use clip_text::{LanguageId, LanguageWorkspace};

use crate::caption::{fasttext_tokens, python_words};
use crate::centroids::Centroids;
use crate::{Error, Preset, Result, Settings};

/// One condition; pairs that do not meet it are dropped.
pub enum Gate {
    /// A short side of at least this many pixels.
    ShortSide(f64),
    /// The long side over the short one, at most.
    Aspect(f64),
    /// More characters than this.
    Characters(usize),
    /// More words than this, as Python splits.
    Words(usize),
    /// More tokens than this, as fastText splits.
    Tokens(usize),
    /// A score of at least this; with none of these (NaN) no pair has it.
    Score(f64),
    /// A column that says that the caption is English.
    EnglishColumn,
    /// A word whose first synset is one of these, by its offset.
    Synset(Box<Lexicon>, HashSet<u32>),
    /// English, says fastText.
    English(Box<LanguageId>),
}

/// What a gate looks at.
pub(crate) struct Row<'a> {
    pub(crate) text: &'a str,
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) score: f64,
    /// Whether scores are stored in 32 bits: NumPy then compares in 32 bits.
    pub(crate) narrow: bool,
    pub(crate) english: bool,
}

impl Gate {
    /// Its name in reports.
    pub fn name(&self) -> String {
        match self {
            Self::ShortSide(least) => format!("short side below {least}"),
            Self::Aspect(most) => format!("aspect above {most}"),
            Self::Characters(more) => format!("{more} characters or fewer"),
            Self::Words(more) => format!("{more} words or fewer"),
            Self::Tokens(more) => format!("{more} tokens or fewer"),
            // As it is stored: 0.6 in 32 bits is 0.6000000238418579 in 64.
            Self::Score(least) if f64::from(*least as f32) == *least => {
                format!("score below {}", *least as f32)
            }
            Self::Score(least) => format!("score below {least}"),
            Self::EnglishColumn | Self::English(_) => "not English".into(),
            Self::Synset(..) => "no synset of the list".into(),
        }
    }

    pub(crate) fn passes(&self, row: &Row, space: &mut LanguageWorkspace) -> bool {
        match self {
            // A side that is not known (NaN) is none that is long enough.
            Self::ShortSide(least) => row.width >= *least && row.height >= *least,
            Self::Aspect(most) => row.width.max(row.height) / row.width.min(row.height) <= *most,
            Self::Characters(more) => row.text.chars().nth(*more).is_some(),
            Self::Words(more) => python_words(row.text).nth(*more).is_some(),
            Self::Tokens(more) => fasttext_tokens(row.text) > *more,
            Self::Score(least) if row.narrow => row.score >= f64::from(*least as f32),
            Self::Score(least) => row.score >= *least,
            Self::EnglishColumn => row.english,
            Self::Synset(lexicon, wanted) => python_words(row.text)
                .filter_map(|word| lexicon.first_synset(word))
                .any(|offset| wanted.contains(&offset)),
            Self::English(model) => model.predict(row.text, space).0 == "en",
        }
    }
}

/// The conditions of a preset, and what they need of the pool.
pub struct Gates {
    /// The preset.
    pub preset: Preset,
    /// The conditions.
    pub gates: Vec<Gate>,
    /// Clusters of images that are wanted, after all others.
    pub centroids: Option<Centroids>,
    /// The array of the `.npz` files that has the embeddings.
    pub embedding: Option<String>,
    /// The column with the score.
    pub score: Option<String>,
    /// The column that says which captions are English.
    pub english_column: Option<String>,
}

impl Gates {
    /// Opens what a preset needs; `threshold` is where its score is cut.
    ///
    /// # Errors
    /// When the settings lack something or have too much, or a file cannot be read.
    pub fn open(settings: &Settings, threshold: Option<f64>) -> Result<Self> {
        settings.check()?;
        let needs =
            |what: &str| Error::Settings(format!("{} needs {what}", settings.preset.name()));
        let english = || -> Result<Gate> {
            let path = settings.language_model.as_deref().ok_or_else(|| needs("--lid"))?;
            Ok(Gate::English(Box::new(LanguageId::open(path)?)))
        };
        let mut gates = Vec::new();
        let mut score = settings.score.clone();
        if settings.preset.needs_score() {
            gates.push(Gate::Score(threshold.ok_or_else(|| needs("--fraction or --threshold"))?));
        }
        match settings.preset {
            Preset::NoFilter | Preset::ClipScore => {}
            Preset::BasicFilter => {
                gates.extend([Gate::ShortSide(200.0), Gate::Aspect(3.0)]);
                gates.extend([Gate::Characters(5), Gate::Words(2), english()?]);
            }
            Preset::TextBased => {
                let wordnet = settings.wordnet.as_deref().ok_or_else(|| needs("--wordnet"))?;
                let list = settings.synsets.as_deref().ok_or_else(|| needs("--synsets"))?;
                gates.push(Gate::Synset(Box::new(Lexicon::open(wordnet)?), synsets(list)?));
                gates.push(english()?);
            }
            Preset::ImageBased | Preset::ImageBasedIntersectClipScore => {
                gates.extend([Gate::Characters(5), Gate::Tokens(1), english()?]);
            }
            Preset::Laion2b => {
                score = Some("clip_b32_similarity_score".into());
                gates.extend([Gate::Score(0.28), Gate::EnglishColumn]);
            }
        }
        let centroids = match &settings.centroids {
            Some(path) => Some(Centroids::open(path, &settings.targets)?),
            None => None,
        };
        let (embedding, english_column) =
            (settings.embedding.clone(), settings.english_column.clone());
        Ok(Self { preset: settings.preset, gates, centroids, embedding, score, english_column })
    }

    /// What each gate is called in reports, in order: first those of the pool itself.
    pub fn names(&self) -> Vec<String> {
        let mut names = vec!["not fetched".into(), "no uid of 32 hex digits".into()];
        names.extend(self.gates.iter().map(Gate::name));
        names.extend(self.centroids.iter().map(|_| "nearest cluster not wanted".to_owned()));
        names
    }

    pub(crate) fn needs_text(&self) -> bool {
        self.gates.iter().any(|gate| {
            use Gate::{Characters, English, Synset, Tokens, Words};
            matches!(gate, Characters(_) | Words(_) | Tokens(_) | Synset(..) | English(_))
        })
    }

    pub(crate) fn needs_size(&self) -> bool {
        self.gates.iter().any(|gate| matches!(gate, Gate::ShortSide(_) | Gate::Aspect(_)))
    }
}

/// Offsets of a list like ImageNet-21k's: `n01440764`, one a line.
fn synsets(path: &Path) -> Result<HashSet<u32>> {
    let damaged = |line: usize, text: &str| {
        let why = format!("line {}: {text:?} is no synset like n01440764", line + 1);
        Error::Settings(format!("{}: {why}", path.display()))
    };
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::Settings(format!("{}: {e}", path.display())))?;
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(at, line)| {
            let digits = line.get(1..).filter(|_| line.as_bytes()[0].is_ascii_alphabetic());
            digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| damaged(at, line))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_datacomps() {
        let row = |text, width, height, score| {
            let (narrow, english) = (false, true);
            Row { text, width, height, score, narrow, english }
        };
        let mut space = LanguageWorkspace::default();
        let mut passes = |gate: Gate, row: Row| gate.passes(&row, &mut space);
        assert!(passes(Gate::ShortSide(200.0), row("", 200.0, 900.0, 0.0)));
        assert!(!passes(Gate::ShortSide(200.0), row("", 199.0, 900.0, 0.0)));
        assert!(!passes(Gate::ShortSide(200.0), row("", f64::NAN, 900.0, 0.0)));
        assert!(!passes(Gate::ShortSide(200.0), row("", 900.0, f64::NAN, 0.0)));
        assert!(passes(Gate::Aspect(3.0), row("", 600.0, 200.0, 0.0)));
        assert!(!passes(Gate::Aspect(3.0), row("", 601.0, 200.0, 0.0)));
        assert!(!passes(Gate::Aspect(3.0), row("", 0.0, 0.0, 0.0)));
        assert!(passes(Gate::Characters(5), row("äöüäöü", 0.0, 0.0, 0.0)));
        assert!(!passes(Gate::Characters(5), row("äöüäö", 0.0, 0.0, 0.0)));
        assert!(passes(Gate::Words(2), row("a b c", 0.0, 0.0, 0.0)));
        assert!(!passes(Gate::Words(2), row("a b", 0.0, 0.0, 0.0)));
        assert!(passes(Gate::Score(0.28), row("", 0.0, 0.0, 0.28)));
        assert!(!passes(Gate::Score(0.28), row("", 0.0, 0.0, f64::NAN)));
        assert!(!passes(Gate::Score(f64::NAN), row("", 0.0, 0.0, 9.0)));
        // 0.3 in 32 bits is more than in 64, and 0.7 less: both are kept at their own threshold.
        for threshold in [0.3, 0.7] {
            let narrow = Row { narrow: true, ..row("", 0.0, 0.0, f64::from(threshold as f32)) };
            assert!(passes(Gate::Score(threshold), narrow));
        }
    }

    #[test]
    fn a_list_of_synsets_names_its_bad_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.txt");
        std::fs::write(&path, "n01440764\r\nn00000002 \n\n").unwrap();
        assert_eq!(synsets(&path).unwrap(), HashSet::from([1_440_764, 2]));
        for bad in ["n01440764\ndog\n", "n01440764\n12345678\n", "n01440764\né1\n"] {
            std::fs::write(&path, bad).unwrap();
            let error = synsets(&path).unwrap_err().to_string();
            assert!(error.contains("list.txt: line 2"), "{error}");
        }
    }
}
