//! What is known between requests: the paths that are served, and what of them was read lately.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use clip_corpus::columns;
use clip_curate::Matches;
use clip_pipeline::StageReader;
use clip_query::QueryList;

use crate::corpus::{ShardIndexes, Source, Tables, image_of_row};
use crate::decisions::DecisionFile;
use crate::http::Request;
use crate::neighbours::TextEncoder;
use crate::review::{Review, Thumbnails, item_images};
use crate::roots::Roots;
use crate::stages::{resource, stages};
use crate::{Error, Result};

/// Things of a kind that are kept in memory.
const KEPT: usize = 8;

/// A list of queries, which names those of the runs that were matched with it.
pub struct Queries {
    /// The list.
    pub list: QueryList,
    /// Hash of its file, as builds record it.
    pub hash: String,
}

/// A model, which is asked about the embeddings that it made.
pub struct Encoder {
    /// Makes embeddings of texts.
    pub encoder: Box<dyn TextEncoder>,
    /// Hash of its files, as builds record it.
    pub hash: String,
}

/// What all pages share.
pub(crate) struct State {
    pub roots: Roots,
    /// The list that names queries.
    queries: Option<Queries>,
    /// Where evaluation sets are, by name.
    pub sets: BTreeMap<String, PathBuf>,
    pub decisions: DecisionFile,
    /// Makes embeddings of texts.
    encoder: Option<Encoder>,
    shards: ShardIndexes,
    tables: Kept<Tables>,
    thumbnails: Kept<Thumbnails>,
    items: Kept<BTreeMap<String, Vec<u8>>>,
}

