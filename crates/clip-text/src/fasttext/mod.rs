//! Supervised fastText models, read and asked as the C++ program does (Joulin et al. 2016, 2017).
//!
//! Models of every loss, whole (`.bin`) or quantised (`.ftz`). The sums run in the order of the C++
//! program, in single precision, so that labels and probabilities are its own.

mod arithmetic;
mod input;
mod loss;
mod matrix;
mod read;
mod top_k;
mod tree;

use std::collections::HashMap;

use loss::{Loss, LossWorkspace};
use top_k::TopK;

/// The word that stands for the end of a line.
pub(crate) const END: &str = "</s>";
/// What labels begin with in a file.
pub(crate) const LABEL: &str = "__label__";
/// No row.
const NONE: u32 = u32::MAX;

/// A model: subwords of a text to rows, their mean to a label.
pub(crate) struct Model {
    dim: usize,
    minn: usize,
    maxn: usize,
    word_ngrams: usize,
    words: HashMap<Box<[u8]>, Word>,
    word_count: u32,
    labels: Vec<String>,
    buckets: Buckets,
    /// Input rows, decoded.
    input: Vec<f32>,
    output: Vec<f32>,
    loss: Loss,
}

/// A word of the dictionary with the rows of itself and its subwords.
struct Word {
    rows: Box<[u32]>,
    label: bool,
}

/// From the hash of a subword to its row.
struct Buckets {
    count: u32,
    kept: Kept,
}

enum Kept {
    /// Every bucket has a row.
    All,
    /// Some have: a bit a bucket says which, and a table with open addressing where.
    Some { bits: Vec<u64>, table: Vec<(u32, u32)>, mask: u32 },
}

impl Buckets {
    fn new(count: u32, pruned: Option<Vec<(u32, u32)>>) -> Self {
        let Some(pairs) = pruned else { return Self { count, kept: Kept::All } };
        let size = (pairs.len() * 2).next_power_of_two().max(2);
        let mask = size as u32 - 1;
        let mut bits = vec![0; count.div_ceil(64) as usize];
        let mut table = vec![(NONE, 0); size];
        for (bucket, row) in pairs {
            bits[bucket as usize / 64] |= 1 << (bucket % 64);
            let mut at = Self::spread(bucket) & mask;
            while table[at as usize].0 != NONE {
                at = (at + 1) & mask;
            }
            table[at as usize] = (bucket, row);
        }
        Self { count, kept: Kept::Some { bits, table, mask } }
    }

    fn spread(bucket: u32) -> u32 {
        bucket.wrapping_mul(0x9e37_79b1) >> 7
    }

    /// Row of a hash among the subwords' rows; there are none without buckets.
    fn row(&self, hash: u64) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        // Division of 32 bits is the faster one.
        let bucket = match u32::try_from(hash) {
            Ok(hash) => hash % self.count,
            Err(_) => (hash % u64::from(self.count)) as u32,
        };
        match &self.kept {
            Kept::All => Some(bucket),
            Kept::Some { bits, table, mask } => {
                if bits[bucket as usize / 64] >> (bucket % 64) & 1 == 0 {
                    return None;
                }
                let mut at = Self::spread(bucket) & mask;
                loop {
                    let (key, row) = table[at as usize];
                    if key == bucket {
                        return Some(row);
                    }
                    at = (at + 1) & mask;
                }
            }
        }
    }
}

/// What a text needs while it is looked at; its memory is used again.
#[derive(Default)]
pub(crate) struct Workspace {
    word: Vec<u8>,
    rows: Vec<u32>,
    hashes: Vec<u32>,
    loss: LossWorkspace,
    top: TopK,
}

