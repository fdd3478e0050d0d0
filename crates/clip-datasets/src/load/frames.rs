//! Videos as folders of frames: UCF101 and Kinetics.

use std::path::{Path, PathBuf};

use super::{Ask, Content, below, file, is_image, name, no_split, sorted, stem};
use crate::error::lines;
use crate::item::{Frames, Split};
use crate::source::{FileItem, Source};
use crate::{Error, Result, Truth};

pub(crate) const TREE: &str = "  frames/CLASS/VIDEO/*.jpg (also below train/, val/, test/), or CLASS/VIDEO/*.jpg with testlist01.txt, trainlist01.txt, … (also 02, 03), classInd.txt (UCF101, also below ucfTrainTestlist/)\n    a video that is one image is its middle frame: frames/CLASS/VIDEO.jpg";

/// UCF101's list of a part in one of its three splits, counted from 0.
fn listed(root: &Path, part: &str, split: usize) -> Option<PathBuf> {
    let name = format!("{part}list{:02}.txt", split + 1);
    file(root, &[&name, &format!("ucfTrainTestlist/{name}")])
}

pub(crate) fn detect(root: &Path) -> bool {
    below(root, &["frames"]).is_some() || listed(root, "test", 0).is_some()
}

/// The number of UCF101's splits whose two lists are there. Keys name the same video in all of
/// them.
pub(crate) fn folds(root: &Path) -> usize {
    let whole =
        |split: &usize| ["train", "test"].iter().all(|part| listed(root, part, *split).is_some());
    (0..3).take_while(whole).count().max(1)
}

pub(crate) fn open(root: &Path, ask: &Ask) -> Result<Content> {
    let frames = below(root, &["frames"]).unwrap_or_else(|| root.to_path_buf());
    if listed(root, "test", ask.fold).is_some() {
        return ucf(root, &frames, ask);
    }
    let folder = match super::folder::part(&frames, ask.split) {
        Some(folder) => folder,
        None if ask.split == Split::Test => frames,
        None => return Err(no_split(root, ask.split, TREE)),
    };
    let mut items = Vec::new();
    let mut keys = Vec::new();
    for class in sorted(&folder)?.into_iter().filter(|entry| entry.is_dir()) {
        let at = keys.len();
        keys.push(name(&class));
        for video in sorted(&class)?.into_iter().filter(|v| v.is_dir() || is_image(v)) {
            let key = format!("{}/{}", name(&class), stem(&video));
            items.extend(video_items(&video, &key, at, ask.frames)?);
        }
    }
    if items.is_empty() {
        return Err(Error::layout(root, "no frames", TREE));
    }
    Ok(Content::classes(keys, Source::files(items)))
}

/// `CLASS/VIDEO.avi [number]` a line; classes are numbered by name.
fn ucf(root: &Path, frames: &Path, ask: &Ask) -> Result<Content> {
    let list = match ask.split {
        Split::Val => None,
        part => listed(root, part.name(), ask.fold),
    };
    let list = list.ok_or_else(|| no_split(root, ask.split, TREE))?;
    let mut videos = Vec::new();
    for line in lines(&list)? {
        let entry = line.split_whitespace().next().unwrap_or_default();
        let (class, video) = entry
            .split_once('/')
            .ok_or_else(|| Error::file(&list, format!("not CLASS/VIDEO: {line:?}")))?;
        let video = video.rsplit_once('.').map_or(video, |(stem, _)| stem);
        videos.push((class.to_owned(), video.to_owned()));
    }
    let index = file(root, &["classInd.txt", "ucfTrainTestlist/classInd.txt"]);
    let mut keys: Vec<String> = match index {
        Some(path) => lines(&path)?
            .iter()
            .filter_map(|l| Some(l.split_whitespace().nth(1)?.to_owned()))
            .collect(),
        None => videos.iter().map(|(class, _)| class.clone()).collect(),
    };
    keys.sort();
    keys.dedup();
    let mut items = Vec::new();
    for (class, video) in videos {
        let at = keys
            .binary_search(&class)
            .map_err(|_| Error::file(&list, format!("class {class:?} is not in classInd.txt")))?;
        let key = format!("{class}/{video}");
        let folders = [frames.join(&key), frames.join(&video)];
        let path = folders.iter().find(|f| f.is_dir()).cloned();
        let path =
            path.or_else(|| folders.iter().map(|f| f.with_extension("jpg")).find(|f| f.is_file()));
        let path = path.ok_or_else(|| Error::item(&list, &key, "no frames"))?;
        items.extend(video_items(&path, &key, at, ask.frames)?);
    }
    Ok(Content::classes(keys, Source::files(items)))
}

