//! A build that stores no image twice: a part's images are removed as soon as every file that they
//! go into is committed.
//!
//! First the part's line in the manifest loses them, then they are removed, so that a build that is
//! killed in between is whole, and the next one removes what no line has.

use std::collections::HashMap;
use std::sync::PoisonError;

use super::Run;
use crate::layout::images_name;
use crate::{Error, PartInfo, Result, Sink};

impl Run {
    /// Has the last stage remove images that it stored in its own files.
    ///
    /// # Errors
    /// When other processes read them: those of a shared folder or a store.
    pub fn lean(self) -> Result<Self> {
        if self.shared || self.plan.store.is_some() {
            let hint = "hint: leave --lean out; or build in one process, in a folder";
            let message = "--lean removes images that other processes of this build still read";
            return Err(Error::Config(format!("{message}\n{hint}")));
        }
        Ok(Self { lean: true, ..self })
    }

    /// Notes which parts the missing files of a sink are made of, and removes the images of the
    /// others.
    pub(super) fn begin_release(
        &self,
        stage: usize,
        sink: &dyn Sink,
        missing: &[usize],
    ) -> Result<()> {
        let inputs = self.sink_inputs(stage)?;
        let mut readers = HashMap::new();
        for &unit in missing {
            for input in &inputs[sink.reads(unit, &inputs)] {
                *readers.entry(input.part).or_insert(0) += 1;
            }
        }
        for at in 0..stage {
            let layout = &self.plan.stages[at].layout;
            let parts: Vec<usize> = self.manifest(at).commits().map(|commit| commit.part).collect();
            for part in parts.into_iter().filter(|part| !readers.contains_key(part)) {
                if layout.images(part).exists() {
                    self.release(at, part)?;
                }
            }
        }
        *self.readers.lock().unwrap_or_else(PoisonError::into_inner) = readers;
        Ok(())
    }

    /// Removes the images of parts that a file was the last to be made of.
    pub(super) fn release_inputs(&self, stage: usize, inputs: &[PartInfo]) -> Result<()> {
        for input in inputs {
            let last = {
                let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
                let left = readers.get_mut(&input.part);
                left.is_some_and(|left| {
                    *left -= 1;
                    *left == 0
                })
            };
            let stored = self.stage_with_images(self.before(stage)?, input.part);
            if let (true, Some(at)) = (last, stored) {
                self.release(at, input.part)?;
            }
        }
        Ok(())
    }

    fn release(&self, stage: usize, part: usize) -> Result<()> {
        let mut manifest = self.manifest(stage);
        let name = images_name(part);
        if let Some(commit) = manifest.get(part).filter(|commit| commit.file(&name).is_some()) {
            let mut commit = commit.clone();
            commit.files.retain(|file| file.name != name);
            manifest.commit(commit)?;
        }
        drop(manifest);
        let path = self.plan.stages[stage].layout.images(part);
        std::fs::remove_file(&path).map_err(|e| Error::io(&path, e))
    }

