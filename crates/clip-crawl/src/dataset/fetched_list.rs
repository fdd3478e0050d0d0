//! Which lists the shards of a data set were made from: a shard that is there is skipped by its
//! number, so its rows must still be those of the list.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use clip_pipeline::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::list::ListFile;

/// A list, and the number of its first shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchedList {
    /// Number of the list's first shard.
    pub first: usize,
    /// Hashes of what its files hold, in their order.
    pub files: Vec<String>,
}

/// Bytes of a block of a file that is hashed, and how many blocks are, evenly spread.
const BLOCK: u64 = 1 << 20;
const BLOCKS: u64 = 64;

/// Hashes of the files' content: whole up to 64 MiB, of larger ones the length and 64 blocks. Of
/// remote files the length and the first block.
pub(super) fn contents(files: &[ListFile]) -> Result<Vec<String>> {
    let content = |file: &ListFile| {
        content(&file.path.to_string_lossy()).map_err(|e| Error::io(&file.path, e))
    };
    files.iter().map(content).collect()
}

fn content(path: &str) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new_derive_key("clip-data 2026 fetched list v1");
    if clip_store::is_remote(path) {
        let reader = clip_store::open(path, 0)?;
        hasher.update(&reader.length().unwrap_or_default().to_le_bytes());
        hasher.update_reader(reader.take(BLOCK))?;
    } else {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        hasher.update(&length.to_le_bytes());
        let last = length.saturating_sub(BLOCK);
        let blocks = length.div_ceil(BLOCK).min(BLOCKS);
        for block in 0..blocks {
            let from = if blocks == BLOCKS { last * block / (BLOCKS - 1) } else { block * BLOCK };
            file.seek(SeekFrom::Start(from))?;
            hasher.update_reader((&file).take(BLOCK))?;
        }
    }
    Ok(hasher.finalize().to_hex()[..16].to_owned())
}

/// The numbers of the first shard of a list with these files, and of the first one after it that
/// is another list's. None where the list is not among `lists`; new files after those that were
/// there are more rows of it.
pub(super) fn numbers(lists: &[FetchedList], files: &[String]) -> Option<(usize, Option<usize>)> {
    let at = lists.iter().rposition(|list| files.starts_with(&list.files))?;
    Some((lists[at].first, lists.get(at + 1).map(|next| next.first)))
}

/// `lists` with this one.
pub(super) fn with(
    mut lists: Vec<FetchedList>,
    first: usize,
    files: Vec<String>,
) -> Vec<FetchedList> {
    match lists.iter_mut().find(|list| list.first == first) {
        Some(list) => list.files = files,
        None => lists.push(FetchedList { first, files }),
    }
    lists
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_known_by_its_files_and_what_came_after_them() {
        let files = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        let lists = with(with(Vec::new(), 0, files("ab")), 7, files("x"));
        assert_eq!(numbers(&lists, &files("ab")), Some((0, Some(7))));
        assert_eq!(numbers(&lists, &files("abc")), Some((0, Some(7))));
        assert_eq!(numbers(&lists, &files("x")), Some((7, None)));
        assert_eq!(numbers(&lists, &files("a")), None, "a file is gone");
        assert_eq!(numbers(&lists, &files("ba")), None, "in another order");
        assert_eq!(with(lists, 0, files("abc"))[0].files, files("abc"));
    }

    #[test]
    fn a_change_anywhere_in_a_file_up_to_64_mib_is_another_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        let mut bytes = vec![7_u8; (5 << 20) + 3];
        let of = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            content(&path.to_string_lossy()).unwrap()
        };
        let first = of(&bytes);
        assert_eq!(of(&bytes), first);
        for at in [0, (2 << 20) + 5, (5 << 20) + 2] {
            bytes[at] = 8;
            assert_ne!(of(&bytes), first, "{at}");
            bytes[at] = 7;
        }
        bytes.push(7);
        assert_ne!(of(&bytes), first, "a byte more");
        bytes.resize(80 << 20, 7);
        let large = of(&bytes);
        *bytes.last_mut().unwrap() = 8;
        assert_ne!(of(&bytes), large, "the end of a large file");
    }
}
