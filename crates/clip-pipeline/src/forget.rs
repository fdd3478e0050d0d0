//! Removing the rows of some uids from a run: parts, images, rejects and shards of every stage.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use clip_corpus::{
    Commit, Manifest, PartFile, Replacement, Uids, columns, copy_without, count_in_shard,
    find_rows, forget_in_shard, npy_without, row_part, scan, schema_of, texts_at,
};

use crate::format::Format;
use crate::layout::{PartFileKind, RunLayout, StageLayout};
use crate::{Error, Result, RunSummary, StageFile, decision, row_of};

/// What was removed from a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForgottenRows {
    /// Rows of each stage's folder that had rows, rejected ones too.
    pub stages: Vec<(String, u64)>,
    /// Shards that lost samples.
    pub shards: u64,
    /// Uids, not removed, of pairs that may have a caption of a removed pair in `captions`:
    /// deduplication gave it to them.
    pub carriers: BTreeSet<String>,
    /// Uids, not removed, of pairs that deduplication dropped as copies of the image of a removed
    /// pair.
    pub copies: BTreeSet<String>,
}

/// What keeps pairs out of a build that collects them again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockEntries {
    /// URLs of their images.
    pub urls: BTreeSet<String>,
    /// SHA-256 of their images, of those that were fetched.
    pub sha256: BTreeSet<String>,
}

/// What a run knows of the pairs of some uids, from all its stages.
///
/// # Errors
/// When what is stored is damaged.
pub fn block_entries(dir: &Path, uids: &Uids) -> Result<BlockEntries> {
    let mut found = BlockEntries::default();
    for stage in RunLayout::new(dir).stage_folders()? {
        for kind in [PartFileKind::Rows, PartFileKind::Rejects] {
            for path in stage.files(kind)? {
                let places = find_rows(&path, columns::UID, |uid| uids.contains(uid))?;
                found.urls.extend(texts_at(&path, &places, columns::URL)?);
                found.sha256.extend(texts_at(&path, &places, "sha256")?);
            }
        }
    }
    Ok(found)
}

/// Refuses a run that rows cannot be removed from: a copy of one in object storage, and one whose
/// stages are not whole.
///
/// # Errors
/// For such a run, and when what is stored is damaged.
pub fn check_forget(dir: &Path) -> Result<()> {
    let layout = RunLayout::new(dir);
    if layout.store_address().exists() {
        let hint = "hint: `clip-data pull` a copy, and replace the run in the store by it";
        return Err(Error::Config(format!(
            "{}: it is a copy of a run in object storage\n{hint}",
            dir.display()
        )));
    }
    layout.stage_folders()?.iter().try_for_each(complete)
}

/// Removes the rows of these uids from every stage of a run, whatever settings made it. A stage is
/// changed whole or not at all: a process that is killed leaves stages that are done and stages
/// that are not, and the next call does the rest.
///
/// # Errors
/// When a build is at work there or has not ended, when the run is in object storage, and when what
/// is stored is damaged.
pub fn forget_in_run(dir: &Path, uids: &Uids) -> Result<ForgottenRows> {
    let layout = RunLayout::new(dir);
    let path = layout.lock();
    let lock = clip_corpus::lock_file(&path, false).map_err(|e| Error::io(&path, e))?;
    let _lock = lock.ok_or_else(|| Error::Locked { path: dir.to_path_buf() })?;
    let stages = layout.stage_folders()?;
    for stage in &stages {
        Replacement::recover(stage.dir())?;
    }
    check_forget(dir)?;
    let mut done = ForgottenRows::default();
    // Copies are looked up by the rows that are there, before those change.
    for stage in &stages {
        find_copies(stage, uids, &mut done)?;
    }
    for stage in &stages {
        clear_scratch(stage)?;
        let rows = forget_in_stage(stage, uids, &mut done.shards)?;
        if rows > 0 {
            done.stages.push((stage.name(), rows));
        }
    }
    if let Some(mut summary) = RunSummary::read(&layout.summary())? {
        for stage in &mut summary.stages {
            stage.counts = Manifest::open(&dir.join(&stage.dir))?.counts();
        }
        summary.write(&layout.summary())?;
    }
    Ok(done)
}

/// How many rows [`forget_in_run`] removes of each stage that has some.
///
/// # Errors
/// When what is stored is damaged.
pub fn count_in_run(dir: &Path, uids: &Uids) -> Result<Vec<(String, u64)>> {
    let mut counts = Vec::new();
    for stage in RunLayout::new(dir).stage_folders()? {
        let mut rows = 0;
        for commit in Manifest::open(stage.dir())?.commits() {
            for file in &commit.files {
                let path = stage.dir().join(&file.name);
                rows += match PartFileKind::from_name(&file.name) {
                    Some(PartFileKind::Rows | PartFileKind::Rejects) => {
                        find_rows(&path, columns::UID, |uid| uids.contains(uid))?.len() as u64
                    }
                    Some(PartFileKind::Shard) if file.name.ends_with(".tar") => {
                        count_in_shard(&path, uids)?
                    }
                    _ => 0,
                };
            }
        }
        if rows > 0 {
            counts.push((stage.name(), rows));
        }
    }
    Ok(counts)
}

