//! Language identification with fastText's lid.176, quantised (`.ftz`) or whole (`.bin`).

use std::path::Path;

use crate::classifier::{open, prob};
use crate::fasttext::{Model, Workspace};
use crate::language_names::nearest_code;
use crate::{Error, Result};

/// Names the language of a text.
pub struct LanguageId {
    model: Model,
}

/// What a thread needs to look at one text after another.
#[derive(Default)]
pub struct LanguageWorkspace(Workspace);

impl LanguageId {
    /// Reads lid.176, or another supervised fastText model whose labels are languages.
    pub fn open(path: &Path) -> Result<Self> {
        let bad = |reason| Error::Model { path: path.to_path_buf(), reason };
        Ok(Self { model: open(path).map_err(bad)? })
    }

    /// The codes that [`Self::predict`] may give.
    pub fn codes(&self) -> &[String] {
        self.model.labels()
    }

    /// The first of the codes that this model never gives, and the one that is probably meant.
    pub fn unknown_code<'a>(&'a self, wanted: &'a [String]) -> Option<(&'a str, Option<&'a str>)> {
        let unknown = wanted.iter().find(|code| !self.codes().contains(code))?;
        Some((unknown, nearest_code(unknown, self.codes())))
    }

    /// ISO 639 code of the likeliest language, and its probability as fastText gives it; nothing is
    /// likely of an empty text, but fastText has an answer for that too.
    pub fn predict<'a>(&'a self, text: &str, workspace: &mut LanguageWorkspace) -> (&'a str, f32) {
        let best = self.model.predict(text, 1, 0.0, &mut workspace.0).first();
        best.map_or(("", 0.0), |&(score, label)| {
            (&self.model.labels()[label as usize], prob(score))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::path::PathBuf;

    /// The model that scripts/setup puts into the cache; with `CLIP_DATA_REQUIRE_ALL` it must be
    /// there.
    fn model_path() -> Option<PathBuf> {
        let cache = std::env::var_os("CLIP_DATA_CACHE").map_or_else(
            || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/clip-data"),
            PathBuf::from,
        );
        let path = cache.join("models/lid.176.ftz");
        if !path.exists() {
            assert!(
                std::env::var_os("CLIP_DATA_REQUIRE_ALL").is_none(),
                "{} is absent",
                path.display()
            );
            eprintln!("skipped: {} is absent", path.display());
            return None;
        }
        Some(path)
    }

    fn model() -> Option<LanguageId> {
        Some(LanguageId::open(&model_path()?).unwrap())
    }

    #[test]
    fn languages_are_named() {
        let Some(model) = model() else { return };
        let mut space = LanguageWorkspace::default();
        for (text, language) in [
            ("a drawing of a red apple on a table", "en"),
            ("un dessin d'une pomme rouge sur une table", "fr"),
            ("eine Zeichnung von einem roten Apfel auf dem Tisch", "de"),
            ("un dibujo de una manzana roja sobre la mesa", "es"),
            ("桌子上的红苹果的图画", "zh"),
            ("これは赤いりんごの絵です", "ja"),
        ] {
            let (found, prob) = model.predict(text, &mut space);
            assert_eq!(found, language, "{text}");
            assert!((0.3..=1.0).contains(&prob), "{text}: {prob}");
        }
        // A line end is no word, and nothing at all is still an answer.
        assert_eq!(model.predict("hello my friend\nhow are you", &mut space).0, "en");
        assert!(model.predict("", &mut space).1 >= 0.0);
    }

    /// `label<TAB>probability<TAB>line`, from scripts/golden/languages.
    const GOLDEN: &[u8] = include_bytes!("../data/golden/languages.tsv.gz");

    #[test]
    fn ten_thousand_lines_have_the_labels_of_the_program_in_cpp() {
        let Some(model) = model() else { return };
        let mut text = String::new();
        flate2::read::GzDecoder::new(GOLDEN).read_to_string(&mut text).unwrap();
        let mut space = LanguageWorkspace::default();
        let mut lines = 0;
        for row in text.strip_suffix('\n').unwrap().split('\n') {
            let mut fields = row.splitn(3, '\t');
            let [label, prob, line] = [(); 3].map(|()| fields.next().unwrap());
            let (found, found_prob) = model.predict(line, &mut space);
            assert_eq!(found, label, "{line}");
            let prob = prob.parse::<f32>().unwrap().min(1.0);
            assert!((found_prob - prob).abs() < 2e-5, "{line}: {found_prob} {prob}");
            lines += 1;
        }
        assert_eq!(lines, 10_000);
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

    #[test]
    fn a_code_that_is_none_has_the_one_that_is_meant() {
        let Some(model) = model() else { return };
        let codes =
            |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>();
        let wanted = codes(&["de", "english"]);
        assert_eq!(model.unknown_code(&wanted), Some(("english", Some("en"))));
        assert_eq!(model.unknown_code(&codes(&["de", "en"])), None);
    }
}
