//! Which class of the prompts each label of a set means: by name, by number, or by position.

use std::collections::BTreeMap;

use clip_text::edit_distance;

use crate::registry::{Labels, is_wordnet_id};
use crate::{Error, Result};

/// How the labels of a set (folder names, say) found their classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassMatch {
    /// Each is a name of its class.
    #[default]
    Name,
    /// Each is its class's number, from 0 or from 1.
    Number,
    /// None is a name or a number: the first in string order is the first class. May well be wrong.
    Position,
}

impl ClassMatch {
    /// Its name in result files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Number => "number",
            Self::Position => "position",
        }
    }
}

/// The class of each label.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pairing {
    pub kind: ClassMatch,
    pub places: Vec<usize>,
}

impl Pairing {
    /// Labels that are the classes themselves.
    pub(crate) fn same(count: usize) -> Self {
        Self { kind: ClassMatch::Name, places: (0..count).collect() }
    }

    /// Of labels that mean classes of one list, the places in another list that those classes mean.
    pub(crate) fn then(self, next: &Self) -> Self {
        let places = self.places.iter().map(|&at| next.places[at]).collect();
        Self { kind: self.kind.max(next.kind), places }
    }
}

/// Labels and names that are listed in a message.
const SHOWN: usize = 20;
const HINT: &str = "hint: rename them, or list the class of each in classnames.txt; under another name than the dataset's (mine=PATH) the labels are the classes";

/// Pairs labels with classes: by name where any is a name, else by number where all are numbers,
/// else by position where there is one for each class.
///
/// # Errors
/// When some labels are names and others are not, when numbers fit in no way or in several, or when
/// nothing fits.
pub(crate) fn pair(
    set: &str,
    found: &[String],
    names: &[Vec<String>],
    labels: &Labels,
) -> Result<Pairing> {
    let refuse = |reason: String| Error::Classes { set: set.to_owned(), reason };
    if found.len() == names.len() && found.iter().zip(names).all(|(a, b)| b.first() == Some(a)) {
        return Ok(Pairing::same(found.len()));
    }
    let spellings = labels.spellings(names);
    let places = by_name(found, names, labels, &spellings).map_err(refuse)?;
    let unmatched: Vec<&String> =
        found.iter().zip(&places).filter(|(_, place)| place.is_none()).map(|(l, _)| l).collect();
    if unmatched.is_empty() {
        return Ok(Pairing {
            kind: ClassMatch::Name,
            places: places.into_iter().flatten().collect(),
        });
    }
    let numbers: Vec<u64> = found.iter().filter_map(|label| number(label)).collect();
    if numbers.len() == found.len() {
        let places = by_number(found, &numbers, names, labels).map_err(refuse)?;
        return Ok(Pairing { kind: ClassMatch::Number, places });
    }
    let total = found.len();
    if unmatched.len() < total {
        let shown =
            listed(&unmatched, |label| match nearest(&labels.spelling(label), &spellings) {
                Some(class) => format!("{label:?} (nearest {:?})", names[class][0]),
                None => format!("{label:?}"),
            });
        let what = if unmatched.len() == 1 { "is no class name" } else { "are no class names" };
        let count = unmatched.len();
        return Err(refuse(format!("{count} of {total} labels {what}: {shown}\n{HINT}")));
    }
    if !numbers.is_empty() {
        let words: Vec<&String> = found.iter().filter(|label| number(label).is_none()).collect();
        let shown = listed(&words, |label| format!("{label:?}"));
        let count = words.len();
        return Err(refuse(format!(
            "{count} of {total} labels are no numbers, and none is a class name: {shown}\n{HINT}"
        )));
    }
    if labels.has_wordnet_ids() && found.iter().any(|label| is_wordnet_id(label)) {
        let shown = listed(&unmatched, |label| (*label).clone());
        return Err(refuse(format!("WordNet ids that are none of its classes: {shown}\n{HINT}")));
    }
    if total == names.len() {
        return Ok(Pairing { kind: ClassMatch::Position, places: (0..total).collect() });
    }
    let shown: Vec<String> = found.iter().take(5).map(|label| format!("{label:?}")).collect();
    let more = if total > 5 { ", …" } else { "" };
    Err(refuse(format!(
        "{total} classes in the set, {} in the prompts, and no name in common: {}{more}\n{HINT}",
        names.len(),
        shown.join(", ")
    )))
}

/// The class that has each label as a name. A name that stands for two classes (two of ImageNet's
/// do) is taken once for each, in order.
fn by_name(
    found: &[String],
    names: &[Vec<String>],
    labels: &Labels,
    spellings: &BTreeMap<String, Vec<usize>>,
) -> std::result::Result<Vec<Option<usize>>, String> {
    let mut owner: Vec<Option<&String>> = vec![None; names.len()];
    let mut places = Vec::with_capacity(found.len());
    for label in found {
        let Some(classes) = spellings.get(&labels.spelling(label)) else {
            places.push(None);
            continue;
        };
        let Some(&free) = classes.iter().find(|class| owner[**class].is_none()) else {
            let other = classes.first().and_then(|class| owner[*class]);
            let class = classes.first().map_or("", |class| names[*class][0].as_str());
            let other = other.map_or("", String::as_str);
            return Err(format!(
                "the labels {other:?} and {label:?} name one class, {class:?}\n{HINT}"
            ));
        };
        owner[free] = Some(label);
        places.push(Some(free));
    }
    Ok(places)
}

