//! Python's pickle, protocols 2 to 4, as far as numbers, text, lists, dictionaries and NumPy's
//! arrays of bytes go (Python's `pickletools` names the opcodes). Nothing is run: any other class
//! or function is refused by its name.

mod machine;
mod value;

use std::path::Path;

pub(crate) use value::Pickle;

use crate::{Error, Result};

impl Pickle {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let (file, length) = machine::open(path)?;
        let read = machine::run(file, length);
        read.map_err(|reason| Error::file(path, format!("not a pickle that is read: {reason}")))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::machine::MOST;
    use super::*;

    /// A short text as Python 2 writes it.
    fn text(word: &str) -> Vec<u8> {
        [&[b'U', word.len() as u8], word.as_bytes()].concat()
    }

    /// `{"data": array of rows x 3072 bytes, KEY: labels}` in protocol 2, as Python 2's cPickle
    /// writes CIFAR's batches.
    pub(crate) fn batch(key: &str, labels: &[u8], pixels: &[u8]) -> Vec<u8> {
        let mut file = b"\x80\x02}q\x01(".to_vec();
        file.extend(text("data"));
        file.extend(array(&[labels.len() as u16, 3072], "u1", pixels));
        file.extend(text(key));
        file.extend(b"]q\x02(");
        file.extend(labels.iter().flat_map(|label| [b'K', *label]));
        file.extend(b"eu.");
        file
    }

    fn array(sizes: &[u16], kind: &str, bytes: &[u8]) -> Vec<u8> {
        let mut file = b"cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nK\0\x85U\x01b\x87R(K\x01(".to_vec();
        file.extend(
            sizes.iter().flat_map(|size| [vec![b'M'], size.to_le_bytes().to_vec()].concat()),
        );
        file.extend(b"tcnumpy\ndtype\n");
        file.extend(text(kind));
        file.extend(b"K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T");
        file.extend((bytes.len() as u32).to_le_bytes());
        file.extend(bytes);
        file.extend(b"tb");
        file
    }

    /// `{"names": [WORDS]}`.
    pub(crate) fn names(key: &str, words: &[&str]) -> Vec<u8> {
        let mut file = b"\x80\x02}(".to_vec();
        file.extend(text(key));
        file.extend(b"](");
        file.extend(words.iter().flat_map(|word| text(word)));
        file.extend(b"eu.");
        file
    }

    fn read(bytes: &[u8]) -> Result<Pickle> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("batch");
        std::fs::write(&path, bytes).unwrap();
        Pickle::read(&path)
    }

    fn refused(bytes: &[u8]) -> String {
        read(bytes).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn labels_names_and_where_the_pixels_are() {
        for rows in [2usize, 40] {
            let labels: Vec<u8> = (0..rows as u8).collect();
            let file = batch("labels", &labels, &vec![7; rows * 3072]);
            let found = read(&file).unwrap();
            let bytes = found.bytes(found.get("data").unwrap()).unwrap();
            assert_eq!(bytes.sizes, [rows as u64, 3072]);
            assert!(
                file[bytes.at as usize..].starts_with(&[7; 3072])
                    && file[bytes.at as usize - 1] != 7
            );
            assert_eq!(found.numbers(found.get("labels").unwrap()).unwrap()[1], 1);
        }
        let found = read(&names("label_names", &["cat", "caf\u{e9}"])).unwrap();
        assert_eq!(found.texts(found.get("label_names").unwrap()).unwrap()[0], "cat");
        assert!(found.get("labels").is_none());
    }

    #[test]
    fn nothing_is_run_and_other_classes_are_named() {
        assert!(refused(b"\x80\x02cos\nsystem\nU\x02ls\x85R.").contains("names os.system"));
        let four = b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.";
        assert!(refused(four).contains("names builtins.eval"));
        assert!(refused(b"\x80\x05.").contains("protocol 5"));
        assert!(
            refused(
                &[b"\x80\x02}(", &text("data")[..], &array(&[1, 2], "i8", &[0; 16]), b"u."]
                    .concat()
            )
            .contains("not of bytes")
        );
    }

    #[test]
    fn claims_and_cuts_are_errors() {
        assert!(refused(b"\x80\x02T\xff\xff\xff\x7f").contains("room for 0 bytes"));
        assert!(refused(b"\x80\x04\x8e\0\0\0\0\0\x01\0\0").contains("1099511627776 values"));
        // A name of 60,000 bytes for a type, over and over, would take gigabytes.
        let name = [b"T\x60\xea\0\0", &vec![b'u'; 60_000][..], b"\x85q\x01cnumpy\ndtype\nq\x02"];
        let names = [b"\x80\x02", &name.concat()[..], &b"h\x02h\x01R".repeat(100_000)].concat();
        assert!(refused(&names).contains("something else than an array's parts"));
        assert!(refused(&array_file(&[u16::MAX, u16::MAX])).contains("65535 x 65535"));
        let whole = batch("labels", &[1, 2], &[0; 6144]);
        for length in (0..whole.len() - 1).step_by(13) {
            assert!(refused(&whole[..length]).contains("batch"));
        }
        assert!(refused(b"\x80\x02h\x07.").contains("reference to nothing"));
        assert!(refused(&[&b"\x80\x02"[..], &vec![b']'; MOST + 1]].concat()).contains("more than"));
    }

    fn array_file(sizes: &[u16]) -> Vec<u8> {
        [b"\x80\x02", &array(sizes, "u1", &[1, 2, 3])[..], b"."].concat()
    }
}
