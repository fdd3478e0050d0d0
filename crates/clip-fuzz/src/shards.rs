//! Shards and subset files.

use std::path::Path;

use clip_corpus::{
    Member, Sample, ShardIndex, ShardReader, read_index, read_subset, verify_shard, write_subset,
};

use crate::must;
use crate::scratch::with_files;

/// A shard, read to its end and past each damage; its index; its verification.
pub fn tar(data: &[u8]) {
    let files = [("0.tar", data), ("other.idx", data)];
    with_files(&files, |folder| {
        let path = folder.join("0.tar");
        let (members, whole) = read(&path, data.len() as u64);
        if whole {
            assert_eq!(must(ShardIndex::scan(&path)).members, members);
        }
        let _ = verify_shard(&path, None);
        if let Ok(Some(index)) = read_index(&folder.join("other.idx")) {
            assert_eq!(index.to_text().lines().count(), index.members.len());
        }
    });
}

/// The members of all samples, and whether there was no damage.
fn read(path: &Path, length: u64) -> (Vec<Member>, bool) {
    let mut reader = must(ShardReader::open(path));
    let (mut all, mut whole) = (Vec::new(), true);
    let mut lost = 0;
    while let Some(sample) = reader.next() {
        match sample {
            Ok(sample) => {
                check(&sample, reader.members(), length);
                all.extend_from_slice(reader.members());
            }
            Err(_) => {
                whole = false;
                // Each damage costs a header at least.
                lost += 1;
                assert!(lost <= length / 512 + 2, "{lost} damages in {length} bytes");
                must(reader.resume());
            }
        }
    }
    let _ = reader.rest();
    (all, whole)
}

fn check(sample: &Sample, members: &[Member], length: u64) {
    assert!(!sample.fields.is_empty() && sample.fields.len() == members.len());
    for ((field, content), member) in sample.fields.iter().zip(members) {
        assert_eq!((&member.key, &member.field), (&sample.key, field));
        assert_eq!(member.size, content.len() as u64);
        assert!(member.offset + member.size <= length, "{member:?} of {length} bytes");
    }
}

/// DataComp's subset files: what is read is written and read again as the same, sorted.
pub fn subset(data: &[u8]) {
    with_files(&[("ids.npy", data)], |folder| {
        let path = folder.join("ids.npy");
        let Ok(mut ids) = read_subset(&path) else { return };
        assert!(ids.len() * 16 <= data.len());
        must(write_subset(&path, &ids));
        ids.sort_unstable();
        assert_eq!(must(read_subset(&path)), ids);
    });
}
