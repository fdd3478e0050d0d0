//! Choices: which of several captions belongs to which of several images (SugarCrepe, Winoground),
//! and which of several images belong to a cue (WinoGAViL).

use std::path::{Path, PathBuf};

use crate::error::{json, read, text};
use crate::{Error, Result};

const TREE: &str = "  SugarCrepe: {add_att,add_obj,replace_att,replace_obj,replace_rel,swap_att,swap_obj}.json and val2017/*.jpg (or images/), or one such .json\n  Winoground: examples.jsonl (image_0, image_1, caption_0, caption_1) and images/*.png\n  WinoGAViL: winogavil.jsonl (cue, candidates, associations) and images/*.jpg";

/// One instance: image `i` belongs to caption `i`; captions beyond the images belong to none.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Its key.
    pub key: String,
    /// The kind that it is counted under.
    pub group: String,
    /// Image files.
    pub images: Vec<PathBuf>,
    /// Captions.
    pub captions: Vec<String>,
    /// For a cue: which images belong to the one caption.
    pub chosen: Option<Vec<bool>>,
}

impl Instance {
    /// The encoded images.
    pub fn read(&self) -> Result<Vec<Vec<u8>>> {
        self.images.iter().map(|path| read(path)).collect()
    }
}

const WINOGAVIL: [&str; 2] = ["winogavil.jsonl", "winogavil_dataset.jsonl"];
const WINOGROUND: [&str; 2] = ["examples.jsonl", "data/examples.jsonl"];
const SUGARCREPE: [&str; 7] =
    ["add_att", "add_obj", "replace_att", "replace_obj", "replace_rel", "swap_att", "swap_obj"];

/// Whether a folder or file is one of choices, by the names of its lists.
pub fn detect(path: &Path) -> bool {
    first(path, &WINOGAVIL).is_some()
        || first(path, &WINOGROUND).is_some()
        || !sugarcrepe_lists(path).is_empty()
}

fn sugarcrepe_lists(path: &Path) -> Vec<PathBuf> {
    let lists = SUGARCREPE
        .iter()
        .filter_map(|name| first(path, &[&format!("{name}.json"), &format!("data/{name}.json")]));
    lists.collect()
}

/// Opens a folder or file of choices.
pub fn open(path: &Path) -> Result<Vec<Instance>> {
    let found = if path.is_file() && path.extension().is_some_and(|e| e == "json") {
        sugarcrepe(path)?
    } else if let Some(list) = first(path, &WINOGAVIL) {
        lines(&list)?
            .into_iter()
            .map(|(at, row)| winogavil(&list, at, &row))
            .collect::<Result<_>>()?
    } else if let Some(list) = first(path, &WINOGROUND) {
        lines(&list)?
            .into_iter()
            .map(|(at, row)| winoground(&list, at, &row))
            .collect::<Result<_>>()?
    } else {
        let mut all = Vec::new();
        for list in sugarcrepe_lists(path) {
            all.extend(sugarcrepe(&list)?);
        }
        all
    };
    if found.is_empty() {
        return Err(Error::layout(path, "no choices", TREE));
    }
    Ok(found)
}

/// blake3 over the captions in order: what stands for the hash of prompts in a result of choices.
pub fn prompts_hash(instances: &[Instance]) -> String {
    let mut hasher = blake3::Hasher::new();
    for caption in instances.iter().flat_map(|instance| &instance.captions) {
        hasher.update(caption.as_bytes()).update(b"\0");
    }
    hasher.finalize().to_hex().to_string()
}

fn first(root: &Path, names: &[&str]) -> Option<PathBuf> {
    if root.is_file() {
        let name = root.file_name()?.to_str()?;
        let same = |known: &&str| known.rsplit('/').next() == Some(name);
        return names.iter().any(same).then(|| root.to_path_buf());
    }
    names.iter().map(|name| root.join(name)).find(|path| path.is_file())
}

fn lines(list: &Path) -> Result<Vec<(usize, serde_json::Value)>> {
    let text = text(list)?;
    let rows = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    rows.map(|(at, line)| {
        let row = serde_json::from_str(line);
        Ok((at + 1, row.map_err(|e| Error::file(list, format!("line {}: {e}", at + 1)))?))
    })
    .collect()
}

/// The image, wherever beside the list it is.
fn image(list: &Path, name: &str) -> Result<PathBuf> {
    if !crate::load::stays_below(Path::new(name)) {
        return Err(Error::item(list, name, "the name leads out of the folder"));
    }
    let root = list.parent().unwrap_or(Path::new(""));
    let folders = ["", "images", "val2017", "../val2017", "../images"];
    let endings = ["", ".png", ".jpg"];
    let paths = folders
        .iter()
        .flat_map(|folder| endings.map(|end| root.join(folder).join(format!("{name}{end}"))));
    let mut paths = paths;
    paths
        .find(|path| path.is_file())
        .ok_or_else(|| Error::item(list, name, "the image is not there"))
}

