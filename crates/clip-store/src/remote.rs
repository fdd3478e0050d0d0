//! URLs of remote files, and their parts.

use std::io;

/// What object storage is called, beside `http` and `https`.
const OBJECTS: [&str; 4] = ["s3", "gs", "az", "file"];

/// Whether a path is a URL with a scheme of ours. `file:///…` is one only where a store is asked
/// for.
pub fn is_remote(path: &str) -> bool {
    ["http://", "https://", "s3://", "gs://", "az://"].iter().any(|scheme| path.starts_with(scheme))
}

pub(crate) fn is_http(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

/// Scheme, bucket (the whole folder for `file`) and key.
pub(crate) fn parts(url: &str) -> io::Result<(&str, &str, &str)> {
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why.to_owned());
    let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("this is no URL"))?;
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
    fn a_url_is_a_scheme_a_bucket_and_a_key() {
        assert_eq!(parts("s3://bucket/a/b").unwrap(), ("s3", "bucket", "a/b"));
        assert_eq!(parts("s3://bucket").unwrap(), ("s3", "bucket", ""));
        assert_eq!(parts("file:///folder/a").unwrap(), ("file", "/folder/a", ""));
        for bad in ["s3:///key", "ftp://host/file", "folder/file"] {
            assert!(parts(bad).is_err(), "{bad}");
        }
        assert!(is_remote("s3://bucket/a") && !is_remote("/folder/a") && !is_remote("folder:a"));
    }
}
