//! Shard specifications: braces, unions, globs and folders (`WebDataset`'s rules, `data` by `data`).

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The files that a specification names, in order.
///
/// `a::b` is a union, `{000..012}` and `{x,y}` are braces, `*` and `?` are globs, and a folder means its
/// `*.tar` files sorted by name. A plain path is given back as it is, whether it exists or not.
pub fn expand(spec: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for union in spec.split("::").filter(|s| !s.is_empty()) {
        for path in braces(union).map_err(|reason| bad(spec, reason))? {
            files.extend(paths(&path, spec)?);
        }
    }
    if files.is_empty() {
        return Err(bad(spec, "names no file".into()));
    }
    Ok(files)
}

fn bad(spec: &str, reason: String) -> Error {
    Error::Spec { spec: spec.to_owned(), reason }
}

fn paths(path: &str, spec: &str) -> Result<Vec<PathBuf>> {
    let folder = Path::new(path);
    let pattern = if folder.is_dir() {
        format!("{}/*.tar", glob::Pattern::escape(path.trim_end_matches('/')))
    } else if path.contains(['*', '?', '[']) {
        path.to_owned()
    } else {
        return Ok(vec![folder.to_path_buf()]);
    };
    let found = glob::glob(&pattern).map_err(|e| bad(spec, e.to_string()))?;
    let mut found: Vec<PathBuf> = found.filter_map(std::result::Result::ok).collect();
    found.sort();
    if found.is_empty() {
        return Err(bad(spec, format!("no file matches {pattern}")));
    }
    Ok(found)
}

/// Expands every brace, left to right, the last one fastest, as a shell does.
fn braces(text: &str) -> std::result::Result<Vec<String>, String> {
    let Some(open) = text.find('{') else { return Ok(vec![text.to_owned()]) };
    let close = open + text[open..].find('}').ok_or("a brace is not closed")?;
    let rest = braces(&text[close + 1..])?;
    let mut all = Vec::new();
    for middle in alternatives(&text[open + 1..close])? {
        all.extend(rest.iter().map(|rest| format!("{}{middle}{rest}", &text[..open])));
    }
    Ok(all)
}

fn alternatives(body: &str) -> std::result::Result<Vec<String>, String> {
    let Some((from, to)) = body.split_once("..") else {
        return Ok(body.split(',').map(str::to_owned).collect());
    };
    let number = |s: &str| s.parse::<u64>().map_err(|_| format!("{s:?} is not a number"));
    let (first, last) = (number(from)?, number(to)?);
    if last < first || last - first > 10_000_000 {
        return Err(format!("the range {body} is empty or too long"));
    }
    Ok((first..=last).map(|n| format!("{n:0width$}", width = from.len())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(spec: &str) -> Vec<String> {
        expand(spec).unwrap().iter().map(|p| p.display().to_string()).collect()
    }

    #[test]
    fn braces_keep_their_width_and_unions_their_order() {
        assert_eq!(
            names("b{x,y}::a-{08..10}.tar"),
            ["bx", "by", "a-08.tar", "a-09.tar", "a-10.tar"]
        );
        assert_eq!(names("{0..1}{a,b}"), ["0a", "0b", "1a", "1b"]);
    }

    #[test]
    fn bad_specifications_say_why() {
        for (spec, reason) in [("{1..", "not closed"), ("{5..2}", "empty"), ("", "no file")] {
            assert!(expand(spec).unwrap_err().to_string().contains(reason), "{spec}");
        }
    }

    #[test]
    fn a_folder_means_its_tars_sorted() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["00001.tar", "00000.tar", "00000.parquet"] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        let found = expand(&folder.path().display().to_string()).unwrap();
        let found: Vec<_> =
            found.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(found, ["00000.tar", "00001.tar"]);
    }
}
