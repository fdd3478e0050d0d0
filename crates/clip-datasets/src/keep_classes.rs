//! Keeping some of a set's classes, by name.

use std::path::Path;

use crate::class_names::{Word, letter_of, retain};
use crate::error::text;
use crate::item::Task;
use crate::registry::subset as wordnet_ids;
use crate::set::EvalSet;
use crate::subset::ClassSubset;
use crate::{Error, Result};

impl EvalSet {
    /// Keeps some of the classes: items, prompts and names of the others are left out, and the kept
    /// ones are renumbered in the order of the set. `asked` is a file with a class a line, the
    /// name of a subset of ImageNet's classes (`imagenet-a`, `imagenet-o`, `imagenet-r`), or
    /// classes separated by commas; a class is its name, its folder's name or its WordNet id.
    ///
    /// # Errors
    /// A set of captions, a class that the set does not have, or fewer than two classes.
    pub fn keep_classes(&mut self, asked: &str) -> Result<()> {
        let bad = |set: &Self, reason: String| Error::Classes { set: set.name.clone(), reason };
        if self.task == Task::Retrieval {
            return Err(bad(self, "--classes: a set of captions has no classes".into()));
        }
        if self.subset.is_some() {
            return Err(bad(self, "some of its classes were left out already".into()));
        }
        let called = self.called();
        let mut kept = vec![false; called.len()];
        for wanted in asked_classes(asked)? {
            let mut found = false;
            let word = Word::new(&wanted);
            for (kept, class) in kept.iter_mut().zip(&called) {
                if class.is(&word) {
                    (*kept, found) = (true, true);
                }
            }
            if !found {
                let near = self.nearest(&wanted).join(", ");
                let reason = format!(
                    "no class {wanted:?} among its {}\nhint: the nearest are {near}; --classes takes a file, imagenet-a, imagenet-o, imagenet-r, or names",
                    self.classes.len()
                );
                return Err(bad(self, reason));
            }
        }
        let count = kept.iter().filter(|kept| **kept).count();
        if count < 2 && self.task == Task::Classification {
            return Err(bad(self, format!("{count} class: every item would be of it")));
        }
        let mut next = 0..;
        let places = kept.iter().map(|kept| if *kept { next.next() } else { None }).collect();
        let of = self.classes.len();
        retain(&mut self.classes, &kept);
        retain(&mut self.words, &kept);
        retain(&mut self.prompts.names, &kept);
        if let Some(own) = &mut self.prompts.own {
            retain(own, &kept);
        }
        let name = asked.to_owned();
        self.subset = Some(ClassSubset { name, classes: count, of, places });
        Ok(())
    }

    /// The keys of the items in order, where they are known without reading the items. With a
    /// subset of the classes some of these items are left out.
    pub fn keys(&self) -> Option<Vec<String>> {
        self.source.keys()
    }

    /// Leaves out the items that `keep` does not name, where [`EvalSet::keys`] are known.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.source.retain(keep);
    }
}

fn asked_classes(asked: &str) -> Result<Vec<String>> {
    let words = |text: &str, by: char| -> Vec<String> {
        let words = text.split(by).map(str::trim).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let path = Path::new(asked);
    if path.is_file() {
        return Ok(words(&text(path)?, '\n'));
    }
    if let Some(letter) = letter_of(asked) {
        return Ok(wordnet_ids(letter).into_iter().map(|(id, _)| id.to_owned()).collect());
    }
    Ok(words(asked, ','))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_files::write;
    use crate::{OpenOptions, open_named};

    fn truths(set: &EvalSet) -> Vec<(String, Option<usize>)> {
        let items = set.items().map(Result::unwrap);
        items.map(|item| (item.key, item.truth.class())).collect()
    }

    #[test]
    fn items_and_prompts_of_other_classes_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &["ant/1.png", "polar_bear/2.png", "cat/3.png", "dog/4.png"]);
        let open = || crate::open(dir.path()).unwrap();
        let mut set = open();
        set.keep_classes("dog, Polar Bear").unwrap();
        assert_eq!(set.classes, ["dog", "polar bear"]);
        assert_eq!(
            truths(&set),
            [("dog/4.png".into(), Some(0)), ("polar_bear/2.png".into(), Some(1))]
        );
        assert_eq!((set.prompts(1), set.len()), (vec!["a photo of a polar bear.".into()], None));
        let subset = set.subset.as_ref().unwrap();
        assert_eq!((subset.classes, subset.of), (2, 4));
        assert_ne!(set.all_prompts().hash(), open().all_prompts().hash());

        let list = dir.path().join("list.txt");
        std::fs::write(&list, "polar_bear\nant\n\n").unwrap();
        let mut set = open();
        set.keep_classes(list.to_str().unwrap()).unwrap();
        assert_eq!(set.classes, ["ant", "polar bear"]);

        let message = open().keep_classes("dog,polar baer").unwrap_err().to_string();
        assert!(message.contains("no class \"polar baer\" among its 4"), "{message}");
        assert!(message.contains("nearest are \"polar bear\""), "{message}");
        assert!(open().keep_classes("dog").unwrap_err().to_string().contains("1 class"));
    }

    #[test]
    fn imagenets_classes_go_by_wordnet_id() {
        let dir = tempfile::tempdir().unwrap();
        // Goldfish is in ImageNet-R; bolete, the last but one of ImageNet, in none of the subsets.
        write(dir.path(), &["val/n01443537/a.JPEG", "val/n13054560/b.JPEG"]);
        let open = |name: &str| {
            open_named(&format!("{name}={}", dir.path().display()), &OpenOptions::default())
        };
        let mut set = open("imagenet").unwrap();
        set.keep_classes("imagenet-r").unwrap();
        assert_eq!((set.classes.len(), set.subset.as_ref().unwrap().of), (200, 1000));
        let found = truths(&set);
        assert_eq!(found.len(), 1);
        assert_eq!(set.classes[found[0].1.unwrap()], "goldfish");
        // Its 200 classes are those of ImageNet-R in the same order.
        let prompts = crate::prompts("imagenet-r", crate::Protocol::OpenAi).unwrap();
        assert_eq!(set.all_prompts().hash(), prompts.hash());
        // "sunglasses" names two of ImageNet's classes, a WordNet id for one.
        let mut set = open("imagenet").unwrap();
        set.keep_classes("sunglasses,n01443537").unwrap();
        assert_eq!(set.classes.len(), 3);
    }
}
