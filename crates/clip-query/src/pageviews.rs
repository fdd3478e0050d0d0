//! Hourly dumps of page views: which titles are looked at (paper, section 2.2: "the names of all
//! Wikipedia articles above a certain search volume").

use std::path::Path;

use crate::counter::Counter;
use crate::open::each_line;
use crate::{Error, Result};

/// Lines of one wiki in a dump, and what became of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Views {
    pub(crate) lines: u64,
    /// Lines of the wiki with enough views in the hour.
    pub(crate) counted: u64,
    pub(crate) not_utf8: u64,
}

/// Adds up the views of a wiki's titles, `project title views bytes` a line; hours below `least` do
/// not count, nor do titles with a colon (files, talk and the like).
pub(crate) fn read(
    path: &Path,
    project: &str,
    least: u64,
    counter: &mut Counter,
    advance: &(dyn Fn(u64) + Sync),
) -> Result<Views> {
    let mut views = Views::default();
    each_line(path, advance, |number, line| {
        if line.is_empty() {
            return Ok(());
        }
        views.lines += 1;
        let mut fields = line.split(|&b| b == b' ');
        let (found, title, count) = (fields.next(), fields.next(), fields.next());
        let count = count.and_then(|count| std::str::from_utf8(count).ok()?.parse::<u64>().ok());
        let (Some(found), Some(title), Some(count)) = (found, title, count) else {
            let reason =
                "not `project title views bytes`\nhint: an hourly pageviews dump is wanted";
            return Err(Error::line(path, number, reason));
        };
        if found != project.as_bytes() || count < least || title.contains(&b':') {
            return Ok(());
        }
        let Ok(title) = std::str::from_utf8(title) else {
            views.not_utf8 += 1;
            return Ok(());
        };
        views.counted += 1;
        counter.word(title.replace('_', " ").trim(), count)
    })?;
    Ok(views)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::Scratch;
    use std::io::Write;

    #[test]
    fn views_of_one_wiki_add_up_over_hours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pageviews-20220101-000000.gz");
        let mut gzip = flate2::write::GzEncoder::new(
            std::fs::File::create(&path).unwrap(),
            flate2::Compression::default(),
        );
        let lines = b"de Apfel 90 0\nen St._Louis 60 0\nen Rare 49 0\nen File:A.jpg 500 0\nen St._Louis 50 0\n\
                      en \xff 99 0\nen.m St._Louis 77 0\n";
        gzip.write_all(lines).unwrap();
        gzip.finish().unwrap();
        let scratch = Scratch::new(folder.path()).unwrap();
        let mut counter = Counter::new(scratch, true, false, 1 << 20);
        let views = read(&path, "en", 50, &mut counter, &|_| ()).unwrap();
        assert_eq!(views, Views { lines: 7, counted: 2, not_utf8: 1 });
        let mut found = Vec::new();
        counter.finish().unwrap().each_word(|_, title, n| found.push((title, n))).unwrap();
        assert_eq!(found, [("St. Louis".into(), 110)]);
        std::fs::write(&path, "word\t7\n").unwrap();
        let mut counter = Counter::new(Scratch::new(folder.path()).unwrap(), true, false, 0);
        let message = read(&path, "en", 50, &mut counter, &|_| ()).unwrap_err().to_string();
        assert!(message.contains("line 1: not `project title views bytes`"), "{message}");
    }
}
