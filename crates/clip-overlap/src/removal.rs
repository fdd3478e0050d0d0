//! What `--without` takes out of a corpus: the rows that lists of earlier reports name.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clip_corpus::Written;

use crate::matches::{CopiedItem, TEXTS, copy_lists, read_copied_items};
use crate::{Error, Result};

/// Rows to take out.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The files that name them.
    pub lists: Vec<PathBuf>,
    /// Names of rows by the place that has them, a shard or another file of the corpus.
    pub rows: HashMap<PathBuf, HashSet<String>>,
    /// Rows that are in none of the places.
    pub elsewhere: usize,
    /// Of each report's folder whose pairs alone are given: its list of captions, and how many of
    /// the list's rows stay.
    pub texts_left: Vec<(PathBuf, usize)>,
}

/// The places of a corpus, as reports name them.
struct Places<'a> {
    by_path: HashMap<PathBuf, &'a Path>,
    by_name: HashMap<&'a OsStr, Vec<&'a Path>>,
    /// blake3 of those that were asked for.
    hashes: HashMap<&'a Path, String>,
}

impl<'a> Places<'a> {
    fn new(places: &'a [PathBuf]) -> Self {
        let mut by_name: HashMap<_, Vec<&Path>> = HashMap::new();
        for place in places {
            by_name.entry(place.file_name().unwrap_or_default()).or_default().push(place);
        }
        let by_path =
            places.iter().filter_map(|place| Some((place.canonicalize().ok()?, &**place)));
        Self { by_path: by_path.collect(), by_name, hashes: HashMap::new() }
    }

    fn has_content(&mut self, place: &'a Path, wanted: &str) -> Result<bool> {
        if !self.hashes.contains_key(place) {
            self.hashes.insert(place, Written::blake3_of(place)?);
        }
        Ok(self.hashes[place] == wanted)
    }

    /// The place that a copy is in. One that was moved is known by the name of its file, and by its
    /// content where the report has that.
    fn find(&mut self, copy: &CopiedItem, list: &Path) -> Result<Option<&'a Path>> {
        let path = Path::new(&copy.place);
        if let Ok(known) = path.canonicalize() {
            let Some(&place) = self.by_path.get(&known) else { return Ok(None) };
            if let Some(wanted) = &copy.shard
                && !self.has_content(place, wanted)?
            {
                return Err(Error::file(
                    place,
                    format!(
                        "its content is not what {} is a list of\nhint: the shard was written again \
                         since: make a report on it as it is",
                        list.display()
                    ),
                ));
            }
            return Ok(Some(place));
        }
        let named = self.by_name.get(path.file_name().unwrap_or_default());
        let named = named.cloned().unwrap_or_default();
        match (&copy.shard, named.as_slice()) {
            (None, [only]) => Ok(Some(only)),
            (None, _) => Ok(None),
            (Some(wanted), _) => {
                for place in named {
                    if self.has_content(place, wanted)? {
                        return Ok(Some(place));
                    }
                }
                Ok(None)
            }
        }
    }
}

impl Removal {
    /// The rows that lists, or reports' folders, name in these places. A corpus that was moved is
    /// known by the names of its files, and by their content where the report has it.
    ///
    /// # Errors
    /// When a list cannot be read, all of its rows are elsewhere, or a shard is not any more what
    /// the list is of.
    pub fn open(given: &[PathBuf], places: &[PathBuf]) -> Result<Self> {
        let mut places = Places::new(places);
        let mut removal = Self { lists: copy_lists(given), ..Self::default() };
        for list in &removal.lists {
            let copies = read_copied_items(list)?;
            let mut absent: HashSet<(&str, &str)> = HashSet::new();
            for copy in &copies {
                match places.find(copy, list)? {
                    Some(place) => {
                        let rows = removal.rows.entry(place.to_path_buf()).or_default();
                        rows.insert(copy.id.clone());
                    }
                    None => _ = absent.insert((&copy.place, &copy.id)),
                }
            }
            let rows: HashSet<_> = copies.iter().map(|copy| (&*copy.place, &*copy.id)).collect();
            if absent.len() == rows.len() && !rows.is_empty() {
                let first =
                    copies.iter().map(|copy| &copy.place).min().cloned().unwrap_or_default();
                return Err(Error::file(
                    list,
                    format!(
                        "none of its {} copies is in these shards: it names those in {first}\nhint: \
                         copies are named by folder and file, and by the shard's content; read the \
                         shards that the report names, or make a report on these",
                        rows.len()
                    ),
                ));
            }
            removal.elsewhere += absent.len();
        }
        for folder in given.iter().filter(|path| path.is_dir()) {
            let list = folder.join(TEXTS);
            if !list.is_file() || given.contains(&list) {
                continue;
            }
            let mut left = HashSet::new();
            for copy in read_copied_items(&list)? {
                let place = places.find(&copy, &list)?;
                let gone = place.is_some_and(|place| removal.has_row(place, &copy.id));
                if !gone {
                    left.insert((copy.place, copy.id));
                }
            }
            removal.texts_left.push((list, left.len()));
        }
        Ok(removal)
    }

    fn has_row(&self, place: &Path, id: &str) -> bool {
        self.rows.get(place).is_some_and(|rows| rows.contains(id))
    }

    /// Whether a row is taken out.
    pub fn has(&self, place: &str, id: &str) -> bool {
        self.has_row(Path::new(place), id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hit_kind::HitKind;
    use crate::matches::tests::pair;
    use crate::{Match, ShardHashes, write_pairs};

    #[test]
    fn rows_are_found_by_their_file_also_where_it_was_moved() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["old", "new"] {
            std::fs::create_dir(at(folder)).unwrap();
            std::fs::write(at(folder).join("0.tar"), b"").unwrap();
        }
        let place = at("old/0.tar").display().to_string();
        let rows = ["1", "2"]
            .map(|id| Match { place: place.clone(), ..pair("a", id, 1.0, HitKind::Exact) });
        let write = |shards: &ShardHashes| {
            write_pairs(&at("pairs.parquet"), &rows, &[true, false], shards).unwrap();
        };
        write(&ShardHashes::new());
        let open = |name: &str| Removal::open(&[dir.path().to_path_buf()], &[at(name)]);
        let found = open("old/0.tar").unwrap();
        assert!(found.has(&place, "1") && !found.has(&place, "2"));
        let message = open("new/0.tar").unwrap_err().to_string();
        assert!(message.contains(&format!("it names those in {place}\nhint: ")), "{message}");
        std::fs::remove_dir_all(at("old")).unwrap();
        let moved = at("new/0.tar").display().to_string();
        assert!(open("new/0.tar").unwrap().has(&moved, "1"));
        // Of a report that has the shards' hashes, another shard of the name is another shard.
        let hash = |content: &[u8]| blake3::hash(content).to_hex().to_string();
        write(&ShardHashes::from([(place.as_str(), hash(b"").as_str())]));
        assert!(open("new/0.tar").unwrap().has(&moved, "1"));
        std::fs::write(&moved, b"other pairs").unwrap();
        let message = open("new/0.tar").unwrap_err().to_string();
        assert!(message.contains("none of its 1 copies is in these shards"), "{message}");
        // So is one that was written in its place.
        std::fs::create_dir(at("old")).unwrap();
        std::fs::write(at("old/0.tar"), b"other pairs").unwrap();
        let message = open("old/0.tar").unwrap_err().to_string();
        assert!(message.contains("its content is not what"), "{message}");
    }
}
