//! The loaders over the trees of `scripts/oracles/loaders.py`: items, classes and pixels are
//! torchvision's.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Read;
use std::path::Path;

use clip_datasets::{EvalSet, OpenOptions, Protocol, Split, Truth, open_named};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    program: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    what: String,
    set: Option<String>,
    /// Folders of the tree that are opened, each of which must give the same.
    roots: Vec<String>,
    parts: std::collections::BTreeMap<String, Part>,
    tree: std::collections::BTreeMap<String, Option<String>>,
    wrong: String,
    wrong_by: f64,
    /// What is another thing by design.
    differs: Option<String>,
    /// Whether the protocol's class names are torchvision's.
    #[serde(default)]
    same: bool,
    /// Whether the class is compared as its index.
    #[serde(default)]
    index: bool,
    #[serde(default)]
    unordered: bool,
    layout: Option<String>,
    /// A class whose items are not compared.
    without: Option<String>,
}

#[derive(Deserialize)]
struct Part {
    items: Vec<(serde_json::Value, String, serde_json::Value)>,
    pixels: Option<String>,
    shape: Option<Vec<usize>>,
}

fn unpack(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
    let bytes: Vec<u8> = digits.as_chunks::<2>().0.iter().map(|[a, b]| a << 4 | b).collect();
    let mut out = Vec::new();
    flate2::read::ZlibDecoder::new(&bytes[..]).read_to_end(&mut out).unwrap();
    out
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn write(case: &Case, root: &Path) {
    for (path, content) in &case.tree {
        let file = root.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        // An image that no loader looks into is its own path.
        let bytes = content.as_deref().map_or_else(|| path.clone().into_bytes(), unpack);
        std::fs::write(file, bytes).unwrap();
    }
}

fn open(case: &Case, root: &Path, part: &str, protocol: Option<Protocol>) -> Vec<EvalSet> {
    let spec = match &case.set {
        Some(name) => format!("{name}={}", root.display()),
        None => root.display().to_string(),
    };
    let open = |part: &str| {
        let split = match part {
            "train" => Split::Train,
            "val" => Split::Val,
            _ => Split::Test,
        };
        let loader = case.layout.clone();
        let options = OpenOptions { split, protocol, loader, ..OpenOptions::default() };
        open_named(&spec, &options).unwrap_or_else(|e| panic!("{} {spec} {part}: {e}", case.what))
    };
    part.split('+').map(open).collect()
}

/// Image, class, mark or captions of all items, as the golden file has them.
type Found = Vec<(Vec<u8>, String, serde_json::Value)>;

fn items(case: &Case, sets: &[EvalSet]) -> Found {
    let mut found = Vec::new();
    for set in sets {
        let class = |class: usize| {
            if case.index { class.to_string() } else { plain(&set.classes[class]) }
        };
        for item in set.items() {
            let item = item.unwrap();
            match item.truth {
                Truth::Class(truth) => {
                    found.push((item.image, class(truth), serde_json::Value::Null));
                }
                Truth::Marks(marks) => {
                    let judged = marks.iter().enumerate().filter(|(_, mark)| **mark >= 0);
                    found.extend(
                        judged.map(|(at, &mark)| (item.image.clone(), class(at), mark.into())),
                    );
                }
                Truth::Captions(captions) => {
                    found.push((item.image, String::new(), captions.into()));
                }
            }
        }
    }
    let without = case.without.as_deref().map(plain);
    found.retain(|(_, class, _)| Some(class) != without.as_ref());
    found
}

/// Torchvision's, in the same form: pixels as Netpbm, files as their paths.
fn expected(case: &Case, part: &Part) -> Found {
    let images: Vec<Vec<u8>> = match (&part.pixels, part.shape.as_deref()) {
        (Some(pixels), Some(&[_, height, width, channels])) => {
            let head = format!("P{}\n{width} {height}\n255\n", if channels == 1 { 5 } else { 6 });
            let image = |bytes: &[u8]| [head.as_bytes(), bytes].concat();
            unpack(pixels).chunks(height * width * channels).map(image).collect()
        }
        _ => part.items.iter().map(|(path, ..)| path.as_str().unwrap().into()).collect(),
    };
    assert_eq!(images.len(), part.items.len());
    let class = |class: &str| if case.index { class.to_owned() } else { plain(class) };
    let item = |((_, name, more), image): (&(_, String, serde_json::Value), Vec<u8>)| {
        (image, class(name), more.clone())
    };
    part.items.iter().zip(images).map(item).collect()
}

fn sorted(mut found: Found) -> Vec<(String, String, String)> {
    let text = |bytes: Vec<u8>| match String::from_utf8(bytes) {
        Ok(path) => path,
        Err(error) => format!("{:?}", error.as_bytes()),
    };
    let mut all: Vec<_> = found
        .drain(..)
        .map(|(image, class, more)| (text(image), class, more.to_string()))
        .collect();
    all.sort();
    all
}

#[test]
fn items_classes_and_pixels_are_torchvisions() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/oracle/loaders.json");
    let golden: Golden = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(golden.cases.len(), 33);
    for case in &golden.cases {
        let dir = tempfile::tempdir().unwrap();
        write(case, dir.path());
        let mut count = 0;
        for root in &case.roots {
            let root = dir.path().join(root);
            for (name, part) in &case.parts {
                let wanted = expected(case, part);
                count += wanted.len();
                // The folder's own class words, then those of the protocol where they are the same.
                let protocols = [Some(Protocol::Folder), None];
                for protocol in protocols.into_iter().take(if case.same { 2 } else { 1 }) {
                    let found = items(case, &open(case, &root, name, protocol));
                    let about = format!("{} {name} at {}", case.what, root.display());
                    if part.pixels.is_some() && !case.unordered {
                        assert!(found == wanted, "{about}: other pixels, classes or order");
                    } else {
                        assert_eq!(sorted(found), sorted(wanted.clone()), "{about}");
                    }
                }
            }
        }
        assert!(case.wrong_by > 1e-3 && count > 0);
        let about = case.differs.as_ref().map_or(String::new(), |why| format!(" ({why})"));
        println!(
            "oracle\tloaders\t{}{about}\t{}\t{count}\t0\t{}: differs by {}",
            case.what, golden.program, case.wrong, case.wrong_by
        );
    }
}
