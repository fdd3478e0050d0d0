//! YFCC100M's metadata with the paper's filter, and Google's WIT.

use std::path::PathBuf;

use clip_corpus::{Delimited, Row};
use clip_guard::{Line, read_line};
use clip_pipeline::{Error, Result};

use crate::html::clean_text;
use crate::pair_reader::{Item, PairReader, Visit, bad, open, other_kind};
use crate::rows::Pair;

/// `yfcc100m_dataset*`: tab-separated, no header, also compressed with gzip. One part for each
/// file.
pub(crate) struct Yfcc {
    pub files: Vec<PathBuf>,
}

impl PairReader for Yfcc {
    fn units(&self) -> Result<usize> {
        Ok(self.files.len())
    }

    fn each(&self, unit: usize, visit: &mut Visit) -> Result<()> {
        let path = &self.files[unit];
        let mut reader = open(path)?;
        let mut line = Vec::new();
        for number in 1.. {
            let read = match read_line(&mut reader, &mut line).map_err(|e| Error::io(path, e))? {
                Line::End => break,
                Line::TooLong(length) => Err(Line::reason(length)),
                Line::Whole => {
                    let text = String::from_utf8_lossy(&line);
                    yfcc(text.trim_end_matches(['\n', '\r']))
                }
            };
            let item = match read {
                // A file that begins so is none of these; a line within it is damage of its own.
                Err(reason) if number == 1 => {
                    return Err(other_kind(path, format!("line 1: {reason}")));
                }
                Err(reason) => {
                    let detail = format!("{}: line {number}: {reason}", path.display());
                    Some(Item::Rejected(String::new(), String::new(), "bad_row", detail))
                }
                Ok(item) => item,
            };
            if let Some(item) = item
                && !visit(item)?
            {
                break;
            }
        }
        Ok(())
    }
}

/// A line of the metadata. Editions differ in the columns before the title, not in those after:
/// title, description and the rest are 17 before the end and on. Videos are nothing.
fn yfcc(line: &str) -> std::result::Result<Option<Item>, String> {
    let cells: Vec<&str> = line.split('\t').collect();
    if !(23..=25).contains(&cells.len()) {
        return Err(format!("{} columns, but the metadata has 23 to 25", cells.len()));
    }
    let at = cells.len() - 17;
    let (title, description) = (plain(cells[at]), plain(cells[at + 1]));
    let (page, url, marker) = (cells[at + 7], cells[at + 8], cells[at + 16]);
    if marker == "1" {
        return Ok(None);
    }
    let texts: Vec<&str> =
        [title.as_str(), description.as_str()].into_iter().filter(|text| natural(text)).collect();
    let url = url.to_owned();
    Ok(Some(if texts.is_empty() {
        let caption = format!("{title} {description}").trim().to_owned();
        let detail = "title and description are file names, camera settings or empty".to_owned();
        Item::Rejected(url, caption, "no_natural_language", detail)
    } else {
        let source = if natural(&title) { "title" } else { "description" };
        Item::Pair(Pair { url, caption: texts.join(" "), page: Some(page.to_owned()), source })
    }))
}

/// Text of a cell: `+` and `%xx` undone, markup and entities out.
fn plain(cell: &str) -> String {
    let pairs = format!("v={cell}");
    let text = url::form_urlencoded::parse(pairs.as_bytes()).next().map(|(_, v)| v.into_owned());
    let text = text.unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                out.push(' ');
            }
            c if !inside => out.push(c),
            _ => {}
        }
    }
    clean_text(&out)
}

/// Whether a text is language: not a file name, not a camera's name or settings, and at least two
/// words.
///
/// The paper (section 2.2) keeps "images with natural language titles and/or descriptions"; English
/// is for the language stage to say.
pub(crate) fn natural(text: &str) -> bool {
    const MAKERS: [&str; 10] = [
        "canon",
        "nikon",
        "sony",
        "olympus",
        "fujifilm",
        "panasonic",
        "pentax",
        "leica",
        "kodak",
        "casio",
    ];
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let is_word = |word: &&&str| {
        let letters = word.chars().filter(|c| c.is_alphabetic()).count();
        letters >= 2 && letters * 2 > word.chars().count() && !word.contains(['/', '\\', '_'])
    };
    let real: Vec<&&str> = words.iter().filter(is_word).collect();
    let settings = words.iter().filter(|word| is_setting(word)).count();
    let camera = words.first().is_some_and(|word| MAKERS.contains(word));
    let file = words.len() == 1
        || [".jpg", ".jpeg", ".png", ".cr2", ".nef"].iter().any(|end| lower.ends_with(end));
    !file
        && real.len() >= 2
        && settings * 2 < real.len()
        && !(camera && settings + 3 >= words.len())
}

/// `f/2.8`, `1/250`, `iso400`, `50mm`, `+0.3ev`, `1/60s`.
fn is_setting(word: &str) -> bool {
    let word = word.trim_matches(|c: char| ",;|()[]".contains(c));
    let digits = word.chars().any(|c| c.is_ascii_digit());
    digits
        && (word.starts_with("f/")
            || word.starts_with("iso")
            || word.ends_with("mm")
            || word.ends_with("ev")
            || word.split_once('/').is_some_and(|(a, b)| {
                a.parse::<f32>().is_ok()
                    && b.trim_end_matches(['s', 'e', 'c']).parse::<f32>().is_ok()
            }))
}

