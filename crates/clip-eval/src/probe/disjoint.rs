//! The parts of a probe must not share items: a score on what was fitted on says nothing.

use std::collections::HashMap;

use serde::Serialize;

use super::{Part, Parts, ProbeItem};
use crate::{Error, Result};

/// Items that were left out because another part holds them too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Dropped {
    /// Of the train part, in the test part.
    pub train_in_test: usize,
    /// Of the validation part, in the test part.
    pub val_in_test: usize,
    /// Of the train part, in the validation part.
    pub train_in_val: usize,
}

impl Dropped {
    /// All of them.
    pub fn count(&self) -> usize {
        self.train_in_test + self.val_in_test + self.train_in_val
    }
}

/// The rows of `items` whose content is in `other`, each with the first such row there.
pub fn shared_items(items: &[ProbeItem], other: &[ProbeItem]) -> Vec<(usize, usize)> {
    let mut places: HashMap<&[u8; 32], usize> = HashMap::new();
    for (row, item) in other.iter().enumerate() {
        places.entry(&item.content).or_insert(row);
    }
    let rows = items.iter().enumerate();
    rows.filter_map(|(row, item)| Some((row, *places.get(&item.content)?))).collect()
}

/// Refuses parts that share items by content.
///
/// # Errors
/// [`Error::Shared`] with the number of shared items and the first of both.
pub fn check_disjoint(
    (part, items): (&'static str, &[ProbeItem]),
    (other, others): (&'static str, &[ProbeItem]),
) -> Result<()> {
    let shared = shared_items(items, others);
    let Some(&(row, place)) = shared.first() else { return Ok(()) };
    let (key, same) = (items[row].key.clone(), others[place].key.clone());
    Err(Error::Shared { part, other, count: shared.len(), key, same })
}

impl Parts {
    /// Refuses parts that share items by content.
    pub fn check_disjoint(&self) -> Result<()> {
        let (train, val) = (("train", &self.train.items[..]), ("val", &self.val.items[..]));
        let test = ("test", &self.test.items[..]);
        check_disjoint(train, test)?;
        check_disjoint(val, test)?;
        check_disjoint(train, val)
    }

    /// Leaves out of train and validation what the test part holds, and of train what the
    /// validation part holds.
    pub fn drop_shared(&mut self) -> Dropped {
        Dropped {
            train_in_test: drop_from(&mut self.train, &self.test),
            val_in_test: drop_from(&mut self.val, &self.test),
            train_in_val: drop_from(&mut self.train, &self.val),
        }
    }
}

fn drop_from(part: &mut Part, other: &Part) -> usize {
    let shared: std::collections::HashSet<usize> =
        shared_items(&part.items, &other.items).into_iter().map(|(row, _)| row).collect();
    if !shared.is_empty() {
        let kept: Vec<usize> = (0..part.len()).filter(|row| !shared.contains(row)).collect();
        *part = part.rows(&kept);
    }
    shared.len()
}
