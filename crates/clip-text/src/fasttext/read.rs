//! The format of fastText's models, versions 11 and 12.

use std::collections::HashMap;

use super::tree::Tree;
use super::{Buckets, END, Model, Word};

const MAGIC: i32 = 793_712_314;
const VERSIONS: std::ops::RangeInclusive<i32> = 11..=12;
const SUPERVISED: i32 = 3;
const HIERARCHICAL: i32 = 1;
/// Longest subwords and runs of words: what a caption costs grows with them.
const LONGEST: usize = 32;
/// Numbers of a row that one code stands for, at most; fastText's own is 2.
const WIDEST: usize = 64;

impl Model {
    /// Reads a model; the error says what is wrong with it.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut input = Input(bytes);
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
        input.take(8)?;
        let [dim, _, _, _, _, word_ngrams, loss, kind, bucket, minn, maxn, _] = numbers;
        if kind != SUPERVISED || loss != HIERARCHICAL {
            return Err("not a classifier with hierarchical softmax".into());
        }
        let positive = |n: i32, name: &str| {
            usize::try_from(n).ok().filter(|&n| n > 0).ok_or(format!("{name} is {n}"))
        };
        let dim = positive(dim, "its dimension")?;
        let bucket = positive(bucket, "its number of buckets")? as u32;
        let (minn, maxn) = (minn.max(0) as usize, maxn.max(0) as usize);
        let word_ngrams = word_ngrams.max(1) as usize;
        if maxn > LONGEST || word_ngrams > LONGEST {
            return Err(format!("subwords or runs of words longer than {LONGEST}"));
        }
        let (entries, pruned) = dictionary(&mut input)?;
        let quantised = input.flag()?;
        let matrix = if quantised { quantised_matrix(&mut input)? } else { matrix(&mut input)? };
        let output = if input.flag()? && quantised {
            quantised_matrix(&mut input)?
        } else {
            self::matrix(&mut input)?
        };
        let word_count = entries.iter().filter(|entry| !entry.label).count() as u32;
        let counts: Vec<i64> = entries.iter().filter(|e| e.label).map(|e| e.count).collect();
        if !Tree::fits(&counts) {
            return Err("its counts of labels make no tree".into());
        }
        if matrix.columns != dim || output.columns != dim {
            return Err("its matrices do not fit its dictionary".into());
        }
        let rows = match &pruned {
            Some(pairs) => pairs.iter().map(|pair| pair.1.saturating_add(1)).max().unwrap_or(0),
            None => bucket,
        };
        if matrix.data.len() < (word_count as usize + rows as usize) * dim
            || output.data.len() < (counts.len() - 1) * dim
            || pruned.iter().flatten().any(|pair| pair.0 >= bucket)
        {
            return Err("its matrices do not fit its dictionary".into());
        }
        let name = |entry: &Entry| {
            let name = String::from_utf8_lossy(&entry.word).into_owned();
            name.trim_start_matches("__label__").to_owned()
        };
        let labels = entries.iter().filter(|entry| entry.label).map(name).collect();
        let mut model = Self {
            dim,
            minn,
            maxn,
            word_ngrams,
            words: HashMap::new(),
            word_count,
            labels,
            buckets: Buckets::new(bucket, pruned),
            input: matrix.data,
            output: output.data,
            tree: Tree::new(&counts),
        };
        for (at, entry) in (0..).zip(entries) {
            let mut rows = vec![at];
            if !entry.label && entry.word[..] != *END {
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

fn dictionary(input: &mut Input) -> Result<(Vec<Entry>, Pruned), String> {
    let size = input.i32()?;
    input.take(8)?;
    input.take(8)?;
    let pruned = input.i64()?;
    let mut entries = Vec::new();
    for _ in 0..size {
        let word = input.word()?.into();
        entries.push(Entry { word, count: input.i64()?, label: input.take(1)? == [1] });
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

struct Matrix {
    columns: usize,
    data: Vec<f32>,
}

fn shape(input: &mut Input) -> Result<(usize, usize), String> {
    let (rows, columns) = (input.i64()?, input.i64()?);
    let fits = |n: i64| usize::try_from(n).ok().filter(|n| (1..1 << 32).contains(n));
    let shape = fits(rows).zip(fits(columns)).filter(|(rows, columns)| rows * columns < 1 << 34);
    shape.ok_or_else(|| format!("a matrix of {rows} by {columns}"))
}

fn matrix(input: &mut Input) -> Result<Matrix, String> {
    let (rows, columns) = shape(input)?;
    Ok(Matrix { columns, data: input.floats(rows * columns)? })
}

/// A matrix whose rows are a norm times parts from a code book; decoded here once and for all.
fn quantised_matrix(input: &mut Input) -> Result<Matrix, String> {
    let norms = input.flag()?;
    let (rows, columns) = shape(input)?;
    let length = usize::try_from(input.i32()?).map_err(|_| "a code book of no size")?;
    let codes = input.take(length)?;
    let book = Book::read(input)?;
    let norms = if norms {
        let codes = input.take(rows)?;
        Some((codes, Book::read(input)?))
    } else {
        None
    };
    let parts = columns.div_ceil(book.width.max(1));
    if !(1..=WIDEST).contains(&book.width)
        || codes.len() < rows * parts
        || book.centroids.len() < columns * 256
    {
        return Err("a code book of another size".into());
    }
    let mut data = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        let norm = match &norms {
            Some((codes, book)) => {
                *book.centroids.get(codes[row] as usize).ok_or("a norm is missing")?
            }
            None => 1.0,
        };
        for part in 0..parts {
            let code = codes[row * parts + part] as usize;
            // The last part may be narrower than the others.
            let width = book.width.min(columns - part * book.width);
            let start = part * 256 * book.width + code * width;
            data.extend(book.centroids[start..start + width].iter().map(|value| norm * value));
        }
    }
    Ok(Matrix { columns, data })
}

/// A product quantiser's centroids: 256 for each part of a row.
struct Book {
    width: usize,
    centroids: Vec<f32>,
}

impl Book {
    fn read(input: &mut Input) -> Result<Self, String> {
        let (dim, _parts) = (input.i32()?, input.i32()?);
        let (width, _last) = (input.i32()?, input.i32()?);
        let dim = usize::try_from(dim).ok().filter(|&dim| dim < 1 << 20);
        let dim = dim.ok_or("a code book of no size")?;
        Ok(Self { width: width.max(0) as usize, centroids: input.floats(dim * 256)? })
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let taken = self.0.split_off(..length);
        taken.ok_or_else(|| "the model is cut off".to_owned())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn i32(&mut self) -> Result<i32, String> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64, String> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    fn flag(&mut self) -> Result<bool, String> {
        Ok(self.take(1)? != [0])
    }

    fn floats(&mut self, count: usize) -> Result<Vec<f32>, String> {
        let (values, _) = self.take(count * 4)?.as_chunks::<4>();
        Ok(values.iter().map(|&value| f32::from_le_bytes(value)).collect())
    }

    /// Bytes up to a zero.
    fn word(&mut self) -> Result<&'a [u8], String> {
        let length = self.0.iter().position(|&b| b == 0).ok_or("the model is cut off")?;
        let word = self.take(length)?;
        self.take(1)?;
        Ok(word)
    }
}
