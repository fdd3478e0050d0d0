//! Which evaluation items a corpus contains.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use clip_overlap::corpus::units;
use clip_overlap::{
    CandidateOptions, ContaminationReport, CorpusAccount, EvalIndex, PAIRS, Scan, ScanOptions, Scanned,
    SetDecision, SetReport, Subject, UnitCount, default_cache, write_pairs,
};
use pyo3::prelude::*;

use crate::error::{Raised, message};
use crate::interrupt::interruptible;

/// The report of a corpus as JSON; what was compared is kept in `out`, and reused from there.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "Python gives them by name")]
pub fn contamination(
    py: Python<'_>,
    corpus: Vec<String>,
    sets: Vec<(String, PathBuf)>,
    out: PathBuf,
    threshold: Option<f32>,
    thorough: bool,
    index: Option<PathBuf>,
) -> PyResult<String> {
    let scanned = Arc::new(Scanned { rows: AtomicU64::new(0), cancel: AtomicBool::new(false) });
    let asked = Arc::clone(&scanned);
    let job = Job { corpus, sets, out, threshold, thorough, index };
    let stop = move || asked.cancel.store(true, Ordering::Relaxed);
    interruptible(py, stop, move || job.report(&scanned))
}

struct Job {
    corpus: Vec<String>,
    sets: Vec<(String, PathBuf)>,
    out: PathBuf,
    threshold: Option<f32>,
    thorough: bool,
    index: Option<PathBuf>,
}

impl Job {
    fn report(&self, scanned: &Scanned) -> PyResult<String> {
        let mut all = Vec::new();
        for spec in &self.corpus {
            all.extend(units(spec).raised()?);
        }
        let cache = self.index.clone().or_else(default_cache);
        let search = CandidateOptions::of_mode(self.thorough);
        let mut sets = Vec::new();
        for (name, path) in &self.sets {
            if name.is_empty() || name.contains(['/', '\\', '\t']) {
                return Err(message(format!(
                    "{name:?}: a set is called by a name without a slash"
                )));
            }
            sets.push(EvalIndex::open(name, path, cache.as_deref(), &search).raised()?);
        }
        let decision = SetDecision { threshold: self.threshold, ..SetDecision::default() };
        let mut options = ScanOptions::default();
        options.floor = self.threshold.unwrap_or(options.floor).min(options.floor);
        let folder = self.out.join("parts");
        let scan = Scan { sets: &sets, options, folder, detection: None, progress: scanned };
        let (mut counts, mut matches) = (Vec::new(), Vec::new());
        for unit in &all {
            let Some((count, found)) = scan.unit(unit).raised()? else {
                return Err(message("interrupted".into()));
            };
            counts.push(count);
            matches.extend(found);
        }
        let mut reports = Vec::new();
        for set in &sets {
            reports.push(SetReport::new(&Subject::of(set), &matches, |_| true, &decision).raised()?);
        }
        let rule = decision.rule();
        let copies: Vec<bool> = matches.iter().map(|pair| pair.is_copy(&rule)).collect();
        let account = CorpusAccount::of(self.corpus.clone(), &counts);
        let report = ContaminationReport::new(account, reports);
        let shards = UnitCount::shard_hashes(&counts);
        write_pairs(&self.out.join(PAIRS), &matches, &copies, &shards).raised()?;
        report.write(&self.out).raised()?;
        serde_json::to_string(&report).map_err(|e| message(e.to_string()))
    }
}