    /// Refuses to run a stage without the images that it looks at.
    pub(super) fn needs_images(&self, stage: usize, input: &PartInfo) -> Result<()> {
        if input.images.is_some() {
            return Ok(());
        }
        let (name, part) = (self.plan.stages[stage].name(), input.part);
        let hint = "hint: `clip-data build --from fetch` fetches them again";
        Err(Error::Config(format!(
            "stage {name} needs the images of part {part}, which a build with --lean removed when they were in shards\n{hint}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Context, LocalEngine, Map, Outcome, PartSink, Plan, Reject, RunReader, Selection, Source,
        StageSpec, Status, Work, Written,
    };
    use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray, UInt64Array};
    use clip_corpus::{Counts, Verified, row_id};
    use serde_json::json;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    const PARTS: usize = 6;
    const ROWS: usize = 4;
    /// Rows of a file: files and parts end at different places.
    const UNIT: usize = 3;

    struct Images;

    impl Source for Images {
        fn parts(&self) -> Result<usize> {
            Ok(PARTS)
        }

        fn read(&self, part: usize, out: &mut PartSink, _: &Context) -> Result<()> {
            let rows = (0..ROWS).map(|at| row_id(part, at));
            let image = (0..ROWS).map(|at| vec![(part * ROWS + at) as u8; 1000]);
            let text = || -> ArrayRef { Arc::new(StringArray::from(vec!["text"; ROWS])) };
            let columns: [(&str, ArrayRef); 5] = [
                ("row", Arc::new(UInt64Array::from_iter_values(rows))),
                ("uid", text()),
                ("url", text()),
                ("caption", text()),
                ("image", Arc::new(BinaryArray::from_iter_values(image))),
            ];
            out.keep(RecordBatch::try_from_iter(columns).unwrap())
        }
    }

    /// Drops one part.
    struct Drops {
        part: usize,
        looks: bool,
    }

    impl Map for Drops {
        fn apply(&self, batch: RecordBatch, out: &mut PartSink) -> Result<()> {
            if out.part() != self.part {
                return out.keep(batch);
            }
            let rows = clip_corpus::columns::uint64(&batch, "row").unwrap().values();
            rows.iter().try_for_each(|&row| {
                out.reject(Reject { row, reason: "dull".into(), ..Reject::default() })
            })
        }

        fn needs_images(&self) -> bool {
            self.looks
        }
    }

    /// Files of three images each; notes how many images are on disk when it begins one.
    #[derive(Clone, Default)]
    struct Files {
        /// Files that may be written before one fails.
        good: Arc<AtomicUsize>,
        seen: Arc<Mutex<Vec<usize>>>,
    }

    impl Sink for Files {
        fn units(&self, inputs: &[PartInfo]) -> usize {
            inputs.iter().map(|input| input.rows as usize).sum::<usize>().div_ceil(UNIT)
        }

        fn reads(&self, unit: usize, _: &[PartInfo]) -> std::ops::Range<usize> {
            unit * UNIT / ROWS..((unit + 1) * UNIT).div_ceil(ROWS).min(PARTS - 1)
        }

        fn write(
            &self,
            unit: usize,
            inputs: &[PartInfo],
            dir: &Path,
            _: &Context,
        ) -> Result<Written> {
            let parts = inputs
                .iter()
                .filter(|input| input.images.as_ref().is_some_and(|path| path.exists()));
            self.seen.lock().unwrap().push(parts.count());
            if self
                .good
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                .is_err()
            {
                return Err(Error::stage("files", "it broke"));
            }
            let range = self.reads(unit, inputs);
            let first = range.start * ROWS;
            let mut images = Vec::new();
            for batch in inputs[range].iter().flat_map(|input| input.read(true).unwrap()) {
                let column = crate::image_bytes(&batch).unwrap();
                images.extend(column.iter().map(|image| image.unwrap().to_vec()));
            }
            let mine = images.into_iter().skip(unit * UNIT - first).take(UNIT);
            let mine: Vec<Vec<u8>> = mine.collect();
            let name = format!("{unit}.bin");
            clip_format::write_atomic(&dir.join(&name), &mine.concat())?;
            let rows = mine.len() as u64;
            let counts = Counts { rows_in: rows, rows_out: rows, ..Counts::default() };
            Ok(Written { counts, files: vec![name] })
        }
    }

    fn open(dir: &Path, files: &Files, looks: bool) -> Run {
        let stage = |name: &'static str, config, build| StageSpec {
            name: name.into(),
            version: 1,
            config,
            resources: vec![],
            build,
        };
        let files = files.clone();
        let stages = vec![
            stage(
                "source",
                json!({}),
                Box::new(|| Ok(Work::Source(Box::new(Images)))) as crate::stage::Build,
            ),
            stage(
                "map",
                json!({"looks": looks}),
                Box::new(move || Ok(Work::Map(Box::new(Drops { part: 2, looks })))),
            ),
            stage("files", json!({}), Box::new(move || Ok(Work::Sink(Box::new(files.clone()))))),
        ];
        let plan = Plan::new(dir, 7, stages).unwrap();
        Run::open(plan, false, Arc::default(), Arc::new(())).unwrap()
    }

    fn execute(run: &Run) -> Result<Outcome> {
        run.execute(&Selection::default(), &LocalEngine { workers: 1, tries: 1 })
    }

    fn written(run: &Run) -> Vec<Vec<u8>> {
        let folder = run.plan.stages[2].layout.shards();
        (0..7).map(|unit| std::fs::read(folder.join(format!("{unit}.bin"))).unwrap()).collect()
    }

    fn images(run: &Run) -> Vec<PathBuf> {
        let layout = &run.plan.stages[0].layout;
        (0..PARTS).map(|part| layout.images(part)).filter(|path| path.exists()).collect()
    }

    #[test]
    fn no_image_is_stored_twice_and_a_run_that_broke_resumes_to_the_same_files() {
        let (whole, lean) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let files = Files::default();
        files.good.store(usize::MAX, Ordering::Relaxed);
        let run = open(whole.path(), &files, false);
        assert_eq!(execute(&run).unwrap(), Outcome::Done);
        assert_eq!((images(&run).len(), files.seen.lock().unwrap().len()), (PARTS, 7));
        let expected = written(&run);
        assert_eq!(expected.concat().len(), 1000 * ROWS * (PARTS - 1));

        let files = Files::default();
        files.good.store(4, Ordering::Relaxed);
        let run = open(lean.path(), &files, false).lean().unwrap();
        assert_eq!(execute(&run).unwrap(), Outcome::Incomplete);
        // Twelve of twenty images are in files: those of three parts, and those that were dropped.
        assert_eq!(images(&run).len(), 2);
        drop(run);
        files.good.store(usize::MAX, Ordering::Relaxed);
        let run = open(lean.path(), &files, false).lean().unwrap();
        assert_eq!(execute(&run).unwrap(), Outcome::Done);
        run.write_summary().unwrap();
        assert!(written(&run) == expected && images(&run).is_empty());
        // One part is in two files at most while it is written: parts of 4, files of 3.
        let seen = files.seen.lock().unwrap();
        assert_eq!(seen[..4], [5, 5, 4, 3], "parts with images when a file was begun");
        assert!(seen[4..].iter().all(|&parts| parts <= 2), "{seen:?}");
        drop(run);

        let found = RunReader::open(lean.path()).unwrap().verify(&|_| Verified::default()).unwrap();
        assert_eq!((found.findings, found.missing), (vec![], 0));
        let again = open(lean.path(), &files, false);
        assert!(again.plan.stages.iter().all(|stage| stage.status == Status::Reuse));
        // A process that died after the line and before the file left an image that no line has.
        let left = again.plan.stages[0].layout.images(1);
        std::fs::write(&left, "images").unwrap();
        assert_eq!(execute(&again.lean().unwrap()).unwrap(), Outcome::Done);
        assert!(!left.exists());
    }

    #[test]
    fn other_settings_of_a_stage_that_looks_at_images_need_them_again() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::default();
        files.good.store(usize::MAX, Ordering::Relaxed);
        assert_eq!(
            execute(&open(dir.path(), &files, false).lean().unwrap()).unwrap(),
            Outcome::Done
        );
        let run = open(dir.path(), &files, true);
        let error = execute(&run).unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{error}");
        assert!(error.to_string().contains("part 0, which a build with --lean removed"), "{error}");
        let anew = Selection { from: Some("source".into()), ..Selection::default() };
        assert_eq!(run.execute(&anew, &LocalEngine::default()).unwrap(), Outcome::Done);
    }
}
