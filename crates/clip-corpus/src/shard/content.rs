//! What a file is that is no shard, by its first bytes and its name.

use std::path::Path;

use crate::Error;

/// First bytes of files that are given as shards by mistake.
const MAGIC: [(&[u8], &str); 13] = [
    (b"PK\x03\x04", "a zip archive"),
    (b"PAR1", "a Parquet file"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"%PDF", "a PDF file"),
    (b"ARROW1", "an Arrow file"),
    (b"RIFF", "a RIFF file (a WebP image, or sound)"),
];

const LIST: &str = "hint: `clip-data fetch --url_list FILE`, or a build whose `[source]` has kind = \"list\", makes shards of a list of URLs";
const UNPACK: &str = "hint: a shard is a plain tar file: unpack it first";
const OTHER: &str = "hint: shards are WebDataset tar files: FOLDER, {00000..00041}.tar or a::b";

/// The error for a file that does not begin as a tar file does: nothing where it may be a damaged
/// one.
pub(super) fn not_a_shard(path: &Path, first: &[u8]) -> Option<Error> {
    let (what, hint) = describe(path, first)?;
    Some(Error::NotAShard { path: path.to_path_buf(), what, hint })
}

fn describe(path: &Path, first: &[u8]) -> Option<(String, &'static str)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let ends = |ending: &str| name.ends_with(ending);
    if first.starts_with(&[0x1f, 0x8b]) {
        let list = ["csv", "tsv", "txt", "json", "jsonl"].into_iter();
        return Some(match list.into_iter().find(|kind| ends(&format!(".{kind}.gz"))) {
            Some(kind) => (format!("a {kind} list in gzip"), LIST),
            None if ends(".tar.gz") || ends(".tgz") => {
                ("a tar file in gzip".into(), "hint: unpack it with `gunzip` first")
            }
            None => ("a gzip archive".into(), UNPACK),
        });
    }
    if let Some((magic, what)) = MAGIC.into_iter().find(|(magic, _)| first.starts_with(magic)) {
        let hint = match magic {
            b"PAR1" => LIST,
            b"PK\x03\x04" | b"BZh" | b"\xfd7zXZ\0" | b"\x28\xb5\x2f\xfd" => UNPACK,
            _ => OTHER,
        };
        return Some((what.to_owned(), hint));
    }
    if !is_text(first) {
        return None;
    }
    let start = String::from_utf8_lossy(first);
    let start = start.trim_start_matches('\u{feff}').trim_start();
    Some(
        if let Some(kind) =
            ["csv", "tsv", "jsonl", "txt"].into_iter().find(|kind| ends(&format!(".{kind}")))
        {
            (format!("a {kind} list"), LIST)
        } else if start.starts_with(['{', '[']) {
            ("a JSON file".into(), LIST)
        } else if start.starts_with('<') {
            ("a page of HTML or XML".into(), "hint: the download of a shard may have given a page")
        } else {
            ("a text file".into(), OTHER)
        },
    )
}

/// A tar header has zeros between its fields; no text has any.
fn is_text(bytes: &[u8]) -> bool {
    let control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c);
    !bytes.is_empty() && !bytes.iter().any(control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ShardReader;

    #[test]
    fn what_is_no_shard_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let long = "url,caption\nhttps://a.example/1.jpg,a dog on the grass\n".repeat(50);
        let lines = "{\"url\": \"https://a.example/1.jpg\", \"caption\": \"a dog\"}\n";
        for (name, bytes, what, hint) in [
            ("x.csv", long.as_bytes(), "a csv list", "kind = \"list\""),
            ("short.csv", b"url\nhttps://a.example/1.jpg\n", "a csv list", "kind = \"list\""),
            ("x.jsonl", lines.as_bytes(), "a jsonl list", "kind = \"list\""),
            ("x.tar", lines.as_bytes(), "a JSON file", "kind = \"list\""),
            ("x.tar.gz", &[0x1f, 0x8b, 8, 0, 0], "a tar file in gzip", "gunzip"),
            ("x.csv.gz", &[0x1f, 0x8b, 8, 0, 0], "a csv list in gzip", "kind = \"list\""),
            ("x.tar", &[0x1f, 0x8b, 8, 0, 0], "a gzip archive", "unpack"),
            ("x.zip", b"PK\x03\x04\0\0", "a zip archive", "unpack"),
            ("x.parquet", b"PAR1\x15\0", "a Parquet file", "kind = \"list\""),
            ("x.tar", b"<!DOCTYPE html><title>404</title>", "a page of HTML", "a page"),
            ("x.jpg", b"\xff\xd8\xff\xe0\0\x10", "a JPEG image", "tar files"),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let error = ShardReader::open(&path).unwrap().next().unwrap().unwrap_err();
            assert!(!error.is_damage() && matches!(error, Error::NotAShard { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains(&format!("{name}: {what}")), "{text}");
            assert!(text.contains(hint) && text.contains("\nhint: "), "{text}");
        }
    }

    #[test]
    fn a_damaged_first_header_stays_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.tar");
        std::fs::write(&path, [7; 2048]).unwrap();
        let error = ShardReader::open(&path).unwrap().next().unwrap().unwrap_err();
        assert!(error.is_damage(), "{error}");
    }
}
