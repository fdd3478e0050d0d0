//! Scores of pairs by a model.

use std::borrow::Cow;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use clip_corpus::columns;
use clip_pipeline::{Context, Error, Map, PartSink, Result, image_bytes};
use clip_score::{Pair, PairEmbeddings, PairScores, Scored, Similarity, arrays};

use crate::captions::text_column;

/// A model that scores pairs, in this process or another.
pub trait PairScorer: Send + Sync {
    /// The scores of each pair, in their order. `cancelled` is asked while it computes.
    ///
    /// # Errors
    /// When the model fails or was asked to stop: the part is tried again.
    fn score(
        &self,
        pairs: &[Pair<'_>],
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Scored>>;
}

/// Adds the columns of a scorer: `NAME_similarity` of image and caption, and one for each head and
/// zero-shot class. Where rows have several captions, `NAME_similarities` has one for each, in the
/// order of `captions`, and `NAME_similarity_best` the largest.
///
/// Where embeddings are asked for, those of the image and of the row's own caption are stored
/// beside the rows, in clip-retrieval's layout.
///
/// A pair without scores is dropped, with the reason of its [`clip_score::Fault`].
pub struct Scores {
    stage: String,
    similarity: Similarity,
    columns: Vec<String>,
    embeddings: bool,
    scorer: Box<dyn PairScorer>,
}

impl Scores {
    /// Name of the stage of the scorer `clip`, and what those of others begin with.
    pub const STAGE: &'static str = "score";

    /// The stage's name for a scorer.
    pub fn stage(scorer: &str) -> String {
        // No `-`: names of stages are parts of folders' names, between two of them.
        if scorer == "clip" { Self::STAGE.to_owned() } else { format!("{}_{scorer}", Self::STAGE) }
    }

    /// By the scorer of that name, which gives these columns besides similarities, and embeddings
    /// where they are to be stored.
    pub fn new(
        name: &str,
        columns: Vec<String>,
        embeddings: bool,
        scorer: Box<dyn PairScorer>,
    ) -> Self {
        let (stage, similarity) = (Self::stage(name), Similarity::of(name));
        Self { stage, similarity, columns, embeddings, scorer }
    }

    /// Passes rows on with the embeddings of each.
    fn keep(&self, rows: RecordBatch, scores: &[PairScores], out: &mut PartSink) -> Result<()> {
        if !self.embeddings {
            return out.keep(rows);
        }
        let (mut images, mut texts) = (Vec::new(), Vec::new());
        for scores in scores {
            let lost = || Error::stage(&self.stage, "the model gave no embeddings");
            let PairEmbeddings { image, text } = scores.embeddings.as_ref().ok_or_else(lost)?;
            images.extend_from_slice(image);
            texts.extend_from_slice(text);
        }
        out.keep_embedded(rows, &images, &texts)
    }

    /// The batch with the columns of the scores, one for each of its rows.
    fn widened(
        &self,
        batch: &RecordBatch,
        several: bool,
        scores: &[PairScores],
    ) -> Result<RecordBatch> {
        let added = arrays(&self.similarity, &self.columns, several, scores);
        added.into_iter().try_fold(batch.clone(), |batch, (name, column)| {
            columns::with_column(&batch, &name, false, column)
                .map_err(|e| Error::arrow(&self.stage, e))
        })
    }
}

/// The caption of a row, then the others of its cluster.
fn captions<'a>(
    own: &'a StringArray,
    all: Option<&'a [StringArray]>,
    row: usize,
) -> Vec<Cow<'a, str>> {
    let own = own.value(row);
    let others = all.into_iter().flat_map(|all| all[row].iter().flatten());
    [own].into_iter().chain(others.filter(|other| *other != own)).map(Cow::Borrowed).collect()
}

impl Map for Scores {
    fn needs_images(&self) -> bool {
        true
    }

