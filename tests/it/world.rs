//! A small world to work in: images with captions, a query list, an evaluation set, a pipeline.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clip_image::{Filter, Rgb, encode_jpeg, encode_png, resize};

/// Folders of images in the world, each a part of the build.
pub const FOLDERS: usize = 8;
/// Images in each.
pub const IMAGES: usize = 20;

/// A temporary folder with everything a build needs.
pub struct World {
    folder: tempfile::TempDir,
}

const WORDS: [&str; 8] = ["red", "green", "old", "small", "round", "wooden", "bright", "quiet"];
const THINGS: [&str; 10] =
    ["boat", "house", "dog", "chair", "lamp", "garden", "river", "clock", "apple", "bridge"];

/// A model that trains in seconds, for `train --preset`.
pub const TINY_PRESET: &str = r#"{
  "model_cfg": {
    "embed_dim": 16, "quick_gelu": true,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1}
  },
  "train": {"epochs": 2, "warmup": 2, "precision": "fp32", "augment": "small"}
}"#;

/// An executable of the workspace; it is beside the folder of this test's.
pub fn executable(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let path = this.parent().unwrap().parent().unwrap().join(name);
    assert!(path.is_file(), "{} is missing: cargo build --workspace first", path.display());
    path
}

/// fastText's lid.176, which `scripts/setup` puts into the cache; with `CLIP_DATA_REQUIRE_ALL` it
/// must be there.
pub fn language_model() -> Option<PathBuf> {
    let cache = std::env::var_os("CLIP_DATA_CACHE").map(PathBuf::from);
    let model = cache.map(|cache| cache.join("models/lid.176.ftz")).filter(|path| path.is_file());
    if model.is_none() {
        let must = std::env::var_os("CLIP_DATA_REQUIRE_ALL").is_some();
        assert!(!must, "lid.176.ftz is missing: run scripts/setup");
        eprintln!("skipped: $CLIP_DATA_CACHE has no lid.176.ftz");
    }
    model
}

/// A smooth image that no other number has.
pub fn smooth_image(number: usize) -> Rgb {
    let hash = blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().clone();
    let mut data = vec![0; 6 * 6 * 3];
    hash.clone().fill(&mut data);
    resize(&Rgb { width: 6, height: 6, data }, 96, 96, Filter::Bicubic)
}

fn caption(folder: usize, at: usize) -> String {
    let (word, thing) = (WORDS[(folder + at) % WORDS.len()], THINGS[at % THINGS.len()]);
    format!("a {word} {thing} in image {at} of folder {folder}")
}

impl World {
    /// Writes the images; the last of each folder is a copy of its first, and the first of each
    /// folder is in the evaluation set as well.
    pub fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        for folder in 0..FOLDERS {
            let dir = world.path(&format!("images/{folder:02}"));
            std::fs::create_dir_all(&dir).unwrap();
            for at in 0..IMAGES {
                let number = folder * IMAGES + if at == IMAGES - 1 { 0 } else { at };
                let bytes = encode_jpeg(&smooth_image(number), 92).unwrap();
                std::fs::write(dir.join(format!("{at:03}.jpg")), bytes).unwrap();
                std::fs::write(dir.join(format!("{at:03}.txt")), caption(folder, at)).unwrap();
            }
            let class = world.path(&format!("toys/class_{folder}"));
            std::fs::create_dir_all(&class).unwrap();
            let copy = resize(&smooth_image(folder * IMAGES), 80, 80, Filter::Bicubic);
            std::fs::write(class.join("copy.png"), encode_png(&copy).unwrap()).unwrap();
            let other = smooth_image(10_000 + folder);
            std::fs::write(class.join("other.png"), encode_png(&other).unwrap()).unwrap();
        }
        let queries: Vec<&str> = WORDS.iter().chain(&THINGS).copied().collect();
        std::fs::write(world.path("queries.txt"), queries.join("\n")).unwrap();
        std::fs::write(world.path("pipeline.toml"), PIPELINE).unwrap();
        world
    }

    /// A path in the world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `clip-data` with these arguments, in the world's folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(executable("clip-data"));
        command.args(args).current_dir(self.folder.path());
        command.env("CLIP_DATA_CACHE", self.path("cache"));
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs it to its end, which must be a good one; returns what it printed.
    pub fn good(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {:?}\n{errors}", output.status.code());
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs it to its end, which must be this exit code; returns what it printed.
    pub fn fails(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{errors}");
        assert!(!errors.contains("panicked"), "{errors}");
        errors
    }
}

/// Name and content of all files of a folder, sorted.
pub fn content(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .map(|e| (e.file_name().to_string_lossy().into_owned(), std::fs::read(e.path()).unwrap()))
        .collect();
    files.sort();
    files
}

const PIPELINE: &str = r#"
schema = 1
name = "small"
seed = 7

[source]
kind = "folder"
paths = ["images"]

[caption]

[queries]
list = "queries.txt"

[balance]
limit = 40

[image]
image_size = 64

[dedup]

[check]
against = { toys = "toys" }
action = "flag"

[shards]
rows = 50
"#;
