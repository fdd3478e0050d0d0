//! What a URL with a pattern names.

use std::io;

use glob::Pattern;

use crate::Store;
use crate::remote::is_http;

/// The URLs that one with `*`, `?` or `[…]` names, or, for one that ends in `/`, the objects below
/// it whose name ends so; any other URL is given back as it is.
///
/// # Errors
/// When what is behind it cannot be listed (`https`), or when nothing matches.
pub fn names(url: &str, ending: &str) -> io::Result<Vec<String>> {
    let pattern = if url.ends_with('/') {
        format!("{}*{ending}", Pattern::escape(url))
    } else if is_http(url) || !url.contains(['*', '?', '[']) {
        return Ok(vec![url.to_owned()]);
    } else {
        url.to_owned()
    };
    if is_http(url) {
        let hint = "hint: name the files, as in {00000..00041}.tar";
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("https cannot be listed\n{hint}"),
        ));
    }
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
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "nothing there matches"));
    }
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
        assert_eq!(named("absent.tar"), ["absent.tar"]);
        assert!(names(&format!("{base}c*"), ".tar").is_err());
        assert!(names("https://host/set/", ".tar").unwrap_err().to_string().contains("hint: "));
    }
}
