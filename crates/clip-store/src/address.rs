//! Addresses: which texts are one, and what a pattern names.

use std::io;

use glob::Pattern;

use crate::Store;

/// What object storage is called, beside `http` and `https`.
const OBJECTS: [&str; 4] = ["s3", "gs", "az", "file"];

/// Whether a path is an address: whatever has a scheme of ours. `file:///…` is one only where a
/// store is asked for.
pub fn is_remote(path: &str) -> bool {
    ["http://", "https://", "s3://", "gs://", "az://"].iter().any(|scheme| path.starts_with(scheme))
}

/// The addresses that one with `*`, `?` or `[…]` names, or, for one that ends in `/`, the objects
/// below it whose name ends so; any other address is given back as it is.
///
/// # Errors
/// When what is behind it cannot be listed (`https`), or when nothing matches.
pub fn names(address: &str, ending: &str) -> io::Result<Vec<String>> {
    let pattern = if address.ends_with('/') {
        format!("{}*{ending}", Pattern::escape(address))
    } else if is_http(address) || !address.contains(['*', '?', '[']) {
        return Ok(vec![address.to_owned()]);
    } else {
        address.to_owned()
    };
    if is_http(address) {
        let hint = "hint: name the files, as in {00000..00041}.tar";
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("https cannot be listed\n{hint}"),
        ));
    }
    let plain = &address[..address.find(['*', '?', '[']).unwrap_or(address.len())];
    let folder = &plain[..plain.rfind('/').map_or(0, |slash| slash + 1)];
    let bad = |e: glob::PatternError| io::Error::new(io::ErrorKind::InvalidInput, e);
    let pattern = Pattern::new(&pattern).map_err(bad)?;
    // `*` stays in its folder, as it does for files.
    let options = glob::MatchOptions { require_literal_separator: true, ..Default::default() };
    let found = Store::open(folder)?.list()?;
    let found = found.into_iter().map(|(key, _)| format!("{folder}{key}"));
    let mut found: Vec<String> =
        found.filter(|address| pattern.matches_with(address, options)).collect();
    found.sort();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "nothing there matches"));
    }
    Ok(found)
}

pub(crate) fn is_http(address: &str) -> bool {
    address.starts_with("http://") || address.starts_with("https://")
}

/// Scheme, bucket (the whole folder for `file`) and key.
pub(crate) fn parts(address: &str) -> io::Result<(&str, &str, &str)> {
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why.to_owned());
    let (scheme, rest) = address.split_once("://").ok_or_else(|| bad("this is no address"))?;
    if !OBJECTS.contains(&scheme) {
        return Err(bad("object storage is s3://, gs://, az:// or file://"));
    }
    if scheme == "file" {
        return Ok((scheme, rest, ""));
    }
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() { Err(bad("it names no bucket")) } else { Ok((scheme, bucket, key)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_a_bucket_and_a_key() {
        assert_eq!(parts("s3://bucket/a/b").unwrap(), ("s3", "bucket", "a/b"));
        assert_eq!(parts("s3://bucket").unwrap(), ("s3", "bucket", ""));
        assert_eq!(parts("file:///folder/a").unwrap(), ("file", "/folder/a", ""));
        for bad in ["s3:///key", "ftp://host/file", "folder/file"] {
            assert!(parts(bad).is_err(), "{bad}");
        }
        assert!(is_remote("s3://bucket/a") && !is_remote("/folder/a") && !is_remote("folder:a"));
    }

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
