//! What the check stage of a build found: flagged rows in its parts, dropped ones in its rejects.

use std::path::Path;

use arrow::array::Array;
use clip_corpus::{Manifest, columns};
use clip_pipeline::{PartFileKind, StageLayout};

use crate::checker::Hit;
use crate::corpus::CorpusRow;
use crate::decision::Judgement;
use crate::matches::Match;
use crate::score::Similarity;
use crate::text::{CaptionIndex, TextUnit};
use crate::{Error, Result};

/// The column of a checked part that holds every hit of a row.
pub const HITS: &str = "overlap_all";

/// The place of a build's rows in matches.
const PLACE: &str = "build";

/// A match that a build found, and whether its row is still in the corpus.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The match; its `id` is the corpus row.
    pub pair: Match,
    /// Whether the row is still there.
    pub kept: bool,
}

/// Hits as text: a line each, with tabs between set, key, score and kind.
pub fn to_text(hits: &[Hit]) -> String {
    let line =
        |hit: &Hit| format!("{}\t{}\t{:.4}\t{}", hit.set, hit.key, hit.score, hit.kind.name());
    hits.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn of_text(text: &str) -> impl Iterator<Item = Hit> {
    text.lines().filter_map(|line| {
        let [set, key, score, kind] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
        Some(Hit {
            set: set.to_owned(),
            key: key.to_owned(),
            score: score.parse().ok()?,
            kind: crate::HitKind::of_name(kind)?,
            // What counts is judged again where this is read.
            judgement: Judgement::Unproven,
        })
    })
}

/// Every match of a finished check stage, in the order of rows, and the number of rows it saw.
pub fn checked(stage: &StageLayout) -> Result<(Vec<Checked>, u64)> {
    let manifest = Manifest::open(stage.dir())?;
    let (mut found, mut rows) = (Vec::new(), 0);
    for commit in manifest.commits() {
        rows += commit.counts.rows_in;
        for file in &commit.files {
            let path = stage.dir().join(&file.name);
            match PartFileKind::from_name(&file.name) {
                Some(PartFileKind::Rows) => read(&path, HITS, true, &mut found)?,
                Some(PartFileKind::Rejects) => read(&path, "detail", false, &mut found)?,
                _ => {}
            }
        }
    }
    found.sort_by_key(|(row, _)| *row);
    Ok((found.into_iter().map(|(_, checked)| checked).collect(), rows))
}

/// The captions of evaluation sets in the texts of a finished check stage's rows, without those
/// that it dropped.
///
/// # Errors
/// When a part cannot be read.
pub fn checked_texts(stage: &StageLayout, sets: &[CaptionIndex]) -> Result<TextUnit> {
    let mut found = TextUnit::default();
    if sets.is_empty() {
        return Ok(found);
    }
    for commit in Manifest::open(stage.dir())?.commits() {
        let rows = |name: &&str| PartFileKind::from_name(name) == Some(PartFileKind::Rows);
        for name in commit.files.iter().map(|file| file.name.as_str()).filter(rows) {
            let path = stage.dir().join(name);
            for batch in clip_corpus::read_parquet(&path)? {
                let missing = |name: &str| Error::file(&path, format!("no column `{name}`"));
                let text = |name: &str| columns::text(&batch, name).ok_or_else(|| missing(name));
                let (urls, captions) = (text(columns::URL)?, text(columns::CAPTION)?);
                let rows =
                    columns::uint64(&batch, columns::ROW).ok_or_else(|| missing(columns::ROW))?;
                let row = |at: usize| CorpusRow {
                    id: rows.value(at).to_string(),
                    url: urls.value(at).to_owned(),
                    caption: captions.value(at).to_owned(),
                    ..CorpusRow::default()
                };
                let with_text = (0..batch.num_rows()).filter(|&at| !captions.value(at).is_empty());
                found.compare(sets, PLACE, &with_text.map(row).collect::<Vec<_>>());
            }
        }
    }
    Ok(found)
}

fn read(path: &Path, column: &str, kept: bool, found: &mut Vec<(u64, Checked)>) -> Result<()> {
    for batch in clip_corpus::read_parquet(path)? {
        let missing = |name: &str| Error::file(path, format!("no column `{name}`"));
        let text = |name: &str| columns::text(&batch, name).ok_or_else(|| missing(name));
        let (hits, urls, captions) = (text(column)?, text(columns::URL)?, text(columns::CAPTION)?);
        let rows = columns::uint64(&batch, columns::ROW).ok_or_else(|| missing(columns::ROW))?;
        for at in (0..batch.num_rows()).filter(|&at| hits.is_valid(at)) {
            found.extend(of_text(hits.value(at)).map(|hit| {
                let pair = Match {
                    set: hit.set,
                    key: hit.key,
                    class: String::new(),
                    place: PLACE.into(),
                    id: rows.value(at).to_string(),
                    url: urls.value(at).to_owned(),
                    caption: captions.value(at).to_owned(),
                    score: hit.score,
                    kind: hit.kind,
                    similarity: Similarity::default(),
                    detector: None,
                    thumbnail: Vec::new(),
                };
                (rows.value(at), Checked { pair, kept })
            }));
        }
    }
    Ok(())
}