/// Refuses a stage with parts that are not committed: what they have so far is not known by rows.
fn complete(stage: &StageLayout) -> Result<()> {
    let parts = StageFile::read(&stage.file())?.map_or(0, |file| file.parts);
    let committed = Manifest::open(stage.dir())?.commits().count();
    if committed < parts {
        let hint =
            "hint: `clip-data build` ends it; `clip-data clean` removes stages of earlier settings";
        let message = format!("{committed} of {parts} parts are there\n{hint}");
        return Err(Error::stage(&stage.name(), message));
    }
    Ok(())
}

/// The pairs whose image a stage took for that of a removed pair: the one that it kept, which may
/// have the captions of the others, and those that it dropped.
fn find_copies(stage: &StageLayout, uids: &Uids, found: &mut ForgottenRows) -> Result<()> {
    let mut removed = HashSet::new();
    for kind in [PartFileKind::Rows, PartFileKind::Rejects] {
        for path in stage.files(kind)? {
            let places = find_rows(&path, columns::UID, |uid| uids.contains(uid))?;
            removed.extend(rows_at(&path, &places)?);
        }
    }
    let tables = decision::tables(stage)?;
    if removed.is_empty() || tables.is_empty() {
        return Ok(());
    }
    let mut clusters = HashSet::new();
    for path in &tables {
        each_in_cluster(path, |row, cluster| {
            if removed.contains(&row) {
                clusters.insert(cluster);
            }
        })?;
    }
    let mut others = Vec::new();
    for path in &tables {
        each_in_cluster(path, |row, cluster| {
            if clusters.contains(&cluster) && !removed.contains(&row) {
                others.push((row, cluster));
            }
        })?;
    }
    for (row, cluster) in others {
        let (kept, part) = (row == cluster, row_part(row));
        let table = if kept { stage.rows(part) } else { stage.rejects(part) };
        // An earlier call removed it, and decisions have no uids.
        let row = if table.is_file() { row_of(&table, row)? } else { None };
        let uid = row.as_ref().and_then(|row| columns::text(row, columns::UID));
        let uid = uid.map(|uid| uid.value(0).to_owned());
        if kept { found.carriers.extend(uid) } else { found.copies.extend(uid) }
    }
    Ok(())
}

/// Calls `each` with every row of a table of decisions that is in a cluster of copies, and the row
/// that was kept of it.
fn each_in_cluster(path: &Path, mut each: impl FnMut(u64, u64)) -> Result<()> {
    if schema_of(path)?.column_with_name(columns::CLUSTER).is_none() {
        return Ok(());
    }
    for batch in scan(path, &[columns::ROW, columns::CLUSTER], 8192)? {
        let batch = batch?;
        let [rows, clusters] =
            [columns::ROW, columns::CLUSTER].map(|name| columns::uint64(&batch, name));
        for (row, cluster) in rows.into_iter().flatten().zip(clusters.into_iter().flatten()) {
            if let (Some(row), Some(cluster)) = (row, cluster) {
                each(row, cluster);
            }
        }
    }
    Ok(())
}

/// The ids of the rows at these places.
fn rows_at(path: &Path, places: &[u64]) -> Result<Vec<u64>> {
    let (mut found, mut first) = (Vec::new(), 0);
    if places.is_empty() {
        return Ok(found);
    }
    for batch in scan(path, &[columns::ROW], 8192)? {
        let batch = batch?;
        let rows = columns::uint64(&batch, columns::ROW);
        let own = places.iter().filter_map(|place| place.checked_sub(first));
        let own = own.filter(|place| *place < batch.num_rows() as u64);
        found.extend(
            rows.into_iter().flat_map(|rows| own.clone().map(move |at| rows.value(at as usize))),
        );
        first += batch.num_rows() as u64;
    }
    Ok(found)
}

/// Returns the rows that were removed.
fn forget_in_stage(stage: &StageLayout, uids: &Uids, shards: &mut u64) -> Result<u64> {
    let manifest = Manifest::open(stage.dir())?;
    let mut replacement = Replacement::begin(stage.dir())?;
    let (mut commits, mut all) = (Vec::new(), 0);
    for commit in manifest.commits() {
        let mut commit = commit.clone();
        all += forget_in_part(stage, &mut commit, uids, &mut replacement, shards)?;
        commits.push(commit);
    }
    if replacement.is_empty() {
        return Ok(0);
    }
    let lines = commits.iter().map(|commit| serde_json::json!(commit).to_string() + "\n");
    let path = replacement.stage(Manifest::FILE)?;
    clip_format::write_atomic(&path, lines.collect::<String>().as_bytes())?;
    replacement.commit()?;
    Ok(all)
}

