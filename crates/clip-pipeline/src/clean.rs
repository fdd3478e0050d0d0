//! What a run's folder holds that neither its pipeline nor its last build needs.

use std::collections::HashSet;
use std::path::Path;

use crate::format::Format;
use crate::layout::StageLayout;
use crate::{Error, Result, Run, RunSummary};

/// A stage that earlier settings made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleStage {
    /// Its folder.
    pub layout: StageLayout,
    /// Bytes of all files in it.
    pub bytes: u64,
}

impl Run {
    /// The folders of stages that a build neither reuses nor resumes: those that are no stage of
    /// the plan, nor of the last build, whose shards readers may have.
    ///
    /// # Errors
    /// When the summary of the last build is damaged or newer, or a folder cannot be read.
    pub fn stale_stages(&self) -> Result<Vec<StaleStage>> {
        let layout = &self.plan.layout;
        let mut needed: HashSet<String> =
            self.plan.stages.iter().map(|stage| stage.layout.name()).collect();
        let last = RunSummary::read(&layout.summary())?;
        needed.extend(last.into_iter().flat_map(|last| last.stages).map(|stage| stage.dir));
        let folders = layout.stage_folders()?.into_iter();
        let stale = folders.filter(|folder| !needed.contains(&folder.name()));
        stale.map(|layout| Ok(StaleStage { bytes: size(layout.dir())?, layout })).collect()
    }

    /// Removes such a stage; one that is half removed is still one.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove_stale(&self, stage: &StaleStage) -> Result<()> {
        let dir = stage.layout.dir();
        std::fs::remove_dir_all(dir).map_err(|e| Error::io(dir, e))
    }
}

/// Bytes of the files of a folder and the folders in it; links are not followed.
fn size(folder: &Path) -> Result<u64> {
    let failed = |e| Error::io(folder, e);
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let meta = entry.metadata().map_err(failed)?;
        bytes += if meta.is_dir() { size(&entry.path())? } else { meta.len() };
    }
    Ok(bytes)
}
