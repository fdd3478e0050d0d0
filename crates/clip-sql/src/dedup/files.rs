//! The images as the clustering sees them: a place each, in the order of their rows.

use arrow::array::Array;
use clip_corpus::columns;

use crate::{Error, Result, Session, query};

/// Columns over all images, by place.
pub(super) struct Files {
    /// Row ids, ascending.
    pub rows: Vec<u64>,
    /// Place of the best image with the same bytes.
    pub file: Vec<u32>,
    /// Hash and place of every image that is the best of its bytes and not flat, sorted.
    pub hashes: Vec<(u64, u32)>,
}

impl Files {
    /// Reads the table `images` of the session.
    pub fn read(session: &Session) -> Result<Self> {
        const NAME: &str = "30_exact_files";
        let lost = |what: &str| Error::result(NAME, what);
        let (mut rows, mut clusters, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        session.each(&query(NAME)?, &[], |batch| {
            let column =
                |name| columns::uint64(&batch, name).ok_or_else(|| lost("a column is missing"));
            let phash = column(columns::PHASH)?;
            let (row, cluster) =
                (column(columns::ROW)?.values(), column(columns::CLUSTER)?.values());
            let best = (0..row.len()).filter(|&at| row[at] == cluster[at] && phash.is_valid(at));
            hashes.extend(best.map(|at| (phash.value(at), (rows.len() + at) as u32)));
            rows.extend_from_slice(row);
            clusters.extend_from_slice(cluster);
            Ok(())
        })?;
        if u32::try_from(rows.len()).is_err() || !rows.is_sorted() {
            return Err(lost("rows are unsorted, or more than 4 billion"));
        }
        hashes.sort_unstable();
        let mut files = Self { rows, file: Vec::new(), hashes };
        let place = |row: &u64| files.place(*row).map(|place| place as u32);
        files.file = clusters.iter().map(place).collect::<Result<_>>()?;
        Ok(files)
    }

    /// The place of a row.
    pub fn place(&self, row: u64) -> Result<usize> {
        let lost = |_| Error::result("dedup", format!("row {row} is not among the images"));
        self.rows.binary_search(&row).map_err(lost)
    }

    /// The distinct hashes, and where in `hashes` each begins (one more than there are).
    pub fn distinct(&self) -> (Vec<u64>, Vec<u32>) {
        let (mut distinct, mut starts) = (Vec::new(), Vec::new());
        for (at, (hash, _)) in self.hashes.iter().enumerate() {
            if distinct.last() != Some(hash) {
                distinct.push(*hash);
                starts.push(at as u32);
            }
        }
        starts.push(self.hashes.len() as u32);
        (distinct, starts)
    }
}
