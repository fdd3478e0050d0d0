//! MNIST's IDX files (also Fashion-MNIST's), plain or gzip.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Ask, Content, file, no_split, numbers};
use crate::claim::claimed;
use crate::item::Split;
use crate::source::{Layout, RowFile, Source, is_gzip, stream};
use crate::{Error, Result};

pub(crate) const TREE: &str = "  {train,t10k}-images-idx3-ubyte[.gz], {train,t10k}-labels-idx1-ubyte[.gz] (MNIST, Fashion-MNIST; also below raw/); optionally classnames.txt";

fn find(root: &Path, part: &str, what: &str) -> Option<PathBuf> {
    let names: Vec<String> = ["", "raw/"]
        .iter()
        .flat_map(|folder| ["-", "."].map(|dot| format!("{folder}{part}-{what}{dot}ubyte")))
        .flat_map(|name| [name.clone(), format!("{name}.gz")])
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    file(root, &names).or_else(|| {
        let dotted: Vec<String> =
            names.iter().map(|n| n.replace("-idx", ".idx").replace("..", ".")).collect();
        file(root, &dotted.iter().map(String::as_str).collect::<Vec<_>>())
    })
}

pub(crate) fn detect(root: &Path) -> bool {
    find(root, "t10k", "images-idx3").is_some()
}

fn header<const N: usize>(path: &Path, magic: u32) -> Result<[u32; N]> {
    let mut reader = stream(path, 0)?;
    let mut number = || {
        let mut bytes = [0; 4];
        reader.read_exact(&mut bytes).map_err(|e| Error::file(path, e))?;
        Ok::<_, Error>(u32::from_be_bytes(bytes))
    };
    let found = number()?;
    if found != magic {
        return Err(Error::file(path, format!("its magic number is {found:#x}, not {magic:#x}")));
    }
    let mut sizes = [0; N];
    for size in &mut sizes {
        *size = number()?;
    }
    Ok(sizes)
}

pub(crate) fn open(root: &Path, ask: &Ask) -> Result<Content> {
    let part = match ask.split {
        Split::Train => "train",
        Split::Test => "t10k",
        Split::Val => return Err(no_split(root, ask.split, TREE)),
    };
    let missing = || no_split(root, ask.split, TREE);
    let images = find(root, part, "images-idx3").ok_or_else(missing)?;
    let labels = find(root, part, "labels-idx1").ok_or_else(missing)?;
    let [count, height, width] = header::<3>(&images, 0x803)?;
    let [count_labels] = header::<1>(&labels, 0x801)?;
    if count != count_labels {
        let reason = format!("{count_labels} labels for {count} images");
        return Err(Error::file(&labels, reason));
    }
    claimed(&images, is_gzip(&images), &[count, height, width].map(u64::from), 1)?;
    let mut bytes = Vec::new();
    let most = u64::from(count) + 1;
    stream(&labels, 8)?.take(most).read_to_end(&mut bytes).map_err(|e| Error::file(&labels, e))?;
    if bytes.len() != count as usize {
        let found =
            if bytes.len() as u64 == most { "more".into() } else { bytes.len().to_string() };
        let reason = format!("{found} labels, not the {count} of its header");
        return Err(Error::file(&labels, reason));
    }
    let classes = bytes.iter().max().map_or(0, |most| usize::from(*most) + 1).max(10);
    let rows = bytes.iter().enumerate().map(|(at, &label)| (at as u64, usize::from(label)));
    let file = RowFile {
        path: images,
        head: 16,
        lead: 0,
        width,
        height,
        layout: Layout::Grey,
        rows: rows.collect(),
        prefix: format!("{part}/"),
    };
    let named = root.join("classnames.txt");
    let keys =
        if named.exists() { crate::error::lines(&named)? } else { default_names(root, classes) };
    if keys.len() < classes {
        return Err(Error::file(&named, format!("{} names for {classes} classes", keys.len())));
    }
    Ok(Content::classes(keys, Source::Rows(vec![file])))
}

/// Fashion-MNIST's ten, which are in no file of it.
const FASHION: [&str; 10] = [
    "t-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
];

