//! How everything that looks at a run reads it: report, inspect, explain, verify, contamination.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use clip_corpus::{Manifest, OTHER_CONTENT, Verified, below, columns, row_part, verify_file};

use crate::decision;
use crate::format::Format;
use crate::layout::{PartFileKind, RunLayout, StageLayout};
use crate::{Counts, Error, Result, RunSummary, StageFile};

/// A run as its last build left it, or has it so far.
#[derive(Debug, Clone)]
pub struct RunReader {
    /// The run's folder.
    pub layout: RunLayout,
    /// Whether the build came to its end.
    pub finished: bool,
    stages: Vec<StageReader>,
}

/// A stage of a run.
#[derive(Debug, Clone)]
pub struct StageReader {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub layout: StageLayout,
    /// What happened to its rows in the last build.
    pub counts: Counts,
}

impl RunReader {
    /// What the last build in a folder consisted of.
    ///
    /// # Errors
    /// As those of [`Self::open`].
    pub fn summary(dir: &Path) -> Result<RunSummary> {
        let layout = RunLayout::new(dir);
        RunSummary::read(&layout.summary())?.ok_or_else(|| {
            let hint = match layout.below() {
                Some(run) => format!("a run is in {}", run.display()),
                None => "run `clip-data build` first".to_owned(),
            };
            Error::Config(format!("{}: no build is here\nhint: {hint}", dir.display()))
        })
    }

    /// Opens the run in a folder.
    ///
    /// # Errors
    /// When no build wrote its summary there, a newer clip-data did, or it is damaged.
    pub fn open(dir: &Path) -> Result<Self> {
        let layout = RunLayout::new(dir);
        let path = layout.summary();
        let summary = Self::summary(dir)?;
        let damaged = |reason: String| {
            Error::Corpus(clip_corpus::Error::Damaged { path: path.clone(), reason })
        };
        if summary.stages.is_empty() {
            return Err(damaged("no stages".into()));
        }
        let finished = summary.finished;
        let stages = summary.stages.into_iter().map(|stage| {
            let folder = below(dir, &stage.dir).map_err(|e| damaged(e.to_string()))?;
            let layout = StageLayout::new(&folder);
            // A build that runs, or was killed, has committed more since.
            let counts = if finished { stage.counts } else { Manifest::open(&folder)?.counts() };
            Ok(StageReader { name: stage.stage, layout, counts })
        });
        Ok(Self { layout, finished, stages: stages.collect::<Result<_>>()? })
    }

    /// A run with these stages, whether its build is finished or not.
    pub fn of_stages(layout: RunLayout, stages: Vec<StageReader>) -> Self {
        Self { layout, finished: false, stages }
    }

    /// The stages, in order.
    pub fn stages(&self) -> &[StageReader] {
        &self.stages
    }

    /// The stage of a name, if the build had it.
    pub fn find(&self, name: &str) -> Option<&StageReader> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// The stage of a name.
    ///
    /// # Errors
    /// When the build had none of that name.
    pub fn stage(&self, name: &str) -> Result<&StageReader> {
        self.find(name).ok_or_else(|| {
            let run = self.layout.dir().display();
            Error::Config(format!("{run}: the build had no stage {name}"))
        })
    }

    /// Verifies the stages, each by itself and after the one before. `shards` verifies a shard.
    ///
    /// # Errors
    /// When a manifest cannot be read.
    pub fn verify(&self, shards: &dyn Fn(&Path) -> Verified) -> Result<Verified> {
        let mut all = Verified::default();
        let mut before: Option<(&StageReader, u64)> = None;
        for stage in &self.stages {
            if !stage.layout.is_stage() {
                all.missing += 1;
                before = None;
                continue;
            }
            let (found, rows_out) = stage.layout.verify(shards)?;
            // Parts may have come since the run was opened.
            let rows_in = if self.finished {
                stage.counts.rows_in
            } else {
                Manifest::open(stage.layout.dir())?.counts().rows_in
            };
            if let (Some((earlier, rows)), 0) = (before, found.missing)
                && rows != rows_in
            {
                let earlier = earlier.layout.dir().display();
                let reason = format!("{rows_in} rows came in, but {earlier} passed {rows} on");
                all.bad(stage.layout.dir(), reason);
            }
            let empty = found.missing == 0 && rows_out.values().sum::<u64>() == 0;
            all.add(found);
            // Nothing comes after a stage that left no pair.
            if empty {
                break;
            }
            before = Some((stage, rows_out.values().sum()));
        }
        Ok(all)
    }
}

impl StageReader {
    /// What decides the stage's output.
    ///
    /// # Errors
    /// When it is not there, newer or damaged.
    pub fn file(&self) -> Result<StageFile> {
        let path = self.layout.file();
        let absent = || Error::io(&path, std::io::ErrorKind::NotFound.into());
        StageFile::read(&path)?.ok_or_else(absent)
    }

    /// The row of a part that continued, as a batch of one row: nothing where there is none.
    ///
    /// # Errors
    /// When what is stored is damaged.
    pub fn kept(&self, row: u64) -> Result<Option<RecordBatch>> {
        row_of(&self.layout.rows(row_part(row)), row)
    }

