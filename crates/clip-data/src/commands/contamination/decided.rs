//! What was decided of the sets, and whether it decides anything.

use std::collections::HashSet;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clip_overlap::{Decisions, Match, ReviewedPair, Verdict};

use super::Args;

/// Decisions of the folder of a report that others have replaced.
const OLD: &str = "decisions.old.json";

/// Decisions of sets that are compared.
pub struct Decided {
    decisions: Decisions,
    names: Vec<String>,
    /// What a build knew already: it does not store the pairs that were rejected there.
    before: Decisions,
    /// The file that was named.
    given: Option<PathBuf>,
}

impl Deref for Decided {
    type Target = Decisions;

    fn deref(&self) -> &Decisions {
        &self.decisions
    }
}

impl Decided {
    /// Keeps what the named file has in the folder of the report, where a later call finds it:
    /// without it that would be of another threshold and other pairs.
    pub fn keep(&self, folder: &Path) -> anyhow::Result<()> {
        let Some(given) = &self.given else { return Ok(()) };
        let (beside, decisions) = (folder.join(Decisions::FILE), Decisions::read(given)?);
        let mut instead = String::new();
        if beside.is_file() {
            if Decisions::read(&beside).is_ok_and(|there| there == decisions) {
                return Ok(());
            }
            let old = folder.join(OLD);
            std::fs::rename(&beside, &old).with_context(|| beside.display().to_string())?;
            instead = format!("; those that were there are in {}", old.display());
        }
        decisions.write(&beside)?;
        note!("decisions: kept in {}, which later calls read{instead}", beside.display());
        Ok(())
    }

    /// Says how many marks name no pair that was found: an image has one name in the rows of a
    /// build and another in its shards. `is_row` says whether a build has a row of this number.
    pub fn warn_of_unmatched(&self, matches: &[Match], is_row: &dyn Fn(u64) -> bool) {
        for name in &self.names {
            let own = matches.iter().filter(|pair| pair.set == *name);
            let pairs: HashSet<(&str, &str)> =
                own.map(|pair| (pair.key.as_str(), pair.id.as_str())).collect();
            let (marks, before) = (self.decisions.set(name).marks, self.before.set(name).marks);
            let applied = |mark: &ReviewedPair| {
                mark.verdict == Verdict::Reject
                    && before.contains(mark)
                    && mark.id.parse().is_ok_and(is_row)
            };
            let named =
                |mark: &ReviewedPair| pairs.contains(&(mark.key.as_str(), mark.id.as_str()));
            let lost: Vec<_> = marks.iter().filter(|mark| !named(mark) && !applied(mark)).collect();
            let Some(first) = lost.first() else { continue };
            let hint = if lost.len() < marks.len() {
                "their images are not in this corpus, or not alike enough to be listed"
            } else {
                "an image is called by its key in shards, by the number of its row in a build: \
                 mark the pairs of a report on this corpus"
            };
            eprintln!(
                "warning: {name}: {} of {} marks name no pair that was found, such as item {} and image {}\nhint: {hint}",
                lost.len(),
                marks.len(),
                first.key,
                first.id
            );
        }
    }
}

/// What is decided of the sets: `before` the file, the file, and then the command line. Without a
/// file it is the one in the report's folder.
pub fn decisions(
    args: &Args,
    before: Decisions,
    folder: &Path,
    names: &[&str],
) -> anyhow::Result<Decided> {
    let mut decided = before.clone();
    let beside = folder.join(Decisions::FILE);
    let beside = Some(beside).filter(|path| args.decisions.is_none() && path.is_file());
    if let Some(path) = &beside {
        note!("decisions: {} (another file by --decisions)", path.display());
    }
    if let Some(path) = args.decisions.as_ref().or(beside.as_ref()) {
        for (name, set) in Decisions::read(path)?.sets {
            let own = decided.sets.entry(name).or_default();
            own.threshold = set.threshold.or(own.threshold);
            if args.decisions.is_some() {
                own.marks = set.marks;
            } else {
                // The last look at a pair counts.
                own.marks.extend(set.marks);
            }
        }
    }
    let file = args.decisions.as_ref().or(beside.as_ref());
    if args.calibrate.is_some() && file.is_none() {
        bail!(
            "--calibrate: no marks to calibrate by\nhint: --decisions FILE, as `clip-data serve` and the contact sheet write it"
        );
    }
    if let (Some(precision), Some(path)) = (args.calibrate, file) {
        let mut saved = Decisions::read(path)?;
        for (name, set) in saved.sets.iter_mut().filter(|(name, _)| names.contains(&name.as_str()))
        {
            let threshold = set
                .calibrated(precision)
                .map_err(|e| anyhow::anyhow!("{}: {name}: {e}\nhint: mark more pairs, some that are copies among them; --threshold sets one without marks", path.display()))?;
            set.threshold = Some(threshold);
            decided.sets.entry(name.clone()).or_default().threshold = Some(threshold);
            note!("{name}: threshold {threshold:.4}, by {} marks", set.marks.len());
        }
        saved.write(path)?;
    }
    for (name, threshold) in &args.threshold {
        for set in names.iter().filter(|set| name.as_deref().is_none_or(|name| name == **set)) {
            decided.sets.entry((*set).to_owned()).or_default().threshold = Some(*threshold);
        }
    }
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Ok(Decided { decisions: decided, names, before, given: args.decisions.clone() })
}
