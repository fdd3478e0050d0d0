//! Whether a caption names a class: what makes a copied image also a copied label (paper, section
//! 5, Country211).

/// Words in lower case, anything else cut away.
fn words(text: &str) -> Vec<String> {
    let cut = |c: char| !c.is_alphanumeric();
    text.split(cut).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Whether the caption has the class's name as consecutive words, in the singular or with an `s` or
/// `es`.
pub fn names(caption: &str, class: &str) -> bool {
    let (caption, class) = (words(caption), words(class));
    let same = |said: &str, word: &str| {
        said == word || said.strip_prefix(word).is_some_and(|rest| matches!(rest, "s" | "es"))
    };
    !class.is_empty()
        && caption
            .windows(class.len())
            .any(|window| window.iter().zip(&class).all(|(said, word)| same(said, word)))
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
}