/// Google's WIT (`wit_v1.*.tsv.gz`): a pair for each of an image's reference caption, alt text and
/// attribution. One part for each file.
pub(crate) struct Wit {
    pub files: Vec<PathBuf>,
}

impl PairReader for Wit {
    fn units(&self) -> Result<usize> {
        Ok(self.files.len())
    }

    fn each(&self, unit: usize, visit: &mut Visit) -> Result<()> {
        const CAPTIONS: [(&str, &str); 3] = [
            ("caption_reference_description", "figcaption"),
            ("caption_alt_text_description", "alt"),
            ("caption_attribution_description", "description"),
        ];
        let path = &self.files[unit];
        let mut rows = Delimited::new(open(path)?, b'\t').map_err(|e| bad(path, e))?;
        let header = rows.header().to_vec();
        let column = |name: &str| {
            let at = header.iter().position(|cell| cell == name);
            at.ok_or_else(|| {
                other_kind(
                    path,
                    format!("no column {name:?}\nhint: this is no file of Google's WIT"),
                )
            })
        };
        let (url, page) = (column("image_url")?, column("page_url")?);
        let captions = CAPTIONS.map(|(name, source)| (column(name), source));
        let mut row = Row::default();
        while let Some(read) = rows.next_row(&mut row).map_err(|e| bad(path, e))? {
            if let Err(reason) = read {
                let detail = format!("{}: {reason}", path.display());
                if !visit(Item::Rejected(String::new(), String::new(), "bad_row", detail))? {
                    return Ok(());
                }
                continue;
            }
            let cell = |at: usize| row.cell(at).unwrap_or_default();
            for (at, source) in &captions {
                let Ok(at) = at else { continue };
                let caption = clean_text(&cell(*at));
                if caption.is_empty() {
                    continue;
                }
                let (url, page) = (cell(url), Some(cell(page)));
                if !visit(Item::Pair(Pair { url, caption, page, source }))? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_and_camera_settings_are_no_language() {
        for text in [
            "IMG_2041.JPG",
            "20160716_113957.JPG",
            "DSC 0042",
            "P1010034",
            "",
            "100_0034",
            "Canon EOS 5D f/2.8 1/250 ISO 400",
            "f/5.6, 1/60s, 50mm, iso200",
            "Nikon D90 50mm f/1.8",
            "vacation.jpg",
            "Untitled",
        ] {
            assert!(!natural(text), "{text}");
        }
        for text in [
            "A dog on the beach",
            "Sunset in Lisbon 2009",
            "Grandma's birthday cake",
            "Bridge at night, 30s exposure with f/8",
        ] {
            assert!(natural(text), "{text}");
        }
    }

    fn line(title: &str, description: &str, marker: &str, before: usize) -> String {
        let mut cells = vec!["x"; before];
        cells.extend([title, description, "tags", "", "1.0", "2.0", "16"]);
        cells.extend([
            "http://www.flickr.com/photos/a/1/",
            "http://farm.e.com/1.jpg",
            "CC",
            "http://cc",
        ]);
        cells.extend(["s", "f", "se", "so", "jpg", marker]);
        cells.join("\t")
    }

    #[test]
    fn every_edition_gives_title_and_description() {
        for before in [6, 7, 8] {
            let line = line("A+quiet+caf%C3%A9", "Seen%3Cbr%3Eon+holiday", "0", before);
            let Ok(Some(Item::Pair(pair))) = yfcc(&line) else { panic!("{line}") };
            assert_eq!(pair.caption, "A quiet café Seen on holiday");
            assert_eq!(pair.url, "http://farm.e.com/1.jpg");
            assert_eq!(pair.page.unwrap(), "http://www.flickr.com/photos/a/1/");
        }
        assert!(matches!(yfcc(&line("A+dog+runs", "", "1", 8)), Ok(None)));
        let fell = yfcc(&line("IMG_1.JPG", "", "0", 8));
        assert!(matches!(fell, Ok(Some(Item::Rejected(_, _, "no_natural_language", _)))));
        assert!(yfcc("a\tb").is_err());
    }

    #[test]
    fn a_row_of_wit_is_a_pair_for_each_caption() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wit.tsv");
        let text = "language\tpage_url\timage_url\tcaption_reference_description\tcaption_alt_text_description\tcaption_attribution_description\n\
            en\thttp://w/p\thttp://w/i.jpg\t\"A \"\"big\"\" hall\"\t\tEnglish: The hall\n";
        std::fs::write(&path, text).unwrap();
        let mut pairs = Vec::new();
        let wit = Wit { files: vec![path] };
        wit.each(0, &mut |item| {
            let Item::Pair(pair) = item else { panic!() };
            pairs.push((pair.caption, pair.source));
            Ok(true)
        })
        .unwrap();
        let expected =
            [("A \"big\" hall".into(), "figcaption"), ("English: The hall".into(), "description")];
        assert_eq!(pairs, expected);
    }
}
