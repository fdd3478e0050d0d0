//! Whether a caption names a class: what makes a copied image also a copied label (paper, section
//! 5, Country211).

use std::collections::{BTreeSet, HashMap};

use crate::text::words;

/// What a word may be the plural of, and itself.
fn singulars(word: &str) -> impl Iterator<Item = &str> {
    [Some(word), word.strip_suffix('s'), word.strip_suffix("es")].into_iter().flatten()
}

/// The names of a set's classes, to be found in captions as consecutive words, each in the singular
/// or with an `s` or `es`.
pub struct ClassNames {
    /// A class's number and the words of one of its names.
    names: Vec<(usize, Vec<String>)>,
    /// Names by their first word.
    first: HashMap<String, Vec<usize>>,
}

impl ClassNames {
    /// Of classes by number; a class with several names has them separated by ` / `.
    pub fn new<T: AsRef<str>>(classes: &[T]) -> Self {
        let (mut names, mut first) = (Vec::new(), HashMap::<String, Vec<usize>>::new());
        for (class, all) in classes.iter().enumerate() {
            for name in all.as_ref().split(" / ") {
                let words = words(name);
                let Some(head) = words.first() else { continue };
                first.entry(head.clone()).or_default().push(names.len());
                names.push((class, words));
            }
        }
        Self { names, first }
    }

    /// The classes that a caption names.
    pub fn named(&self, caption: &str) -> BTreeSet<usize> {
        let caption = words(caption);
        let mut found = BTreeSet::new();
        for (at, head) in caption.iter().enumerate() {
            for name in singulars(head).filter_map(|head| self.first.get(head)).flatten() {
                let (class, words) = &self.names[*name];
                let rest = caption.get(at..at + words.len()).unwrap_or_default();
                let same =
                    |(said, word): (&String, &String)| singulars(said).any(|said| said == word);
                if !rest.is_empty() && rest.iter().zip(words).all(same) {
                    found.insert(*class);
                }
            }
        }
        found
    }
}

/// Whether the caption names the class.
pub fn names(caption: &str, class: &str) -> bool {
    !ClassNames::new(&[class]).named(caption).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_named_by_its_words_in_order() {
        assert!(names("Two polar-bears, Svalbard", "polar bear"));
        assert!(names("my CAT.", "cat"));
        assert!(!names("concatenate", "cat"));
        assert!(!names("a bear, polar night", "polar bear"));
        assert!(!names("anything", ""));
    }

    #[test]
    fn many_classes_are_found_at_once() {
        let classes = ["bus", "polar bear", "bear", "angry / cross", "bears"];
        let names = ClassNames::new(&classes);
        let named = |caption| names.named(caption).into_iter().collect::<Vec<_>>();
        assert_eq!(named("Two buses and polar bears"), [0, 1, 2, 4]);
        assert_eq!(named("a cross man by a cross"), [3]);
        assert_eq!(named("bear, at the end: polar"), [2]);
        assert!(named("").is_empty());
    }
}
