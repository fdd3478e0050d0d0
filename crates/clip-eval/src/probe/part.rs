//! What a probe is fitted, chosen and scored on.

use std::collections::HashMap;

use clip_datasets::Metric;
use clip_torch::tch::{Kind, Tensor};

use super::draw::draw;
use crate::Result;

/// What is true of each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One class.
    Classes(Vec<usize>),
    /// For each class 1, -1, or 0 where that is not judged.
    Marks(Vec<Vec<i8>>),
}

/// An item: its key, and the hash of what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeItem {
    /// Its key.
    pub key: String,
    /// blake3 of its encoded image; of its features where there is no image.
    pub content: [u8; 32],
}

/// Features [n, d], what is true of them, and the items that they are of.
pub struct Part {
    /// The features.
    pub features: Tensor,
    /// What is true of each row.
    pub target: Target,
    /// The item of each row.
    pub items: Vec<ProbeItem>,
}

/// The parts of a probe.
pub struct Parts {
    /// What is fitted on.
    pub train: Part,
    /// What the strength is chosen on.
    pub val: Part,
    /// What is scored.
    pub test: Part,
    /// The number of classes.
    pub classes: usize,
    /// The metric that the strength is chosen by.
    pub metric: Metric,
}

impl Target {
    /// The number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Marks(marks) => marks.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn rows(&self, rows: &[usize]) -> Self {
        match self {
            Self::Classes(classes) => Self::Classes(rows.iter().map(|&row| classes[row]).collect()),
            Self::Marks(marks) => Self::Marks(rows.iter().map(|&row| marks[row].clone()).collect()),
        }
    }

    /// For each row the class that a draw treats it as: its own, or the rarest of those present.
    pub(super) fn strata(&self) -> Vec<usize> {
        let marks = match self {
            Self::Classes(classes) => return classes.clone(),
            Self::Marks(marks) => marks,
        };
        let count = marks.first().map_or(0, Vec::len);
        let mut sizes = vec![0usize; count];
        for row in marks {
            row.iter().zip(&mut sizes).for_each(|(mark, size)| *size += usize::from(*mark == 1));
        }
        let rarest = |row: &Vec<i8>| {
            (0..count).filter(|&class| row[class] == 1).min_by_key(|&class| sizes[class])
        };
        marks.iter().map(|row| rarest(row).unwrap_or(count)).collect()
    }
}

impl Part {
    /// Features that are there without their images: rows are the same where their features are, to
    /// the byte.
    pub fn of_features(features: Tensor, target: Target) -> Result<Self> {
        let hashes = row_hashes(&features)?;
        let item = |(row, content)| ProbeItem { key: format!("row {row}"), content };
        Ok(Self { features, target, items: hashes.into_iter().enumerate().map(item).collect() })
    }

    /// A part without rows.
    pub fn empty() -> Self {
        let features = Tensor::zeros([0, 0], (Kind::Float, clip_torch::tch::Device::Cpu));
        Self { features, target: Target::Classes(Vec::new()), items: Vec::new() }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.target.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of the rows.
    pub fn rows(&self, rows: &[usize]) -> Self {
        let places: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        Self {
            features: self.features.index_select(0, &Tensor::from_slice(&places)),
            target: self.target.rows(rows),
            items: rows.iter().map(|&row| self.items[row].clone()).collect(),
        }
    }

    /// Both, one after the other.
    pub fn with(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.rows(&(0..self.len()).collect::<Vec<_>>());
        }
        let target = match (&self.target, &other.target) {
            (Target::Marks(a), Target::Marks(b)) => Target::Marks([&a[..], b].concat()),
            (Target::Classes(a), Target::Classes(b)) => Target::Classes([&a[..], b].concat()),
            (target, _) => target.clone(),
        };
        Self {
            features: Tensor::cat(&[&self.features, &other.features], 0),
            target,
            items: [&self.items[..], &other.items].concat(),
        }
    }

    /// A fifth of the rows, by class and a hash of the seed, as the validation part of the others.
    /// Rows of the same content stay together.
    pub fn split(&self, seed: u64) -> (Self, Self) {
        let mut first: HashMap<&[u8; 32], usize> = HashMap::new();
        let leaders: Vec<usize> = (0..self.len())
            .map(|row| *first.entry(&self.items[row].content).or_insert(row))
            .collect();
        let strata = self.target.strata();
        let mut by_class: std::collections::BTreeMap<usize, Vec<usize>> =
            std::collections::BTreeMap::new();
        for row in (0..self.len()).filter(|&row| leaders[row] == row) {
            by_class.entry(strata[row]).or_default().push(row);
        }
        let mut held = vec![false; self.len()];
        for rows in by_class.values_mut() {
            rows.sort_by_key(|&row| draw(seed, row));
            let count = rows.len().div_ceil(5).min(rows.len() - 1);
            rows[..count].iter().for_each(|&row| held[row] = true);
        }
        let (val, train): (Vec<usize>, Vec<usize>) =
            (0..self.len()).partition(|&row| held[leaders[row]]);
        (self.rows(&train), self.rows(&val))
    }
}

/// blake3 of the bytes of each row.
fn row_hashes(features: &Tensor) -> Result<Vec<[u8; 32]>> {
    let [rows, width] = features.size()[..] else { return Ok(Vec::new()) };
    let width = width as usize;
    if rows == 0 || width == 0 {
        return Ok(vec![[0; 32]; rows as usize]);
    }
    let flat = features.contiguous().view([-1]);
    let hash = |bytes: Vec<u8>| *blake3::hash(&bytes).as_bytes();
    Ok(if features.kind() == Kind::Double {
        let flat: Vec<f64> = Vec::try_from(flat)?;
        let rows = flat.chunks_exact(width);
        rows.map(|row| hash(row.iter().flat_map(|x| x.to_le_bytes()).collect())).collect()
    } else {
        let flat: Vec<f32> = Vec::try_from(flat.to_kind(Kind::Float))?;
        let rows = flat.chunks_exact(width);
        rows.map(|row| hash(row.iter().flat_map(|x| x.to_le_bytes()).collect())).collect()
    })
}
