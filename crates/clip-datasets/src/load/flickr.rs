//! Flickr30k's and Flickr8k's captions: Karpathy's test part, and the authors' files, which have no
//! parts.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::coco::{finish, item, karpathy_list};
use super::{Ask, Content, listed, no_split};
use crate::error::{json, text};
use crate::item::Split;
use crate::source::FileItem;
use crate::{Error, Result, Truth};

pub(crate) const TREE: &str = "  dataset_flickr30k.json (Karpathy), flickr30k_test.json or flickr30k_test_karpathy.txt (image,caption), with the images next to it, or below flickr30k-images/, images/\n    results_20130124.token and results.csv hold all 31,783 images and do not say which are the test part's 1,000: --layout flickr30k-all takes all";
pub(crate) const SMALL: &str = "  dataset_flickr8k.json (Karpathy) or flickr8k_test_karpathy.txt (image,caption), with the images next to it, or below Images/, images/";
pub(crate) const ALL: &str = "  results_20130124.token (IMAGE.jpg#0, a tab, CAPTION) or results.csv (image_name| comment_number| comment), with the images next to it, or below flickr30k-images/, images/: all images, whatever the part";
const BIG_LISTS: [&str; 3] =
    ["dataset_flickr30k.json", "flickr30k_test.json", "flickr30k_test_karpathy.txt"];
const SMALL_LISTS: [&str; 2] = ["dataset_flickr8k.json", "flickr8k_test_karpathy.txt"];
const TOKENS: [&str; 2] = ["results_20130124.token", "results.csv"];

/// The list of the set of `30k` or `8k` images, and its tree.
fn list(path: &Path, size: &str) -> (Option<PathBuf>, &'static str) {
    if size == "8k" {
        (listed(path, &SMALL_LISTS), SMALL)
    } else {
        (listed(path, &BIG_LISTS), TREE)
    }
}

pub(crate) fn detect(path: &Path, size: &str) -> bool {
    list(path, size).0.is_some()
}

pub(crate) fn open(path: &Path, size: &str, ask: &Ask) -> Result<Content> {
    let (list, tree) = list(path, size);
    let list = list.ok_or_else(|| Error::layout(path, "no list of the test part", tree))?;
    if list.extension().is_none_or(|e| e != "txt") {
        return karpathy_list(&list, &json(&list)?, tree, ask);
    }
    if ask.split != Split::Test {
        return Err(no_split(&list, ask.split, tree));
    }
    // The caption may hold commas.
    captions(&list, 1, |line| {
        let cut = line.find(".jpg,").ok_or("not IMAGE.jpg,CAPTION")?;
        Ok((&line[..cut + 4], line[cut + 5..].trim()))
    })
}

pub(crate) fn detect_all(path: &Path) -> bool {
    match listed(path, &TOKENS) {
        // Any tool may write a `results.csv`.
        Some(list) if list.extension().is_some_and(|e| e == "csv") => {
            let mut start = Vec::new();
            let read = File::open(&list).and_then(|file| file.take(11).read_to_end(&mut start));
            read.is_ok() && start == b"image_name|"
        }
        found => found.is_some(),
    }
}

/// All images, in the order of the file.
pub(crate) fn open_all(path: &Path, ask: &Ask) -> Result<Content> {
    let list = listed(path, &TOKENS).ok_or_else(|| Error::layout(path, "no captions", ALL))?;
    if ask.split != Split::Test {
        return Err(no_split(&list, ask.split, ALL));
    }
    if list.extension().is_some_and(|e| e == "token") {
        return captions(&list, 0, |line| {
            let found = line.split_once('\t');
            let found =
                found.and_then(|(name, caption)| Some((name.rsplit_once('#')?.0, caption.trim())));
            found.ok_or_else(|| "not IMAGE.jpg#N, a tab, CAPTION".into())
        });
    }
    captions(&list, 1, |line| {
        let (name, rest) = line.split_once('|').ok_or("not IMAGE.jpg| N| CAPTION")?;
        let rest = rest.trim_start();
        // One line of the published file has spaces for its second bar.
        let number = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let caption = number.trim_start();
        let caption = caption.strip_prefix('|').unwrap_or(caption).trim();
        if number.len() == rest.len() {
            Err("no number of a caption".into())
        } else {
            Ok((name, caption))
        }
    })
}

