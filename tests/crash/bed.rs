//! What is disturbed: commands that keep state, where they keep it, and what they make undisturbed.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clip_corpus::Manifest;
use clip_testkit::faults::{FaultSite, Robots};

use crate::process::{Ended, Running};
use crate::tally::Tally;
use crate::world::{TINY_PRESET, World, smooth_image};

/// Names and contents of the files of a result.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A command that keeps state in a folder.
pub struct Job {
    pub name: &'static str,
    /// Its arguments, for a folder.
    args: fn(&Bed, &str) -> Vec<String>,
    /// What it has made there.
    result: fn(&Path) -> Files,
    /// What `clip-data verify` looks at there, if that knows it.
    pub verified: Option<&'static str>,
    /// Whether it has scenarios beside kills: it is the first of its kind.
    pub alone: bool,
}

pub const BUILD: Job = Job {
    name: "build",
    args: |_, folder| words(&format!("build --set workdir={folder}")),
    result: run_folder,
    verified: Some("small"),
    alone: true,
};

const WEB: Job = Job {
    name: "build from the web",
    args: |_, folder| words(&format!("build -c web.toml --set workdir={folder}")),
    result: run_folder,
    verified: Some("small"),
    alone: false,
};

const MODEL: Job = Job {
    name: "build with a model",
    args: |bed, folder| {
        bed.make_model();
        words(&format!("build -c model.toml --set workdir={folder}"))
    },
    result: run_folder,
    verified: Some("small"),
    alone: false,
};

const FETCH: Job = Job {
    name: "fetch",
    args: |_, folder| {
        words(&format!(
            "fetch urls.txt --output_format webdataset --number_sample_per_shard 8 \
             --output_folder {folder} --allow_private --per_host 4 --host_delay_ms 0 --image_size 48"
        ))
    },
    result: |folder| files(folder, |name| name.ends_with(".tar") || name.ends_with(".parquet")),
    verified: Some(""),
    alone: true,
};

const TRAIN: Job = Job {
    name: "train",
    args: |_, folder| train(folder, "1"),
    result: weights,
    verified: None,
    alone: true,
};

const PAIR: Job = Job {
    name: "train, two processes",
    args: |_, folder| train(folder, "2"),
    result: weights,
    verified: None,
    alone: false,
};

const EMBED: Job = Job {
    name: "embed",
    args: |bed, folder| {
        bed.make_model();
        words(&format!(
            "embed --model model --input shards --out {folder} --device cpu --write-batch-size 8"
        ))
    },
    result: tree,
    verified: None,
    alone: false,
};

const SCORE: Job = Job {
    name: "score",
    args: |bed, folder| {
        bed.make_model();
        words(&format!("score shards --model model --out {folder} --device cpu"))
    },
    result: tree,
    verified: None,
    alone: false,
};

/// All of them.
pub const JOBS: [Job; 8] = [BUILD, WEB, MODEL, FETCH, EMBED, SCORE, TRAIN, PAIR];

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn train(folder: &str, processes: &str) -> Vec<String> {
    words(&format!(
        "train --train-data shards --val-data shards --zeroshot toys --preset tiny.json --device cpu --workers 1 \
         --global-batch-size 16 --batch-size 4 --save-steps 2 --logs {folder} --name run --nproc {processes}"
    ))
}

/// The shards, and the hash of every part of every stage.
fn run_folder(folder: &Path) -> Files {
    let run = folder.join("small");
    let mut found = files(&run.join("shards"), |_| true);
    for entry in std::fs::read_dir(&run).into_iter().flatten().flatten() {
        let Ok(manifest) = Manifest::open(&entry.path()) else { continue };
        let stage = entry.file_name().to_string_lossy().into_owned();
        for commit in manifest.commits() {
            for file in &commit.files {
                let name = format!("{stage}/{}", file.name);
                found.insert(name, file.blake3.clone().into_bytes());
            }
        }
    }
    found
}

/// All that is in a folder.
fn tree(folder: &Path) -> Files {
    let name = |path: &PathBuf| path.strip_prefix(folder).unwrap().display().to_string();
    let all = below(folder).into_iter().map(|path| (name(&path), path));
    let named =
        all.filter(|(_, path)| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
    named.map(|(name, path)| (name, std::fs::read(path).unwrap_or_default())).collect()
}

/// The last checkpoint: weights, moments, and where it is in the run.
fn weights(folder: &Path) -> Files {
    let checkpoints = folder.join("run/checkpoints");
    let entries = std::fs::read_dir(checkpoints).into_iter().flatten().flatten();
    let steps = entries.map(|entry| entry.path());
    let last = steps.filter(|path| path.to_string_lossy().contains("/step_")).max();
    last.map_or(Files::new(), |last| files(&last, |name| name.ends_with(".safetensors")))
}

/// The files of a folder, but those of hidden names.
fn files(folder: &Path, wanted: impl Fn(&str) -> bool) -> Files {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let named =
        entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()));
    let named =
        named.filter(|(name, path)| path.is_file() && !name.starts_with('.') && wanted(name));
    named.map(|(name, path)| (name, std::fs::read(path).unwrap_or_default())).collect()
}

