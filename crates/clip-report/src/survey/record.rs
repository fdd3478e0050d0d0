//! One pair as a survey sees it, from a row of any table or a sample of any shard.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, UInt64Type};
use clip_corpus::{Sample, columns};
use serde_json::{Map, Value};

/// Where an image is: number of the shard, offset and length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Number of the shard in the survey's list.
    pub shard: u32,
    /// Offset in its tar file.
    pub offset: u64,
    /// Length.
    pub size: u32,
}

/// What is known of one pair. What a corpus does not say stays empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Key of the sample.
    pub key: String,
    /// Identity of the pair.
    pub uid: String,
    /// URL of the image.
    pub url: String,
    /// The text; nothing where the corpus has no texts.
    pub caption: Option<String>,
    /// Language of the text.
    pub language: String,
    /// Where the text was.
    pub source: String,
    /// Format of the image.
    pub format: String,
    /// `success`, or why there is no image.
    pub status: String,
    /// Why not, in the words of the table: a kind, else a message.
    pub failure: String,
    /// Width and height of the image as stored, else as it came.
    pub size: Option<(u32, u32)>,
    /// Ids of the queries that the text contains.
    pub queries: Vec<u32>,
    /// Part of a hash of the file as it came.
    pub file: Option<u128>,
    /// Perceptual hash, where the image is not flat.
    pub phash: Option<u64>,
    /// Evaluation set that the image is a copy from.
    pub overlap: String,
    /// Where its image is.
    pub place: Option<Place>,
}

/// Names under which corpora keep the URL of an image, ours first; compared in lower case.
pub const URL_COLUMNS: [&str; 3] = ["url", "image_url", "img_url"];
/// The same of a caption.
pub const CAPTION_COLUMNS: [&str; 5] = ["caption", "text", "txt", "alt", "alt_text"];
const LANGUAGE: [&str; 2] = ["language", "lang"];
const FILE: [&str; 4] = ["sha256", "blake3", "sha512", "md5"];

/// Puts the text of a column into a record.
type Set = fn(&mut Record, &str);

/// The columns of a table that records are made of, by position.
pub(super) struct Columns {
    texts: Vec<(usize, Set)>,
    width: [Option<usize>; 2],
    height: [Option<usize>; 2],
    queries: Option<usize>,
    phash: Option<usize>,
    flat: Option<usize>,
}

/// The columns of text that a record is made of.
const TEXTS: [(&[&str], Set); 12] = [
    (&["key"], |record, text| record.key = text.into()),
    (&["uid"], |record, text| record.uid = text.into()),
    (&URL_COLUMNS, |record, text| record.url = text.into()),
    (&CAPTION_COLUMNS, |record, text| record.caption = Some(text.into())),
    (&LANGUAGE, |record, text| record.language = text.into()),
    (&["source"], |record, text| record.source = text.into()),
    (&["format"], |record, text| record.format = text.into()),
    (&["status"], |record, text| record.status = text.into()),
    (&["error_kind", "error_message"], |record, text| record.failure = text.into()),
    (&["row fault"], |record, _| record.status = "bad_row".into()),
    (&["overlap"], |record, text| record.overlap = text.into()),
    (&FILE, |record, text| record.file = digest(text)),
];

/// The names of the columns that a list of text may have for a record.
pub fn list_columns() -> Vec<&'static str> {
    let texts = TEXTS.iter().flat_map(|(names, _)| names.iter().copied());
    let sizes = ["width", "original_width", "height", "original_height"];
    texts.filter(|name| *name != "row fault").chain(sizes).collect()
}

impl Columns {
    /// Finds them by name.
    pub fn of(schema: &arrow::datatypes::Schema) -> Self {
        let place = |name: &str| {
            schema.fields().iter().position(|field| field.name().to_lowercase() == *name)
        };
        let find = |names: &[&str]| names.iter().find_map(|name| place(name));
        // The name that is preferred comes last, and is what counts where it has a cell.
        let texts = TEXTS.into_iter().flat_map(|(names, set)| {
            names.iter().rev().filter_map(move |name| Some((place(name)?, set)))
        });
        Self {
            texts: texts.collect(),
            width: [find(&["width"]), find(&["original_width"])],
            height: [find(&["height"]), find(&["original_height"])],
            queries: find(&["queries"]),
            phash: find(&["phash"]),
            flat: find(&["flat"]),
        }
    }

