//! Which parts are done, and of which input: a part whose shard, images or lines are others since
//! is made again.

use std::path::{Path, PathBuf};

use clip_format::PathError;
use serde::{Deserialize, Serialize};

use crate::{Part, Result};

/// What came of the parts that are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows written.
    pub rows: usize,
    /// Items that have no result; `rejects/` has their keys and reasons.
    pub rejects: usize,
    /// Parts that were there from an earlier run.
    pub reused: usize,
    /// Parts that were made again: their input is not what they were made from.
    pub changed: usize,
    /// Rows of which a uid was made, since their shard has none; rows of reused parts are not
    /// among them.
    pub made_uids: usize,
}

/// `stats/NUMBER.json` of a part, written after all of its files.
pub(crate) struct DoneFile {
    path: PathBuf,
    /// What the part is made from.
    input: String,
}

#[derive(Serialize, Deserialize)]
struct Content {
    rows: usize,
    rejects: usize,
    /// None where an earlier version wrote it.
    input: Option<String>,
}

impl DoneFile {
    /// Of a part, before it is read: what changes from then on is seen the next time.
    pub fn new(output: &Path, number: &str, part: &Part) -> Result<Self> {
        Ok(Self { path: output.join(format!("stats/{number}.json")), input: part.state()? })
    }

    /// Counts the part as reused where it is done. Otherwise nothing says any more that it is.
    pub fn reuse(&self, summary: &mut Summary) -> Result<bool> {
        let Ok(text) = std::fs::read(&self.path) else { return Ok(false) };
        let content = serde_json::from_slice::<Content>(&text).ok();
        let same = |content: &Content| content.input.as_ref() == Some(&self.input);
        if let Some(content) = content.filter(same) {
            summary.rows += content.rows;
            summary.rejects += content.rejects;
            summary.reused += 1;
            return Ok(true);
        }
        summary.changed += 1;
        std::fs::remove_file(&self.path).map_err(|e| PathError::new(&self.path, e))?;
        Ok(false)
    }

    /// After all files of the part are written.
    pub fn write(&self, rows: usize, rejects: usize, summary: &mut Summary) -> Result<()> {
        let content = Content { rows, rejects, input: Some(self.input.clone()) };
        clip_format::write_atomic(&self.path, serde_json::json!(content).to_string().as_bytes())?;
        summary.rows += rows;
        summary.rejects += rejects;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_done_as_long_as_its_input_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let shard = folder.path().join("0.tar");
        std::fs::write(&shard, "one").unwrap();
        let part = Part::Shard(shard.clone());
        let open = || DoneFile::new(folder.path(), "0000", &part).unwrap();
        let mut summary = Summary::default();
        assert!(!open().reuse(&mut summary).unwrap());
        open().write(3, 1, &mut summary).unwrap();
        assert!(open().reuse(&mut summary).unwrap());
        assert_eq!(summary, Summary { rows: 6, rejects: 2, reused: 1, changed: 0, made_uids: 0 });
        std::fs::write(&shard, "other").unwrap();
        assert!(!open().reuse(&mut summary).unwrap());
        assert_eq!((summary.reused, summary.changed), (1, 1));
        assert!(!folder.path().join("stats/0000.json").exists());
        // Lines are what they say, and images have captions beside them.
        let lines = |line: &str| Part::Lines { path: "x".into(), lines: vec![line.to_owned()] };
        assert_ne!(lines("a").state().unwrap(), lines("b").state().unwrap());
        let image = folder.path().join("a.jpg");
        std::fs::write(&image, "image").unwrap();
        let images = Part::Images { root: folder.path().into(), files: vec![image.clone()] };
        let before = images.state().unwrap();
        std::fs::write(image.with_extension("txt"), "a cat").unwrap();
        assert_ne!(images.state().unwrap(), before);
    }
}
