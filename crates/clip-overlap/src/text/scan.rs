//! The texts of a corpus against the captions of evaluation sets, a unit at a time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{CaptionIndex, TextKind};
use crate::corpus::{CorpusRow, Unit};
use crate::{Error, Result};

/// Raised whenever a comparison comes out differently: older results are then made again.
const VERSION: u32 = 3;
/// Texts that are in memory at a time.
const BATCH: usize = 4096;

/// A text of the corpus that has an item's caption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextMatch {
    /// Name of the evaluation set.
    pub set: String,
    /// Key of its item.
    pub key: String,
    /// The item's caption.
    pub caption: String,
    /// The unit of the corpus.
    pub place: String,
    /// The row's name there.
    pub id: String,
    /// Where its image came from.
    pub url: String,
    /// The text.
    pub text: String,
    /// How it has the caption.
    pub kind: TextKind,
    /// How alike, in [0, 1]: the share of the caption's words that need no change.
    pub score: f32,
}

/// What was found in a unit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TextUnit {
    /// Rows with a text.
    pub texts: u64,
    /// What was found.
    pub matches: Vec<TextMatch>,
}

/// Sets with captions, and a folder for results.
pub struct TextScan<'a> {
    /// The sets.
    pub sets: &'a [CaptionIndex],
    /// Where each unit's matches are kept.
    pub folder: PathBuf,
    /// Set by what wants the scan to stop.
    pub cancel: &'a AtomicBool,
}

impl TextScan<'_> {
    /// The matches of a unit: read where they are there already, else made and kept. None when it
    /// was asked to stop.
    ///
    /// # Errors
    /// When the unit cannot be read, or the matches cannot be kept.
    pub fn unit(&self, unit: &Unit) -> Result<Option<TextUnit>> {
        let file = self.file(unit)?;
        if let Some(known) = read(&file) {
            return Ok(Some(known));
        }
        let (mut found, mut batch) = (TextUnit::default(), Vec::new());
        let stopped = || self.cancel.load(Ordering::Relaxed);
        unit.each(&mut |row| {
            if !row.caption.is_empty() {
                batch.push(CorpusRow { image: None, ..row });
            }
            if batch.len() == BATCH {
                found.compare(self.sets, &unit.place, &batch);
                batch.clear();
            }
            Ok(!stopped())
        })?;
        if stopped() {
            return Ok(None);
        }
        found.compare(self.sets, &unit.place, &batch);
        let text = serde_json::to_string(&found).map_err(|e| Error::file(&file, e))?;
        clip_format::write_atomic(&file, text.as_bytes())?;
        Ok(Some(found))
    }

    /// Where a unit's matches are kept: a changed unit or set has another file.
    ///
    /// # Errors
    /// When the unit's files are gone.
    pub fn file(&self, unit: &Unit) -> Result<PathBuf> {
        let mut text = format!("{VERSION}\n{}", unit.state()?);
        for set in self.sets {
            text.push_str(&format!("\n{} {}", set.name, set.digest()));
        }
        let name = &blake3::hash(text.as_bytes()).to_hex()[..32];
        Ok(self.folder.join(format!("{name}.texts.json")))
    }
}

impl TextUnit {
    /// Adds rows that have a text, and what is found in them.
    pub(crate) fn compare(&mut self, sets: &[CaptionIndex], place: &str, rows: &[CorpusRow]) {
        let of = |row: &CorpusRow| {
            let of = |set: &CaptionIndex| -> Vec<TextMatch> {
                let of = |(item, caption, kind, score): (u32, &str, TextKind, f32)| TextMatch {
                    set: set.name.clone(),
                    key: set.keys[item as usize].clone(),
                    caption: caption.to_owned(),
                    place: place.to_owned(),
                    id: row.id.clone(),
                    url: row.url.clone(),
                    text: row.caption.clone(),
                    kind,
                    score,
                };
                set.find(&row.caption).into_iter().map(of).collect()
            };
            sets.iter().flat_map(of).collect::<Vec<_>>()
        };
        let matches: Vec<Vec<TextMatch>> = rows.par_iter().map(of).collect();
        self.texts += rows.len() as u64;
        self.matches.extend(matches.into_iter().flatten());
    }
}

fn read(file: &Path) -> Option<TextUnit> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}
