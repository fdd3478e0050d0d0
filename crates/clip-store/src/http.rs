//! Files behind `https://`, read as streams that pick up where a connection broke.

use std::io::{self, Read};
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode};

use crate::runtime::wait;

/// Times that a broken connection is taken up again without a byte in between.
const TRIES: u32 = 5;

/// A file that is being read.
pub(crate) struct Body {
    url: String,
    at: u64,
    length: Option<u64>,
    tag: Option<String>,
    response: Option<Response>,
    chunk: bytes::Bytes,
}

/// Chooses who does the cryptography of TLS, once.
pub(crate) fn provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn http() -> io::Result<&'static reqwest::Client> {
    static HTTP: OnceLock<std::result::Result<reqwest::Client, String>> = OnceLock::new();
    let make = || {
        provider();
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

impl Body {
    /// The file from a byte on.
    pub(crate) fn open(url: &str, from: u64) -> io::Result<Self> {
        let (url, chunk) = (url.to_owned(), bytes::Bytes::new());
        let mut body = Self { url, at: from, length: None, tag: None, response: None, chunk };
        body.connect()?;
        Ok(body)
    }

    /// The whole file's length, where the server gives it.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    fn connect(&mut self) -> io::Result<()> {
        let mut request = http()?.get(&self.url);
        if self.at > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.at));
            // Another file under the same name must not be sewn to the first half of this one.
            if let Some(tag) = &self.tag {
                request = request.header(IF_RANGE, tag.as_str());
            }
        }
        let response = wait(async { request.send().await })?.map_err(io_error)?;
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
                Some(response) => match wait(response.chunk())? {
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
                    Err(e) => io_error(e),
                },
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
fn io_error(error: reqwest::Error) -> io::Error {
    let mut deepest: &dyn std::error::Error = &error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    io::Error::other(deepest.to_string())
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            self.fill()?;
        }
        let length = buffer.len().min(self.chunk.len());
        buffer[..length].copy_from_slice(&self.chunk.split_to(length));
        Ok(length)
    }
}
