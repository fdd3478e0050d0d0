//! The index beside a shard: where each member is, for random access.

use std::path::Path;

use super::Member;
use super::keys::Keys;
use super::reader::ShardReader;
use crate::{Error, IoContext, Result};

/// All members of a shard, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardIndex {
    /// The members.
    pub members: Vec<Member>,
}

impl ShardIndex {
    /// Makes the index of any shard by reading it once.
    ///
    /// # Errors
    /// When it cannot be read, or a key is in it twice.
    pub fn scan(shard: &Path) -> Result<Self> {
        let mut reader = ShardReader::open(shard)?;
        let mut members = Vec::new();
        while let Some(head) = reader.head()? {
            reader.pass_over(head.size)?;
            members.push(head.member());
        }
        Keys::check(shard, &members)?;
        Ok(Self { members })
    }

    /// The index of a shard: the one beside it where that is ours and fits the shard's length, else
    /// made by reading the shard once. An index of another tool under the same name (DALI's
    /// `wds2idx`) is ignored.
    pub fn of(shard: &Path) -> Result<Self> {
        let length = std::fs::metadata(shard).at(shard)?.len();
        let Some(index) = read_index(&shard.with_extension("idx"))? else {
            return Self::scan(shard);
        };
        let end = index.members.last().map_or(0, |m| m.offset.saturating_add(m.size));
        // A tar ends with the last member, padding and two empty blocks, up to 20 of them.
        let fits = end <= length && length - end <= 11_264;
        if !fits {
            return Self::scan(shard);
        }
        Keys::check(shard, &index.members)?;
        Ok(index)
    }

    /// The index as tab-separated lines: key, field, offset, size.
    pub fn to_text(&self) -> String {
        let line = |m: &Member| format!("{}\t{}\t{}\t{}\n", m.key, m.field, m.offset, m.size);
        self.members.iter().map(line).collect()
    }
}

/// Reads an index file: tab-separated key, field, offset and size. None where there is no file, or
/// one of DALI's, which begins with its version.
///
/// # Errors
/// When it is neither.
pub fn read_index(path: &Path) -> Result<Option<ShardIndex>> {
    let text = match std::fs::read_to_string(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.at(path)?,
    };
    let first = text.lines().next().unwrap_or_default();
    if first.starts_with("v1.") && !first.contains('\t') {
        return Ok(None);
    }
    let parse = |line: &str| {
        let mut columns = line.split('\t');
        let mut next = || columns.next();
        let (key, field) = (next()?.to_owned(), next()?.to_owned());
        let (offset, size) = (next()?.parse().ok()?, next()?.parse().ok()?);
        Some(Member { key, field, offset, size })
    };
    let members: Option<Vec<Member>> = text.lines().map(parse).collect();
    members.map(|members| Some(ShardIndex { members })).ok_or_else(|| Error::Damaged {
        path: path.to_path_buf(),
        reason: "a line is not key, field, offset and size".into(),
    })
}
