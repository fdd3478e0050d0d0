//! Tables of image files and captions: open_clip's `--dataset-type csv`.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use clip_corpus::{Delimited, Row};
use clip_text::Tokenizer;

use crate::captions::unpadded;
use crate::dataset::ListedPair;
use crate::{Corpus, CorpusOptions, Error, Result, Source};

/// What the columns of a table are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    /// The column with paths of images; relative ones are below the working directory, as in
    /// open_clip.
    pub image_key: String,
    /// The column with captions.
    pub caption_key: String,
    /// What is between cells.
    pub separator: u8,
}

/// The pairs of all tables; a row without a caption or a path is skipped, and counted.
///
/// # Errors
/// When a table cannot be read, lacks a column, or has a malformed row, which is named.
pub fn open_csv(sources: &[Source], csv: &CsvOptions, options: &CorpusOptions) -> Result<Corpus> {
    let tokenizer = Tokenizer::new();
    let mut hasher = blake3::Hasher::new();
    let (mut pairs, mut skipped, mut tables) = (Vec::new(), 0, 0);
    for source in sources {
        for path in clip_corpus::expand(&source.spec)? {
            hasher.update(clip_corpus::hash_file(&path)?.0.as_bytes());
            hasher.update(&source.weight.to_le_bytes());
            tables += 1;
            for (image, caption) in rows(&path, csv)? {
                if image.is_empty() || caption.trim().is_empty() {
                    skipped += 1;
                    continue;
                }
                let tokens = unpadded(&tokenizer, caption.trim(), options.context);
                pairs.push(ListedPair { image: image.into(), tokens, weight: source.weight });
            }
        }
    }
    if pairs.is_empty() {
        let specs: Vec<_> = sources.iter().map(|source| source.spec.as_str()).collect();
        return Err(Error::Options(format!(
            "{}: no row with an image and a caption",
            specs.join("::")
        )));
    }
    let digest = hasher.finalize().to_hex()[..16].to_owned();
    Ok(Corpus::listed(pairs, tables, skipped, digest, options))
}

/// Image and caption of each row.
fn rows(path: &Path, csv: &CsvOptions) -> Result<Vec<(String, String)>> {
    let io = |e: std::io::Error| Error::io(path, e);
    let file = File::open(path).map_err(io)?;
    let mut reader = Delimited::new(BufReader::new(file), csv.separator).map_err(io)?;
    let column = |flag: &str, name: &str| {
        let found = reader.header().iter().position(|column| column == name);
        found.ok_or_else(|| {
            let hint = missing_hint(flag, reader.header(), csv.separator);
            Error::file(path, format!("no column {name:?}\n{hint}"))
        })
    };
    let image = column("--csv-img-key", &csv.image_key)?;
    let caption = column("--csv-caption-key", &csv.caption_key)?;
    let (mut rows, mut row) = (Vec::new(), Row::default());
    while let Some(read) = reader.next_row(&mut row).map_err(io)? {
        read.map_err(|reason| Error::file(path, reason))?;
        let (image, caption) = (row.cell(image), row.cell(caption));
        let image = image.unwrap_or_default();
        if rows.is_empty() && ["http://", "https://"].iter().any(|web| image.starts_with(web)) {
            let hint = "hint: `clip-data fetch` makes shards of a list of URLs, for --train-data";
            return Err(Error::file(path, format!("{image} is a URL, and no image file\n{hint}")));
        }
        rows.push((image, caption.unwrap_or_default()));
    }
    Ok(rows)
}

/// What to do about a column that is not among `columns`.
fn missing_hint(flag: &str, columns: &[String], separator: u8) -> String {
    let (shown, other) = (columns.join(", "), if separator == b'\t' { ',' } else { '\t' });
    let whole = matches!(columns, [one] if one.contains(other));
    let names = columns.iter().flat_map(|column| column.split(if whole { other } else { '\0' }));
    if names.into_iter().any(|name| ["url", "image_url"].contains(&&*name.trim().to_lowercase())) {
        return format!(
            "hint: `clip-data fetch` makes shards of a list of URLs, for --train-data; else {flag} and --csv-separator; the table has {shown}"
        );
    }
    if whole {
        return format!("hint: --csv-separator {other:?}; the header is one column: {shown}");
    }
    format!("hint: {flag}, or --csv-separator; the table has {shown}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Identity;
    use clip_image::{Rgb, encode_png};

    fn options() -> CorpusOptions {
        CorpusOptions {
            context: 12,
            side: Some(16),
            cache_bytes: 0,
            weight_column: None,
            caption_keys: crate::CaptionKeys::default(),
            identity: Identity::None,
        }
    }

    fn columns(separator: u8) -> CsvOptions {
        let (image_key, caption_key) = ("filepath".into(), "title".into());
        CsvOptions { image_key, caption_key, separator }
    }

    fn open(path: &Path, separator: u8) -> Result<Corpus> {
        let source = Source { spec: path.display().to_string(), weight: 1.0 };
        open_csv(&[source], &columns(separator), &options())
    }

    #[test]
    fn rows_are_pairs_and_what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.csv");
        let image = folder.path().join("a, b.png");
        std::fs::write(&image, encode_png(&Rgb::filled(20, 20, [9, 8, 7])).unwrap()).unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (image, pipe) = (image.display(), pipe.display());
        let table = format!(
            "title,id,filepath\n\"a \"\"b\"\"\",1,\"{image}\"\n,2,x\nc,3,/absent.png\nd,4,{pipe}\n"
        );
        std::fs::write(&path, table).unwrap();
        let corpus = open(&path, b',').unwrap();
        assert_eq!((corpus.len(), corpus.skipped(), corpus.shards()), (3, 1, 1));
        assert_eq!(corpus.image(0).unwrap().data[..3], [9, 8, 7]);
        assert_ne!(corpus.text(0, 0), corpus.text(1, 0));
        for (pair, word) in [(1, "/absent.png: "), (2, "no plain file")] {
            let error = corpus.image(pair).unwrap_err();
            assert!(matches!(error, Error::File(_)) && error.to_string().contains(word));
        }
        let message = |separator: u8| open(&path, separator).err().unwrap().to_string();
        assert!(message(b'\t').contains("no column \"filepath\"\nhint: --csv-separator ','"));
        std::fs::write(&path, "path,title\nc.jpg,a\n").unwrap();
        assert!(message(b',').contains("hint: --csv-img-key"));
        std::fs::write(&path, "URL,title\nhttp://a.b/c.jpg,a\n").unwrap();
        for separator in [b',', b'\t'] {
            assert!(message(separator).contains("hint: `clip-data fetch`"));
        }
        std::fs::write(&path, "filepath,title\nhttp://a.b/c.jpg,a\n").unwrap();
        assert!(
            message(b',').contains("c.jpg is a URL, and no image file\nhint: `clip-data fetch`")
        );
        std::fs::write(&path, "filepath,title\na,b,c\n").unwrap();
        assert!(open(&path, b',').err().unwrap().to_string().contains("line 2: "));
        std::fs::write(&path, "filepath,title\n").unwrap();
        assert!(open(&path, b',').err().unwrap().to_string().contains("no row with an image"));
    }
}
