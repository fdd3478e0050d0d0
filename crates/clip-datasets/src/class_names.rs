//! What classes are called, and which of one set are which of another.

use clip_text::edit_distance;

use crate::registry::{is_wordnet_id, plain, subset as wordnet_ids};
use crate::{Error, EvalSet, Result};

/// For each of `count` classes the folder's word, from the folder's words and the class of each.
pub(crate) fn words_of_classes(
    listed: &[String],
    places: &[usize],
    count: usize,
) -> Vec<Option<String>> {
    let mut words = vec![None; count];
    for (word, &class) in listed.iter().zip(places) {
        if let Some(place) = words.get_mut(class) {
            *place = Some(word.clone());
        }
    }
    words
}

impl EvalSet {
    /// For each class of this set its place among the classes of `other`, by WordNet id where both
    /// have one, else by name. None for a class that this set's folder does not have.
    ///
    /// # Errors
    /// A class of this set's folder that `other` does not have.
    pub fn places_in(&self, other: &EvalSet) -> Result<Vec<Option<usize>>> {
        let (own, others) = (self.called(), other.called());
        let mut free = vec![true; others.len()];
        let mut places = vec![None; own.len()];
        for (class, place) in places.iter_mut().enumerate() {
            let found = (0..others.len()).find(|&at| free[at] && own[class].same(&others[at]));
            if let Some(at) = found {
                free[at] = false;
                *place = Some(at);
            } else if self.words[class].is_some() {
                let name = &self.classes[class];
                let near = other.nearest(name).join(", ");
                let reason = format!(
                    "class {name:?} of its {} part is not one of the {} of {} {}\nhint: the nearest are {near}; --classes leaves the others out",
                    self.split.name(),
                    other.classes.len(),
                    other.name,
                    other.split.name()
                );
                return Err(Error::Classes { set: self.name.clone(), reason });
            }
        }
        Ok(places)
    }

    /// What each class is called.
    pub(crate) fn called(&self) -> Vec<Called> {
        let letter = match self.dataset.map(|dataset| dataset.id.as_str()) {
            Some("imagenet" | "imagenetv2" | "imagenet-sketch") => Some(""),
            Some(id) => letter_of(id),
            None => None,
        };
        let of = self.subset.as_ref().map_or(self.classes.len(), |subset| subset.of);
        let mut ids: Vec<&str> = letter
            .map(|letter| wordnet_ids(letter).into_iter().map(|(id, _)| id).collect())
            .filter(|ids: &Vec<&str>| ids.len() == of)
            .unwrap_or_default();
        if let Some(subset) = &self.subset {
            let kept: Vec<bool> = subset.places.iter().map(Option::is_some).collect();
            retain(&mut ids, &kept);
        }
        let called = |class: usize| {
            let word = self.words[class].as_deref();
            let id = word.filter(|word| is_wordnet_id(word)).or_else(|| ids.get(class).copied());
            let mut names = vec![Word::new(&self.classes[class])];
            names.extend(self.prompts.names[class].iter().map(|name| Word::new(name)));
            Called { id: id.map(str::to_owned), word: word.map(Word::new), names }
        };
        (0..self.classes.len()).map(called).collect()
    }

    /// The three class names that are written most alike.
    pub(crate) fn nearest(&self, wanted: &str) -> Vec<String> {
        let words = self.words.iter().flatten().filter(|word| !is_wordnet_id(word));
        let mut names: Vec<&String> = self.classes.iter().chain(words).collect();
        names.sort_by_key(|name| (edit_distance(&plain(name), &plain(wanted)), *name));
        names.dedup();
        names.into_iter().take(3).map(|name| format!("{name:?}")).collect()
    }
}

/// What a class is called: its WordNet id, its folder's word, its names.
pub(crate) struct Called {
    id: Option<String>,
    word: Option<Word>,
    names: Vec<Word>,
}

impl Called {
    pub(crate) fn is(&self, wanted: &Word) -> bool {
        match &self.id {
            Some(id) if is_wordnet_id(&wanted.whole) => *id == wanted.whole,
            _ => self.word.iter().chain(&self.names).any(|word| word.same(wanted)),
        }
    }

    fn same(&self, other: &Self) -> bool {
        if let Some((one, other)) = self.id.as_ref().zip(other.id.as_ref()) {
            return one == other;
        }
        if self.names.iter().any(|one| other.names.iter().any(|other| one.same(other))) {
            return true;
        }
        // Numbers name nothing: the third class of one set is not that of another.
        let words = self.word.as_ref().zip(other.word.as_ref());
        words.is_some_and(|(one, other)| one.whole.contains(char::is_alphabetic) && one.same(other))
    }
}

/// A word, and its letters and digits alone.
pub(crate) struct Word {
    whole: String,
    plain: String,
}

impl Word {
    pub(crate) fn new(word: &str) -> Self {
        Self { whole: word.to_owned(), plain: plain(word) }
    }

    fn same(&self, other: &Self) -> bool {
        self.whole == other.whole || (!self.plain.is_empty() && self.plain == other.plain)
    }
}

/// The letter of a subset of ImageNet's classes.
pub(crate) fn letter_of(id: &str) -> Option<&'static str> {
    match id {
        "imagenet-a" => Some("a"),
        "imagenet-o" => Some("o"),
        "imagenet-r" => Some("r"),
        _ => None,
    }
}

/// Keeps the values whose place is kept.
pub(crate) fn retain<T>(values: &mut Vec<T>, kept: &[bool]) {
    let mut at = kept.iter();
    values.retain(|_| at.next().copied().unwrap_or(false));
}

#[cfg(test)]
mod tests {
    use crate::item::Split;
    use crate::test_files::write;
    use crate::{OpenOptions, open_named, open_with};

    #[test]
    fn classes_of_another_set_are_found_by_name() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[
                "a/train/ant/1.png",
                "a/train/bee/2.png",
                "a/train/cat/3.png",
                "b/Cat/4.png",
                "b/ant/5.png",
            ],
        );
        let train = OpenOptions { split: Split::Train, ..OpenOptions::default() };
        let train = open_with(&dir.path().join("a"), &train).unwrap();
        let test = crate::open(&dir.path().join("b")).unwrap();
        assert_eq!(test.classes, ["Cat", "ant"]);
        assert_eq!(test.places_in(&train).unwrap(), [Some(2), Some(0)]);
        write(dir.path(), &["b/cow/6.png"]);
        let test = crate::open(&dir.path().join("b")).unwrap();
        let message = test.places_in(&train).unwrap_err().to_string();
        assert!(message.contains("class \"cow\" of its test part"), "{message}");

        // WordNet ids decide where both have them; both of ImageNet's "missile" keep their own
        // place.
        write(
            dir.path(),
            &["c/train/n03773504/7.png", "c/train/n04008634/8.png", "d/n04008634/9.png"],
        );
        let train = OpenOptions { split: Split::Train, ..OpenOptions::default() };
        let train = open_with(&dir.path().join("c"), &train).unwrap();
        let named = format!("imagenet={}", dir.path().join("d").display());
        let test = open_named(&named, &OpenOptions::default()).unwrap();
        let class = test.items().next().unwrap().unwrap().truth.class().unwrap();
        assert_eq!(test.classes[class], "missile");
        assert_eq!(test.places_in(&train).unwrap()[class], Some(1));
    }
}
