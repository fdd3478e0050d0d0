//! The decision file, which a page changes at once.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use clip_overlap::{Decisions, ReviewedPair, Verdict};

use crate::Result;

/// Where decisions are stored, and one at a time is.
#[derive(Default)]
pub(crate) struct DecisionFile {
    /// One file for all reports; that of each report's folder where it is absent.
    given: Option<PathBuf>,
    writing: Mutex<()>,
}

impl DecisionFile {
    /// That file, or one in the folder of each report.
    pub fn new(given: Option<PathBuf>) -> Self {
        Self { given, writing: Mutex::default() }
    }

    /// The file for a report's folder.
    pub fn path(&self, folder: &Path) -> PathBuf {
        self.given.clone().unwrap_or_else(|| folder.join(Decisions::FILE))
    }

    /// What is decided; nothing where there is no file yet.
    ///
    /// # Errors
    /// When it is something else.
    pub fn read(&self, folder: &Path) -> Result<Decisions> {
        let path = self.path(folder);
        if path.exists() { Ok(Decisions::read(&path)?) } else { Ok(Decisions::default()) }
    }

    /// Stores a mark in place of an earlier one of the same pair; without a verdict it is taken
    /// away.
    ///
    /// # Errors
    /// When the file is something else, or cannot be written.
    pub fn mark(
        &self,
        folder: &Path,
        set: &str,
        (key, id, score): (&str, &str, f32),
        verdict: Option<Verdict>,
    ) -> Result<()> {
        self.change(folder, |decisions| {
            let marks = &mut decisions.sets.entry(set.to_owned()).or_default().marks;
            marks.retain(|mark| mark.key != key || mark.id != id);
            let mark = |verdict| ReviewedPair { key: key.into(), id: id.into(), verdict, score };
            marks.extend(verdict.map(mark));
        })
    }

    /// Stores the threshold of a set.
    ///
    /// # Errors
    /// As those of [`Self::mark`].
    pub fn threshold(&self, folder: &Path, set: &str, threshold: f32) -> Result<()> {
        self.change(folder, |decisions| {
            decisions.sets.entry(set.to_owned()).or_default().threshold = Some(threshold);
        })
    }

    /// Reads, changes and writes the file whole; what another program stored there stays.
    fn change(&self, folder: &Path, change: impl FnOnce(&mut Decisions)) -> Result<()> {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut decisions = self.read(folder)?;
        change(&mut decisions);
        Ok(decisions.write(&self.path(folder))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_stored_at_once_and_replaced_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = DecisionFile::default();
        assert_eq!(file.read(folder.path()).unwrap(), Decisions::default());
        file.mark(folder.path(), "toys", ("a", "1", 0.9), Some(Verdict::Accept)).unwrap();
        file.mark(folder.path(), "toys", ("a", "2", 0.8), Some(Verdict::Accept)).unwrap();
        file.mark(folder.path(), "birds", ("a", "1", 0.7), Some(Verdict::Reject)).unwrap();
        file.threshold(folder.path(), "toys", 0.85).unwrap();
        file.mark(folder.path(), "toys", ("a", "1", 0.9), Some(Verdict::Reject)).unwrap();
        file.mark(folder.path(), "toys", ("a", "2", 0.8), None).unwrap();
        let stored = Decisions::read(&folder.path().join(Decisions::FILE)).unwrap();
        let toys = &stored.sets["toys"];
        assert_eq!((toys.threshold, toys.marks.len()), (Some(0.85), 1));
        assert_eq!((toys.marks[0].verdict, stored.sets["birds"].marks.len()), (Verdict::Reject, 1));
        std::fs::write(folder.path().join(Decisions::FILE), "[]").unwrap();
        assert!(file.threshold(folder.path(), "toys", 0.5).is_err());
        assert_eq!(std::fs::read_to_string(folder.path().join(Decisions::FILE)).unwrap(), "[]");
    }
}
