//! What a stage reads: the parts of the stages before it, here or out of a store.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use clip_corpus::PartFile;

use super::Run;
use crate::embedded::PartEmbeddings;
use crate::layout::{embedding_names, images_name, rows_name};
use crate::{Error, PartInfo, Result, decision};

impl Run {
    /// The committed parts of the stage before, with rows.
    pub fn inputs(&self, stage: usize) -> Result<Vec<PartInfo>> {
        let before = self.before(stage)?;
        let parts: Vec<usize> = self.manifest(before).commits().map(|commit| commit.part).collect();
        Ok(parts.into_iter().filter_map(|part| self.stored(before, part)).collect())
    }

    /// The inputs of the sink, which is the last stage.
    pub(super) fn sink_inputs(&self, stage: usize) -> Result<Arc<Vec<PartInfo>>> {
        let mut slot = self.sink_inputs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inputs) = &*slot {
            return Ok(inputs.clone());
        }
        let inputs = Arc::new(self.inputs(stage)?);
        *slot = Some(inputs.clone());
        Ok(inputs)
    }

    /// The same part of the stage before, if it has rows.
    pub(super) fn input(&self, stage: usize, part: usize) -> Result<Option<PartInfo>> {
        Ok(self.stored(self.before(stage)?, part))
    }

    pub(super) fn before(&self, stage: usize) -> Result<usize> {
        stage.checked_sub(1).ok_or_else(|| {
            Error::stage(self.plan.stages[stage].name(), "the first stage has no input")
        })
    }

    fn stored(&self, stage: usize, part: usize) -> Option<PartInfo> {
        let rows = {
            let manifest = self.manifest(stage);
            let commit = manifest.get(part)?;
            commit.file(&rows_name(part))?;
            commit.counts.rows_out
        };
        let path = self.plan.stages[stage].layout.rows(part);
        Some(PartInfo { part, path, rows, images: self.images(stage, part), embeddings: None })
    }

    /// The embeddings that a stage stored of a part, in this process's folder.
    pub(super) fn embeddings(&self, stage: &str, part: usize) -> Result<Option<PartEmbeddings>> {
        let stage = self.plan.find(stage)?;
        let layout = &self.plan.stages[stage].layout;
        let Some(images) = self.listed(stage, part, &embedding_names(part).images) else {
            return Ok(None);
        };
        if let Some(store) = &self.plan.store {
            store.ensure_local(layout, &images)?;
            self.ensure_local(stage, part, false)?;
        }
        Ok(Some(PartEmbeddings::of(layout, part)))
    }

    /// The images of a part, from the nearest stage that stored them.
    fn images(&self, stage: usize, part: usize) -> Option<PathBuf> {
        let stage = self.stage_with_images(stage, part)?;
        Some(self.plan.stages[stage].layout.images(part))
    }

    pub(super) fn stage_with_images(&self, stage: usize, part: usize) -> Option<usize> {
        let name = images_name(part);
        (0..=stage).rev().find(|&stage| self.listed(stage, part, &name).is_some())
    }

    /// A file that a part was committed with.
    fn listed(&self, stage: usize, part: usize, name: &str) -> Option<PartFile> {
        self.manifest(stage).get(part)?.file(name).cloned()
    }

    /// Makes sure that this process's folder has a part of a stage or before it, in a store or not.
    pub(super) fn ensure_local(&self, stage: usize, part: usize, with_images: bool) -> Result<()> {
        let Some(store) = &self.plan.store else { return Ok(()) };
        let ensure = |stage: usize, name: &str| {
            let file = self.listed(stage, part, name);
            file.map_or(Ok(()), |file| store.ensure_local(&self.plan.stages[stage].layout, &file))
        };
        ensure(stage, &rows_name(part))?;
        let images = self.stage_with_images(stage, part).filter(|_| with_images);
        images.map_or(Ok(()), |stage| ensure(stage, &images_name(part)))
    }

    /// Copies every file of every committed part out of the store: rows, images, rejects and
    /// shards.
    pub fn download_all(&self) -> Result<()> {
        let Some(store) = &self.plan.store else { return Ok(()) };
        for (at, stage) in self.plan.stages.iter().enumerate() {
            let files: Vec<_> =
                self.manifest(at).commits().flat_map(|commit| commit.files.clone()).collect();
            files.iter().try_for_each(|file| store.ensure_local(&stage.layout, file))?;
            decision::download(&stage.layout, store)?;
        }
        Ok(())
    }
}
