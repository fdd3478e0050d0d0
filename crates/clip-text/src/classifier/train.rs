//! Training a classifier on texts by class, with the crate `fasttext`.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use clip_format::{AtomicFile, PathError};
use clip_guard::{Line, catch_panic, read_line};
use clip_random::SplitMix64;
use fasttext::FastText;
use fasttext::args::{Args, LossName, ModelName};

use crate::fasttext::{END, LABEL};
use crate::{Error, Result};

/// The loss that a classifier is trained with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TrainLoss {
    /// Negative sampling.
    NegativeSampling,
    /// Hierarchical softmax.
    HierarchicalSoftmax,
    /// Softmax.
    #[default]
    Softmax,
    /// One-vs-all.
    OneVsAll,
}

/// How a classifier is trained: fastText's options, with its defaults for supervised models.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Learning rate, which decreases to 0 over the training.
    pub lr: f64,
    /// Tokens after which it is set anew.
    pub lr_update_rate: u32,
    /// Size of the vectors.
    pub dim: u32,
    /// Times that each line is seen.
    pub epoch: u32,
    /// Longest run of words that has a vector.
    pub word_ngrams: u32,
    /// Least occurrences of a word.
    pub min_count: u32,
    /// Characters of the shortest subword.
    pub minn: u32,
    /// Characters of the longest subword; 0 for none.
    pub maxn: u32,
    /// Buckets that runs of words and subwords are hashed to.
    pub bucket: u32,
    /// Loss.
    pub loss: TrainLoss,
    /// Negatives that negative sampling draws.
    pub neg: u32,
    /// Of the first vectors, and of the order of the lines.
    pub seed: u32,
    /// Threads; with one alone the same input gives the same model.
    pub thread: u32,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            lr: 0.1,
            lr_update_rate: 100,
            dim: 100,
            epoch: 5,
            word_ngrams: 1,
            min_count: 1,
            minn: 0,
            maxn: 0,
            bucket: 2_000_000,
            loss: TrainLoss::default(),
            neg: 5,
            seed: 0,
            thread: 1,
        }
    }
}

/// What a classifier was trained on.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// Lines of each class that were trained on, in the order of the classes.
    pub lines: Vec<u64>,
    /// Lines without a word, which were left out.
    pub empty: u64,
    /// Words of the dictionary.
    pub words: u64,
    /// Mean loss over the training.
    pub loss: f64,
}

/// Trains a classifier on files with a text a line, each file a class, and writes it to `out`, as
/// fastText's own programs read it.
///
/// The lines are seen in an order that is drawn from the seed. Tokens that fastText would take for
/// labels or line ends are left out.
///
/// # Errors
/// Naming the file, when one cannot be read, has a line that is too long, or has no line with a
/// word; and when fastText refuses to train.
pub fn train(classes: &[(&str, &Path)], options: &TrainOptions, out: &Path) -> Result<Trained> {
    let refused = |reason: String| Error::Training { path: out.to_path_buf(), reason };
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| PathError::new(&path, source)
    };
    let files: Vec<File> = classes
        .iter()
        .map(|(_, path)| File::open(path).map_err(io(path)))
        .collect::<std::result::Result<_, _>>()?;
    let (mut places, mut lines, mut empty) = (Vec::new(), Vec::new(), 0);
    for (class, ((_, path), file)) in (0..).zip(classes.iter().zip(&files)) {
        let before = places.len();
        empty += find_lines(file, path, class, &mut places)?;
        lines.push((places.len() - before) as u64);
        if places.len() == before {
            return Err(Error::NoText { path: path.to_path_buf() });
        }
    }
    SplitMix64::new(u64::from(options.seed)).shuffle(&mut places);
    // fastText reads the file that it trains on once for each epoch.
    let scratch = tempfile::NamedTempFile::new().map_err(io(&std::env::temp_dir()))?;
    let mut writer = BufWriter::new(scratch.as_file());
    let mut line = Vec::new();
    for place in &places {
        line.resize(place.length as usize, 0);
        let (class, path) = classes[place.class as usize];
        files[place.class as usize].read_exact_at(&mut line, place.start).map_err(io(path))?;
        write!(writer, "{LABEL}{class}").map_err(io(scratch.path()))?;
        let text = String::from_utf8_lossy(&line);
        for word in words(&text) {
            write!(writer, " {word}").map_err(io(scratch.path()))?;
        }
        writeln!(writer).map_err(io(scratch.path()))?;
    }
    writer.flush().map_err(io(scratch.path()))?;
    drop(writer);
    let args = options.args(scratch.path().to_path_buf());
    let model = catch_panic(|| FastText::train(args)).map_err(refused)?;
    let model = model.map_err(|e| refused(e.to_string()))?;
    let mut file = AtomicFile::create(out)?;
    let mut writer = BufWriter::new(file.handle().map_err(io(out))?);
    model.save(&mut writer).map_err(|e| refused(e.to_string()))?;
    writer.flush().map_err(io(out))?;
    drop(writer);
    file.commit()?;
    let words = u64::try_from(model.dict().nwords()).unwrap_or(0);
    Ok(Trained { lines, empty, words, loss: model.last_train_loss() })
}

impl TrainOptions {
    fn args(&self, input: PathBuf) -> Args {
        let int = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        Args {
            input,
            model: ModelName::Supervised,
            lr: self.lr,
            lr_update_rate: int(self.lr_update_rate),
            dim: int(self.dim),
            epoch: int(self.epoch),
            word_ngrams: int(self.word_ngrams),
            min_count: int(self.min_count),
            minn: int(self.minn),
            maxn: int(self.maxn),
            bucket: if self.hashes() { int(self.bucket) } else { 0 },
            loss: match self.loss {
                TrainLoss::NegativeSampling => LossName::NegativeSampling,
                TrainLoss::HierarchicalSoftmax => LossName::HierarchicalSoftmax,
                TrainLoss::Softmax => LossName::Softmax,
                TrainLoss::OneVsAll => LossName::OneVsAll,
            },
            neg: int(self.neg),
            seed: int(self.seed),
            thread: int(self.thread),
            ..Args::default()
        }
    }

