//! Which tables a page shows: those of shards, or the rows of a stage of a run.

use std::path::{Path, PathBuf};

use clip_pipeline::{PartFileKind, StageReader, tables_in};

use crate::stages::stages;
use crate::{Error, Result};

/// Ending of a choice that names the rows that a stage dropped.
const DROPPED: &str = ":dropped";

/// The tables of a corpus.
#[derive(Debug)]
pub(crate) struct Source {
    /// The files, in order.
    pub files: Vec<PathBuf>,
    /// What is shown, one of the choices.
    pub shown: String,
    /// What can be shown, with a name for people; empty where there is no choice.
    pub choices: Vec<(String, String)>,
    /// The stages, of a run.
    pub stages: Vec<StageReader>,
}

impl Source {
    /// Of a folder, a file, or a run, of which `shown` is chosen: the last stage's rows where it is
    /// absent.
    ///
    /// # Errors
    /// When there is no such stage, or no table.
    pub fn open(path: &Path, shown: Option<&str>) -> Result<Self> {
        let stages = stages(path)?;
        let source = if stages.is_empty() { plain(path) } else { of_run(stages, shown)? };
        if source.files.is_empty() && source.choices.is_empty() {
            let hint = "hint: shards without tables have none to show: a build of them (`clip-data init --from webdataset`) writes tables";
            let path = path.display();
            return Err(Error::NotFound(format!("{path}: no Parquet table is here\n{hint}")));
        }
        Ok(source)
    }
}

fn plain(path: &Path) -> Source {
    let files = if path.is_dir() { tables_in(path) } else { vec![path.with_extension("parquet")] };
    let files = files.into_iter().filter(|file| file.is_file()).collect();
    Source { files, shown: String::new(), choices: Vec::new(), stages: Vec::new() }
}

fn of_run(stages: Vec<StageReader>, shown: Option<&str>) -> Result<Source> {
    let mut choices = Vec::new();
    for stage in stages.iter().rev() {
        let name = &stage.name;
        choices.push((name.clone(), format!("after {name}")));
        if stage.counts.rejected() > 0 {
            choices.push((format!("{name}{DROPPED}"), format!("dropped in {name}")));
        }
    }
    let shown = match shown {
        Some(shown) => shown.to_owned(),
        // The last stage may not have begun.
        None => stages
            .iter()
            .rfind(|stage| stage.counts.rows_out > 0)
            .or(stages.last())
            .map_or_else(String::new, |stage| stage.name.clone()),
    };
    let (name, dropped) = match shown.strip_suffix(DROPPED) {
        Some(name) => (name, true),
        None => (shown.as_str(), false),
    };
    let stage = stages.iter().find(|stage| stage.name == name);
    let layout = &stage.ok_or_else(|| Error::absent(format!("a stage {name:?}")))?.layout;
    let mut files =
        layout.files(if dropped { PartFileKind::Rejects } else { PartFileKind::Rows })?;
    if files.is_empty() && !dropped {
        files = tables_in(&layout.shards());
    }
    // A build at work may have replaced one.
    files.retain(|file| file.is_file());
    Ok(Source { files, shown, choices, stages })
}
