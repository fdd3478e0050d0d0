//! Reading what is behind any URL.

use std::fs::File;
use std::io::{self, Read, Seek};

use crate::remote::{is_http, parts};
use crate::{Store, connect, http, store};

/// A file that is being read; a connection that breaks is taken up again where it was.
pub struct Reader(Kind);

enum Kind {
    Http(Box<http::Body>),
    Object(Box<store::Body>),
}

/// A file from a byte on.
///
/// # Errors
/// `NotFound` where there is none.
pub fn open(address: &str, from: u64) -> io::Result<Reader> {
    if let Some(public) = public(address, connect::signs()) {
        return Ok(Reader(Kind::Http(Box::new(http::Body::open(&public, from)?))));
    }
    let (scheme, bucket, key) = parts(address)?;
    let bucket = Store::open(&format!("{scheme}://{bucket}"))?;
    Ok(Reader(Kind::Object(Box::new(bucket.read(key, from)?))))
}

/// Where everyone may read a URL, if it is of that kind; `signs` is whether we have
/// credentials for S3.
fn public(address: &str, signs: bool) -> Option<String> {
    if is_http(address) {
        return Some(address.to_owned());
    }
    if !cfg!(feature = "gcs")
        && let Some(object) = address.strip_prefix("gs://")
    {
        return Some(format!("https://storage.googleapis.com/{}", escaped(object)));
    }
    // Common Crawl gives its files to everyone by this name, by S3's only to who has an account.
    let object = address.strip_prefix("s3://commoncrawl/")?;
    (!signs).then(|| format!("https://data.commoncrawl.org/{}", escaped(object)))
}

/// What must not be in the path of a URL, as `%XX`.
fn escaped(key: &str) -> String {
    let mut url = url::Url::parse("https://host/").expect("a plain URL");
    url.set_path(&key.replace('%', "%25"));
    url.path()[1..].to_owned()
}

/// The length of a file in bytes.
pub fn length(address: &str) -> io::Result<u64> {
    let lacks = || io::Error::other("the server does not give the length of the file");
    open(address, 0)?.length().ok_or_else(lacks)
}

/// A file copied to disk, without a name: for formats that are read from both ends.
pub fn copy(address: &str) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut open(address, 0)?, &mut file)?;
    file.rewind()?;
    Ok(file)
}

impl Reader {
    /// The whole file's length, where the server gives it.
    pub fn length(&self) -> Option<u64> {
        match &self.0 {
            Kind::Http(body) => body.length(),
            Kind::Object(body) => Some(body.length),
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Http(body) => body.read(buffer),
            Kind::Object(body) => body.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everyone_may_read_is_asked_for_by_https() {
        let address = public("s3://commoncrawl/crawl-data/x y.wat.gz", false);
        assert_eq!(address.unwrap(), "https://data.commoncrawl.org/crawl-data/x%20y.wat.gz");
        assert_eq!(public("s3://commoncrawl/crawl-data/x y.wat.gz", true), None);
        assert_eq!(public("s3://bucket/a", false), None);
        assert_eq!(public("https://host/a?b=c", true).unwrap(), "https://host/a?b=c");
    }
}