impl Model {
    /// The labels, without their prefix, in the order of the model.
    pub(crate) fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Up to `k` of the likeliest labels of a line, with a probability of at least `threshold`: the
    /// logarithm of the probability of each, and its place among the labels. A line end is white
    /// space here.
    pub(crate) fn predict<'s>(
        &self,
        line: &str,
        k: usize,
        threshold: f32,
        space: &'s mut Workspace,
    ) -> &'s [(f32, u32)] {
        space.rows.clear();
        space.hashes.clear();
        space.top.reset(k.min(self.labels.len()));
        let white = |b: &u8| matches!(b, b' ' | b'\n' | b'\r' | b'\t' | 0x0b | 0x0c | 0);
        for word in line.as_bytes().split(white).filter(|word| !word.is_empty()) {
            // A line ends where it says so.
            if word == END.as_bytes() {
                break;
            }
            self.add(word, space);
        }
        self.add(END.as_bytes(), space);
        self.pairs(space);
        if !space.rows.is_empty() {
            self.mean(space);
            let (loss, top) = (&mut space.loss, &mut space.top);
            self.loss.best(&self.output, self.labels.len(), threshold, loss, top);
        }
        space.top.sorted()
    }

    /// Adds the rows of a word.
    fn add(&self, word: &[u8], space: &mut Workspace) {
        match self.words.get(word) {
            Some(known) if known.label => return,
            Some(known) if self.maxn == 0 => space.rows.push(known.rows[0]),
            Some(known) => space.rows.extend(&known.rows),
            None if word.starts_with(LABEL.as_bytes()) => return,
            None if word != END.as_bytes() => self.subwords(word, &mut space.word, &mut space.rows),
            None => {}
        }
        if self.word_ngrams > 1 {
            space.hashes.push(hash(word));
        }
    }

    /// Rows of the runs of `minn` to `maxn` characters of `<word>`, but single brackets.
    fn subwords(&self, word: &[u8], spelt: &mut Vec<u8>, rows: &mut Vec<u32>) {
        spelt.clear();
        spelt.push(b'<');
        spelt.extend(word);
        spelt.push(b'>');
        let inside = |b: u8| b & 0xc0 == 0x80;
        for start in (0..spelt.len()).filter(|&at| !inside(spelt[at])) {
            let mut hash = FNV_START;
            let mut at = start;
            for n in 1..=self.maxn {
                if at == spelt.len() {
                    break;
                }
                hash = fnv(hash, spelt[at]);
                at += 1;
                while at < spelt.len() && inside(spelt[at]) {
                    hash = fnv(hash, spelt[at]);
                    at += 1;
                }
                if n >= self.minn && !(n == 1 && (start == 0 || at == spelt.len())) {
                    rows.extend(self.buckets.row(u64::from(hash)).map(|row| self.word_count + row));
                }
            }
        }
    }

    /// Rows of runs of words.
    fn pairs(&self, space: &mut Workspace) {
        for (at, &first) in space.hashes.iter().enumerate() {
            let signed = |hash: u32| i64::from(hash as i32) as u64;
            let mut hash = signed(first);
            for &next in space.hashes.iter().skip(at + 1).take(self.word_ngrams - 1) {
                hash = hash.wrapping_mul(116_049_371).wrapping_add(signed(next));
                space.rows.extend(self.buckets.row(hash).map(|row| self.word_count + row));
            }
        }
    }

    fn mean(&self, space: &mut Workspace) {
        let (rows, sums) = (&space.rows, &mut space.loss.hidden);
        sums.clear();
        sums.resize(self.dim, 0.0);
        if let Ok(hidden) = <&mut [f32; 16]>::try_from(&mut sums[..]) {
            // The dimension of fastText's own models, in registers.
            let mut sum = [0f32; 16];
            for &row in rows {
                let row = &self.input[row as usize * 16..][..16];
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
            *hidden = sum;
        } else {
            for &row in rows {
                let row = &self.input[row as usize * self.dim..][..self.dim];
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
        }
        let share = (1.0 / rows.len() as f64) as f32;
        sums.iter_mut().for_each(|sum| *sum *= share);
    }
}

const FNV_START: u32 = 2_166_136_261;

/// FNV-1a with bytes taken as signed, as in C++ fastText.
fn fnv(hash: u32, byte: u8) -> u32 {
    (hash ^ byte as i8 as u32).wrapping_mul(16_777_619)
}

fn hash(word: &[u8]) -> u32 {
    word.iter().fold(FNV_START, |hash, &byte| fnv(hash, byte))
}
