//! A SOCKS proxy on loopback (RFC 1928, RFC 1929) that writes down what it is asked for. Every
//! address and name leads to 127.0.0.1, at the port that is asked for.

use std::io::{Error, Read, Result, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use crate::listen::{copied, listen};

const VERSION: u8 = 5;
const BY_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;

/// A running proxy; its threads end with the process.
pub struct SocksProxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl SocksProxy {
    /// Listens on a free port; `user` is the name and the password that it wants.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start(user: Option<(&'static str, &'static str)>) -> Result<Self> {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let log = asked.clone();
        let address = listen(move |client| serve(client, user, &log))?;
        Ok(Self { address, asked })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked to connect to, in order: a name or an address, and a port.
    pub fn asked(&self) -> Vec<String> {
        copied(&self.asked)
    }
}

fn read<const N: usize>(client: &mut TcpStream) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Bytes behind their number.
fn counted(client: &mut TcpStream) -> Result<Vec<u8>> {
    let [count] = read(client)?;
    let mut bytes = vec![0; usize::from(count)];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn serve(
    mut client: TcpStream,
    user: Option<(&str, &str)>,
    log: &Mutex<Vec<String>>,
) -> Result<()> {
    let [_version] = read(&mut client)?;
    let methods = counted(&mut client)?;
    let method = if user.is_some() { BY_PASSWORD } else { 0 };
    if !methods.contains(&method) {
        return client.write_all(&[VERSION, NO_METHOD]);
    }
    client.write_all(&[VERSION, method])?;
    if let Some((name, password)) = user {
        let [_version] = read(&mut client)?;
        let shown = (counted(&mut client)?, counted(&mut client)?);
        let right = shown == (name.as_bytes().to_vec(), password.as_bytes().to_vec());
        client.write_all(&[1, u8::from(!right)])?;
        if !right {
            return client.shutdown(Shutdown::Both);
        }
    }
    let [_version, _command, _reserved, kind] = read(&mut client)?;
    let host = match kind {
        1 => Ipv4Addr::from(read::<4>(&mut client)?).to_string(),
        3 => String::from_utf8_lossy(&counted(&mut client)?).into_owned(),
        4 => format!("[{}]", Ipv6Addr::from(read::<16>(&mut client)?)),
        _ => return Err(Error::other("an unknown kind of address")),
    };
    let port = u16::from_be_bytes(read(&mut client)?);
    log.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{host}:{port}"));
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    let refused = u8::from(server.is_err()) * 5;
    client.write_all(&[VERSION, refused, 0, 1, 0, 0, 0, 0, 0, 0])?;
    let mut server = server?;
    let (mut to_server, mut from_client) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    std::io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)
}
