//! A site of one image over TLS on loopback, as `photos.test`.

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::listen::{copied, listen};

/// `scripts/golden/certificates` makes them.
const CERTIFICATE: &[u8] = include_bytes!("../testdata/tls/server.pem");
const KEY: &[u8] = include_bytes!("../testdata/tls/server.key");

/// Longest line of a request.
const LINE: u64 = 8 << 10;

/// The certificate of the authority that signed the site's own.
pub fn authority() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/tls/ca.pem")
}

/// A running site; its threads end with the process.
pub struct TlsSite {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl TlsSite {
    /// Answers every request with `image`.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start(image: Vec<u8>) -> anyhow::Result<Self> {
        let chain = CertificateDer::pem_slice_iter(CERTIFICATE)
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(KEY)?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        let (config, image) = (Arc::new(config), Arc::new(image));
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let log = asked.clone();
        let address = listen(move |client| {
            let tls = ServerConnection::new(config.clone()).map_err(std::io::Error::other)?;
            serve(StreamOwned::new(tls, client), &image, &log)
        })?;
        Ok(Self { address, asked })
    }

    /// The URL of a path, by the name of its certificate or another.
    pub fn url(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.address.port())
    }

    /// The paths that it was asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        copied(&self.asked)
    }
}

fn serve(
    stream: StreamOwned<ServerConnection, TcpStream>,
    image: &[u8],
    log: &Mutex<Vec<String>>,
) -> Result<()> {
    let (mut reader, mut path) = (BufReader::new(stream), None);
    loop {
        let mut line = String::new();
        if reader.by_ref().take(LINE).read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line.trim_end().is_empty() {
            break;
        }
        path = path.or_else(|| line.split(' ').nth(1).map(str::to_owned));
    }
    log.lock().unwrap_or_else(PoisonError::into_inner).extend(path);
    let mut stream = reader.into_inner();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        image.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(image)?;
    stream.conn.send_close_notify();
    stream.flush()
}
