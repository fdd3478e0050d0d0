//! What the classes of a dataset are called elsewhere, and how its authors number them
//! (`data/labels.json`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::{plain, prompts::subset};

/// The labels that a dataset's copies have in place of the prompts' class names.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Labels {
    /// Other names of a class, by one of its names in any protocol.
    also: BTreeMap<String, Vec<String>>,
    /// The subset of ImageNet whose WordNet ids name the classes.
    wnids: Option<String>,
    /// Whether names are paths below a folder of their first letter, as `/a/abbey`.
    letters: bool,
    /// What a number means.
    pub numbers: Numbers,
}

/// What a number means as a label.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(crate) struct Numbers {
    /// The numbers of the first class that are in use; none where a number says nothing.
    pub bases: Vec<u64>,
    /// Why the others are refused.
    pub why: String,
    /// Names in the authors' order, where that is not the prompts'.
    order: Option<Vec<String>>,
    /// Classes that the authors have in each other's place.
    swapped: Vec<[String; 2]>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { bases: vec![0, 1], why: String::new(), order: None, swapped: Vec::new() }
    }
}

#[expect(clippy::expect_used, reason = "constants, read by every test")]
static LABELS: LazyLock<BTreeMap<String, Labels>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../data/labels.json")).expect("the labels are valid")
});

/// The labels of a dataset; those of any other have no other names and count from 0 or 1.
pub(crate) fn labels(id: Option<&str>) -> &'static Labels {
    static NONE: LazyLock<Labels> = LazyLock::new(Labels::default);
    id.and_then(|id| LABELS.get(id)).unwrap_or_else(|| &NONE)
}

/// The places of WordNet ids among ImageNet's 1,000 classes, where all of at least two names are
/// such ids.
pub(crate) fn wordnet_places(names: &[String]) -> Option<Vec<usize>> {
    if names.len() < 2 || !names.iter().all(|name| is_wordnet_id(name)) {
        return None;
    }
    let places: BTreeMap<&str, usize> = subset("").into_iter().collect();
    names.iter().map(|name| places.get(name.as_str()).copied()).collect()
}

/// `n` and eight digits.
pub(crate) fn is_wordnet_id(name: &str) -> bool {
    let digits = name.strip_prefix('n').unwrap_or_default();
    digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

impl Labels {
    /// Whether WordNet ids are names of its classes.
    pub(crate) fn has_wordnet_ids(&self) -> bool {
        self.wnids.is_some()
    }

    /// Every spelling of every class in [`plain`] letters, with the classes that have it,
    /// ascending.
    pub(crate) fn spellings(&self, names: &[Vec<String>]) -> BTreeMap<String, Vec<usize>> {
        let mut others: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, also) in &self.also {
            let group: Vec<String> = also.iter().chain([name]).map(|word| plain(word)).collect();
            for word in &group {
                others.entry(word.clone()).or_default().extend(group.iter().cloned());
            }
        }
        let wnids = self.wnids.as_deref().map(subset).unwrap_or_default();
        let mut spellings: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (class, names) in names.iter().enumerate() {
            let mut words: Vec<String> = names.iter().map(|name| plain(name)).collect();
            let also: Vec<String> =
                words.iter().filter_map(|word| others.get(word)).flatten().cloned().collect();
            words.extend(also);
            words.extend(wnids.get(class).map(|(wnid, _)| (*wnid).to_owned()));
            words.sort();
            words.dedup();
            for word in words.into_iter().filter(|word| !word.is_empty()) {
                spellings.entry(word).or_default().push(class);
            }
        }
        spellings
    }

    /// A label as it is looked up among the spellings.
    pub(crate) fn spelling(&self, label: &str) -> String {
        plain(if self.letters { without_letter(label) } else { label })
    }

    /// The class of each number from the base up.
    pub(crate) fn numbered(&self, names: &[Vec<String>]) -> Vec<usize> {
        let spellings = self.spellings(names);
        let place = |name: &String| spellings.get(&plain(name)).and_then(|at| at.first()).copied();
        let mut places: Vec<usize> = match &self.numbers.order {
            Some(order) => order.iter().filter_map(place).collect(),
            None => (0..names.len()).collect(),
        };
        for [one, other] in &self.numbers.swapped {
            if let (Some(one), Some(other)) = (place(one), place(other)) {
                places.swap(one, other);
            }
        }
        places
    }
}

