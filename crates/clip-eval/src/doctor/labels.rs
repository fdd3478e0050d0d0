//! What a set's class names are, and how its labels found them.

use std::collections::BTreeMap;

use clip_datasets::{ClassMatch, EvalSet, Protocol, prompts as known_prompts};

use super::finding::{Finding, finding, listed};

/// How the labels found their classes: by position is as likely wrong as right.
pub(super) fn matched(set: &EvalSet) -> Finding {
    let count = set.labels().count();
    let about = match set.class_match {
        ClassMatch::Name => format!("{count} labels, each a name of its class"),
        ClassMatch::Number => {
            let numbers = set.labels().map(|(label, class)| format!("{label} is {class:?}"));
            let shown: Vec<String> = numbers.take(3).collect();
            format!("{count} labels, each the number of its class: {}, …", shown.join(", "))
        }
        ClassMatch::Position => {
            let pairs: Vec<String> =
                set.labels().map(|(label, class)| format!("{label} -> {class}")).collect();
            listed(&pairs, "matched by position: no folder name is a class name")
        }
    };
    finding("class match", set.class_match != ClassMatch::Position, about)
}

/// Prompts that are missing, and class names that are no names.
pub(super) fn prompts(set: &EvalSet) -> Finding {
    let mut faults = Vec::new();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for (class, name) in set.classes.iter().enumerate() {
        *names.entry(name).or_default() += 1;
        if set.prompts(class).is_empty() || set.prompts(class).iter().any(|p| p.trim().is_empty()) {
            faults.push(format!("{name:?} has none"));
        }
    }
    faults.extend(no_names(set));
    let twice: Vec<&str> = names.iter().filter(|(_, n)| **n > 1).map(|(name, _)| *name).collect();
    let mut about = if faults.is_empty() {
        format!(
            "{} classes, {} templates ({})",
            set.classes.len(),
            set.all_prompts().templates.len(),
            set.protocol.name()
        )
    } else {
        listed(&faults, "prompts are missing or odd")
    };
    if !twice.is_empty() {
        about.push_str(&format!(
            "; names that occur twice tie, and the first wins: {}",
            twice.join(", ")
        ));
    }
    finding("prompts", faults.is_empty(), about)
}

/// Class names that say nothing to a model: WordNet ids, numbers, and codes where most are codes.
/// The names that a protocol has for the dataset are never among them (MNIST's digits, the variants
/// of aircraft).
fn no_names(set: &EvalSet) -> Vec<String> {
    let known = known_names(set);
    let odd = |name: &String| match kind(name) {
        Kind::Name => None,
        _ if known.contains(name) => None,
        kind => Some((name.clone(), kind)),
    };
    let found: Vec<(String, Kind)> = set.classes.iter().filter_map(odd).collect();
    let most = found.len() * 2 > set.classes.len();
    let fault = |(name, kind): (String, Kind)| match kind {
        Kind::WordNet => Some(format!("{name:?} is a WordNet id, not a name")),
        Kind::Number => Some(format!("{name:?} is a number, not a name")),
        Kind::Code if most => Some(format!("{name:?} is a code, not a name")),
        Kind::Code | Kind::Name => None,
    };
    found.into_iter().filter_map(fault).collect()
}

/// The class names of the set's dataset under any protocol that has prompts of its own.
fn known_names(set: &EvalSet) -> Vec<String> {
    let protocols = [Protocol::OpenAi, Protocol::ClipBenchmark];
    let prompts = set.dataset.into_iter().flat_map(|d| protocols.map(|p| known_prompts(&d.id, p)));
    prompts.flatten().flat_map(|prompts| prompts.names.concat()).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Name,
    WordNet,
    Number,
    Code,
}

/// What a class name looks like.
fn kind(name: &str) -> Kind {
    let words = || name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let digits = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let wordnet =
        |word: &str| word.strip_prefix('n').is_some_and(|rest| rest.len() == 8 && digits(rest));
    if words().any(wordnet) {
        return Kind::WordNet;
    }
    if words().next().is_some() && words().all(digits) {
        return Kind::Number;
    }
    let letters = name.chars().filter(|c| c.is_alphabetic()).count();
    let generic = ["class", "label", "category", "cat", "cls", "id"];
    let first = name.trim_end_matches(|c: char| !c.is_alphabetic()).to_lowercase();
    let numbered = name.ends_with(|c: char| c.is_ascii_digit());
    let upper = name.chars().filter(|c| c.is_alphabetic()).all(char::is_uppercase);
    let code = numbered && (generic.contains(&first.as_str()) || letters <= 3);
    if code || (upper && (1..=3).contains(&letters)) { Kind::Code } else { Kind::Name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_datasets::{OpenOptions, open, open_with};

    fn set(root: &std::path::Path, folders: &[&str]) {
        for folder in folders {
            std::fs::create_dir_all(root.join(folder)).unwrap();
            std::fs::write(root.join(folder).join("1.png"), b"x").unwrap();
        }
    }

    #[test]
    fn ids_numbers_and_codes_are_no_names() {
        for (name, wanted) in [
            ("n01440764", Kind::WordNet),
            ("n01440764 tench", Kind::WordNet),
            ("00042", Kind::Number),
            ("3 4", Kind::Number),
            ("AD", Kind::Code),
            ("class 12", Kind::Code),
            ("c001", Kind::Code),
            ("Boeing 737-200", Kind::Name),
            ("ox", Kind::Name),
            ("cat", Kind::Name),
            ("polar bear", Kind::Name),
            ("熊", Kind::Name),
        ] {
            assert_eq!(kind(name), wanted, "{name}");
        }
    }

    #[test]
    fn prompts_of_numbers_and_codes_are_bad() {
        for (folders, good, part) in [
            (&["1", "2", "3"][..], false, "\"1\" is a number"),
            (&["AD", "AE", "FR"], false, "\"AD\" is a code"),
            (&["cat", "dog", "TV"], true, "3 classes"),
            (&["n01440764", "n01443537", "n00000001"], false, "\"n00000001\" is a WordNet id"),
            (&["n01440764", "n01443537"], true, "2 classes, 80 templates (openai)"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            set(dir.path(), folders);
            let found = prompts(&open(dir.path()).unwrap());
            assert!(found.good == good && found.about.contains(part), "{folders:?}: {found:?}");
        }
        // MNIST's digits are its names, whoever brings them.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mnist");
        set(&path, &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        assert!(prompts(&open(&path).unwrap()).good);
    }

    #[test]
    fn a_match_by_position_is_bad_and_shows_the_pairs() {
        let dir = tempfile::tempdir().unwrap();
        set(dir.path(), &["x", "y"]);
        let named = |name: &str| {
            let options = OpenOptions { name: Some(name.into()), ..OpenOptions::default() };
            matched(&open_with(dir.path(), &options).unwrap())
        };
        let found = named("sst2");
        assert!(!found.good, "{found:?}");
        assert!(found.about.contains("matched by position: no folder name is a class name"));
        assert!(found.about.contains("x -> negative, y -> positive"), "{found:?}");
        assert!(matched(&open(dir.path()).unwrap()).good);
    }
}