/// `{"0": {"filename", "caption", "negative_caption"}}`, in the order of the file.
fn sugarcrepe(list: &Path) -> Result<Vec<Instance>> {
    let document = json(list)?;
    let group = list.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let rows = document.as_object().ok_or_else(|| Error::file(list, "not an object of choices"))?;
    rows.iter()
        .map(|(id, row)| {
            let word = |name: &str| {
                row[name].as_str().ok_or_else(|| Error::item(list, id, format!("no {name}")))
            };
            Ok(Instance {
                key: format!("{group}/{id}"),
                group: group.clone(),
                images: vec![image(list, word("filename")?)?],
                captions: vec![word("caption")?.to_owned(), word("negative_caption")?.to_owned()],
                chosen: None,
            })
        })
        .collect()
}

fn winoground(list: &Path, at: usize, row: &serde_json::Value) -> Result<Instance> {
    let word = |name: &str| {
        row[name].as_str().ok_or_else(|| Error::file(list, format!("line {at}: no {name}")))
    };
    let key = row["id"].as_u64().map_or_else(|| at.to_string(), |id| id.to_string());
    Ok(Instance {
        key,
        group: row["collapsed_tag"].as_str().unwrap_or("all").to_owned(),
        images: vec![image(list, word("image_0")?)?, image(list, word("image_1")?)?],
        captions: vec![word("caption_0")?.to_owned(), word("caption_1")?.to_owned()],
        chosen: None,
    })
}

/// The cue becomes "a CUE" or "an CUE", as in DataComp.
fn winogavil(list: &Path, at: usize, row: &serde_json::Value) -> Result<Instance> {
    let names = |name: &str| -> Result<Vec<String>> {
        let words = row[name]
            .as_array()
            .ok_or_else(|| Error::file(list, format!("line {at}: no {name}")))?;
        Ok(words.iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect())
    };
    let cue = row["cue"].as_str().ok_or_else(|| Error::file(list, format!("line {at}: no cue")))?;
    let cue = cue.to_lowercase();
    let (candidates, associations) = (names("candidates")?, names("associations")?);
    let chosen: Vec<bool> = candidates.iter().map(|name| associations.contains(name)).collect();
    if !chosen.contains(&true) {
        return Err(Error::file(
            list,
            format!("line {at}: no association is among the candidates"),
        ));
    }
    let article = if cue.starts_with(['a', 'e', 'i', 'o', 'u']) { "An" } else { "A" };
    Ok(Instance {
        key: at.to_string(),
        group: candidates.len().to_string(),
        images: candidates.iter().map(|name| image(list, name)).collect::<Result<_>>()?,
        captions: vec![format!("{article} {cue}")],
        chosen: Some(chosen),
    })
}

#[cfg(test)]
mod tests {
    use super::{detect, open};

    #[test]
    fn the_three_kinds() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("images")).unwrap();
        for name in ["a.jpg", "b.png"] {
            std::fs::write(dir.path().join("images").join(name), name).unwrap();
        }
        std::fs::write(dir.path().join("swap_att.json"), r#"{"0":{"filename":"a.jpg","caption":"x","negative_caption":"y"},"7":{"filename":"a.jpg","caption":"z","negative_caption":"w"}}"#).unwrap();
        let found = open(dir.path()).unwrap();
        assert_eq!(
            (found.len(), found[1].key.as_str(), found[1].captions.len()),
            (2, "swap_att/7", 2)
        );
        std::fs::write(
            dir.path().join("examples.jsonl"),
            r#"{"id":3,"image_0":"a","image_1":"b","caption_0":"x","caption_1":"y"}"#,
        )
        .unwrap();
        let found = open(dir.path()).unwrap();
        assert_eq!((found.len(), found[0].images.len()), (1, 2));
        assert_eq!(found[0].read().unwrap()[1], b"b.png");
        std::fs::write(
            dir.path().join("winogavil.jsonl"),
            r#"{"cue":"Owl","candidates":["a","b"],"associations":["b"]}"#,
        )
        .unwrap();
        let found = open(dir.path()).unwrap();
        assert_eq!(
            (found[0].captions[0].as_str(), found[0].chosen.clone()),
            ("An owl", Some(vec![false, true]))
        );
        assert!(detect(dir.path()) && detect(&dir.path().join("swap_att.json")));
        assert!(!detect(&dir.path().join("images")) && !detect(&dir.path().join("images/a.jpg")));
        std::fs::remove_file(dir.path().join("images/b.png")).unwrap();
        assert!(open(dir.path()).unwrap_err().to_string().contains("not there"));
        for outside in ["../../a", "/etc/a"] {
            let list = format!(
                r#"{{"cue":"Owl","candidates":["{outside}"],"associations":["{outside}"]}}"#
            );
            std::fs::write(dir.path().join("winogavil.jsonl"), list).unwrap();
            let message = open(dir.path()).unwrap_err().to_string();
            assert!(message.contains("leads out of the folder"), "{message}");
        }
    }
}
