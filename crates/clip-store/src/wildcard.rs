//! What a URL with a pattern names.

use std::io;

use glob::Pattern;

use crate::Store;
use crate::remote::is_http;

const HINT: &str = "hint: name the files, as in {00000..00041}.tar";

/// The URLs that one with `*`, `?` or `[…]` names, or, for a folder, the objects in it whose name
/// ends so; any other URL is given back as it is. A folder ends in `/`, or, in object storage, has
/// such objects in it.
///
/// # Errors
/// When what is behind it cannot be listed (`https`), or when nothing matches.
pub fn names(url: &str, ending: &str) -> io::Result<Vec<String>> {
    let is_pattern = !is_http(url) && url.contains(['*', '?', '[']);
    if is_http(url) && url.ends_with('/') {
        let reason = format!("https cannot be listed\n{HINT}");
        return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
    }
    if is_pattern || url.ends_with('/') {
        let found = listed(url, ending)?;
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "nothing there matches"));
        }
        return Ok(found);
    }
    if is_http(url) || url.ends_with(ending) {
        return Ok(vec![url.to_owned()]);
    }
    let found = listed(&format!("{url}/"), ending)?;
    folder_or_file(url, ending, found, || crate::length(url))
}

/// What a URL means that does not say whether it is a folder: what was found in it, else the file
/// of that name, whose length can be asked for.
fn folder_or_file(
    url: &str,
    ending: &str,
    found: Vec<String>,
    length: impl FnOnce() -> io::Result<u64>,
) -> io::Result<Vec<String>> {
    if !found.is_empty() {
        return Ok(found);
    }
    match length() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let reason = format!("no such file, and no folder with {ending} files\n{HINT}");
            Err(io::Error::new(io::ErrorKind::NotFound, reason))
        }
        length => length.map(|_| vec![url.to_owned()]),
    }
}

/// The objects that a pattern names, or those of a folder, sorted.
fn listed(url: &str, ending: &str) -> io::Result<Vec<String>> {
    let pattern = if url.ends_with('/') {
        format!("{}*{ending}", Pattern::escape(url))
    } else {
        url.to_owned()
    };
    let plain = &url[..url.find(['*', '?', '[']).unwrap_or(url.len())];
    let folder = &plain[..plain.rfind('/').map_or(0, |slash| slash + 1)];
    let bad = |e: glob::PatternError| io::Error::new(io::ErrorKind::InvalidInput, e);
    let pattern = Pattern::new(&pattern).map_err(bad)?;
    // `*` stays in its folder, as it does for files.
    let options = glob::MatchOptions { require_literal_separator: true, ..Default::default() };
    let found = Store::open(folder)?.list()?;
    let found = found.into_iter().map(|(key, _)| format!("{folder}{key}"));
    let mut found: Vec<String> = found.filter(|url| pattern.matches_with(url, options)).collect();
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a-1.tar", "a-0.tar", "a-0.json", "b/a-2.tar"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        }
        let base = format!("file://{}/", folder.path().display());
        let named = |spec: &str| {
            let found = names(&format!("{base}{spec}"), ".tar").unwrap();
            found.iter().map(|name| name[base.len()..].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(named(""), ["a-0.tar", "a-1.tar"]);
        assert_eq!(named("a-[01].*"), ["a-0.json", "a-0.tar", "a-1.tar"]);
        assert_eq!(named("*/a-?.tar"), ["b/a-2.tar"]);
        // What has the ending is not asked for.
        assert_eq!(named("absent.tar"), ["absent.tar"]);
        // Folders by their names alone.
        assert_eq!(named("b"), ["b/a-2.tar"]);
        let folder = base.trim_end_matches('/');
        assert_eq!(names(folder, ".tar").unwrap().len(), 2);
        assert!(names(&format!("{base}c*"), ".tar").is_err());
        assert!(names("https://host/set/", ".tar").unwrap_err().to_string().contains("hint: "));
    }

    #[test]
    fn a_url_without_an_ending_is_a_folder_or_a_file() {
        let missing = || Err(io::Error::new(io::ErrorKind::NotFound, "gone"));
        let one = || vec!["s3://b/a/0.tar".to_owned()];
        assert_eq!(folder_or_file("s3://b/a", ".tar", one(), missing).unwrap(), one());
        let file = folder_or_file("s3://b/a", ".tar", Vec::new(), || Ok(5)).unwrap();
        assert_eq!(file, ["s3://b/a"]);
        let error = folder_or_file("s3://b/a", ".tar", Vec::new(), missing).unwrap_err();
        assert!(error.to_string().contains("no folder with .tar files\nhint: "), "{error}");
    }
}
