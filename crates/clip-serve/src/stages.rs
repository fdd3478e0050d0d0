//! The stages of a run, of a finished build or of one that is at work.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use clip_corpus::Manifest;
use clip_pipeline::{RunLayout, RunReader, StageLayout, StageReader};

use crate::Result;

/// The stages of a run's folder, in their order, with what is committed of each; none where it is
/// no run.
///
/// Of several folders that other settings made of a stage, it is the one of the last build that was
/// finished; where another is not whole and was written later, a build is at work or was
/// interrupted, and the ones that were written last count.
///
/// # Errors
/// When the folder cannot be read, or a manifest is damaged.
pub(crate) fn stages(path: &Path) -> Result<Vec<StageReader>> {
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let mut newest: BTreeMap<usize, (SystemTime, String, StageLayout)> = BTreeMap::new();
    for layout in RunLayout::new(path).stage_folders()? {
        let Some((number, name)) = number_and_name(&layout.name()) else { continue };
        if !layout.is_stage() {
            continue;
        }
        let written = written(&layout);
        if newest.get(&number).is_none_or(|(other, ..)| *other <= written) {
            newest.insert(number, (written, name, layout));
        }
    }
    // A build that was finished says itself which folders are its own: settings that it had before
    // left others, perhaps of more stages. Copying a run mixes the times of its files.
    let run = RunLayout::new(path);
    let finished = std::fs::metadata(run.summary()).and_then(|about| about.modified());
    if let Ok(finished) = finished
        && newest.values().all(|(written, _, stage)| *written <= finished || stage.is_whole())
        && let Ok(run) = RunReader::open(path)
    {
        let mut own = run.stages().to_vec();
        own.retain(|stage| stage.layout.is_stage());
        return Ok(own);
    }
    let reader = |(_, name, layout): (SystemTime, String, StageLayout)| {
        let counts = Manifest::open(layout.dir())?.counts();
        Ok(StageReader { name, layout, counts })
    };
    newest.into_values().map(reader).collect()
}

/// Hash of a file that decided what a stage did, by the name that the build gives it.
///
/// # Errors
/// When what the stage was built with cannot be read.
pub(crate) fn resource(stage: &StageReader, name: &str) -> Result<Option<String>> {
    let resources = stage.file()?.fingerprint.resources;
    Ok(resources.into_iter().find(|(other, _)| other == name).map(|(_, hash)| hash))
}

/// When a stage last committed something, or began.
pub(crate) fn written(layout: &StageLayout) -> SystemTime {
    let modified = |path: &Path| std::fs::metadata(path)?.modified();
    modified(&layout.manifest())
        .or_else(|_| modified(&layout.file()))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Of `06-fetch-3f9c1a2b`.
fn number_and_name(folder: &str) -> Option<(usize, String)> {
    let (number, rest) = folder.split_once('-')?;
    let (name, _) = rest.rsplit_once('-')?;
    Some((number.parse().ok()?, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_that_was_written_last_counts() {
        let run = tempfile::tempdir().unwrap();
        for (folder, age) in
            [("00-collect-00000000", 9), ("01-fetch-11111111", 1), ("01-fetch-22222222", 5)]
        {
            let dir = run.path().join(folder);
            std::fs::create_dir(&dir).unwrap();
            std::fs::write(dir.join("stage.json"), b"{}").unwrap();
            let at = SystemTime::now() - std::time::Duration::from_secs(age);
            std::fs::File::open(dir.join("stage.json")).unwrap().set_modified(at).unwrap();
        }
        std::fs::create_dir(run.path().join("02-dedup-33333333")).unwrap();
        let found = stages(run.path()).unwrap();
        let names: Vec<String> = found.iter().map(|stage| stage.layout.name()).collect();
        assert_eq!(names, ["00-collect-00000000", "01-fetch-11111111"]);
        assert_eq!(found[1].name, "fetch");
        assert!(stages(&run.path().join("02-dedup-33333333")).unwrap().is_empty());
        // A finished build has no stage of settings that are no longer its own.
        let fetch = r#"{"stage":"fetch","dir":"01-fetch-22222222","fingerprint":"22","tally":{"rows_in":3,"rows_out":2,"dropped":{}}}"#;
        let text = format!(r#"{{"format":2,"seed":1,"stages":[{fetch}]}}"#);
        std::fs::write(run.path().join("run.json"), text).unwrap();
        let found = stages(run.path()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].layout.name().as_str(), found[0].counts.rows_out),
            ("01-fetch-22222222", 2)
        );
        // A copy of the run, whose files have their times in the order of the copying.
        let later = |folder: &str, parts: usize| {
            let stage = format!(
                r#"{{"stage":"fetch","version":1,"config":{{}},"resources":[],"seed":1,"input":null,"parts":{parts}}}"#
            );
            let path = run.path().join(folder).join("stage.json");
            std::fs::write(&path, stage).unwrap();
            let at = SystemTime::now() + std::time::Duration::from_secs(9);
            std::fs::File::open(&path).unwrap().set_modified(at).unwrap();
        };
        later("01-fetch-11111111", 0);
        assert_eq!(stages(run.path()).unwrap()[0].layout.name(), "01-fetch-22222222");
        // A part of it is missing: a build that is at work.
        later("01-fetch-11111111", 1);
        assert_eq!(stages(run.path()).unwrap()[1].layout.name(), "01-fetch-11111111");
    }
}
