//! Words to WordNet's synsets, as NLTK's `wordnet.synsets` finds them (NLTK 3.8.1).

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::Result;
use crate::wordnet::each_line;

/// The parts of speech in NLTK's order, with the endings that a word may lose and what takes their
/// place.
const PARTS: [(&str, &[(&str, &str)]); 4] = [
    (
        "noun",
        &[
            ("s", ""),
            ("ses", "s"),
            ("ves", "f"),
            ("xes", "x"),
            ("zes", "z"),
            ("ches", "ch"),
            ("shes", "sh"),
            ("men", "man"),
            ("ies", "y"),
        ],
    ),
    (
        "verb",
        &[
            ("s", ""),
            ("ies", "y"),
            ("es", "e"),
            ("es", ""),
            ("ed", "e"),
            ("ed", ""),
            ("ing", "e"),
            ("ing", ""),
        ],
    ),
    ("adj", &[("er", ""), ("est", ""), ("er", "e"), ("est", "e")]),
    ("adv", &[]),
];
/// Why a line is refused.
const REASON: &str = "not a line of WordNet's";
/// Bytes of the longest word that is looked up; WordNet's own have up to 71.
const LONGEST: usize = 256;

/// WordNet 3.0's words: `index.{noun,verb,adj,adv}` and the exceptions in `*.exc`.
pub struct Lexicon {
    parts: [Part; 4],
}

#[derive(Default)]
struct Part {
    /// Offset of the first synset of each word.
    first: HashMap<Box<str>, u32>,
    /// What irregular forms are forms of.
    exceptions: HashMap<Box<str>, Vec<Box<str>>>,
}

impl Lexicon {
    /// Reads the files of a folder, such as Debian's /usr/share/wordnet.
    ///
    /// # Errors
    /// When one is absent or has a line that is none of WordNet's; it names file and line.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut parts: [Part; 4] = Default::default();
        for (part, (name, _)) in parts.iter_mut().zip(PARTS) {
            each_line(&folder.join(format!("index.{name}")), REASON, |line| {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let pointers: usize = fields.get(3)?.parse().ok()?;
                let offset = fields.get(pointers.checked_add(6)?)?.parse().ok()?;
                part.first.insert(Box::from(*fields.first()?), offset);
                Some(())
            })?;
            each_line(&folder.join(format!("{name}.exc")), REASON, |line| {
                let mut words = line.split_whitespace().map(Box::from);
                part.exceptions.insert(words.next()?, words.collect());
                Some(())
            })?;
        }
        Ok(Self { parts })
    }

    /// Offset, in its data file, of the first synset that NLTK's `synsets(word)` gives: of the
    /// nouns if there is one, else of verbs, adjectives, adverbs. Nothing for other words, and for
    /// any of more than 256 bytes.
    pub fn first_synset(&self, word: &str) -> Option<u32> {
        if word.len() > LONGEST {
            return None;
        }
        let word = word.to_lowercase();
        self.parts.iter().zip(PARTS).find_map(|(part, (_, endings))| part.first(&word, endings))
    }
}

impl Part {
    fn first(&self, word: &str, endings: &[(&str, &str)]) -> Option<u32> {
        let known = |form: &str| self.first.get(form).copied();
        if let Some(forms) = self.exceptions.get(word) {
            return known(word).or_else(|| forms.iter().find_map(|form| known(form)));
        }
        if let Some(found) = known(word) {
            return Some(found);
        }
        // Endings are taken off until a form is known.
        let mut forms = vec![word.to_owned()];
        while !forms.is_empty() {
            let mut seen = HashSet::new();
            let mut shorter = Vec::new();
            for form in &forms {
                for (old, new) in endings {
                    let stem = form.strip_suffix(old);
                    let shortened = stem.map(|stem| format!("{stem}{new}"));
                    shorter.extend(shortened.filter(|form| seen.insert(form.clone())));
                }
            }
            if let Some(found) = shorter.iter().find_map(|form| known(form)) {
                return Some(found);
            }
            forms = shorter;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn lexicon() -> Option<Lexicon> {
        Some(Lexicon::open(crate::wordnet::tests::installed()?).unwrap())
    }

    /// `wordnet.synsets(word)[0].offset()` of NLTK 3.8.1, from scripts/golden/filter.
    const GOLDEN: &[u8] = include_bytes!("../data/golden/first_synsets.tsv.gz");

    #[test]
    fn first_synsets_are_nltks() {
        let Some(lexicon) = lexicon() else { return };
        let (mut words, mut text) = (0, String::new());
        flate2::read::GzDecoder::new(GOLDEN).read_to_string(&mut text).unwrap();
        for line in text.lines() {
            let (word, offset) = line.split_once('\t').unwrap();
            assert_eq!(lexicon.first_synset(word), offset.parse().ok(), "{word:?}");
            words += 1;
        }
        assert!(words >= 5_000, "{words}");
    }

    #[test]
    fn long_words_cost_no_more_than_others() {
        let Some(lexicon) = lexicon() else { return };
        assert_eq!(lexicon.first_synset(&"s".repeat(1 << 20)), None);
        assert_eq!(lexicon.first_synset(&format!("zqx{}", "eses".repeat(60))), None);
    }

    #[test]
    fn a_folder_of_other_files_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let message = Lexicon::open(folder.path()).err().unwrap().to_string();
        assert!(message.contains("index.noun") && message.contains("\nhint: "), "{message}");
        std::fs::write(folder.path().join("index.noun"), "dog n 1 x\n").unwrap();
        let message = Lexicon::open(folder.path()).err().unwrap().to_string();
        assert!(message.contains("index.noun line 1"), "{message}");
    }
}
