//! Removing what was made of rows that are to be others.
//!
//! A stage's folder is named by its settings and by those of the stages before it, and not by the
//! rows that it read. So whatever was made of a stage, with any settings, goes before its rows
//! change.

use std::sync::PoisonError;

use clip_corpus::{Commit, Manifest};

use super::Run;
use crate::layout::StageLayout;
use crate::plan::begun;
use crate::{Error, Result, Work};

impl Run {
    /// Removes what a stage and those after it made.
    pub(super) fn invalidate(&self, from: usize) -> Result<()> {
        self.remove_stage(&self.plan.stages[from].layout)?;
        self.reload(from)?;
        self.invalidate_after(from)
    }

    /// Removes what was made of a stage, with whatever settings: its rows are to be others.
    ///
    /// # Errors
    /// When storage fails.
    pub fn invalidate_after(&self, stage: usize) -> Result<()> {
        self.made_of(stage)?.iter().try_for_each(|made| self.remove_stage(made))?;
        (stage + 1..self.plan.stages.len()).try_for_each(|later| self.reload(later))
    }

    /// Refuses to fetch parts again that are gone, while something is there that was made of them:
    /// it may have images that are nowhere else any more, and would not be of what comes now.
    pub(super) fn check_gone(&self, stage: usize, parts: &[usize]) -> Result<()> {
        let planned = &self.plan.stages[stage];
        if parts.is_empty() || !matches!(&*planned.work()?, Work::Fetch(_)) {
            return Ok(());
        }
        let Some(made) = self.has_made(stage)? else { return Ok(()) };
        let count = parts.len();
        let reason = format!(
            "parts that are gone: {count}, and {} was made of them\n\
             hint: `clip-data build --from {}` does all of it again; until then what is there stays",
            made.name(),
            planned.name()
        );
        Err(clip_corpus::Error::Damaged { path: planned.layout.dir().to_path_buf(), reason }.into())
    }

    /// Before a part is committed that was there before: what was made of it goes, unless it is the
    /// same again.
    pub(super) fn check_same(&self, stage: usize, new: &Commit) -> Result<()> {
        let same = self.manifest(stage).get(new.part).is_some_and(|old| old.files == new.files);
        if same {
            return Ok(());
        }
        // Nothing is made of a stage while parts of it are missing: it is looked for once.
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if settled.contains(&stage) {
            return Ok(());
        }
        match self.has_made(stage)? {
            Some(made) if self.shared => {
                let hint = "hint: `clip-data build`, in one process, makes that again";
                let (part, made) = (new.part, made.name());
                let why = format!("part {part} has other rows than {made} was made of\n{hint}");
                return Err(Error::stage(self.plan.stages[stage].name(), why));
            }
            Some(_) => self.invalidate_after(stage)?,
            None => {}
        }
        settled.insert(stage);
        Ok(())
    }

    /// A stage with parts that was made of this one.
    fn has_made(&self, stage: usize) -> Result<Option<StageLayout>> {
        for layout in self.made_of(stage)? {
            if Manifest::open(layout.dir())?.commits().next().is_some() {
                return Ok(Some(layout));
            }
        }
        Ok(None)
    }

    fn remove_stage(&self, layout: &StageLayout) -> Result<()> {
        self.plan.store.as_ref().map_or(Ok(()), |store| store.invalidate(layout))?;
        if layout.dir().exists() {
            std::fs::remove_dir_all(layout.dir()).map_err(|e| Error::io(layout.dir(), e))?;
        }
        Ok(())
    }

    /// The folders of all stages that have their rows, directly or not, of one: those of the plan,
    /// and those that other settings made.
    fn made_of(&self, stage: usize) -> Result<Vec<StageLayout>> {
        if let Some(store) = &self.plan.store {
            store.stage_files(&self.plan.layout)?;
        }
        let planned = &self.plan.stages;
        let mut made: Vec<StageLayout> =
            planned[stage + 1..].iter().map(|later| later.layout.clone()).collect();
        let mut others = Vec::new();
        for folder in self.plan.layout.stage_folders()? {
            // Of what a newer executable wrote nothing is known.
            let input = begun(&folder).ok().flatten().and_then(|file| file.fingerprint.input);
            others.extend(input.filter(|_| !made.contains(&folder)).map(|input| (folder, input)));
        }
        let mut inputs = vec![planned[stage].layout.hash_start()];
        inputs.extend(made.iter().map(StageLayout::hash_start));
        loop {
            let of =
                |(_, input): &(StageLayout, String)| inputs.iter().any(|i| input.starts_with(i));
            let (more, left): (Vec<_>, Vec<_>) = others.into_iter().partition(of);
            if more.is_empty() {
                return Ok(made);
            }
            inputs = more.iter().map(|(folder, _)| folder.hash_start()).collect();
            made.extend(more.into_iter().map(|(folder, _)| folder));
            others = left;
        }
    }
}
