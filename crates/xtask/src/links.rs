//! Links of the documentation lead to files that are there, the files that it names are there, and
//! every page is in the book.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// The table of contents, in the folder of the book's pages.
const SUMMARY: &str = "docs/SUMMARY.md";

/// Links of these Markdown files that lead nowhere, and pages that the summary lacks. `text` gives
/// the text of a file.
pub fn faults(files: &[&str], text: &dyn Fn(&Path) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut listed = BTreeSet::new();
    for file in files.iter().filter(|file| file.ends_with(".md")) {
        let Some(own) = text(Path::new(file)) else { continue };
        for target in targets(&own) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(file).parent().unwrap_or(Path::new(""));
            let path =
                if path.is_empty() { PathBuf::from(file) } else { plain(&folder.join(path)) };
            if *file == SUMMARY {
                listed.insert(path.clone());
            }
            let wrong = if path.extension().is_some_and(|e| e == "md") {
                let found = text(&path);
                found.is_none_or(|text| !anchor.is_empty() && !anchors(&text).contains(anchor))
            } else {
                !path.exists()
            };
            if wrong {
                faults.push(format!("{file}: the link {target:?} leads nowhere"));
            } else if file.starts_with("docs/") && !path.starts_with("docs") {
                faults.push(format!("{file}: the link {target:?} leads out of the book"));
            }
        }
    }
    faults.extend(names(files, text));
    let page =
        |file: &&&str| file.starts_with("docs/") && file.ends_with(".md") && **file != SUMMARY;
    if files.contains(&SUMMARY) {
        let missing = files.iter().filter(page).filter(|file| !listed.contains(Path::new(file)));
        faults.extend(missing.map(|file| format!("{file} is not in {SUMMARY}")));
    }
    faults
}

/// Folders whose files the documentation names from the root of the repository.
const FOLDERS: [&str; 8] =
    ["crates/", "docs/", "fuzz/", "scripts/", "sql/", "testdata/", "tests/", "clip-"];

/// Files and folders that pages name as code and that are not there. A path that begins with a
/// crate is below `crates/`; a plain name of a Rust source is anywhere.
fn names(files: &[&str], text: &dyn Fn(&Path) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let exists = |path: &str| {
        let folder = format!("{}/", path.trim_end_matches('/'));
        files.iter().any(|file| *file == path || file.starts_with(&folder))
    };
    for file in files.iter().filter(|file| file.ends_with(".md") && !file.starts_with("testdata/"))
    {
        let Some(own) = text(Path::new(file)) else { continue };
        for (index, line) in own.lines().enumerate() {
            for code in line.split('`').skip(1).step_by(2) {
                // What follows are arguments, or an item of the file.
                let name = code.split([' ', ':']).next().unwrap_or_default();
                let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
                // `NN_name.sql` and `FOLDER/NAME` stand for any.
                if !name.chars().all(plain) || any_name(name) || name.contains("..") {
                    continue;
                }
                let is_path =
                    FOLDERS.iter().any(|folder| name.starts_with(folder)) && name.contains('/');
                let below = format!("crates/{name}");
                let is_source = name.ends_with(".rs") && !name.contains('/');
                let found = if is_path {
                    exists(name) || name.starts_with("clip-") && exists(&below)
                } else {
                    !is_source || files.iter().any(|file| file.rsplit('/').next() == Some(name))
                };
                if !found {
                    faults.push(format!("{file}:{}: there is no {name}", index + 1));
                }
            }
        }
    }
    faults
}

/// Whether a part of a path is to be replaced.
pub fn any_name(path: &str) -> bool {
    let upper = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_uppercase());
    path.split(['/', '_']).any(upper)
}

/// What the links of a page name, but for URLs; code is left out.
fn targets(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if fenced || line.starts_with("    ") {
            continue;
        }
        for piece in line.split('`').step_by(2) {
            let links = piece.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            found.extend(links.map(|(target, _)| target).filter(|target| !target.contains("://")));
        }
        // A link whose text is code ends after its backtick.
        let after = line.split('`').skip(2).step_by(2).filter_map(|rest| rest.strip_prefix("]("));
        let links = after.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        let new: Vec<&str> = links.filter(|t| !t.contains("://") && !found.contains(t)).collect();
        found.extend(new);
    }
    found
}

/// The anchors of a page's headings, as GitHub and mdbook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let heads = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    heads.map(anchor).collect()
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_files_that_are_not_there_are_faults() {
        let text = |_: &Path| {
            Some(
                "`crates/a/src/x.rs` `clip-a/src` `x.rs` `scripts/run [--x]` `sql/NN_name.sql`\n\
                 `crates/a/src/y.rs`, `clip-a/tests`, `z.rs`; `runs/x`, `a/b`"
                    .to_owned(),
            )
        };
        let files = ["a.md", "crates/a/src/x.rs", "crates/clip-a/src/lib.rs", "scripts/run"];
        let lacking = ["crates/a/src/y.rs", "clip-a/tests", "z.rs"];
        let wanted = lacking.map(|name| format!("a.md:2: there is no {name}"));
        assert_eq!(names(&files, &text), wanted);
    }

    #[test]
    fn links_to_missing_files_and_headings_and_unlisted_pages_are_faults() {
        let text = |path: &Path| {
            Some(match path.to_str()? {
                "README.md" => {
                    "[a](docs/a.md#one-two) [b](docs/a.md#three) [c](docs/c.md) `[x](y)`".to_owned()
                }
                "docs/SUMMARY.md" => "- [A](a.md)".to_owned(),
                "docs/a.md" => {
                    "## One two\n[web](https://example.org/x) [up](../README.md)".to_owned()
                }
                "docs/b.md" => "text".to_owned(),
                _ => return None,
            })
        };
        let files = ["README.md", "docs/SUMMARY.md", "docs/a.md", "docs/b.md"];
        let found = faults(&files, &text);
        assert_eq!(
            found,
            [
                "README.md: the link \"docs/a.md#three\" leads nowhere",
                "README.md: the link \"docs/c.md\" leads nowhere",
                "docs/a.md: the link \"../README.md\" leads out of the book",
                "docs/b.md is not in docs/SUMMARY.md",
            ]
        );
    }
}