/// A path without the folder of its first letter (SUN397's `/a/abbey`).
fn without_letter(path: &str) -> &str {
    let path = path.trim_start_matches('/');
    match path.split_once('/') {
        Some((letter, rest)) if letter.len() == 1 && rest.starts_with(letter) => rest,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Protocol, datasets, prompts};

    #[test]
    fn labels_name_classes_of_known_datasets() {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("../../data/labels.json")).unwrap();
        for (id, entry) in file.as_object().unwrap() {
            assert!(id == "imagenet-o" || datasets().iter().any(|d| &d.id == id), "{id}");
            let known = ["source", "also", "wnids", "letters", "numbers"];
            let keys: Vec<&String> = entry.as_object().unwrap().keys().collect();
            assert!(keys.iter().all(|key| known.contains(&key.as_str())), "{id}: {keys:?}");
            let known = ["bases", "why", "order", "swapped"];
            let numbers = entry["numbers"].as_object().cloned().unwrap_or_default();
            assert!(numbers.keys().all(|key| known.contains(&key.as_str())), "{id}");
            for protocol in [Protocol::OpenAi, Protocol::ClipBenchmark] {
                let Some(prompts) = prompts(id, protocol) else { continue };
                let labels = labels(Some(id));
                let spellings = labels.spellings(&prompts.names);
                for (name, also) in &labels.also {
                    for word in also.iter().chain([name]) {
                        assert!(spellings.contains_key(&plain(word)), "{id}: {word}");
                    }
                }
                let mut order = labels.numbered(&prompts.names);
                order.sort_unstable();
                assert!(order.into_iter().eq(0..prompts.names.len()), "{id}: not a permutation");
                for [one, other] in &labels.numbers.swapped {
                    assert!(spellings.contains_key(&plain(one)), "{id}: {one}");
                    assert!(spellings.contains_key(&plain(other)), "{id}: {other}");
                }
                let odd = labels.numbers.bases != [0, 1];
                assert!(!odd || !labels.numbers.why.is_empty(), "{id}: no reason");
            }
        }
    }

    #[test]
    fn no_spelling_means_two_classes() {
        for dataset in datasets() {
            for protocol in [Protocol::OpenAi, Protocol::ClipBenchmark] {
                let Some(prompts) = prompts(&dataset.id, protocol) else { continue };
                let spellings = labels(Some(&dataset.id)).spellings(&prompts.names);
                let twice: Vec<&String> =
                    spellings.iter().filter(|s| s.1.len() > 1).map(|s| s.0).collect();
                let imagenets =
                    twice.iter().all(|w| ["missile", "sunglasses"].contains(&w.as_str()));
                assert!(imagenets, "{}: {twice:?}", dataset.id);
            }
        }
    }

    #[test]
    fn wordnet_ids_and_letters() {
        let names = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert_eq!(wordnet_places(&names(&["n01440764", "n15075141"])), Some(vec![0, 999]));
        assert_eq!(wordnet_places(&names(&["n01440764"])), None);
        assert_eq!(wordnet_places(&names(&["n01440764", "n00000000"])), None);
        assert!(!is_wordnet_id("n0144076") && !is_wordnet_id("x01440764"));
        assert_eq!(without_letter("/a/apse/indoor"), "apse/indoor");
        assert_eq!(without_letter("apse/indoor"), "apse/indoor");
        assert_eq!(without_letter("a/b"), "a/b");
    }
}