fn default_names(root: &Path, classes: usize) -> Vec<String> {
    let fashion = root.to_string_lossy().to_lowercase().contains("fashion");
    if fashion && classes == 10 { FASHION.map(str::to_owned).to_vec() } else { numbers(classes) }
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::{OpenOptions, Protocol, Split, open, open_named, open_with};
    use std::io::Write;
    use std::path::Path;

    /// Writes `labels.len()` images of 2 x 2, the first pixel their number.
    pub(crate) fn write(root: &Path, part: &str, labels: &[u8], gzip: bool) {
        let mut images = vec![0, 0, 8, 3];
        images.extend([labels.len() as u32, 2, 2].iter().flat_map(|n| n.to_be_bytes()));
        images.extend((0..labels.len()).flat_map(|n| [n as u8, 1, 2, 3]));
        let mut bytes = vec![0, 0, 8, 1];
        bytes.extend((labels.len() as u32).to_be_bytes());
        bytes.extend(labels);
        for (name, bytes) in [("images-idx3", images), ("labels-idx1", bytes)] {
            let path = root.join(format!("{part}-{name}-ubyte{}", if gzip { ".gz" } else { "" }));
            let file = std::fs::File::create(path).unwrap();
            if gzip {
                let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
                encoder.write_all(&bytes).unwrap();
                encoder.finish().unwrap();
            } else {
                std::io::BufWriter::new(file).write_all(&bytes).unwrap();
            }
        }
    }

    #[test]
    fn plain_and_packed_files_are_read() {
        for gzip in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), "t10k", &[9, 0, 3], gzip);
            let set = open(dir.path()).unwrap();
            let items: Vec<_> = set.items().map(Result::unwrap).collect();
            assert_eq!((set.loader, set.classes.len(), items.len()), ("idx", 10, 3));
            assert_eq!((items[2].key.as_str(), items[2].truth.class()), ("t10k/00002", Some(3)));
            assert_eq!(items[2].image, b"P5\n2 2\n255\n\x02\x01\x02\x03");
            let train = OpenOptions { split: Split::Train, ..OpenOptions::default() };
            assert!(open_with(dir.path(), &train).is_err());
        }
    }

    #[test]
    fn a_dataset_without_published_prompts_has_plain_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fashion-mnist");
        std::fs::create_dir(&path).unwrap();
        write(&path, "t10k", &[9, 0, 3], false);
        let named = format!("fashion-mnist={}", path.display());
        let set = open_named(&named, &OpenOptions::default()).unwrap();
        assert_eq!((set.protocol, set.classes[9].as_str()), (Protocol::Folder, "ankle boot"));
        let options = OpenOptions { protocol: Some(Protocol::OpenAi), ..OpenOptions::default() };
        assert!(open_named(&named, &options).is_err());
    }

    #[test]
    fn labels_that_do_not_fit_are_an_error() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "t10k", &[1, 2], false);
        let path = dir.path().join("t10k-labels-idx1-ubyte");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[7] = 3;
        std::fs::write(&path, &bytes).unwrap();
        assert!(
            open(dir.path()).map(|_| ()).unwrap_err().to_string().contains("3 labels for 2 images")
        );
        bytes[7] = 2;
        std::fs::write(&path, [&bytes[..], &[0]].concat()).unwrap();
        assert!(open(dir.path()).map(|_| ()).unwrap_err().to_string().contains("more labels"));
        std::fs::write(dir.path().join("t10k-images-idx3-ubyte"), b"\x89PNG").unwrap();
        assert!(open(dir.path()).map(|_| ()).unwrap_err().to_string().contains("magic"));
    }

    #[test]
    fn images_that_a_header_only_claims_are_an_error() {
        for gzip in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            write(dir.path(), "t10k", &[1, 2], gzip);
            let name = format!("t10k-images-idx3-ubyte{}", if gzip { ".gz" } else { "" });
            // 2^40 bytes an image.
            let head: Vec<u8> =
                [0x803u32, 2, 1 << 20, 1 << 20].iter().flat_map(|n| n.to_be_bytes()).collect();
            let file = std::fs::File::create(dir.path().join(&name)).unwrap();
            if gzip {
                let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
                encoder.write_all(&head).unwrap();
                encoder.finish().unwrap();
            } else {
                std::io::BufWriter::new(file).write_all(&head).unwrap();
            }
            let message = open(dir.path()).map(|_| ()).unwrap_err().to_string();
            assert!(
                message.contains(&name) && message.contains("2 x 1048576 x 1048576"),
                "{message}"
            );
        }
    }
}