/// The class of each number, from 0 or from 1, whichever the numbers themselves show.
fn by_number(
    found: &[String],
    numbers: &[u64],
    names: &[Vec<String>],
    labels: &Labels,
) -> std::result::Result<Vec<usize>, String> {
    let count = names.len() as u64;
    let mut sorted: Vec<(u64, &String)> = numbers.iter().copied().zip(found).collect();
    sorted.sort();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!(
            "the labels {:?} and {:?} are one number\n{HINT}",
            pair[0].1, pair[1].1
        ));
    }
    let (least, most) = (sorted.first().map_or(0, |s| s.0), sorted.last().map_or(0, |s| s.0));
    let range = format!("{} labels are numbers from {least} to {most}", found.len());
    let base = match (least, most) {
        (0, most) if most < count => 0,
        (1.., most) if most == count => 1,
        (1.., most) if most < count => {
            return Err(format!(
                "{range}, but {count} classes are numbered from 0 to {} or from 1 to {count}, and neither 0 nor {count} is there to show which\n{HINT}",
                count - 1
            ));
        }
        _ => {
            return Err(format!(
                "{range}: out of range for {count} classes, which are numbered from 0 to {} or from 1 to {count}\n{HINT}",
                count.saturating_sub(1)
            ));
        }
    };
    if !labels.numbers.bases.contains(&base) {
        return Err(format!(
            "{range}, which do not say which class is meant: {}\n{HINT}",
            labels.numbers.why
        ));
    }
    let order = labels.numbered(names);
    Ok(numbers.iter().map(|number| order[(number - base) as usize]).collect())
}

/// A whole number; zeros may lead.
fn number(label: &str) -> Option<u64> {
    let digits = !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| label.parse().ok()).flatten()
}

/// Sorts labels: numbers by value where all are numbers, else as text.
pub(crate) fn sort(labels: &mut [String]) {
    if labels.iter().all(|label| number(label).is_some()) {
        labels.sort_by_key(|label| (number(label), label.clone()));
    } else {
        labels.sort();
    }
}

fn listed(labels: &[&String], show: impl Fn(&&String) -> String) -> String {
    let mut text: Vec<String> = labels.iter().take(SHOWN).map(show).collect();
    if labels.len() > SHOWN {
        text.push(format!("and {} more", labels.len() - SHOWN));
    }
    text.join(", ")
}

