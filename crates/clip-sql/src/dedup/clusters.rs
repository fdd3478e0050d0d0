//! Which image of each cluster stays, and what of the others: their rows pass one after the other,
//! and memory holds what one cluster may keep.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use clip_corpus::{PartWriter, columns};
use clip_pipeline::{Context, PartInfo};

use super::near::check;
use super::options::Deduplicate;
use super::records::{List, ListWriter, Lookup, Scratch, Sorter, TemporaryFile};
use crate::{Error, Result, Session, query};

const QUERY: &str = "32_keep_best";
/// Rows that are read at a time.
const BATCH: usize = 8192;

/// What the clusters leave.
pub(super) struct Kept {
    /// Row, the row that stays, and 1 where the cluster is a placeholder; of every member of a
    /// cluster, in order.
    pub members: List<3>,
    /// Parquet of `cluster`, `place`, `caption`: what those that stay gain, unsorted.
    pub captions: Option<TemporaryFile>,
}

/// Decides for the clusters, given as each member's row and lowest row, in order.
pub(super) fn keep(
    dedup: &Deduplicate,
    session: &Session,
    clusters: &List<2>,
    inputs: &[PartInfo],
    cx: &Context,
    scratch: &Scratch,
) -> Result<Kept> {
    let (table, with_members) = measure(clusters, inputs, cx, scratch)?;
    session.table("clusters", &[table.path().to_path_buf()])?;
    let (mut members, mut placeholders) = (ListWriter::new(scratch)?, ListWriter::new(scratch)?);
    let mut captions = Sorter::new(scratch);
    let mut current: Option<Cluster> = None;
    let mut end = |cluster: Cluster| {
        if cluster.is_placeholder(dedup) {
            return placeholders.push([cluster.row]);
        }
        let kept = cluster.captions.into_iter().zip(0..);
        kept.map(|(row, place)| [row, cluster.row, place]).try_for_each(|row| captions.push(row))
    };
    session.each(&query(QUERY)?, &[], |batch| {
        let column = |name| {
            let lost = || Error::result(QUERY, "a column is missing");
            columns::uint64(&batch, name).ok_or_else(lost)
        };
        let (row, cluster) = (column(columns::ROW)?, column(columns::CLUSTER)?);
        let (url, caption) = (column(columns::URL)?, column(columns::CAPTION)?);
        for at in 0..batch.num_rows() {
            let (row, of) = (row.value(at), cluster.value(at));
            members.push([of, row])?;
            if current.as_ref().is_none_or(|current| current.row != of) {
                current.replace(Cluster::new(of)).map_or(Ok(()), &mut end)?;
            }
            let current = current.get_or_insert_with(|| Cluster::new(of));
            current.add(row, url.value(at), caption.value(at), dedup);
        }
        Ok(())
    })?;
    current.map_or(Ok(()), &mut end)?;
    session.remove_table("clusters")?;
    drop(table);
    Ok(Kept {
        members: by_row(&members.finish()?, &placeholders.finish()?, scratch)?,
        captions: texts(captions, &with_members, cx, scratch)?,
    })
}

/// Cluster and row, and the clusters that are placeholders, both by cluster; to one list by row.
fn by_row(members: &List<2>, placeholders: &List<1>, scratch: &Scratch) -> Result<List<3>> {
    let mut placeholders = Lookup::new(placeholders.read()?);
    let mut sorted = Sorter::new(scratch);
    for member in members.read()? {
        let [cluster, row] = member?;
        let placeholder = placeholders.get(cluster)?.is_some();
        sorted.push([row, cluster, u64::from(placeholder)])?;
    }
    sorted.into_list()
}

