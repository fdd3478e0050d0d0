//! Files behind `https://`, `s3://` and `gs://`, read as streams that pick up where a connection broke.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use clip_pipeline::{Error, Result};
use reqwest::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use url::Url;

use crate::fetch::runtime;
use crate::s3;

/// Times that a broken connection is taken up again without a byte in between.
const TRIES: u32 = 5;

/// Whether a path is an address.
pub(crate) fn is_remote(path: &str) -> bool {
    ["http://", "https://", "s3://", "gs://"].iter().any(|scheme| path.starts_with(scheme))
}

/// A file from a byte on.
pub(crate) fn open(path: &str, from: u64) -> Result<Remote> {
    let mut remote = Remote {
        place: path.to_owned(),
        at: from,
        length: None,
        tag: None,
        response: None,
        chunk: bytes::Bytes::new(),
    };
    remote.connect().map_err(|e| Error::io(Path::new(path), e))?;
    Ok(remote)
}

/// The length of a file in bytes.
pub(crate) fn length(path: &str) -> Result<u64> {
    let lacks = || io::Error::other("the server does not tell the length of the file");
    open(path, 0)?.length().ok_or_else(|| Error::io(Path::new(path), lacks()))
}

/// A file copied to disk, without a name: for formats that are read from both ends.
pub(crate) fn copy(path: &str) -> Result<File> {
    let io = |e| Error::io(Path::new(path), e);
    let mut file = tempfile::tempfile().map_err(io)?;
    io::copy(&mut open(path, 0)?, &mut file).map_err(io)?;
    file.rewind().map_err(io)?;
    Ok(file)
}

/// A file that is being read.
pub(crate) struct Remote {
    place: String,
    at: u64,
    length: Option<u64>,
    tag: Option<String>,
    response: Option<Response>,
    chunk: bytes::Bytes,
}

fn http() -> io::Result<&'static reqwest::Client> {
    static HTTP: OnceLock<std::result::Result<reqwest::Client, String>> = OnceLock::new();
    let make = || {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .user_agent(concat!("clip-data/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(20))
            .read_timeout(Duration::from_secs(60))
            // Compressed lists and archives are unpacked here, by their content.
            .no_gzip()
            .no_brotli()
            .build()
            .map_err(|e| e.to_string())
    };
    HTTP.get_or_init(make).as_ref().map_err(|e| io::Error::other(e.clone()))
}

/// Where an address is asked, and with which headers.
fn request(place: &str) -> io::Result<(Url, Vec<(String, String)>)> {
    let bad = |e: String| io::Error::new(io::ErrorKind::InvalidInput, e);
    if let Some(object) = place.strip_prefix("s3://") {
        return s3::request(object, &s3::Access::from_environment()).map_err(bad);
    }
    let address = match place.strip_prefix("gs://") {
        Some(object) => format!("https://storage.googleapis.com/{object}"),
        None => place.to_owned(),
    };
    Ok((Url::parse(&address).map_err(|e| bad(e.to_string()))?, Vec::new()))
}

impl Remote {
    /// The whole file's length, where the server tells it.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    fn connect(&mut self) -> io::Result<()> {
        let (url, headers) = request(&self.place)?;
        let mut request = http()?.get(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if self.at > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.at));
            // Another file under the same name must not be sewn to the first half of this one.
            if let Some(tag) = &self.tag {
                request = request.header(IF_RANGE, tag.as_str());
            }
        }
        let runtime = runtime().map_err(|e| io::Error::other(e.to_string()))?;
        let response = runtime.block_on(async { request.send().await }).map_err(told)?;
        let status = response.status();
        if status == StatusCode::RANGE_NOT_SATISFIABLE {
            self.length = Some(self.at);
            return Ok(());
        }
        if !status.is_success() {
            let kind = match status {
                StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => io::ErrorKind::NotFound,
                _ => io::ErrorKind::Other,
            };
            return Err(io::Error::new(kind, format!("HTTP status {status}")));
        }
        if self.at > 0 && status != StatusCode::PARTIAL_CONTENT {
            let why = "the server gives no part of the file, or the file changed while it was read";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let header = |name| response.headers().get(name)?.to_str().ok();
        let whole = header(CONTENT_RANGE).and_then(|range| range.rsplit('/').next()?.parse().ok());
        self.length = whole.or_else(|| Some(response.content_length()? + self.at));
        // Weak tags say nothing about bytes.
        self.tag = header(ETAG).filter(|tag| !tag.starts_with("W/")).map(str::to_owned);
        self.response = Some(response);
        Ok(())
    }

    /// The next bytes; none at the end.
    fn fill(&mut self) -> io::Result<()> {
        let mut tries = 0;
        loop {
            let fault = match &mut self.response {
                None => return Ok(()),
                Some(response) => {
                    let runtime = runtime().map_err(|e| io::Error::other(e.to_string()))?;
                    match runtime.block_on(response.chunk()) {
                        Ok(Some(chunk)) if chunk.is_empty() => continue,
                        Ok(Some(chunk)) => {
                            self.at += chunk.len() as u64;
                            self.chunk = chunk;
                            return Ok(());
                        }
                        Ok(None) if self.length.is_none_or(|length| self.at >= length) => {
                            self.response = None;
                            return Ok(());
                        }
                        Ok(None) => io::Error::from(io::ErrorKind::UnexpectedEof),
                        Err(e) => told(e),
                    }
                }
            };
            loop {
                if tries == TRIES {
                    return Err(fault);
                }
                std::thread::sleep(Duration::from_millis(200 << tries));
                tries += 1;
                match self.connect() {
                    Ok(()) => break,
                    Err(e) if e.kind() == io::ErrorKind::InvalidData => return Err(e),
                    Err(_) => {}
                }
            }
        }
    }
}

/// The deepest reason: reqwest's own words only say that there is one.
fn told(error: reqwest::Error) -> io::Error {
    let mut deepest: &dyn std::error::Error = &error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    io::Error::other(deepest.to_string())
}

impl Read for Remote {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            self.fill()?;
        }
        let length = buffer.len().min(self.chunk.len());
        buffer[..length].copy_from_slice(&self.chunk.split_to(length));
        Ok(length)
    }
}

/// A file here or behind an address, as bytes.
pub(crate) fn reader(path: &Path) -> Result<BufReader<Box<dyn Read + Send>>> {
    let text = path.to_string_lossy();
    let bytes: Box<dyn Read + Send> = if is_remote(&text) {
        Box::new(open(&text, 0)?)
    } else {
        Box::new(File::open(path).map_err(|e| Error::io(path, e))?)
    };
    Ok(BufReader::with_capacity(1 << 18, bytes))
}
