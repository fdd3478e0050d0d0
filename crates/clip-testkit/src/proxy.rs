//! A forward proxy on loopback (RFC 9110 sections 7.1 and 9.3.6) that writes down what it is asked
//! for. Every name leads to 127.0.0.1, at the port that is asked for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use crate::listen::{copied, listen};

/// Longest head of a request.
const HEAD: u64 = 64 << 10;

/// A running proxy; its threads end with the process.
pub struct ForwardProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ForwardProxy {
    /// Listens on a free port. `authorization` is the `Proxy-Authorization` that it wants, as in
    /// `Basic dTpw`.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start(authorization: Option<&str>) -> std::io::Result<Self> {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (log, wanted) = (asked.clone(), authorization.map(str::to_owned));
        let address = listen(move |client| serve(client, wanted.as_deref(), &log))?;
        Ok(Self { address, asked })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked for and would do, in order: method and target of each request.
    pub fn asked(&self) -> Vec<String> {
        copied(&self.asked)
    }
}

fn serve(client: TcpStream, wanted: Option<&str>, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.by_ref().take(HEAD).read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line.trim_end().is_empty() {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let mut client = client;
    let field = |line: &String, name: &str| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    };
    let shown = head.iter().find_map(|line| field(line, "proxy-authorization"));
    if wanted.is_some() && shown.as_deref() != wanted {
        let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"test\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return client.write_all(answer.as_bytes());
    }
    let words: Vec<&str> = head.first().map_or("", String::as_str).split(' ').collect();
    let [method, target, _] = words[..] else { return Ok(()) };
    log.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{method} {target}"));
    let tunnel = method == "CONNECT";
    let place = if tunnel { target } else { target.split('/').nth(2).unwrap_or_default() };
    let port = place.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(80);
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
        let answer = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return client.write_all(answer.as_bytes());
    };
    if tunnel {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    } else {
        let path = target.splitn(4, '/').nth(3).unwrap_or_default();
        let mut request = format!("{method} /{path} HTTP/1.1\r\n");
        let own = |line: &&String| {
            let name = line.split(':').next().unwrap_or_default().to_lowercase();
            !name.starts_with("proxy-") && name != "connection"
        };
        head[1..].iter().filter(own).for_each(|line| request.extend([line, "\r\n"]));
        request.push_str("Connection: close\r\n\r\n");
        server.write_all(request.as_bytes())?;
    }
    let (mut to_server, mut from_client) = (server.try_clone()?, reader);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    std::io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)
}