/// Every file below a folder.
pub fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() { found.extend(below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// A world, a web site, and what the jobs make when nothing disturbs them.
pub struct Bed {
    pub world: World,
    _site: FaultSite,
    whole: RefCell<HashMap<&'static str, (Files, Duration)>>,
}

impl Bed {
    pub fn new() -> Self {
        let world = World::new();
        let image = clip_image::encode_jpeg(&smooth_image(1), 90).unwrap();
        let site = FaultSite::start([127, 0, 0, 1].into(), image, Robots::Missing).unwrap();
        let path = |row: usize| match row % 6 {
            5 => format!("/status/404?{row}"),
            _ => format!("/slow/30/{row}.jpg"),
        };
        let urls: Vec<String> = (0..64).map(|row| site.url(&path(row))).collect();
        std::fs::write(world.path("urls.txt"), urls.join("\n")).unwrap();
        let rows = (0..64).map(|row| format!("{},image number {row}\n", site.url(&path(row))));
        let list: String = std::iter::once("url,caption\n".to_owned()).chain(rows).collect();
        std::fs::write(world.path("pairs.csv"), list).unwrap();
        std::fs::write(world.path("web.toml"), WEB_PIPELINE).unwrap();
        std::fs::write(world.path("tiny.json"), TINY_PRESET).unwrap();
        world.good(&["build", "--set", "workdir=first"]);
        // The newest shards' name is a link.
        let shards = world.path("first/small/shards").canonicalize().unwrap();
        std::fs::rename(shards, world.path("shards")).unwrap();
        Self { world, _site: site, whole: RefCell::default() }
    }

    /// A small model, and the pipeline that scores and chooses by it; once, and only where it is
    /// asked for.
    fn make_model(&self) {
        if self.world.path("model.toml").is_file() {
            return;
        }
        let train = "train --dataset-type synthetic --train-num-samples 32 --batch-size 16 --preset tiny.json \
                     --device cpu --name model";
        for args in [train, "convert --model logs/model --to open-clip --out model"] {
            self.world.good(&args.split_whitespace().collect::<Vec<_>>());
        }
        let pipeline = std::fs::read_to_string(self.world.path("pipeline.toml")).unwrap();
        std::fs::write(self.world.path("model.toml"), pipeline + MODEL_SECTIONS).unwrap();
    }

    /// The job's command for a folder of the world.
    pub fn command(&self, job: &Job, folder: &str) -> Command {
        let args = (job.args)(self, folder);
        let mut command = self.world.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
        command.env("OMP_NUM_THREADS", "1");
        command
    }

    /// What the job has made in a folder.
    pub fn result(&self, job: &Job, folder: &str) -> Files {
        (job.result)(&self.world.path(folder))
    }

    /// What it makes undisturbed, and how long that takes; run once.
    pub fn whole(&self, job: &Job) -> (Files, Duration) {
        if let Some(known) = self.whole.borrow().get(job.name) {
            return known.clone();
        }
        let folder = format!("whole-{}", job.name.replace([' ', ','], "-"));
        let started = Instant::now();
        let ended = self.run(job, &folder);
        let time = started.elapsed();
        let found = self.result(job, &folder);
        assert!(ended.status.success() && !found.is_empty(), "{}: {}", job.name, ended.describe());
        self.whole.borrow_mut().insert(job.name, (found.clone(), time));
        (found, time)
    }

    /// Runs the job to its end.
    pub fn run(&self, job: &Job, folder: &str) -> Ended {
        Running::start(&mut self.command(job, folder)).wait()
    }

    /// Runs the job once more: it must end well, with the result of an undisturbed run and nothing
    /// left behind.
    pub fn finish(&self, job: &Job, folder: &str, what: &str, tally: &mut Tally) {
        tally.reruns += 1;
        let ended = self.run(job, folder);
        if ended.hung || !ended.status.success() {
            return tally.fail(format!("{}, {what}: rerun: {}", job.name, ended.describe()));
        }
        let (expected, found) = (self.whole(job).0, self.result(job, folder));
        if let Some(differs) = difference(&expected, &found) {
            return tally.fail(format!("{}, {what}: {differs}", job.name));
        }
        let root = self.world.path(folder);
        let left = below(&root);
        let left = left.iter().find(|path| is_temporary(path.strip_prefix(&root).unwrap()));
        if let Some(left) = left {
            return tally.fail(format!("{}, {what}: {} was left", job.name, left.display()));
        }
        tally.equal += 1;
    }

    /// Forgets a folder that is done with.
    pub fn remove(&self, folder: &str) {
        let _ = std::fs::remove_dir_all(self.world.path(folder));
    }
}

/// Whether a file, by its path in the job's folder, is one that was being written.
fn is_temporary(path: &Path) -> bool {
    path.iter().any(|step| {
        let step = step.to_string_lossy();
        step == "_tmp" || step.starts_with("tmp_") || step.contains(".tmp")
    })
}

/// The first file in which two results differ.
pub fn difference(expected: &Files, found: &Files) -> Option<String> {
    for (name, content) in expected {
        match found.get(name) {
            None => return Some(format!("{name} is missing")),
            Some(other) if other != content => return Some(format!("{name} differs")),
            Some(_) => {}
        }
    }
    let more = found.keys().find(|name| !expected.contains_key(*name));
    more.map(|name| format!("{name} should not be there"))
}

const MODEL_SECTIONS: &str = r#"
[[score]]
model = "model"
embeddings = true

[semantic]
clusters = 12
semdedup = 0.004

[select]
top = { clip_similarity = 0.9 }
"#;

const WEB_PIPELINE: &str = r#"
schema = 1
name = "small"
seed = 7

[source]
kind = "list"
paths = ["pairs.csv"]
part_rows = 16

[caption]

[fetch]
allow_private = true
host_delay_ms = 0
per_host = 4

[image]
image_size = 48

[shards]
rows = 16
"#;
