//! Shards that other tools wrote (see `scripts/golden/shards`), and tar files that no tool should
//! have written.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clip_corpus::{
    Reshard, Sample, ShardIndex, ShardReader, ShardWriter, uid_number, verify_shard,
};
use proptest::prelude::*;

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

fn read(path: &Path) -> Vec<Result<Sample, String>> {
    let reader = ShardReader::open(path).unwrap();
    reader.map(|sample| sample.map_err(|error| error.to_string())).collect()
}

fn fields(sample: &Sample) -> Vec<&str> {
    sample.fields.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn webdatasets_own_shard_is_read_by_its_rules() {
    let samples: Vec<Sample> =
        read(&testdata("webdataset.tar")).into_iter().map(Result::unwrap).collect();
    let keys: Vec<&str> = samples.iter().map(|sample| sample.key.as_str()).collect();
    assert_eq!(keys, ["a/22.0/first", "a/22.0/second", "third"]);
    assert_eq!(fields(&samples[0]), ["cls", "jpg", "txt"]);
    assert_eq!(fields(&samples[1]), ["json", "seg.png"]);
    assert_eq!(samples[0].get("txt"), Some(&b"a first example"[..]));
    let json: serde_json::Value = serde_json::from_slice(samples[1].get("json").unwrap()).unwrap();
    assert_eq!(json["caption"], "naïve ☃");
}

#[test]
fn one_empty_block_ends_a_shard_as_two_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("0.tar");
    let mut writer = ShardWriter::create(&path).unwrap();
    for key in ["a", "b"] {
        let fields = vec![("jpg".to_owned(), vec![0xff]), ("txt".to_owned(), b"x".to_vec())];
        writer.write(&Sample { key: key.to_owned(), fields }).unwrap();
    }
    writer.finish().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let end = whole.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let end = end.next_multiple_of(512);
    for (blocks, samples) in [(2, 2), (1, 2), (0, 3)] {
        std::fs::write(&path, &whole[..end + 512 * blocks]).unwrap();
        let found = read(&path);
        assert_eq!(found.len(), samples, "{found:?}");
        let cut = found.last().unwrap().as_ref().err();
        assert_eq!(cut.is_some_and(|e| e.contains("was cut")), blocks == 0, "{found:?}");
        assert_eq!(ShardIndex::scan(&path).is_ok(), blocks > 0);
    }
}

#[test]
fn what_webdataset_wrote_we_write_with_the_same_members() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ours.tar");
    let mut writer = ShardWriter::create(&path).unwrap();
    for sample in read(&testdata("webdataset.tar")) {
        writer.write(&sample.unwrap()).unwrap();
    }
    writer.finish().unwrap();
    let list = |path: &Path| -> Vec<(String, u64, u32, u64)> {
        let mut archive = tar::Archive::new(std::fs::File::open(path).unwrap());
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let (name, header) = (entry.path().unwrap().display().to_string(), entry.header());
            (name, entry.size(), header.mode().unwrap(), header.mtime().unwrap())
        });
        entries.collect()
    };
    assert_eq!(list(&path), list(&testdata("webdataset.tar")));
}

#[test]
fn img2datasets_shard_is_whole_and_can_be_cut_by_uid() {
    let path = testdata("img2dataset_00000.tar");
    let found = verify_shard(&path, None);
    // Two of its five rows have no image.
    assert_eq!((found.files, found.samples, found.rows, found.findings), (3, 3, 5, vec![]));
    let folder = tempfile::tempdir().unwrap();
    let subset = vec![uid_number(&format!("{:032x}", 1)).unwrap()];
    let (subset, without) = (Some(subset), HashMap::default());
    let reshard =
        Reshard { shard_size: 10, first_shard: 0, digits: 8, subset, without, shuffle: None };
    let done = reshard.run(&[path], folder.path(), |_| ()).unwrap();
    assert_eq!((done.read, done.written, done.without_uid, done.not_found), (3, 1, 0, 0));
    let sample = read(&folder.path().join("00000000.tar")).remove(0).unwrap();
    assert_eq!(sample.key, format!("{:032x}-0", 1));
    assert_eq!(sample.get("txt"), Some("two, with é".as_bytes()));
    assert_eq!(verify_shard(&folder.path().join("00000000.tar"), None).findings, []);
}

