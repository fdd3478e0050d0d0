//! Which trainings have seen a shard: by its content, and by the steps that were taken.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clip_corpus::{TrainedShard, Uids, Written, hash_file, holds};
use serde_json::Value;

/// Trainings by what their shards hold.
pub struct Trainings(Vec<Training>);

struct Training {
    folder: PathBuf,
    /// blake3 of its shards.
    shards: HashSet<String>,
    /// Shards of which it did not note one.
    unknown: usize,
    checkpoints: Vec<Checkpoint>,
}

struct Checkpoint {
    /// Its folder's name.
    name: String,
    step: u64,
    /// Pairs of the corpus, and of a batch.
    sizes: Option<(u64, u64)>,
}

impl Trainings {
    /// Reads `shards.jsonl` and the checkpoints of each folder.
    pub fn read(folders: &[PathBuf]) -> anyhow::Result<Self> {
        folders.iter().map(|folder| Training::read(folder)).collect::<anyhow::Result<_>>().map(Self)
    }

    /// Whether none is asked about.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Prints which of the trainings have seen shards with these uids, and of which it cannot be
    /// said: those whose shards are not among these, or are not as they were.
    pub fn print(&self, shards: &[PathBuf], uids: &Uids) -> anyhow::Result<()> {
        let (mut with_uids, mut at_hand) = (HashMap::new(), HashSet::new());
        for shard in shards {
            let hash = if holds(shard, uids)? {
                let hash = hash_file(shard)?.0;
                with_uids.insert(hash.clone(), shard);
                hash
            } else {
                Written::blake3_of(shard)?
            };
            at_hand.insert(hash);
        }
        for training in &self.0 {
            let mut seen: Vec<&&PathBuf> = with_uids
                .iter()
                .filter_map(|(hash, shard)| training.shards.contains(hash).then_some(shard))
                .collect();
            seen.sort();
            let folder = training.folder.display();
            for shard in &seen {
                println!("{folder}: trained on {}", shard.display());
            }
            if !seen.is_empty() {
                training.print();
            }
            let all = training.shards.len() + training.unknown;
            let here = training.shards.intersection(&at_hand).count();
            if here < all {
                println!(
                    "{folder}: whether it saw these uids in {} of its {all} shards cannot be said: they are not among those given, or were written anew since (retry, forget, reshard)",
                    all - here
                );
            }
        }
        Ok(())
    }
}

impl Training {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(TrainedShard::FILE);
        let hint = "hint: the folder of a training of `clip-data train`; one without shards.jsonl does not know what it has seen";
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{}\n{hint}", path.display()))?;
        let all = TrainedShard::parse(&text, &path)?;
        let hashes = all.iter().map(|shard| shard.blake3.clone()).filter(|hash| !hash.is_empty());
        let shards: HashSet<String> = hashes.collect();
        let unknown = all.iter().filter(|shard| shard.blake3.is_empty()).count();
        let folders = std::fs::read_dir(folder.join("checkpoints")).into_iter().flatten();
        let mut checkpoints = Vec::new();
        for entry in folders {
            let entry = entry.with_context(|| folder.display().to_string())?;
            let Ok(state) = std::fs::read(entry.path().join("trainer.json")) else { continue };
            let state: Value = serde_json::from_slice(&state)
                .with_context(|| entry.path().display().to_string())?;
            let Some(step) = state["step"].as_u64() else { continue };
            let batch = state["recipe"]["batch_size"].as_u64();
            let sizes = state["pairs"].as_u64().filter(|&pairs| pairs > 0).zip(batch);
            let name = entry.file_name().to_string_lossy().into_owned();
            checkpoints.push(Checkpoint { name, step, sizes });
        }
        checkpoints.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { folder: folder.to_path_buf(), shards, unknown, checkpoints })
    }

    fn print(&self) {
        for Checkpoint { name, step, sizes } in &self.checkpoints {
            let seen = match sizes {
                None => "cannot tell how often it saw them".to_owned(),
                Some((pairs, batch)) => {
                    let (passes, whole) = (step * batch / pairs, step * batch % pairs == 0);
                    let seen = match (passes, whole) {
                        (0, _) => "once at most".to_owned(),
                        (1, true) => "once".to_owned(),
                        (1, false) => "once or twice".to_owned(),
                        (_, true) => format!("{passes} times"),
                        (_, false) => format!("{passes} times, or once more"),
                    };
                    format!("saw each of them {seen}, where no weights were given")
                }
            };
            println!("  {name}: {seen}");
        }
        match self.checkpoints.iter().find_map(|checkpoint| checkpoint.sizes) {
            Some((pairs, batch)) => println!(
                "  steps: each pair is seen once in each {} steps; which one is not stored",
                pairs.div_ceil(batch)
            ),
            None => println!("  steps: any of them"),
        }
    }
}