/// Captions by line, those of an image together in the order in which the images come first.
fn captions(
    list: &Path,
    header: usize,
    parse: impl Fn(&str) -> std::result::Result<(&str, &str), String>,
) -> Result<Content> {
    let root = list.parent().unwrap_or(Path::new(""));
    let mut items: Vec<FileItem> = Vec::new();
    let mut place = HashMap::new();
    for (number, line) in text(list)?.lines().enumerate().skip(header) {
        let (name, caption) = parse(line)
            .map_err(|reason| Error::file(list, format!("line {}: {reason}", number + 1)))?;
        let at = match place.get(name) {
            Some(&at) => at,
            None => {
                place.insert(name.to_owned(), items.len());
                items.push(item(root, &[], name, Vec::new())?);
                items.len() - 1
            }
        };
        if let Truth::Captions(captions) = &mut items[at].truth {
            captions.push(caption.to_owned());
        }
    }
    finish(list, items)
}

#[cfg(test)]
mod tests {
    use crate::{OpenOptions, Truth, open, open_named};
    use std::path::Path;

    fn write(root: &Path, list: &str, text: &str) {
        std::fs::create_dir_all(root.join("flickr30k-images")).unwrap();
        for name in ["a.jpg", "b.jpg"] {
            std::fs::write(root.join("flickr30k-images").join(name), name).unwrap();
        }
        std::fs::write(root.join(list), text).unwrap();
    }

    fn captions(set: &crate::EvalSet) -> Vec<(String, Vec<String>)> {
        let of = |item: crate::EvalItem| match item.truth {
            Truth::Captions(captions) => (item.key, captions),
            other => panic!("{other:?}"),
        };
        set.items().map(|item| of(item.unwrap())).collect()
    }

    #[test]
    fn the_test_part_and_all_images() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = [
            ("b.jpg".to_owned(), vec!["A dog, running".to_owned(), "B".to_owned()]),
            ("a.jpg".to_owned(), vec!["C | D".to_owned()]),
        ];
        for (list, text) in [
            (
                "flickr30k_test_karpathy.txt",
                "image,caption\nb.jpg,A dog, running\nb.jpg,B\na.jpg,C | D\n",
            ),
            ("results_20130124.token", "b.jpg#0\tA dog, running\nb.jpg#1\tB\na.jpg#0\tC | D\n"),
            (
                "results.csv",
                "image_name| comment_number| comment\nb.jpg| 0| A dog, running\nb.jpg| 4   B\na.jpg| 0| C | D\n",
            ),
        ] {
            let root = dir.path().join(list.replace('.', "_"));
            write(&root, list, text);
            assert_eq!(captions(&open(&root).unwrap()), wanted, "{list}");
            let spec = format!("flickr30k={}", root.display());
            let named = open_named(&spec, &OpenOptions::default());
            if list.ends_with("karpathy.txt") {
                assert_eq!(named.unwrap().loader, "flickr30k");
                continue;
            }
            // Which images are the test part's is not known: nothing is scored under the dataset's
            // name by itself.
            let message = named.map(|_| ()).unwrap_err().to_string();
            assert!(message.contains("dataset_flickr30k.json"), "{message}");
            let all =
                OpenOptions { loader: Some("flickr30k-all".into()), ..OpenOptions::default() };
            assert_eq!(open_named(&spec, &all).unwrap().len(), Some(2));
        }
    }

    #[test]
    fn a_missing_image_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("flickr30k_test_karpathy.txt"), "image,caption\na.jpg,A\n")
            .unwrap();
        let message = open(dir.path()).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("a.jpg") && message.contains("not there"), "{message}");
    }
}