/// Removes what parts and barriers kept for a run that was killed; summaries (`.json`) are counts.
fn clear_scratch(stage: &StageLayout) -> Result<()> {
    let scratch = stage.scratch();
    for entry in std::fs::read_dir(&scratch).into_iter().flatten() {
        let path = entry.map_err(|e| Error::io(&scratch, e))?.path();
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else if path.extension().is_some_and(|extension| extension == "json") {
            Ok(())
        } else {
            std::fs::remove_file(&path)
        };
        removed.map_err(|e| Error::io(&path, e))?;
    }
    Ok(())
}

fn forget_in_part(
    stage: &StageLayout,
    commit: &mut Commit,
    uids: &Uids,
    replacement: &mut Replacement,
    shards: &mut u64,
) -> Result<u64> {
    let (mut kept, mut rows) = (0, HashSet::new());
    let mut changed = Vec::new();
    let names = |kind| {
        let files = commit.files.iter().map(|file| file.name.clone());
        files.filter(move |name| PartFileKind::from_name(name) == Some(kind)).collect::<Vec<_>>()
    };
    let mut rejected = Vec::new();
    // Embeddings are those of the rows that were kept, in their order.
    let mut embedded = Vec::new();
    for (kind, name) in [PartFileKind::Rows, PartFileKind::Rejects]
        .into_iter()
        .flat_map(|kind| names(kind).into_iter().map(move |name| (kind, name)))
    {
        let path = stage.dir().join(&name);
        let places = find_rows(&path, columns::UID, |uid| uids.contains(uid))?;
        if places.is_empty() {
            continue;
        }
        rows.extend(rows_at(&path, &places)?);
        if kind == PartFileKind::Rows {
            kept += places.len() as u64;
            embedded.clone_from(&places);
        } else {
            rejected.extend(texts_at(&path, &places, "reason")?);
        }
        copy_without(&path, &replacement.stage(&name)?, &places)?;
        changed.push(name);
    }
    for name in names(PartFileKind::Images).into_iter().filter(|_| !rows.is_empty()) {
        let path = stage.dir().join(&name);
        let places = places_of(&path, &rows)?;
        copy_without(&path, &replacement.stage(&name)?, &places)?;
        changed.push(name);
    }
    for kind in [PartFileKind::Embeddings, PartFileKind::Metadata] {
        for name in names(kind).into_iter().filter(|_| !embedded.is_empty()) {
            let (path, staged) = (stage.dir().join(&name), replacement.stage(&name)?);
            if kind == PartFileKind::Embeddings {
                npy_without(&path, &staged, &embedded)?;
            } else {
                copy_without(&path, &staged, &embedded)?;
            }
            changed.push(name);
        }
    }
    for name in names(PartFileKind::Shard).into_iter().filter(|name| name.ends_with(".tar")) {
        let removed = forget_in_shard(stage.dir(), &name, uids, replacement)?;
        if removed > 0 {
            *shards += 1;
            kept += removed;
            let stem = name.strip_suffix(".tar").unwrap_or(&name);
            let beside = [".tar", ".parquet", ".idx", "_stats.json"];
            changed.extend(beside.map(|ending| format!("{stem}{ending}")));
        }
    }
    // What this does not know by rows must not be left beside rows that are gone.
    let strange = commit.files.iter().find(|file| PartFileKind::from_name(&file.name).is_none());
    if let (Some(file), false) = (strange, changed.is_empty()) {
        let message = format!("{}: the rows of this file are not known", file.name);
        return Err(Error::stage(&stage.name(), message));
    }
    for file in commit.files.iter_mut().filter(|file| changed.contains(&file.name)) {
        let staged = replacement.staged(&file.name)?;
        if staged.is_file() {
            let (blake3, bytes) = clip_corpus::hash_file(&staged)?;
            *file = PartFile { name: file.name.clone(), blake3, bytes };
        }
    }
    let counts = &mut commit.counts;
    counts.rows_out = counts.rows_out.saturating_sub(kept);
    for reason in &rejected {
        if let Some(count) = counts.dropped.get_mut(reason) {
            *count = count.saturating_sub(1);
        }
    }
    counts.dropped.retain(|_, count| *count > 0);
    counts.rows_in = counts.rows_out + counts.rejected();
    Ok(kept + rejected.len() as u64)
}

/// The places of these rows in a table of images.
fn places_of(path: &Path, rows: &HashSet<u64>) -> Result<Vec<u64>> {
    let (mut places, mut first) = (Vec::with_capacity(rows.len()), 0);
    for batch in scan(path, &[columns::ROW], 8192)? {
        let batch = batch?;
        let ids = columns::uint64(&batch, columns::ROW);
        let found = ids.into_iter().flat_map(|ids| (first..).zip(ids.values().iter()));
        places.extend(found.filter(|(_, id)| rows.contains(*id)).map(|(place, _)| place));
        first += batch.num_rows() as u64;
    }
    Ok(places)
}