    /// Whether there is anything to survey.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The records of a batch.
    pub fn records(&self, batch: &RecordBatch) -> Vec<Record> {
        let mut records = vec![Record::default(); batch.num_rows()];
        for (place, set) in &self.texts {
            let Some(column) = text(batch.column(*place)) else { continue };
            for (record, value) in records.iter_mut().zip(column.iter()) {
                value.into_iter().for_each(|value| set(record, value));
            }
        }
        let whole = |place: Option<usize>| -> Option<Vec<Option<i64>>> {
            let column = cast(batch.column(place?), &DataType::Int64).ok()?;
            Some(column.as_primitive::<Int64Type>().iter().collect())
        };
        let (width, height) = (self.width.map(whole), self.height.map(whole));
        let at = |columns: &[Option<Vec<Option<i64>>>; 2], row: usize| {
            columns.iter().flatten().find_map(|c| c[row]).and_then(|n| u32::try_from(n).ok())
        };
        let hash = self.phash.and_then(|p| batch.column(p).as_primitive_opt::<UInt64Type>());
        let flat = self.flat.and_then(|p| batch.column(p).as_boolean_opt());
        let queries = self.queries.and_then(|p| batch.column(p).as_list_opt::<i32>());
        for (row, record) in records.iter_mut().enumerate() {
            record.size = at(&width, row).zip(at(&height, row)).filter(|(w, h)| *w > 0 && *h > 0);
            let flat = flat.is_some_and(|flat| flat.is_valid(row) && flat.value(row));
            record.phash = hash.filter(|h| h.is_valid(row) && !flat).map(|h| h.value(row));
            if let Some(list) = queries.filter(|list| list.is_valid(row)) {
                let ids = cast(&list.value(row), &DataType::UInt64).ok();
                let ids = ids.as_ref().map(|ids| ids.as_primitive::<UInt64Type>());
                record.queries = ids
                    .into_iter()
                    .flat_map(|ids| ids.iter().flatten())
                    .map(|id| id as u32)
                    .collect();
            }
        }
        records
    }
}

fn text(column: &ArrayRef) -> Option<StringArray> {
    let kind = column.data_type();
    let texts = [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View];
    if !texts.contains(kind) && !matches!(kind, DataType::Dictionary(..)) {
        return None;
    }
    cast(column, &DataType::Utf8).ok()?.as_string_opt::<i32>().cloned()
}

/// The first 128 bits of a digest in hex.
fn digest(text: &str) -> Option<u128> {
    u128::from_str_radix(text.get(..32)?, 16).ok()
}

/// The record of a sample of a shard that has no table: from its json, its text and its image's
/// header.
pub(super) fn of_sample(sample: &Sample) -> Record {
    let json = sample.get("json").and_then(|json| clip_corpus::json::from_slice(json).ok());
    let json: Map<String, Value> = json.unwrap_or_default();
    let field = |names: &[&str]| {
        names.iter().find_map(|name| {
            let found = json.iter().find(|(key, _)| key.to_lowercase() == *name)?.1;
            found.as_str().map(str::to_owned)
        })
    };
    let text = sample.get("txt").map(|text| String::from_utf8_lossy(text).trim().to_owned());
    let image = sample.image();
    let header = image.and_then(|(_, bytes)| clip_image::ImageHeader::read(bytes).ok());
    let ids = json.get(columns::QUERIES).and_then(Value::as_array).into_iter().flatten();
    let flat = json.get("flat").and_then(Value::as_bool).unwrap_or(false);
    Record {
        key: sample.key.clone(),
        uid: field(&["uid"]).unwrap_or_default(),
        url: field(&URL_COLUMNS).unwrap_or_default(),
        caption: text.or_else(|| field(&CAPTION_COLUMNS)),
        language: field(&LANGUAGE).unwrap_or_default(),
        source: field(&["source"]).unwrap_or_default(),
        format: image.map(|(name, _)| name.to_owned()).unwrap_or_default(),
        status: if image.is_some() { "success".into() } else { "no image".into() },
        failure: String::new(),
        size: header.map(|header| (header.width, header.height)),
        queries: ids.filter_map(|id| Some(id.as_u64()? as u32)).collect(),
        file: field(&FILE).and_then(|text| digest(&text)),
        phash: json.get(columns::PHASH).and_then(Value::as_u64).filter(|_| !flat),
        overlap: field(&["overlap"]).unwrap_or_default(),
        place: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, LargeStringArray};
    use std::sync::Arc;

    #[test]
    fn columns_are_found_under_the_names_of_other_tools() {
        let batch = RecordBatch::try_from_iter([
            ("URL", Arc::new(LargeStringArray::from(vec!["http://x/1"])) as ArrayRef),
            ("TEXT", Arc::new(StringArray::from(vec![Some("a boat")])) as ArrayRef),
            ("original_width", Arc::new(Int32Array::from(vec![640])) as ArrayRef),
            ("original_height", Arc::new(Int32Array::from(vec![480])) as ArrayRef),
            (
                "md5",
                Arc::new(StringArray::from(vec!["000102030405060708090a0b0c0d0e0f"])) as ArrayRef,
            ),
        ]);
        let batch = batch.unwrap();
        let records = Columns::of(&batch.schema()).records(&batch);
        assert_eq!(records[0].url, "http://x/1");
        assert_eq!(records[0].caption.as_deref(), Some("a boat"));
        assert_eq!(records[0].size, Some((640, 480)));
        assert_eq!(records[0].file, Some(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f));
    }

    #[test]
    fn captions_that_are_no_text_are_read_as_far_as_they_go() {
        let fields =
            vec![("txt".to_owned(), b"caf\xe9 \xff".to_vec()), ("json".to_owned(), b"[1".to_vec())];
        let record = of_sample(&Sample { key: "a".into(), fields });
        assert_eq!(record.caption.as_deref(), Some("caf\u{fffd} \u{fffd}"));
        assert_eq!(record.status, "no image");
    }
}
