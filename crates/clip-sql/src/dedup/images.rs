//! What deduplication knows of each image before it looks at hashes.

use arrow::array::Array;
use clip_corpus::columns;
use rayon::prelude::*;

use super::components::Edges;
use super::known;
use super::options::Deduplicate;
use super::records::{List, ListWriter, Lookup, Scratch, Sorter};
use crate::{Error, Result, Session, query};

const QUERY: &str = "30_exact_files";

/// Lists over the images.
pub(super) struct Images {
    /// Row, and the row of the best image with the same bytes; of all images, in order.
    pub rows: List<2>,
    /// Perceptual hash and row of the best image of each file, without flat images and those that
    /// a known corpus has; in order.
    pub hashes: List<2>,
    /// Rows that a known corpus has, in order.
    pub known: List<1>,
}

impl Images {
    /// Reads the table `images` of the session; images with the same bytes become edges.
    pub fn read(
        dedup: &Deduplicate,
        session: &Session,
        scratch: &Scratch,
        edges: &mut Edges,
    ) -> Result<Self> {
        let same_bytes = known::same_bytes(dedup, session, scratch)?;
        let index = known::index(dedup)?;
        let mut known = Lookup::new(same_bytes.read()?);
        let (mut rows, mut near) = (ListWriter::new(scratch)?, ListWriter::new(scratch)?);
        let mut hashes = Sorter::new(scratch);
        let mut last = None;
        session.each(&query(QUERY)?, &[], |batch| {
            let column = |name| {
                let lost = || Error::result(QUERY, "a column is missing");
                columns::uint64(&batch, name).ok_or_else(lost)
            };
            let (row, best) = (column(columns::ROW)?, column(columns::CLUSTER)?);
            let phash = column(columns::PHASH)?;
            let mut compared: Vec<[u64; 2]> = Vec::new();
            for at in 0..batch.num_rows() {
                let (row, best) = (row.value(at), best.value(at));
                if last.replace(row).is_some_and(|last| last >= row) {
                    return Err(Error::result(QUERY, format!("row {row} is not in order")));
                }
                rows.push([row, best])?;
                edges.push(row, best)?;
                if row == best && phash.is_valid(at) && known.get(row)?.is_none() {
                    compared.push([phash.value(at), row]);
                }
            }
            let is_near = |[hash, _]: &[u64; 2]| {
                index.as_ref().is_some_and(|index| !index.query(*hash).is_empty())
            };
            let is_near: Vec<bool> = compared.par_iter().map(is_near).collect();
            for (record, is_near) in compared.into_iter().zip(is_near) {
                if is_near { near.push([record[1]])? } else { hashes.push(record)? }
            }
            Ok(())
        })?;
        let rows = rows.finish()?;
        let known = all_known(&rows, &same_bytes, &near.finish()?, scratch)?;
        Ok(Self { rows, hashes: hashes.into_list()?, known })
    }
}

/// Rows with bytes that a known corpus has, rows that are near to it, and those with the bytes of
/// the latter.
fn all_known(
    rows: &List<2>,
    same_bytes: &List<1>,
    near: &List<1>,
    scratch: &Scratch,
) -> Result<List<1>> {
    let mut known = Sorter::new(scratch);
    for row in same_bytes.read()?.chain(near.read()?) {
        known.push(row?)?;
    }
    if near.len() > 0 {
        let mut copies = Sorter::new(scratch);
        for record in rows.read()? {
            let [row, best] = record?;
            if row != best {
                copies.push([best, row])?;
            }
        }
        let mut near = Lookup::new(near.read()?);
        for copy in copies.finish()? {
            let [best, row] = copy?;
            if near.get(best)?.is_some() {
                known.push([row])?;
            }
        }
    }
    known.into_list()
}
