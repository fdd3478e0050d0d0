//! Class names and prompt templates, by protocol.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::{Error, Result};

/// Whose prompts, class order and metrics an evaluation follows. Its name is given with every
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// The paper's, as OpenAI published them.
    #[serde(rename = "openai")]
    OpenAi,
    /// CLIP_benchmark's.
    ClipBenchmark,
    /// DataComp's: CLIP_benchmark's prompts with DataComp's main metrics.
    #[serde(rename = "datacomp")]
    DataComp,
    /// What is in the set's own folder.
    #[default]
    Folder,
}

impl Protocol {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::ClipBenchmark => "clip-benchmark",
            Self::DataComp => "datacomp",
            Self::Folder => "folder",
        }
    }
}

impl std::str::FromStr for Protocol {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let all = [Self::OpenAi, Self::ClipBenchmark, Self::DataComp, Self::Folder];
        all.into_iter().find(|p| p.name() == name).ok_or_else(|| Error::Unknown {
            what: "protocol",
            name: name.to_owned(),
            known: all.map(Self::name).join(", "),
        })
    }
}

/// What is said of each class.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prompts {
    /// The names of each class; most have one.
    pub names: Vec<Vec<String>>,
    /// Templates; `{c}` is a name.
    pub templates: Vec<String>,
    /// Whole prompts of each class, in place of names and templates.
    pub own: Option<Vec<Vec<String>>>,
}

impl Prompts {
    /// The prompts of a class, those of each name apart.
    pub fn of(&self, class: usize) -> Vec<Vec<String>> {
        if let Some(own) = &self.own {
            return vec![own[class].clone()];
        }
        let fill = |name: &String| self.templates.iter().map(|t| t.replace("{c}", name)).collect();
        self.names[class].iter().map(fill).collect()
    }

    /// blake3 of every prompt in order: two evaluations with the same one asked the same.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for class in 0..self.names.len() {
            for name in self.of(class) {
                for prompt in name {
                    hasher.update(prompt.as_bytes()).update(b"\n");
                }
                hasher.update(b"\x01");
            }
            hasher.update(b"\x02");
        }
        hasher.finalize().to_hex().to_string()
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Many(Vec<String>),
}

impl Names {
    fn all(&self) -> Vec<String> {
        match self {
            Self::One(name) => vec![name.clone()],
            Self::Many(names) => names.clone(),
        }
    }
}

#[derive(Deserialize, Default)]
struct Entry {
    templates: Option<Vec<String>>,
    classes: Option<Vec<Names>>,
}

type Table = BTreeMap<String, Entry>;

#[expect(clippy::expect_used, reason = "constants, read by every test")]
static OPENAI: LazyLock<Table> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../data/prompts_openai.json")).expect("valid prompts")
});

#[expect(clippy::expect_used, reason = "constants, read by every test")]
static CLIP_BENCHMARK: LazyLock<Table> = LazyLock::new(|| {
    let text = include_str!("../../data/prompts_clip_benchmark.json");
    serde_json::from_str(text).expect("valid prompts")
});

const WNIDS: &str = include_str!("../../data/imagenet_wnids.txt");

/// ImageNet's classes in a subset: WordNet id and place among the 1,000. The whole is the subset
/// "".
pub(crate) fn subset(letter: &str) -> Vec<(&'static str, usize)> {
    let lines = WNIDS.lines().enumerate();
    let kept = lines.filter_map(|(at, line)| {
        let (wnid, sets) = line.split_once(' ').unwrap_or((line, ""));
        (letter.is_empty() || sets.contains(letter)).then_some((wnid, at))
    });
    kept.collect()
}

/// ImageNet's names for these places.
fn imagenet_names(places: &[usize]) -> Vec<Vec<String>> {
    let classes = OPENAI.get("imagenet").and_then(|entry| entry.classes.as_ref());
    let name = |&at: &usize| classes.and_then(|c| c.get(at)).map(Names::all).unwrap_or_default();
    places.iter().map(name).collect()
}

