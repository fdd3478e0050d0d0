//! What `--without` takes out of a corpus: the rows that lists of earlier reports name.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::matches::{copy_lists, read_copies};
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
}

impl Removal {
    /// The rows that lists, or reports' folders, name in these places. A corpus that was moved is
    /// known by the names of its files.
    ///
    /// # Errors
    /// When a list cannot be read, or all of its rows are elsewhere.
    pub fn open(given: &[PathBuf], places: &[PathBuf]) -> Result<Self> {
        let whole = |path: &Path| path.canonicalize().ok();
        let by_path: HashMap<PathBuf, &PathBuf> =
            places.iter().filter_map(|place| Some((whole(place)?, place))).collect();
        let mut by_name: HashMap<_, Vec<&PathBuf>> = HashMap::new();
        places.iter().for_each(|place| by_name.entry(place.file_name()).or_default().push(place));
        let find = |place: &Path| match whole(place) {
            Some(known) => by_path.get(&known).copied(),
            None => match by_name.get(&place.file_name()).map(Vec::as_slice) {
                Some([only]) => Some(*only),
                _ => None,
            },
        };
        let mut removal = Self { lists: copy_lists(given), ..Self::default() };
        for list in &removal.lists {
            let copies = read_copies(list)?;
            let (all, mut absent) = (copies.len(), 0);
            let first = copies.iter().map(|(place, _)| place.clone()).min().unwrap_or_default();
            for (place, id) in copies {
                match find(Path::new(&place)) {
                    Some(place) => _ = removal.rows.entry(place.clone()).or_default().insert(id),
                    None => absent += 1,
                }
            }
            if absent == all && all > 0 {
                return Err(Error::file(
                    list,
                    format!(
                        "none of its {all} copies is in these shards: it names those in {first}\nhint: \
                         copies are named by folder and file; read the shards that the report names, or \
                         make a report on these"
                    ),
                ));
            }
            removal.elsewhere += absent;
        }
        Ok(removal)
    }

    /// Whether a row is taken out.
    pub fn has(&self, place: &str, id: &str) -> bool {
        self.rows.get(Path::new(place)).is_some_and(|rows| rows.contains(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hit_kind::HitKind;
    use crate::matches::tests::pair;
    use crate::{Match, write_pairs};

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
        write_pairs(&at("pairs.parquet"), &rows, &[true, false]).unwrap();
        let open = |name: &str| Removal::open(&[dir.path().to_path_buf()], &[at(name)]);
        let found = open("old/0.tar").unwrap();
        assert!(found.has(&place, "1") && !found.has(&place, "2"));
        let message = open("new/0.tar").unwrap_err().to_string();
        assert!(message.contains(&format!("it names those in {place}\nhint: ")), "{message}");
        std::fs::remove_dir_all(at("old")).unwrap();
        assert!(open("new/0.tar").unwrap().has(&at("new/0.tar").display().to_string(), "1"));
    }
}
