//! Experiments on what some pairs did: the same order with others in their places.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use clip_corpus::ShardIndex;
use clip_format::ImageFormat;
use clip_random::Draw;
use serde::{Deserialize, Serialize};

use super::Corpus;
use crate::{Error, Result};

/// What is trained on in the places of some pairs, the copies. In every arm as many other pairs as
/// there are copies, the reserve, are in no place of their own, so that all arms have one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arm {
    /// The copies.
    Keep,
    /// The reserve.
    Replace,
    /// The copies; the reserve takes the places of as many other pairs. What that changes is
    /// noise.
    Placebo,
}

/// A sample by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleName {
    /// Its shard.
    pub shard: PathBuf,
    /// Its key there.
    pub key: String,
    /// The shard's blake3, where that is known.
    pub blake3: Option<String>,
}

impl Corpus {
    /// The numbers of samples that are named by their shard and key; none of a sample that is no
    /// pair of this corpus.
    ///
    /// # Errors
    /// When a shard that has one cannot be read, or has another content than the name says.
    pub fn numbers(&self, samples: &[SampleName]) -> Result<Vec<Option<u32>>> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let shards: HashMap<PathBuf, usize> =
            self.shards.iter().map(|path| real(path)).zip(0..).collect();
        let mut wanted: BTreeMap<&Path, HashMap<&str, Vec<usize>>> = BTreeMap::new();
        let mut hashes: HashMap<&Path, &str> = HashMap::new();
        for (at, SampleName { shard, key, blake3 }) in samples.iter().enumerate() {
            wanted.entry(shard).or_default().entry(key).or_default().push(at);
            hashes.extend(blake3.as_deref().map(|blake3| (shard.as_path(), blake3)));
        }
        let mut numbers = vec![None; samples.len()];
        for (path, keys) in wanted {
            let Some(&shard) = shards.get(&real(path)) else { continue };
            let own = self.contents.get(shard).map_or("", |content| &content.blake3);
            if hashes.get(path).is_some_and(|wanted| !own.is_empty() && own != *wanted) {
                return Err(Error::file(
                    path,
                    "its content is not what the report is of\n\
                     hint: `clip-data contamination --corpus` makes a report on it as it is",
                ));
            }
            let end =
                |shard: usize| self.pairs.partition_point(|pair| pair.shard as usize <= shard);
            let first = self.pairs.partition_point(|pair| (pair.shard as usize) < shard);
            let offsets: HashMap<u64, u32> = (first..end(shard))
                .map(|number| (self.pairs[number].offset, number as u32))
                .collect();
            let index = ShardIndex::of(&self.shards[shard])?;
            for members in index.members.chunk_by(|a, b| a.key == b.key) {
                let Some(rows) = keys.get(members[0].key.as_str()) else { continue };
                let field = ImageFormat::first_of(members.iter().map(|m| m.field.as_str()));
                let image = members.iter().find(|m| Some(m.field.as_str()) == field);
                let number = image.and_then(|image| offsets.get(&image.offset));
                rows.iter().for_each(|&row| numbers[row] = number.copied());
            }
        }
        Ok(numbers)
    }

    /// Makes this the corpus of an arm; `about` says whose copies they are.
    ///
    /// The reserve and the places of the placebo are drawn by `seed` from the other pairs.
    ///
    /// # Errors
    /// When the corpus has fewer than two other pairs for each copy.
    pub fn set_arm(&mut self, arm: Arm, copies: &[u32], seed: u64, about: &str) -> Result<()> {
        let copies: BTreeSet<u32> =
            copies.iter().copied().filter(|&copy| self.weight(copy as usize) > 0.0).collect();
        let other = |number: &u32| self.weight(*number as usize) > 0.0 && !copies.contains(number);
        let mut others: Vec<u32> = (0..self.len() as u32).filter(other).collect();
        let count = copies.len();
        if count == 0 || others.len() <= 2 * count {
            return Err(Error::Options(format!(
                "{count} copies among {} pairs: an experiment on copies needs at least one, and more than two other \
                 pairs for each",
                self.len()
            )));
        }
        Draw::new("reserve", seed, 0, 0).shuffle(&mut others);
        let (reserve, placebo) = (&others[..count], &others[count..2 * count]);
        if self.weights.is_empty() {
            self.weights = vec![1.0; self.len()];
        }
        reserve.iter().for_each(|&number| self.weights[number as usize] = 0.0);
        let reserve = reserve.iter().copied();
        self.stand_ins = match arm {
            Arm::Keep => HashMap::new(),
            Arm::Replace => copies.into_iter().zip(reserve).collect(),
            Arm::Placebo => placebo.iter().copied().zip(reserve).collect(),
        };
        self.digest += &format!(", arm {arm:?} of {count} copies by {about}");
        Ok(())
    }

    /// The pair that is trained on in the place of a pair: itself, but in an arm.
    pub(crate) fn stand_in(&self, pair: u32) -> u32 {
        self.stand_ins.get(&pair).copied().unwrap_or(pair)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tests::{corpus, open, weighted};
    use crate::{EpochSampler, SampleRef};

    fn order(corpus: &Arc<Corpus>) -> Vec<SampleRef> {
        EpochSampler::new(corpus, 3, 4, 3).unwrap().batches(0).flatten().collect()
    }

    #[test]
    fn arms_differ_in_the_places_of_copies_alone() {
        let folder = tempfile::tempdir().unwrap();
        drop(corpus(folder.path(), 60));
        let arm = |arm| {
            let mut corpus = Arc::into_inner(open(folder.path(), None)).unwrap();
            let shard = folder.path().join("00000.tar");
            let name = |shard: &Path, key: &str| {
                let (shard, key) = (shard.to_path_buf(), key.to_owned());
                SampleName { shard, key, blake3: None }
            };
            let own = |key: &str| name(&shard, key);
            let named = [own("00007"), own("none"), own("00031"), name("x.tar".as_ref(), "00007")];
            let numbers = corpus.numbers(&named).unwrap();
            assert_eq!(numbers, [Some(7), None, Some(31), None]);
            let copies: Vec<u32> = numbers.into_iter().flatten().collect();
            corpus.set_arm(arm, &copies, 5, "report").unwrap();
            Arc::new(corpus)
        };
        let arms = [Arm::Keep, Arm::Replace, Arm::Placebo].map(arm);
        let orders = arms.each_ref().map(order);
        assert!(orders[0] == orders[1] && orders[0] == orders[2]);
        // Two of the sixty are held out, whatever the arm.
        assert_eq!(orders[0].len(), 3 * 58 / 4 * 4);
        let seen = |at: usize| -> BTreeSet<u32> {
            orders[at].iter().map(|used| arms[at].stand_in(used.pair)).collect()
        };
        let (keep, replace, placebo) = (seen(0), seen(1), seen(2));
        let reserve: Vec<u32> = replace.difference(&keep).copied().collect();
        assert_eq!(keep.difference(&replace).copied().collect::<Vec<_>>(), [7, 31]);
        assert_eq!(placebo.difference(&keep).copied().collect::<Vec<_>>(), reserve);
        assert!(placebo.contains(&7) && placebo.contains(&31));
        // What is loaded in the place of a copy is of the reserve.
        let used = *orders[1].iter().find(|used| used.pair == 7).unwrap();
        let loaded = arms[1].sample(used, &mut Vec::new()).unwrap();
        let other = arms[1].stand_in(7) as usize;
        assert_eq!(loaded.0.data, arms[1].image(other).unwrap().data);
        assert_eq!(loaded.1, arms[1].text(other, 0));
        // A run of one arm is not resumed as another's.
        let digests: BTreeSet<&str> = arms.iter().map(|corpus| corpus.digest()).collect();
        assert_eq!(digests.len(), 3);
    }

    #[test]
    fn too_many_copies_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut few = Arc::into_inner(corpus(folder.path(), 9)).unwrap();
        for copies in [&[0, 1, 2][..], &[]] {
            let message = few.set_arm(Arm::Keep, copies, 0, "x").unwrap_err().to_string();
            assert!(message.contains("copies among 9 pairs"), "{message}");
        }
    }

    #[test]
    fn a_pair_that_is_never_drawn_takes_no_broken_images_place() {
        let folder = tempfile::tempdir().unwrap();
        let corpus = weighted(folder.path(), 12, |i| if i == 3 { 0.0 } else { 1.0 });
        let broken = SampleRef { pair: 2, caption: 0, pass: 0, slot: 0 };
        let path = folder.path().join("00000.tar");
        let mut bytes = std::fs::read(&path).unwrap();
        let offset = corpus.pairs[2].offset as usize;
        bytes[offset..offset + 8].fill(0);
        std::fs::write(&path, bytes).unwrap();
        let corpus = open(folder.path(), Some("balance"));
        let mut faults = Vec::new();
        let (_, tokens) = corpus.sample(broken, &mut faults).unwrap();
        assert_eq!((faults.len(), &tokens[..]), (1, corpus.text(4, 0)));
    }
}