    /// Whether anything is hashed to buckets.
    pub fn hashes(&self) -> bool {
        self.word_ngrams > 1 || self.maxn > 0
    }
}

/// Where a line is, and of which class.
#[derive(Clone, Copy)]
struct Place {
    start: u64,
    length: u32,
    class: u32,
}

/// Adds the lines with words; returns the number of the others.
fn find_lines(file: &File, path: &Path, class: u32, places: &mut Vec<Place>) -> Result<u64> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let (mut line, mut start, mut empty) = (Vec::new(), 0, 0);
    for number in 1.. {
        let io = |source| PathError::new(path, source);
        match read_line(&mut reader, &mut line).map_err(io)? {
            Line::End => break,
            Line::TooLong(length) => {
                let reason = format!("line {number}: {}", Line::reason(length));
                return Err(Error::Training { path: path.to_path_buf(), reason });
            }
            Line::Whole => {
                let length = line.len() as u32;
                if words(&String::from_utf8_lossy(&line)).next().is_some() {
                    places.push(Place { start, length, class });
                } else {
                    empty += 1;
                }
                start += u64::from(length);
            }
        }
    }
    Ok(empty)
}

/// The words of a text, but those that mean something else to fastText.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let white = |c: char| matches!(c, ' ' | '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\0');
    text.split(white).filter(|word| !word.is_empty() && *word != END && !word.starts_with(LABEL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Classifier, ClassifierWorkspace};

    /// Captions of things, and file names, in no order.
    fn texts(folder: &Path) -> [PathBuf; 2] {
        let (things, colours) = (["dog", "cat", "boat", "house"], ["red", "old", "small"]);
        let (mut good, mut bad) = (String::new(), String::new());
        for n in 0..300 {
            let (thing, colour) = (things[n % 4], colours[n % 3]);
            good += &format!("a photo of a {colour} {thing} on a street\n");
            bad += &format!("IMG {n} buy now {colour} cheap price {thing} __label__x </s> sale\n");
        }
        let paths = ["good.txt", "bad.txt"].map(|name| folder.join(name));
        std::fs::write(&paths[0], good + "\n \n").unwrap();
        std::fs::write(&paths[1], bad).unwrap();
        paths
    }

    #[test]
    fn classes_are_separated_with_every_loss_and_one_thread_gives_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let [good, bad] = texts(folder.path());
        let classes = [("positive", good.as_path()), ("negative", bad.as_path())];
        for loss in [
            TrainLoss::Softmax,
            TrainLoss::HierarchicalSoftmax,
            TrainLoss::NegativeSampling,
            TrainLoss::OneVsAll,
        ] {
            let options = TrainOptions {
                loss,
                dim: 8,
                epoch: 10,
                lr: 0.5,
                minn: 2,
                maxn: 3,
                word_ngrams: 2,
                bucket: 1000,
                ..TrainOptions::default()
            };
            let outs = ["a.bin", "b.bin"].map(|name| folder.path().join(name));
            let trained = outs.clone().map(|out| train(&classes, &options, &out).unwrap());
            assert_eq!(trained[0], trained[1]);
            assert_eq!((&trained[0].lines[..], trained[0].empty), (&[300, 300][..], 2));
            let bytes = outs.clone().map(|out| std::fs::read(out).unwrap());
            assert!(bytes[0] == bytes[1], "{loss:?}");
            let model = Classifier::open(&outs[0]).unwrap();
            let mut labels = model.labels().to_vec();
            labels.sort();
            assert_eq!(labels, ["negative", "positive"], "a token of a text is no label");
            let positive = model.label("positive").unwrap();
            let mut workspace = ClassifierWorkspace::default();
            let mut ask = |text| model.probability(text, positive, &mut workspace);
            assert!(ask("a photo of a small boat") > 0.8, "{loss:?}");
            assert!(ask("buy cheap boat price") < 0.2, "{loss:?}");
        }
    }

    #[test]
    fn without_subwords_and_runs_there_are_no_buckets_and_other_seeds_give_other_models() {
        let folder = tempfile::tempdir().unwrap();
        let [good, bad] = texts(folder.path());
        let classes = [("positive", good.as_path()), ("negative", bad.as_path())];
        let out = folder.path().join("model.bin");
        let options = TrainOptions { dim: 4, ..TrainOptions::default() };
        train(&classes, &options, &out).unwrap();
        let first = std::fs::read(&out).unwrap();
        assert!(first.len() < 20_000, "{}", first.len());
        train(&classes, &TrainOptions { seed: 1, ..options }, &out).unwrap();
        assert!(first != std::fs::read(&out).unwrap());
    }

    #[test]
    fn what_cannot_be_trained_on_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let [good, _] = texts(folder.path());
        let out = folder.path().join("model.bin");
        let none = folder.path().join("none.txt");
        let run = |bad: &Path| {
            let classes = [("positive", good.as_path()), ("negative", bad)];
            train(&classes, &TrainOptions::default(), &out).unwrap_err().to_string()
        };
        assert!(run(&none).contains("none.txt"));
        std::fs::write(&none, "\n__label__x </s>\n").unwrap();
        assert!(run(&none).contains("none.txt: no line with a word"));
        assert!(!out.exists());
    }
}