/// A table of what decides about members of clusters, and the inputs that have any: sorted are
/// numbers, and no texts.
fn measure<'a>(
    clusters: &List<2>,
    inputs: &'a [PartInfo],
    cx: &Context,
    scratch: &Scratch,
) -> Result<(TemporaryFile, Vec<&'a PartInfo>)> {
    let file = scratch.file("parquet");
    let mut writer: Option<PartWriter> = None;
    let mut with_members: Vec<&PartInfo> = Vec::new();
    let mut roots = Lookup::new(clusters.read()?);
    let names = [columns::ROW, "original_width", "original_height", columns::CAPTION, columns::URL];
    for input in inputs {
        check(cx)?;
        let mut any = false;
        for batch in clip_corpus::scan(&input.path, &names, BATCH)? {
            let batch = Columns { batch: batch?, input };
            let members = batch.members(&mut roots)?;
            any |= members.num_rows() > 0;
            PartWriter::append(&mut writer, file.path(), &members)?;
        }
        with_members.extend(any.then_some(input));
    }
    let none = || Error::NoParts { table: "images".to_owned() };
    let found = writer.ok_or_else(none)?.finish()?;
    if found != clusters.len() {
        let reason = format!("{found} of {} rows of clusters are among the parts", clusters.len());
        return Err(Error::result("dedup", reason));
    }
    Ok((file, with_members))
}

/// Rows of a part.
struct Columns<'a> {
    batch: RecordBatch,
    input: &'a PartInfo,
}

impl Columns<'_> {
    fn needed<'b, T>(
        &'b self,
        name: &str,
        find: impl Fn(&'b RecordBatch, &str) -> Option<T>,
    ) -> Result<T> {
        find(&self.batch, name).ok_or_else(|| Error::Column {
            query: "dedup".to_owned(),
            table: self.input.path.display().to_string(),
            column: name.to_owned(),
        })
    }

    fn side(&self, name: &str) -> Result<Int64Array> {
        let column = self.needed(name, |batch, name| batch.column_by_name(name))?;
        let column = cast(column, &DataType::Int64).map_err(|e| Error::result("dedup", e))?;
        Ok(column.as_primitive::<Int64Type>().clone())
    }

    /// The members of clusters among the rows.
    fn members<I>(&self, roots: &mut Lookup<I, 2>) -> Result<RecordBatch>
    where
        I: Iterator<Item = Result<[u64; 2]>>,
    {
        let rows = self.needed(columns::ROW, columns::uint64)?;
        let caption = self.needed(columns::CAPTION, columns::text)?;
        let url = self.needed(columns::URL, columns::text)?;
        let (width, height) = (self.side("original_width")?, self.side("original_height")?);
        let mut places: Vec<usize> = Vec::new();
        let mut root: Vec<u64> = Vec::new();
        for at in 0..rows.len() {
            if let Some([_, of]) = roots.take(rows.value(at))? {
                places.push(at);
                root.push(of);
            }
        }
        let area = |at: usize| {
            let sides = width.is_valid(at) && height.is_valid(at);
            sides.then(|| width.value(at).saturating_mul(height.value(at)))
        };
        let at = || places.iter().copied();
        let hashes = |column: &StringArray| -> ArrayRef {
            Arc::new(UInt64Array::from_iter_values(at().map(|at| hash(text(column, at)))))
        };
        let length = at().map(|at| text(caption, at).chars().count() as i64);
        let members: [(&str, ArrayRef, bool); 6] = [
            (
                columns::ROW,
                Arc::new(UInt64Array::from_iter_values(at().map(|at| rows.value(at)))),
                false,
            ),
            ("root", Arc::new(UInt64Array::from(root)), false),
            ("area", Arc::new(at().map(area).collect::<Int64Array>()), true),
            ("length", Arc::new(Int64Array::from_iter_values(length)), false),
            (columns::URL, hashes(url), false),
            (columns::CAPTION, hashes(caption), false),
        ];
        RecordBatch::try_from_iter_with_nullable(members).map_err(|e| Error::result("dedup", e))
    }
}

