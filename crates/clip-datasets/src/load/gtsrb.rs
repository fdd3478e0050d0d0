//! GTSRB: traffic signs as `.ppm`, classes in a table with semicolons.

use std::path::{Path, PathBuf};

use super::{Ask, Content, below, file, is_image, name, no_split, numbers, sorted};
use crate::item::Split;
use crate::{Error, Result};

pub(crate) const TREE: &str = "  GT-final_test.csv (Filename;…;ClassId), Final_Test/Images/*.ppm, Final_Training/Images/00000/*.ppm … (also below GTSRB/)";
const CLASSES: usize = 43;

fn table(root: &Path) -> Option<PathBuf> {
    file(
        root,
        &[
            "GT-final_test.csv",
            "GTSRB/GT-final_test.csv",
            "Final_Test/Images/GT-final_test.csv",
            "GTSRB/Final_Test/Images/GT-final_test.csv",
        ],
    )
}

pub(crate) fn detect(root: &Path) -> bool {
    table(root).is_some()
}

pub(crate) fn open(root: &Path, ask: &Ask) -> Result<Content> {
    match ask.split {
        Split::Test => test(root),
        Split::Train => train(root),
        Split::Val => Err(no_split(root, ask.split, TREE)),
    }
}

fn test(root: &Path) -> Result<Content> {
    let table = table(root).ok_or_else(|| Error::layout(root, "no GT-final_test.csv", TREE))?;
    let images = below(root, &["Final_Test/Images", "GTSRB/Final_Test/Images"])
        .ok_or_else(|| Error::layout(root, "no Final_Test/Images", TREE))?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(b';')
        .trim(csv::Trim::All)
        .from_path(&table)
        .map_err(|e| Error::file(&table, e))?;
    let header = reader.headers().map_err(|e| Error::file(&table, e))?.clone();
    let column = |name: &str| {
        header.iter().position(|h| h == name).ok_or_else(|| {
            Error::file(&table, format!("no column {name}: the version with classes is needed"))
        })
    };
    let (filename, class) = (column("Filename")?, column("ClassId")?);
    let mut files = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| Error::file(&table, e))?;
        let image = record.get(filename).unwrap_or_default().to_owned();
        let class = record.get(class).unwrap_or_default().to_owned();
        files.push((images.join(&image), image, class));
    }
    Content::files(&table, numbers(CLASSES), files)
}

fn train(root: &Path) -> Result<Content> {
    let images = below(
        root,
        &["Final_Training/Images", "GTSRB/Final_Training/Images", "Training", "GTSRB/Training"],
    )
    .ok_or_else(|| no_split(root, Split::Train, TREE))?;
    let mut files = Vec::new();
    for folder in sorted(&images)?.into_iter().filter(|f| f.is_dir()) {
        let word = name(&folder);
        let class =
            word.parse::<usize>().map_err(|_| Error::file(&folder, "not a class number"))?;
        for image in sorted(&folder)?.into_iter().filter(|f| is_image(f)) {
            let key = format!("{word}/{}", name(&image));
            files.push((image, key, class.to_string()));
        }
    }
    Content::files(&images, numbers(CLASSES), files)
}

#[cfg(test)]
mod tests {
    use crate::{OpenOptions, Split, open_named};

    #[test]
    fn tables_and_folders_are_read() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["Final_Test/Images", "Final_Training/Images/00014"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        std::fs::write(dir.path().join("GT-final_test.csv"), "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\r\n00000.ppm;53;54;6;5;48;49;16\r\n").unwrap();
        std::fs::write(dir.path().join("Final_Test/Images/00000.ppm"), b"P6\n1 1\n255\nabc")
            .unwrap();
        std::fs::write(dir.path().join("Final_Training/Images/00014/00000_00001.ppm"), b"x")
            .unwrap();
        let open = |split| {
            open_named(
                &format!("gtsrb={}", dir.path().display()),
                &OpenOptions { split, ..OpenOptions::default() },
            )
            .unwrap()
        };
        let test = open(Split::Test);
        assert_eq!(
            (test.classes.len(), test.items().next().unwrap().unwrap().truth.class()),
            (43, Some(16))
        );
        assert_eq!(open(Split::Train).items().next().unwrap().unwrap().truth.class(), Some(14));
    }
}