    fn apply(&self, batch: RecordBatch, out: &mut PartSink) -> Result<()> {
        let images = image_bytes(&batch).ok_or_else(|| {
            Error::stage(&self.stage, "the input lacks images\nhint: a fetch comes before")
        })?;
        let own = text_column(&batch, &self.stage, columns::CAPTION)?;
        let lists = batch.column_by_name(columns::CAPTIONS).and_then(|c| c.as_list_opt::<i32>());
        let lists: Option<Vec<StringArray>> = lists.map(|lists| {
            let texts = |row| {
                let list = (!lists.is_null(row)).then(|| lists.value(row));
                list.and_then(|list| list.as_string_opt::<i32>().cloned())
                    .unwrap_or_else(|| StringArray::from_iter_values([""; 0]))
            };
            (0..lists.len()).map(texts).collect()
        });
        let pair = |row| Pair {
            image: Cow::Borrowed(images.value(row)),
            captions: captions(own, lists.as_deref(), row),
        };
        let pairs: Vec<Pair<'_>> = (0..batch.num_rows()).map(pair).collect();
        let cx = out.context().cloned();
        let cancelled = || cx.as_ref().is_some_and(Context::cancelled);
        let scored = self.scorer.score(&pairs, &cancelled)?;
        if scored.len() != pairs.len() {
            let message = format!("{} scores for {} pairs", scored.len(), pairs.len());
            return Err(Error::stage(&self.stage, message));
        }
        let faults: Vec<Option<(String, String)>> = scored
            .iter()
            .map(|scored| scored.as_ref().err())
            .map(|fault| fault.map(|f| (f.reason().to_owned(), f.detail().to_owned())))
            .collect();
        let scores: Vec<PairScores> =
            scored.into_iter().filter_map(std::result::Result::ok).collect();
        let whole: BooleanArray = faults.iter().map(|fault| Some(fault.is_none())).collect();
        let arrow = |e| Error::arrow(&self.stage, e);
        let kept = filter_record_batch(&batch, &whole).map_err(arrow)?;
        let kept = self.widened(&kept, lists.is_some(), &scores)?;
        out.reject_rows(&batch, &faults)?;
        self.keep(kept, &scores, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BinaryArray, ListBuilder, StringBuilder, UInt64Array};
    use clip_score::Fault;

    /// The similarity is the length of the caption, the column that of the image; embeddings are of
    /// two numbers, whose first bytes are these lengths.
    struct Lengths;

    impl PairScorer for Lengths {
        fn score(&self, pairs: &[Pair<'_>], _: &(dyn Fn() -> bool + Sync)) -> Result<Vec<Scored>> {
            let scored = |pair: &Pair<'_>| {
                if pair.image.is_empty() {
                    return Err(Fault::Image("no bytes".into()));
                }
                let similarities = pair.captions.iter().map(|text| text.len() as f32).collect();
                let half = |length: usize| vec![length as u8, 0, 0, 0];
                let (image, text) = (half(pair.image.len()), half(pair.captions[0].len()));
                let embeddings = Some(PairEmbeddings { image, text });
                Ok(PairScores { similarities, columns: vec![pair.image.len() as f32], embeddings })
            };
            Ok(pairs.iter().map(scored).collect())
        }
    }

    fn batch(captions: bool) -> RecordBatch {
        let strings = |texts: &[&str]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
        let images: [&[u8]; 3] = [b"12", b"", b"1"];
        let mut lists = ListBuilder::new(StringBuilder::new());
        for list in [Some(["four", "five!"]), None, None] {
            list.iter().flatten().for_each(|text| lists.values().append_value(text));
            lists.append(list.is_some());
        }
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("row", Arc::new(UInt64Array::from(vec![5, 6, 7]))),
            ("uid", strings(&["a", "b", "c"])),
            ("url", strings(&["u", "v", "w"])),
            ("caption", strings(&["four", "x", "xyz"])),
            ("image", Arc::new(BinaryArray::from_iter_values(images))),
        ];
        if captions {
            columns.push(("captions", Arc::new(lists.finish())));
        }
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn apply(batch: RecordBatch, name: &str) -> (Option<RecordBatch>, clip_corpus::Commit) {
        apply_in(tempfile::tempdir().unwrap().path(), batch, name, false)
    }

    fn apply_in(
        folder: &std::path::Path,
        batch: RecordBatch,
        name: &str,
        embeddings: bool,
    ) -> (Option<RecordBatch>, clip_corpus::Commit) {
        let rows_in = batch.num_rows() as u64;
        let stage = Scores::new(name, vec!["aesthetic".into()], embeddings, Box::new(Lengths));
        let mut out = PartSink::new("score", 0, folder, false);
        stage.apply(batch, &mut out).unwrap();
        let commit = out.commit(Some(rows_in)).unwrap();
        let rows = clip_corpus::read_parquet(&folder.join("part-00000.parquet")).unwrap();
        (rows.first().cloned(), commit)
    }

    fn numbers(batch: &RecordBatch, name: &str) -> Vec<f32> {
        let column = batch.column_by_name(name).unwrap();
        column.as_primitive::<arrow::datatypes::Float32Type>().values().to_vec()
    }

    #[test]
    fn scores_are_columns_and_what_has_none_is_dropped_with_its_reason() {
        let (rows, commit) = apply(batch(true), "clip");
        let rows = rows.unwrap();
        assert_eq!(commit.counts.dropped["undecodable_image"], 1);
        assert_eq!(numbers(&rows, "clip_similarity"), [4.0, 3.0]);
        assert_eq!(numbers(&rows, "clip_similarity_best"), [5.0, 3.0]);
        assert_eq!(numbers(&rows, "aesthetic"), [2.0, 1.0]);
        let each = rows.column_by_name("clip_similarities").unwrap();
        assert_eq!(clip_corpus::cell(each, 0).unwrap().to_string(), "[4.0,5.0]");
        assert_eq!(clip_corpus::cell(each, 1).unwrap().to_string(), "[3.0]");
    }

    #[test]
    fn embeddings_are_beside_the_rows_that_have_them() {
        let folder = tempfile::tempdir().unwrap();
        let (_, commit) = apply_in(folder.path(), batch(true), "clip", true);
        let names = ["img_emb/img_emb_00000.npy", "text_emb/text_emb_00000.npy"];
        for (name, bytes) in names.into_iter().zip([[2, 1], [4, 3]]) {
            assert!(commit.file(name).is_some(), "{name}");
            let array = std::fs::read(folder.path().join(name)).unwrap();
            let array = clip_format::npy::parse(&array).unwrap();
            assert_eq!((array.descr.as_str(), array.shape.as_slice()), ("'<f2'", &[2, 2][..]));
            assert_eq!(array.data, bytes.map(|byte| [byte, 0, 0, 0]).concat());
        }
        let metadata = folder.path().join("metadata/metadata_00000.parquet");
        let rows = clip_corpus::read_parquet(&metadata).unwrap();
        let uids = columns::text(&rows[0], columns::UID).unwrap();
        assert_eq!(uids.iter().collect::<Vec<_>>(), [Some("a"), Some("c")]);
        // Where no row is left there are none.
        let folder = tempfile::tempdir().unwrap();
        let (_, commit) = apply_in(folder.path(), batch(false).slice(1, 1), "clip", true);
        assert_eq!(commit.files.iter().filter(|file| file.name.contains("emb")).count(), 0);
        assert!(!folder.path().join("img_emb").exists());
    }

    #[test]
    fn without_clusters_a_pair_has_one_similarity() {
        let (rows, _) = apply(batch(false), "l14");
        let rows = rows.unwrap();
        assert_eq!(numbers(&rows, "l14_similarity"), [4.0, 3.0]);
        assert!(rows.column_by_name("l14_similarities").is_none());
        let (_, commit) = apply(batch(false).slice(1, 1), "l14");
        assert_eq!((commit.counts.rows_out, commit.counts.rejected()), (0, 1));
    }
}