/// A table of the captions that are asked for by row, cluster and place.
fn texts(
    wanted: Sorter<3>,
    inputs: &[&PartInfo],
    cx: &Context,
    scratch: &Scratch,
) -> Result<Option<TemporaryFile>> {
    let mut wanted = Lookup::new(wanted.finish()?);
    let file = scratch.file("parquet");
    let mut writer: Option<PartWriter> = None;
    for input in inputs {
        check(cx)?;
        if wanted.peek().is_none() {
            break;
        }
        for batch in clip_corpus::scan(&input.path, &[columns::ROW, columns::CAPTION], BATCH)? {
            let batch = Columns { batch: batch?, input };
            let rows = batch.needed(columns::ROW, columns::uint64)?;
            let caption = batch.needed(columns::CAPTION, columns::text)?;
            let (mut clusters, mut places, mut texts) = (Vec::new(), Vec::new(), Vec::new());
            for at in 0..rows.len() {
                if let Some([_, cluster, place]) = wanted.take(rows.value(at))? {
                    clusters.push(cluster);
                    places.push(place);
                    texts.push(text(caption, at));
                }
            }
            let table: [(&str, ArrayRef); 3] = [
                (columns::CLUSTER, Arc::new(UInt64Array::from(clusters))),
                ("place", Arc::new(UInt64Array::from(places))),
                (columns::CAPTION, Arc::new(StringArray::from(texts))),
            ];
            let table = RecordBatch::try_from_iter(table).map_err(|e| Error::result("dedup", e))?;
            PartWriter::append(&mut writer, file.path(), &table)?;
        }
    }
    let Some(writer) = writer else { return Ok(None) };
    writer.finish()?;
    Ok(Some(file))
}

/// The text of a cell; none is an empty one.
fn text(column: &StringArray, at: usize) -> &str {
    if column.is_null(at) { "" } else { column.value(at) }
}

/// A cluster so far.
struct Cluster {
    /// The row that stays.
    row: u64,
    /// Hashes of the URLs and of the captions, up to one more than a cluster may have.
    urls: HashSet<u64>,
    texts: HashSet<u64>,
    /// The rows of the first captions, each caption once.
    captions: Vec<u64>,
}

impl Cluster {
    /// The cluster under a row, which passes first.
    fn new(row: u64) -> Self {
        Self { row, urls: HashSet::new(), texts: HashSet::new(), captions: Vec::new() }
    }

    /// Takes the next member: its row, and the hashes of its URL and its caption.
    fn add(&mut self, row: u64, url: u64, caption: u64, dedup: &Deduplicate) {
        let counted = dedup.placeholder_limit.saturating_add(1);
        if dedup.placeholder_limit > 0 && self.urls.len() < counted {
            self.urls.insert(url);
        }
        let most = dedup.max_captions.max(counted);
        if self.texts.len() < most
            && self.texts.insert(caption)
            && self.captions.len() < dedup.max_captions
        {
            self.captions.push(row);
        }
    }

    fn is_placeholder(&self, dedup: &Deduplicate) -> bool {
        let limit = dedup.placeholder_limit;
        limit > 0 && (self.urls.len() > limit || self.texts.len() > limit)
    }
}

/// Two texts of a cluster have the same hash in one of some 10^13 clusters of a thousand.
fn hash(text: &str) -> u64 {
    let bytes = blake3::hash(text.as_bytes());
    let first = bytes.as_bytes().first_chunk().copied().unwrap_or_default();
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(members: u64, urls: u64, captions: u64, dedup: &Deduplicate) -> Cluster {
        let mut cluster = Cluster::new(7);
        for at in 0..members {
            cluster.add(at, at % urls, at % captions, dedup);
        }
        cluster
    }

    #[test]
    fn captions_and_counts_of_a_cluster_are_bounded() {
        let dedup = Deduplicate { max_captions: 3, placeholder_limit: 10, ..Default::default() };
        let small = cluster(200, 10, 10, &dedup);
        assert!(!small.is_placeholder(&dedup));
        assert_eq!(small.captions, [0, 1, 2]);
        assert!(cluster(200, 11, 10, &dedup).is_placeholder(&dedup));
        assert!(cluster(200, 10, 11, &dedup).is_placeholder(&dedup));
        let large = cluster(100_000, 50_000, 50_000, &dedup);
        assert!(large.urls.len() == 11 && large.texts.len() == 11 && large.captions.len() == 3);
        let any = Deduplicate { placeholder_limit: 0, ..dedup };
        assert!(!cluster(1_000, 1_000, 1_000, &any).is_placeholder(&any));
    }
}