/// A member with a right checksum, whatever it says.
fn member(name: &str, size: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
    let mut block = [0u8; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000444");
    block[124..124 + size.len()].copy_from_slice(size);
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut bytes = block.to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn octal(size: usize) -> Vec<u8> {
    format!("{size:011o}\0").into_bytes()
}

fn samples_of(members: &[Vec<u8>]) -> Vec<Result<Sample, String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.tar");
    std::fs::write(&path, [&members.concat()[..], &[0; 1024]].concat()).unwrap();
    read(&path)
}

#[test]
fn odd_members_are_skipped_or_reported() {
    let text = |name: &str| member(name, &octal(1), b'0', b"x");
    // Folders, links, names without a field, hidden and reserved names are no samples.
    let passed = samples_of(&[
        member("a/", &octal(0), b'5', b""),
        member("a/link.jpg", &octal(0), b'2', b""),
        text("README"),
        text("a/.hidden"),
        text("__meta__"),
        text("a/1.txt"),
    ]);
    assert_eq!(passed.len(), 1);
    assert_eq!(passed[0].as_ref().unwrap().key, "a/1");
    // A key twice, its members side by side or apart: as Python, no guess which sample counts. Both
    // places are named.
    for (members, again) in [
        (vec![text("a.txt"), text("a.TXT")], 1536),
        (vec![text("a.txt"), text("b.txt"), text("a.txt"), text("a.jpg"), text("c.txt")], 2560),
    ] {
        let twice = samples_of(&members);
        let places = format!(
            "odd.tar sample \"a\": the key is in the shard twice, at byte 512 and again at byte {again}\n"
        );
        let named = twice.iter().filter_map(|sample| sample.as_ref().err());
        assert!(
            named.clone().count() == 1 && named.clone().all(|e| e.contains(&places)),
            "{twice:?}"
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("odd.tar");
        std::fs::write(&path, [&members.concat()[..], &[0; 1024]].concat()).unwrap();
        let scanned = ShardIndex::scan(&path).unwrap_err().to_string();
        assert!(scanned.contains(&places), "{scanned}");
        // What another tool's or an older index lists is checked as well.
        let index = members.len() as u64;
        let line =
            |at: u64| format!("{}\ttxt\t{}\t1\n", ["a", "b"][at as usize % 2], 512 + at * 1024);
        std::fs::write(path.with_extension("idx"), (0..index.max(3)).map(line).collect::<String>())
            .unwrap();
        assert!(matches!(ShardIndex::of(&path), Err(clip_corpus::Error::DuplicateKey { .. })));
        let verified = verify_shard(&path, None).findings;
        assert!(verified.iter().any(|found| found.reason.contains("twice")), "{verified:?}");
        // After it, the next sample is read.
        let mut reader = ShardReader::open(&path).unwrap();
        let mut keys = Vec::new();
        while let Some(sample) = reader.next() {
            match sample {
                Ok(sample) => keys.push(sample.key),
                Err(_) => assert!(reader.resume().unwrap() || members.len() == 2),
            }
        }
        assert_eq!(keys, if members.len() == 2 { vec!["a"] } else { vec!["a", "b", "c"] });
    }
    // A sample of very many fields is refused at the first that is too many.
    let many: Vec<Vec<u8>> = (0..1001).map(|n| text(&format!("a.f{n}"))).collect();
    assert_eq!(samples_of(&many[..1000])[0].as_ref().unwrap().fields.len(), 1000);
    assert!(samples_of(&many)[0].as_ref().unwrap_err().contains("more than 1000 fields"));
    // Names that are no UTF-8 still make a sample.
    let mut bytes = text("caf?.txt");
    bytes[3] = 0xe9;
    bytes[148..156].fill(b' ');
    let sum: u32 = bytes[..512].iter().map(|&byte| u32::from(byte)).sum();
    bytes[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    assert_eq!(samples_of(&[bytes])[0].as_ref().unwrap().key, "caf\u{fffd}");
}

#[test]
fn sizes_that_cannot_be_are_reported_and_allocate_nothing() {
    // 9 GiB in GNU's base 256, 8 GiB - 1 in octal, and letters.
    let mut huge = [0u8; 12];
    huge[0] = 0x80;
    huge[4..].copy_from_slice(&(9u64 << 30).to_be_bytes());
    for (size, reason) in [
        (&huge[..], "ends inside a member"),
        (&b"77777777777\0"[..], "ends inside a member"),
        (&b"notanumber!\0"[..], "checksum or size is wrong"),
        (&[0xff; 12][..], "ends inside a member"),
    ] {
        // The reader refuses a field of more than 1 GiB by name, and any other size that is not
        // there.
        let found = samples_of(&[member("a.jpg", size, b'0', b"x")]);
        let error = found[0].as_ref().unwrap_err();
        assert!(error.contains(reason) || error.contains("at most 1 GiB"), "{error}");
        let found = samples_of(&[member("README", size, b'0', b"x")]);
        assert!(found[0].as_ref().unwrap_err().contains("odd.tar"), "{found:?}");
    }
}

#[test]
fn a_field_of_8_gib_in_a_sparse_file_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.tar");
    let size = (8u64 << 30) - 1;
    let head = member("big.bin.jpg", format!("{size:011o}\0").as_bytes(), b'0', b"");
    std::fs::write(&path, &head).unwrap();
    // The content is a hole: it costs no disk.
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(512 + (8 << 30) + 1024).unwrap();
    let found = read(&path);
    let error = found[0].as_ref().unwrap_err();
    assert!(error.contains("\"big\"") && error.contains("at most 1 GiB"), "{error}");
    // Where it is no field of a sample, it is skipped.
    let head = member("LICENSE", format!("{size:011o}\0").as_bytes(), b'0', b"");
    use std::os::unix::fs::FileExt;
    file.write_all_at(&head, 0).unwrap();
    assert_eq!(read(&path).len(), 0);
}

proptest! {
    #[test]
    fn no_change_of_bytes_makes_the_reader_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
                                                 cut in any::<prop::sample::Index>()) {
        let mut bytes = std::fs::read(testdata("webdataset.tar")).unwrap();
        for (at, value) in changes {
            // Headers are where it matters.
            let at = at.index(bytes.len() / 512) * 512 + usize::from(value) * 2 % 512;
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("changed.tar");
        std::fs::write(&path, &bytes).unwrap();
        let found = read(&path);
        let errors = found.iter().filter(|sample| sample.is_err()).count();
        prop_assert!(errors <= 1 && found.iter().take(found.len() - errors).all(Result::is_ok));
        let _ = verify_shard(&path, None);
    }
}