/// What was read lately, the newest first, by what it was read of.
struct Kept<T>(Mutex<Vec<(blake3::Hash, Arc<T>)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Kept<T> {
    /// From memory, or read now; two requests at once may both read it.
    fn get(&self, signature: blake3::Hash, read: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = lock().iter().find(|(known, _)| *known == signature) {
            return Ok(known.clone());
        }
        let found = Arc::new(read()?);
        let mut all = lock();
        all.insert(0, (signature, found.clone()));
        all.truncate(KEPT);
        Ok(found)
    }
}

/// The rows that a page shows, or one of which an image is.
pub(crate) struct Corpus {
    pub source: Source,
    pub tables: Arc<Tables>,
}

impl State {
    /// Nothing is read yet.
    pub fn new(
        roots: Roots,
        queries: Option<Queries>,
        sets: BTreeMap<String, PathBuf>,
        decisions: DecisionFile,
        encoder: Option<Encoder>,
    ) -> Self {
        let (shards, tables) = (ShardIndexes::default(), Kept::default());
        let (thumbnails, items) = (Kept::default(), Kept::default());
        Self { roots, queries, sets, decisions, encoder, shards, tables, thumbnails, items }
    }

    /// The path that a request is about.
    ///
    /// # Errors
    /// When it is not served.
    pub fn path(&self, request: &Request) -> Result<PathBuf> {
        self.roots.resolve(request.query.need("of")?)
    }

    /// The corpus that a request is about.
    ///
    /// # Errors
    /// When it is none, is damaged, or leads out of what is served.
    pub fn corpus(&self, request: &Request) -> Result<Corpus> {
        self.corpus_of(&self.path(request)?, request.query.get("rows"))
    }

    /// The corpus at a path, of a run the rows that are chosen.
    ///
    /// # Errors
    /// As those of [`Self::corpus`].
    pub fn corpus_of(&self, path: &Path, rows: Option<&str>) -> Result<Corpus> {
        let source = Source::open(path, rows)?;
        let tables = self.tables(&source.files)?;
        Ok(Corpus { source, tables })
    }

    /// The list that names the queries of a run; none where the run was matched with another.
    ///
    /// # Errors
    /// When what the run was built with cannot be read.
    pub fn queries_of(&self, stages: &[StageReader]) -> Result<Option<&QueryList>> {
        let Some(queries) = &self.queries else { return Ok(None) };
        let matched = stages.iter().find(|stage| stage.name == Matches::STAGE);
        let own = matched.map(|stage| resource(stage, "queries.list")).transpose()?.flatten();
        Ok(own.is_none_or(|hash| hash == queries.hash).then_some(&queries.list))
    }

    /// The embedding of a text, in the space of those that a stage stored.
    ///
    /// # Errors
    /// In words, when there is no model, it is another one, or it cannot be used.
    pub fn encode(&self, stage: &StageReader, text: &str) -> std::result::Result<Vec<f32>, String> {
        let hint = "hint: start `clip-data serve` with --model, the model of the stored embeddings";
        let model = self.encoder.as_ref().ok_or_else(|| format!("Texts need a model.\n{hint}"))?;
        let own = resource(stage, "score.model").map_err(|e| e.to_string())?;
        if own.is_some_and(|hash| hash != model.hash) {
            return Err(format!("The stored embeddings are of another model.\n{hint}"));
        }
        model.encoder.encode(text)
    }

    /// The tables, from memory where no file changed.
    ///
    /// # Errors
    /// When there are none, one is damaged, or leads out of what is served.
    pub fn tables(&self, files: &[PathBuf]) -> Result<Arc<Tables>> {
        self.tables.get(signature(files)?, || {
            files.iter().try_for_each(|file| self.roots.check(file))?;
            Tables::open(files.to_vec())
        })
    }

    /// The image of an item of an evaluation set that a report has pairs of; nothing where it is
    /// not known where the set is.
    ///
    /// # Errors
    /// When the set or the report cannot be read.
    pub fn item_image(&self, folder: &Path, set: &str, key: &str) -> Result<Option<Vec<u8>>> {
        let Some(path) = self.sets.get(set) else { return Ok(None) };
        let report = signature(&[folder.join(Review::FILE)])?;
        let signature = blake3::hash(format!("{report}{set}").as_bytes());
        let read = || item_images(set, path, &Review::open(folder)?.pairs);
        Ok(self.items.get(signature, read)?.get(key).cloned())
    }

    /// The image of a corpus that a report has pairs of.
    ///
    /// # Errors
    /// When what is stored is damaged.
    pub fn copy_image(&self, folder: &Path, place: &str, id: &str) -> Result<Option<Vec<u8>>> {
        let stages = stages(folder)?;
        if let (false, Ok(row)) = (stages.is_empty(), id.parse()) {
            return image_of_row(&stages, row);
        }
        let signature = signature(&[folder.join(Review::FILE)])?;
        self.thumbnails.get(signature, || Thumbnails::open(folder))?.get(place, id)
    }

    /// The image of a row of a corpus, as it is stored; nothing where there is none.
    ///
    /// # Errors
    /// When what is stored is damaged, or leads out of what is served.
    pub fn image(&self, corpus: &Corpus, at: u64) -> Result<Option<Vec<u8>>> {
        let Some(file) = corpus.tables.file_of(at) else { return Ok(None) };
        let names = ["key".to_owned(), columns::ROW.to_owned()];
        let Some(cells) = corpus.tables.cells(&[at], &names)?.pop() else { return Ok(None) };
        let shard = file.path.with_extension("tar");
        if shard.is_file() {
            self.roots.check(&shard)?;
            let key = cells.get("key").and_then(|key| key.as_str());
            return key.map_or(Ok(None), |key| self.shards.image(&shard, key));
        }
        match cells.get(columns::ROW).and_then(serde_json::Value::as_u64) {
            Some(row) => image_of_row(&corpus.source.stages, row),
            None => Ok(None),
        }
    }
}

/// What changes when a file does.
fn signature(files: &[PathBuf]) -> Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    for file in files {
        let failed = |e| Error::Io(clip_format::PathError::new(file, e));
        let about = std::fs::metadata(file).map_err(failed)?;
        let text = format!("{}\0{}\0{:?}\n", file.display(), about.len(), about.modified().ok());
        hasher.update(text.as_bytes());
    }
    Ok(hasher.finalize())
}

/// Name of a path for people.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
