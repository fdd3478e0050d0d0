//! The columns that a scorer adds.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Float32Builder, ListBuilder};
use arrow::datatypes::{DataType, Field};

use crate::PairScores;

/// The columns of a scorer's cosine similarities, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Similarity {
    /// Of image and caption.
    pub caption: String,
    /// Of the image and each of its captions, in their order, where it has several.
    pub each: String,
    /// The largest of those, or that of the only caption.
    pub best: String,
}

impl Similarity {
    /// `clip_similarity`, `clip_similarities` and `clip_similarity_best` for the scorer `clip`.
    pub fn of(scorer: &str) -> Self {
        Self {
            caption: format!("{scorer}_similarity"),
            each: format!("{scorer}_similarities"),
            best: format!("{scorer}_similarity_best"),
        }
    }

    /// All three.
    pub fn names(&self) -> [&str; 3] {
        [&self.caption, &self.each, &self.best]
    }
}

/// The columns of scores, with a row for each: similarities, those of each caption and the best
/// where pairs may have several, then the others in the order of `names`.
pub fn arrays(
    similarity: &Similarity,
    names: &[String],
    several: bool,
    scores: &[PairScores],
) -> Vec<(String, ArrayRef)> {
    let column = |get: &dyn Fn(&PairScores) -> Option<f32>| -> ArrayRef {
        Arc::new(scores.iter().map(get).collect::<Float32Array>())
    };
    let mut columns =
        vec![(similarity.caption.clone(), column(&|s| s.similarities.first().copied()))];
    if several {
        let item = Field::new("item", DataType::Float32, false);
        let mut each = ListBuilder::new(Float32Builder::new()).with_field(item);
        for scores in scores {
            each.values().append_slice(&scores.similarities);
            each.append(true);
        }
        columns.push((similarity.each.clone(), Arc::new(each.finish())));
        let best = |s: &PairScores| s.similarities.iter().copied().reduce(f32::max);
        columns.push((similarity.best.clone(), column(&best)));
    }
    let others = names.iter().enumerate();
    columns
        .extend(others.map(|(at, name)| (name.clone(), column(&|s| s.columns.get(at).copied()))));
    columns
}

/// Whether names can be those of columns: lower case letters, digits and `_`, a letter first, and
/// each once.
///
/// # Errors
/// In words, naming the first that cannot.
pub fn check_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(plain) {
            let hint = "hint: lower case letters, digits and '_', a letter first";
            return Err(format!("{name:?} cannot be the name of a column\n{hint}"));
        }
        if seen.contains(&name) {
            return Err(format!("two columns would be {name:?}\nhint: give one another name"));
        }
        seen.push(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_each_is_there_once() {
        assert_eq!(
            Similarity::of("clip").names(),
            ["clip_similarity", "clip_similarities", "clip_similarity_best"]
        );
        assert_eq!(check_names(["a", "b_2"]), Ok(()));
        for (names, fault) in [
            (vec!["a", "a"], "two columns"),
            (vec!["A"], "\"A\""),
            (vec!["2a"], "\"2a\""),
            (vec![""], "\"\""),
            (vec!["a-b"], "hint: "),
        ] {
            assert!(check_names(names).unwrap_err().contains(fault));
        }
    }
}