/// The class with the spelling that is the fewest edits from a label's, where they are at most half
/// of it.
fn nearest(label: &str, spellings: &BTreeMap<String, Vec<usize>>) -> Option<usize> {
    let far = |word: &String| edit_distance(label, word);
    let (edits, classes) =
        spellings.iter().map(|(word, classes)| (far(word), classes)).min_by_key(|near| near.0)?;
    classes.first().copied().filter(|_| edits * 2 <= label.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::labels;

    fn words(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn names(names: &[&str]) -> Vec<Vec<String>> {
        names.iter().map(|name| vec![(*name).to_owned()]).collect()
    }

    fn paired(
        found: &[&str],
        classes: &[&str],
    ) -> std::result::Result<(ClassMatch, Vec<usize>), String> {
        pair("set", &words(found), &names(classes), labels(None))
            .map(|pairing| (pairing.kind, pairing.places))
            .map_err(|error| error.to_string())
    }

    fn refused(found: &[&str], classes: &[&str], parts: &[&str]) {
        let message = paired(found, classes).unwrap_err();
        for part in parts.iter().chain(&["set: ", "\nhint: ", "classnames.txt", "(mine=PATH)"]) {
            assert!(message.contains(part), "{part:?} in {message}");
        }
    }

    #[test]
    fn names_are_matched_wherever_they_are() {
        let classes = ["polar bear", "ant", "owl"];
        assert_eq!(paired(&["Ant", "Polar_Bear"], &classes), Ok((ClassMatch::Name, vec![1, 0])));
        assert_eq!(paired(&["ant"], &classes), Ok((ClassMatch::Name, vec![1])));
        assert_eq!(paired(&["x", "y", "z"], &classes), Ok((ClassMatch::Position, vec![0, 1, 2])));
        let twice = ["sunglasses", "ant", "sunglasses"];
        let found = paired(&["ant", "sunglasses", "Sunglasses"], &twice);
        assert_eq!(found, Ok((ClassMatch::Name, vec![1, 0, 2])));
    }

    #[test]
    fn one_name_that_is_none_refuses_all() {
        let classes = ["polar bear", "ant", "owl"];
        refused(
            &["ant", "owl", "polarbaer"],
            &classes,
            &["1 of 3 labels is no class name: \"polarbaer\" (nearest \"polar bear\")"],
        );
        refused(&["ant", "qqqqqq", "wwwww"], &classes, &["2 of 3", "\"qqqqqq\", \"wwwww\"\n"]);
        refused(&["ant", "Ant"], &classes, &["\"ant\" and \"Ant\" name one class, \"ant\""]);
        refused(&["w", "x", "y", "z"], &classes, &["4 classes", "3 in the prompts", "\"w\""]);
        refused(&["a", "b"], &classes, &["2 classes in the set"]);
        let many: Vec<String> = (0..30).map(|n| format!("what{n}")).chain(["ant".into()]).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        refused(&many, &classes, &["30 of 31", "and 10 more"]);
    }

    #[test]
    fn numbers_go_by_value() {
        let classes: Vec<String> =
            (0..12).map(|n| format!("class {}", (b'a' + n) as char)).collect();
        let classes: Vec<&str> = classes.iter().map(String::as_str).collect();
        let number = |places: Vec<usize>| Ok((ClassMatch::Number, places));
        assert_eq!(paired(&["0", "1", "10", "11", "2"], &classes), number(vec![0, 1, 10, 11, 2]));
        assert_eq!(paired(&["1", "10", "12", "2"], &classes), number(vec![0, 9, 11, 1]));
        assert_eq!(paired(&["00000", "00011"], &classes), number(vec![0, 11]));
        refused(
            &["1", "2", "11"],
            &classes,
            &["3 labels are numbers from 1 to 11", "neither 0 nor 12"],
        );
        refused(&["0", "12"], &classes, &["out of range for 12 classes", "from 0 to 11"]);
        refused(&["1", "13"], &classes, &["out of range"]);
        refused(&["1", "01", "12"], &classes, &["\"01\" and \"1\" are one number"]);
        refused(&["0", "1", "extra"], &classes, &["1 of 3 labels are no numbers", "\"extra\""]);
        let far = format!("9{}", "0".repeat(30));
        assert!(paired(&["0", &far], &classes).is_err());
    }

    #[test]
    fn numbers_mean_what_the_authors_mean() {
        let of = |id: &str, protocol, found: &[&str]| {
            let prompts = crate::prompts(id, protocol).unwrap();
            let found = pair(id, &words(found), &prompts.names, labels(Some(id)));
            let found = found.map_err(|error| error.to_string())?;
            let named = found.places.iter().map(|&at| prompts.names[at][0].clone());
            Ok::<_, String>((found.kind, named.collect::<Vec<_>>()))
        };
        let (theirs, number) = (crate::Protocol::ClipBenchmark, ClassMatch::Number);
        let openai = crate::Protocol::OpenAi;
        let six = ["0", "1", "2", "3", "4", "5", "6"];
        let feelings = ["angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral"];
        for protocol in [openai, theirs] {
            assert_eq!(of("fer2013", protocol, &six), Ok((number, words(&feelings))));
            let found = of("pets", protocol, &["1", "2", "6", "37"]).unwrap().1;
            let found: Vec<String> = found.iter().map(|name| name.to_lowercase()).collect();
            assert_eq!(found, ["abyssinian", "american bulldog", "bengal", "yorkshire terrier"]);
            let found = of("eurosat", protocol, &["0", "5", "9"]).unwrap().1;
            assert_eq!(found, ["annual crop land", "pasture land", "lake or sea"]);
            let found = of("sun397", protocol, &["0", "206", "207"]).unwrap().1;
            assert_eq!(found, ["abbey", "jail indoor", "jail cell"]);
            let found = of("ucf101", protocol, &["1", "35", "36", "47", "48", "101"]).unwrap().1;
            let wanted = [
                "Apply Eye Makeup",
                "Hammering",
                "Hammer Throw",
                "Jumping Jack",
                "Jump Rope",
                "Yo Yo",
            ];
            assert_eq!(found, wanted);
        }
        assert_eq!(of("clevr", theirs, &["0", "7"]).unwrap().1, ["three", "ten"]);
        assert_eq!(
            of("clevr", theirs, &["3", "10"]),
            Ok((ClassMatch::Name, words(&["three", "ten"])))
        );
        assert_eq!(of("mnist", openai, &["3", "7"]), Ok((ClassMatch::Name, words(&["3", "7"]))));
        assert_eq!(of("svhn", theirs, &["1", "10"]).unwrap().1, ["one", "zero"]);
        for (id, protocol, found, part) in [
            ("mnist", openai, &["1", "10"][..], "a digit is the name"),
            ("imagenet", openai, &["1", "1000"], "development kit"),
            ("caltech101", openai, &["0", "101"], "number no classes"),
            ("clevr", openai, &["1", "8"], "three objects 0"),
        ] {
            let message = of(id, protocol, found).unwrap_err();
            assert!(message.contains(part), "{id}: {message}");
        }
    }

    #[test]
    fn labels_are_sorted_by_value_or_as_text() {
        let mut labels = words(&["10", "2", "0"]);
        sort(&mut labels);
        assert_eq!(labels, ["0", "2", "10"]);
        let mut labels = words(&["10", "2", "a"]);
        sort(&mut labels);
        assert_eq!(labels, ["10", "2", "a"]);
    }
}