/// The prompts of a dataset under a protocol; none where the protocol has none.
pub fn prompts(id: &str, protocol: Protocol) -> Option<Prompts> {
    let shift = match id {
        "imagenetv2" | "imagenet-sketch" => Some(""),
        "imagenet-a" => Some("a"),
        "imagenet-o" => Some("o"),
        "imagenet-r" => Some("r"),
        _ => None,
    };
    if let Some(letter) = shift {
        let places: Vec<usize> = subset(letter).into_iter().map(|(_, at)| at).collect();
        let imagenet = prompts("imagenet", protocol)?;
        return Some(Prompts { names: imagenet_names(&places), ..imagenet });
    }
    let openai = OPENAI.get(id);
    let theirs = match protocol {
        Protocol::OpenAi => None,
        Protocol::ClipBenchmark | Protocol::DataComp => CLIP_BENCHMARK.get(id),
        Protocol::Folder => return None,
    };
    let entries = || theirs.into_iter().chain(openai);
    let classes = entries().find_map(|entry| entry.classes.as_ref())?;
    let templates = entries().find_map(|entry| entry.templates.as_ref())?;
    let names = classes.iter().map(Names::all).collect();
    Some(Prompts { names, templates: templates.clone(), own: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_openais_list() {
        for (id, classes, templates) in [
            ("birdsnap", 500, 1),
            ("cifar10", 10, 18),
            ("cifar100", 100, 18),
            ("clevr", 8, 1),
            ("caltech101", 102, 34),
            ("country211", 211, 5),
            ("dtd", 47, 8),
            ("eurosat", 10, 3),
            ("aircraft", 100, 2),
            ("fer2013", 7, 6),
            ("flowers", 102, 1),
            ("food101", 101, 1),
            ("gtsrb", 43, 3),
            ("hateful-memes", 2, 1),
            ("kitti", 4, 1),
            ("kinetics700", 700, 28),
            ("mnist", 10, 1),
            ("pets", 37, 1),
            ("voc2007", 20, 1),
            ("pcam", 2, 1),
            ("resisc45", 45, 18),
            ("sst2", 2, 1),
            ("stl10", 10, 2),
            ("sun397", 397, 2),
            ("cars", 196, 8),
            ("ucf101", 101, 48),
            ("imagenet", 1000, 80),
            ("imagenet-a", 200, 80),
            ("imagenet-r", 200, 80),
            ("imagenetv2", 1000, 80),
        ] {
            let found = prompts(id, Protocol::OpenAi).unwrap();
            assert_eq!((found.names.len(), found.templates.len()), (classes, templates), "{id}");
            assert!(found.templates.iter().all(|t| t.contains("{c}")), "{id}");
        }
    }

    #[test]
    fn fer2013_has_several_names_a_class_and_imagenet_two_names_twice() {
        let fer = prompts("fer2013", Protocol::OpenAi).unwrap();
        assert_eq!(fer.names[5], ["surprised", "shocked", "spooked"]);
        assert_eq!((fer.of(5).len(), fer.of(5)[1].len()), (3, 6));
        let names = prompts("imagenet", Protocol::OpenAi).unwrap().names;
        let mut twice: Vec<&str> = names
            .iter()
            .filter(|n| names.iter().filter(|m| m == n).count() > 1)
            .map(|n| n[0].as_str())
            .collect();
        twice.dedup();
        twice.sort_unstable();
        twice.dedup();
        assert_eq!(twice, ["missile", "sunglasses"]);
    }

    #[test]
    fn protocols_differ_where_the_tools_do() {
        let both = |id: &str| {
            (prompts(id, Protocol::OpenAi).unwrap(), prompts(id, Protocol::ClipBenchmark).unwrap())
        };
        for id in ["clevr", "eurosat", "pets", "fer2013", "pcam", "resisc45"] {
            let (a, b) = both(id);
            assert_ne!(a.hash(), b.hash(), "{id}");
        }
        for id in ["cifar10", "food101", "imagenet", "cars", "kitti"] {
            let (a, b) = both(id);
            assert_eq!(a.hash(), b.hash(), "{id}");
        }
        assert!("open-ai".parse::<Protocol>().unwrap_err().to_string().contains("openai"));
    }
}
