//! The format of fastText's models, versions 11 and 12.

use std::collections::HashMap;
use std::io::BufRead;

use super::input::Input;
use super::loss::Loss;
use super::matrix::{Matrix, matrix, quantised_matrix};
use super::{Buckets, END, LABEL, Model, Word};

const MAGIC: i32 = 793_712_314;
const VERSIONS: std::ops::RangeInclusive<i32> = 11..=12;
const SUPERVISED: i32 = 3;
/// Longest subwords and runs of words: what a caption costs grows with them.
const LONGEST: usize = 32;
/// Buckets at most where a table says which of them have rows; fastText's own models have 2
/// million.
const MOST_BUCKETS: u32 = 1 << 27;

impl Model {
    /// Reads a model of `length` bytes; the error says what is wrong with it.
    pub(crate) fn read(reader: impl BufRead, length: u64) -> Result<Self, String> {
        let mut input = Input::new(reader, length);
        if input.i32()? != MAGIC {
            return Err("not a fastText model".into());
        }
        let version = input.i32()?;
        if !VERSIONS.contains(&version) {
            return Err(format!("fastText's format {version}, where 11 or 12 is known"));
        }
        let mut numbers = [0; 12];
        for number in &mut numbers {
            *number = input.i32()?;
        }
        input.skip(8)?;
        let [dim, _, _, _, _, word_ngrams, loss, kind, bucket, minn, maxn, _] = numbers;
        if kind != SUPERVISED {
            return Err("vectors of words, not a supervised model".into());
        }
        let dim = usize::try_from(dim).ok().filter(|&dim| dim > 0);
        let dim = dim.ok_or_else(|| format!("its dimension is {}", numbers[0]))?;
        let bucket = u32::try_from(bucket).map_err(|_| format!("it has {bucket} buckets"))?;
        // Supervised models of the older format have no subwords, whatever they say.
        let maxn = if version == 11 { 0 } else { maxn.max(0) as usize };
        let (minn, word_ngrams) = (minn.max(0) as usize, word_ngrams.max(1) as usize);
        if maxn > LONGEST || word_ngrams > LONGEST {
            return Err(format!("subwords or runs of words longer than {LONGEST}"));
        }
        if bucket == 0 && (maxn > 0 || word_ngrams > 1) {
            return Err("subwords or runs of words without buckets".into());
        }
        let (entries, pruned) = dictionary(&mut input)?;
        if pruned.is_some() && bucket > MOST_BUCKETS {
            return Err(format!("it has {bucket} buckets"));
        }
        let quantised = input.flag()?;
        let rows = if quantised { quantised_matrix(&mut input)? } else { matrix(&mut input)? };
        let quantised = input.flag()? && quantised;
        let output = if quantised { quantised_matrix(&mut input)? } else { matrix(&mut input)? };
        let counts: Vec<i64> = entries.iter().filter(|e| e.label).map(|e| e.count).collect();
        if counts.is_empty() {
            return Err("it has no labels".into());
        }
        let loss = Loss::read(loss, &counts)?;
        let word_count = (entries.len() - counts.len()) as u32;
        let kept = match &pruned {
            Some(pairs) => pairs.iter().map(|pair| pair.1.saturating_add(1)).max().unwrap_or(0),
            None => bucket,
        };
        let fits =
            |matrix: &Matrix, rows: usize| matrix.columns == dim && matrix.data.len() / dim >= rows;
        if !fits(&rows, word_count as usize + kept as usize)
            || !fits(&output, loss.rows(counts.len()))
            || pruned.iter().flatten().any(|pair| pair.0 >= bucket)
        {
            return Err("its matrices do not fit its dictionary".into());
        }
        let name = |entry: &Entry| {
            let name = String::from_utf8_lossy(&entry.word);
            name.strip_prefix(LABEL).unwrap_or(&name).to_owned()
        };
        let labels = entries.iter().filter(|entry| entry.label).map(name).collect();
        let mut model = Self {
            dim,
            minn,
            maxn,
            word_ngrams,
            words: HashMap::with_capacity(entries.len()),
            word_count,
            labels,
            buckets: Buckets::new(bucket, pruned),
            input: rows.data,
            output: output.data,
            loss,
        };
        for (at, entry) in (0..).zip(entries) {
            let mut rows = vec![at];
            if !entry.label && entry.word[..] != *END.as_bytes() {
                model.subwords(&entry.word, &mut Vec::new(), &mut rows);
            }
            let word = Word { rows: rows.into(), label: entry.label };
            model.words.insert(entry.word, word);
        }
        Ok(model)
    }
}

struct Entry {
    word: Box<[u8]>,
    count: i64,
    label: bool,
}

type Pruned = Option<Vec<(u32, u32)>>;

fn dictionary(input: &mut Input<impl BufRead>) -> Result<(Vec<Entry>, Pruned), String> {
    let size = input.i32()?;
    input.skip(16)?;
    let pruned = input.i64()?;
    let mut entries = Vec::new();
    for _ in 0..size {
        let word = input.word()?;
        entries.push(Entry { word, count: input.i64()?, label: input.array()? == [1] });
    }
    // Words come first, labels after them: a row's number is its entry's.
    if !entries.is_sorted_by_key(|entry| entry.label) {
        return Err("its dictionary is not in order".into());
    }
    if pruned < 0 {
        return Ok((entries, None));
    }
    let mut pairs = Vec::new();
    for _ in 0..pruned {
        pairs.push((input.i32()? as u32, input.i32()? as u32));
    }
    Ok((entries, Some(pairs)))
}