fn video_items(path: &Path, key: &str, class: usize, frames: Frames) -> Result<Vec<FileItem>> {
    let item = |path: PathBuf| {
        let key =
            if frames == Frames::All { format!("{key}/{}", stem(&path)) } else { key.to_owned() };
        FileItem::new(path, key, Truth::Class(class))
    };
    if path.is_file() {
        let own = FileItem::new(path.to_path_buf(), key.to_owned(), Truth::Class(class));
        let video = (frames == Frames::All).then(|| key.to_owned());
        return Ok(vec![FileItem { video, ..own }]);
    }
    let images: Vec<PathBuf> = sorted(path)?.into_iter().filter(|f| is_image(f)).collect();
    if images.is_empty() {
        return Err(Error::item(path, key, "no frames"));
    }
    Ok(match frames {
        Frames::Middle => vec![item(images[images.len() / 2].clone())],
        Frames::All => {
            let all = images
                .into_iter()
                .map(|image| FileItem { video: Some(key.to_owned()), ..item(image) });
            all.collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::{Frames, OpenOptions, Split, open_named};

    #[test]
    fn ucf101_has_three_splits_and_kinetics_no_validation_part() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for n in 1..=3 {
            write(&format!("frames/YoYo/v_{n}.jpg"), &n.to_string());
            let video = |n: usize| format!("YoYo/v_{n}.avi 1\n");
            write(&format!("ucfTrainTestlist/testlist{n:02}.txt"), &video(n));
            write(
                &format!("ucfTrainTestlist/trainlist{n:02}.txt"),
                &(1..=3).filter(|m| *m != n).map(video).collect::<String>(),
            );
        }
        let keys = |split, fold| {
            let options = OpenOptions { split, fold, ..OpenOptions::default() };
            let set = open_named(&format!("ucf101={}", dir.path().display()), &options).unwrap();
            (set.folds, set.items().map(|item| item.unwrap().key).collect::<Vec<_>>())
        };
        assert_eq!(keys(Split::Test, None), (3, vec!["YoYo/v_1".into()]));
        assert_eq!(keys(Split::Test, Some(2)), (3, vec!["YoYo/v_3".into()]));
        assert_eq!(keys(Split::Train, Some(1)).1, ["YoYo/v_1", "YoYo/v_3"]);

        let dir = tempfile::tempdir().unwrap();
        for part in ["train", "val"] {
            let class = dir.path().join(format!("frames/{part}/abseiling"));
            std::fs::create_dir_all(&class).unwrap();
            std::fs::write(class.join(format!("{part}.jpg")), part).unwrap();
        }
        let open = |split| {
            let options = OpenOptions { split, ..OpenOptions::default() };
            open_named(&format!("kinetics700={}", dir.path().display()), &options)
        };
        let test = open(Split::Test).unwrap();
        assert_eq!(test.items().next().unwrap().unwrap().key, "abseiling/val");
        let message = open(Split::Val).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("no val part"), "{message}");
    }

    #[test]
    fn the_middle_frame_or_all_of_them() {
        let dir = tempfile::tempdir().unwrap();
        for n in 1..=5 {
            let folder = dir.path().join("frames/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(format!("{n:05}.jpg")), [n]).unwrap();
        }
        std::fs::create_dir_all(dir.path().join("frames/YoYo")).unwrap();
        std::fs::write(dir.path().join("frames/YoYo/v_YoYo_g01_c01.jpg"), [9]).unwrap();
        std::fs::write(
            dir.path().join("testlist01.txt"),
            "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi\nYoYo/v_YoYo_g01_c01.avi\n",
        )
        .unwrap();
        let open = |frames| {
            open_named(
                &format!("ucf101={}", dir.path().display()),
                &OpenOptions { frames, ..OpenOptions::default() },
            )
            .unwrap()
        };
        let set = open(Frames::Middle);
        let items: Vec<_> = set.items().map(Result::unwrap).collect();
        assert_eq!(
            (items.len(), items[0].image[0], items[0].truth.class(), items[1].truth.class()),
            (2, 3, Some(0), Some(100))
        );
        assert_eq!(set.prompts(100).len(), 48);
        let all: Vec<_> = open(Frames::All).items().map(Result::unwrap).collect();
        assert_eq!(
            (all.len(), all[4].video.as_deref()),
            (6, Some("ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01"))
        );
        assert_ne!(all[0].key, all[1].key);
    }
}
