//! The facts of a data card.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;
use clip_corpus::Manifest;
use clip_crawl::Kind;
use clip_curate::ShardSink;
use clip_overlap::ContaminationReport;
use clip_pipeline::{RunReader, StageReader, StageSummary};
use serde::{Deserialize, Serialize};

use super::files::Files;
use super::origin::{Counted, Origin, counted};
use crate::commands::contamination::is_of_build;
use crate::commands::is_tar;

/// Names of columns that say under which licence an image is.
const LICENCE: [&str; 5] = ["license", "licence", "license_url", "license_name", "rights"];

/// What a data card says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataCard {
    /// The run.
    pub name: String,
    /// Seed of its draws.
    pub seed: u64,
    /// Pairs in the shards.
    pub pairs: u64,
    /// Shards.
    pub shards: u64,
    /// Bytes of the shards.
    pub bytes: u64,
    /// Where the pairs come from.
    pub origin: Origin,
    /// The stages, in order.
    pub stages: Vec<StageFact>,
    /// Pairs that were dropped because page, host or image forbids it, by reason.
    pub opt_outs: BTreeMap<String, u64>,
    /// Pairs by licence; none where no column says it.
    pub licences: Option<Counted>,
    /// The overlap with evaluation sets; none where it was not looked for.
    pub overlap: Option<Overlap>,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageFact {
    /// Its name.
    pub stage: String,
    /// Hash of what decides its output.
    pub fingerprint: String,
    /// Pairs in.
    pub rows_in: u64,
    /// Pairs out.
    pub rows_out: u64,
    /// Pairs dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Pairs that were flagged and continue.
    pub flagged: u64,
}

/// The overlap with evaluation sets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// The report.
    pub report: String,
    /// By set.
    pub sets: Vec<OverlapFact>,
}

/// The overlap with one set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OverlapFact {
    /// The set.
    pub set: String,
    /// Its items.
    pub items: u64,
    /// Those of which the corpus holds a copy.
    pub overlap: u64,
    /// Those of which it held one.
    pub removed: u64,
    /// 99.5% interval of the share.
    pub interval: [f64; 2],
    /// Items of which a text of the corpus has a caption, with the 99.5% interval of their share;
    /// none where captions were not looked for.
    #[serde(default)]
    pub captions: Option<(u64, [f64; 2])>,
    /// What the copies did to an accuracy, with its 95% interval, where models were trained
    /// without.
    pub inflation: Option<(f64, Option<[f64; 2]>)>,
}

impl DataCard {
    /// Of a run, and of what was found in its corpus.
    pub fn read(
        dir: &Path,
        contamination: Option<&Path>,
        files: &mut Files,
    ) -> anyhow::Result<Self> {
        let run = RunReader::open(dir)?;
        if !run.finished {
            let dir = dir.display();
            bail!(
                "{dir}: the build is not finished, and a card is of its shards\nhint: `clip-data build` writes them, where a pair is left"
            );
        }
        files.add(&run.layout.summary())?;
        let stages: Vec<StageFact> =
            RunReader::summary(dir)?.stages.into_iter().map(stage).collect();
        let first = run.stages().first().map(StageReader::file).transpose()?;
        let mut opt_outs = BTreeMap::new();
        for (reason, pairs) in stages.iter().flat_map(|stage| &stage.dropped) {
            if Kind::OPT_OUTS.iter().any(|kind| kind.name() == reason) {
                *opt_outs.entry(reason.clone()).or_default() += pairs;
            }
        }
        let mut card = Self {
            name: dir
                .canonicalize()?
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            seed: first.map_or(0, |file| file.fingerprint.seed),
            pairs: stages.last().map_or(0, |stage| stage.rows_out),
            shards: 0,
            bytes: 0,
            origin: Origin::default(),
            stages,
            opt_outs,
            licences: None,
            overlap: contamination.map(|path| overlap(path, &run, files)).transpose()?,
        };
        for stage in run.stages() {
            for path in [stage.layout.file(), stage.layout.manifest()] {
                files.add(&path)?;
            }
        }
        let shards = run.stage(ShardSink::STAGE)?;
        for commit in Manifest::open(shards.layout.dir())?.commits() {
            for file in &commit.files {
                let path = shards.layout.dir().join(&file.name);
                files.add_known(&path, &file.blake3, file.bytes)?;
                if is_tar(&file.name) {
                    card.shards += 1;
                    card.bytes += file.bytes;
                }
            }
        }
        let tables = crate::commands::report::tables(&run.layout.shards())?;
        card.origin = Origin::read(run.stages().first(), &tables)?;
        card.licences = counted(&tables, &LICENCE)?;
        Ok(card)
    }
}

fn stage(stage: StageSummary) -> StageFact {
    let StageSummary { stage, fingerprint, counts, .. } = stage;
    StageFact {
        stage,
        fingerprint,
        rows_in: counts.rows_in,
        rows_out: counts.rows_out,
        dropped: counts.dropped,
        flagged: counts.flagged,
    }
}

fn overlap(path: &Path, run: &RunReader, files: &mut Files) -> anyhow::Result<Overlap> {
    files.add(path)?;
    let account = ContaminationReport::read(path)?;
    if !is_of_build(&account, run)? {
        bail!(
            "{}: the report is of another build, or of this one before rows were removed or fetched again\nhint: run `clip-data contamination` again",
            path.display()
        );
    }
    let fact = |set: &clip_overlap::SetReport| {
        let mean = set.retrained.as_ref().map(|found| found.effect.all);
        OverlapFact {
            set: set.name.clone(),
            items: set.items,
            overlap: set.overlap,
            removed: set.removed,
            interval: [set.interval.low, set.interval.high],
            captions: set
                .text
                .as_ref()
                .map(|text| (text.overlap, [text.interval.low, text.interval.high])),
            inflation: mean.map(|mean| (mean.mean, mean.interval.map(|i| [i.low, i.high]))),
        }
    };
    Ok(Overlap { report: account.id.clone(), sets: account.sets.iter().map(fact).collect() })
}
