//! What to do about a file that is no shard.

use std::path::Path;

use clip_format::FileKind;

use crate::Error;

const LIST: &str = "hint: `clip-data fetch --url_list FILE`, or a build whose `[source]` has kind = \"list\", makes shards of a list of URLs";
const UNPACK: &str = "hint: a shard is a plain tar file: unpack it first";
const OTHER: &str = "hint: shards are WebDataset tar files: FOLDER, {00000..00041}.tar or a::b";

/// The error for a file that does not begin as a tar file does: nothing where it may be a damaged
/// one.
pub(super) fn not_a_shard(path: &Path, first: &[u8]) -> Option<Error> {
    let kind = FileKind::of(path, first)?;
    Some(Error::WrongKind { path: path.to_path_buf(), kind, wanted: "a shard", hint: hint(kind) })
}

fn hint(kind: FileKind) -> &'static str {
    match kind {
        FileKind::List(_) | FileKind::PackedList(_) | FileKind::Parquet | FileKind::Json => LIST,
        FileKind::PackedTar => "hint: unpack it with `gunzip` first",
        FileKind::Archive(_) => UNPACK,
        FileKind::Page => "hint: the download of a shard may have given a page",
        FileKind::Text | FileKind::Other(_) => OTHER,
    }
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
            assert!(!error.is_damage() && matches!(error, Error::WrongKind { .. }), "{error}");
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