    /// The row of a part that was dropped.
    ///
    /// # Errors
    /// When what is stored is damaged.
    pub fn rejected(&self, row: u64) -> Result<Option<RecordBatch>> {
        row_of(&self.layout.rejects(row_part(row)), row)
    }

    /// What a barrier decided about a row.
    ///
    /// # Errors
    /// When what is stored is damaged.
    pub fn decision(&self, row: u64) -> Result<Option<RecordBatch>> {
        decision::about_row(&self.layout, row)
    }
}

impl StageLayout {
    /// Committed files of one kind, in the order of parts.
    ///
    /// # Errors
    /// When the manifest is damaged.
    pub fn files(&self, kind: PartFileKind) -> Result<Vec<PathBuf>> {
        let manifest = Manifest::open(self.dir())?;
        let files = manifest.commits().flat_map(|commit| &commit.files);
        let files = files.filter(|file| PartFileKind::from_name(&file.name) == Some(kind));
        Ok(files.map(|file| self.dir().join(&file.name)).collect())
    }

    /// Whether all parts of the stage are committed; not where that cannot be read.
    pub fn is_whole(&self) -> bool {
        let parts = StageFile::read(&self.file()).ok().flatten().map(|file| file.parts);
        let commits = Manifest::open(self.dir()).map(|manifest| manifest.commits().count());
        parts.is_some_and(|parts| commits.is_ok_and(|commits| commits == parts))
    }

    /// Verifies every file that the manifest names, that no row was lost, what was decided, and
    /// shards by `shards`; gives the rows that each part passed on, too.
    ///
    /// # Errors
    /// When the manifest cannot be read.
    pub fn verify(
        &self,
        shards: &dyn Fn(&Path) -> Verified,
    ) -> Result<(Verified, BTreeMap<usize, u64>)> {
        let manifest = Manifest::open(self.dir())?;
        let (mut found, mut rows_out) = (Verified::default(), BTreeMap::new());
        for commit in manifest.commits() {
            commit.files.iter().for_each(|file| verify_file(self.dir(), file, &mut found));
            let counts = &commit.counts;
            let dropped = counts.rejected();
            if counts.rows_in != counts.rows_out + dropped {
                let (part, rows_in, rows_out) = (commit.part, counts.rows_in, counts.rows_out);
                let reason =
                    format!("part {part}: {rows_in} rows in, {rows_out} out, {dropped} dropped");
                found.bad(&self.manifest(), reason);
            }
            for file in &commit.files {
                match PartFileKind::from_name(&file.name) {
                    Some(
                        PartFileKind::Rows | PartFileKind::Embeddings | PartFileKind::Metadata,
                    ) => {
                        self.verify_rows(&file.name, counts.rows_out, &mut found);
                    }
                    Some(PartFileKind::Rejects) => {
                        self.verify_rows(&file.name, dropped, &mut found);
                    }
                    Some(PartFileKind::Images | PartFileKind::Shard) | None => {}
                }
            }
            found.rows += counts.rows_out;
            rows_out.insert(commit.part, counts.rows_out);
        }
        match StageFile::read(&self.file()) {
            Ok(Some(file)) => {
                found.missing = file.parts.saturating_sub(rows_out.len()) as u64;
            }
            Ok(None) => found.bad(&self.file(), "it is gone"),
            Err(error) => found.bad(&self.file(), first_line(&error)),
        }
        match decision::files(self) {
            Ok(files) => files.iter().for_each(|file| verify_file(self.dir(), file, &mut found)),
            Err(error) => found.bad(&self.decisions(), first_line(&error)),
        }
        // The manifest counted their files and samples.
        for shard in tars(&self.shards()) {
            let known = found.findings.iter().any(|finding| finding.path == shard);
            let mut own = shards(&shard).findings;
            own.retain(|finding| {
                !known || finding.path != shard || finding.reason != OTHER_CONTENT
            });
            found.findings.extend(own);
        }
        Ok((found, rows_out))
    }

    fn verify_rows(&self, name: &str, rows: u64, found: &mut Verified) {
        let path = self.dir().join(name);
        if found.findings.iter().any(|finding| finding.path == path) {
            return;
        }
        let count = match PartFileKind::from_name(name) {
            Some(PartFileKind::Embeddings) => clip_corpus::npy_rows(&path),
            _ => clip_corpus::parquet_rows(&path),
        };
        match count {
            Ok(count) if count != rows => {
                found.bad(&path, format!("{count} rows, but the manifest says {rows}"));
            }
            Ok(_) => {}
            Err(error) => found.failed(&path, &error),
        }
    }
}

fn first_line(error: &Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

fn tars(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.retain(|path| clip_corpus::is_shard(path));
    found.sort();
    found
}

/// The row in a table, as a batch of one; nothing where the table or the row is not there.
///
/// # Errors
/// When the table is damaged.
pub fn row_of(table: &Path, row: u64) -> Result<Option<RecordBatch>> {
    if !table.is_file() {
        return Ok(None);
    }
    for batch in clip_corpus::scan(table, &[], 8192)? {
        let batch = batch?;
        let rows = columns::uint64(&batch, columns::ROW);
        let place = rows.and_then(|rows| rows.values().iter().position(|&other| other == row));
        if let Some(place) = place {
            return Ok(Some(batch.slice(place, 1)));
        }
    }
    Ok(None)
}
