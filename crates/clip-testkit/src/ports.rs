//! Where processes listen, as `ss -ltnp` shows it.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use anyhow::Context;

/// The state of a socket that listens, in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Every address and port that a process listens on, sorted.
///
/// # Errors
/// When it is gone, or another user's.
pub fn listening(process: u32) -> anyhow::Result<Vec<SocketAddr>> {
    let mut inodes = HashSet::new();
    for entry in std::fs::read_dir(format!("/proc/{process}/fd"))? {
        // One that was closed meanwhile.
        let Ok(link) = std::fs::read_link(entry?.path()) else { continue };
        let link = link.to_string_lossy().into_owned();
        let inode = link.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inodes.extend(inode.map(str::to_owned));
    }
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let Ok(text) = std::fs::read_to_string(format!("/proc/{process}/net/{table}")) else {
            continue;
        };
        for line in text.lines().skip(1) {
            let columns: Vec<&str> = line.split_whitespace().collect();
            if columns.len() > 9 && columns[3] == LISTEN && inodes.contains(columns[9]) {
                found.push(local(columns[1]).with_context(|| line.to_owned())?);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// `0100007F:C350` is 127.0.0.1:50000: words of four bytes, each as the machine keeps it.
fn local(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let words = (0..address.len() / 8).map(|at| address.get(8 * at..8 * at + 8));
    let words: Option<Vec<u32>> = words.map(|w| u32::from_str_radix(w?, 16).ok()).collect();
    let bytes: Vec<u8> = words?.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let address = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::from(four),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?),
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_process_listens_where_it_does() {
        let one = TcpListener::bind("127.0.0.1:0").unwrap();
        let all = TcpListener::bind("0.0.0.0:0").unwrap();
        let found = listening(std::process::id()).unwrap();
        assert!(found.contains(&one.local_addr().unwrap()), "{found:?}");
        assert!(found.contains(&all.local_addr().unwrap()), "{found:?}");
        let closed = one.local_addr().unwrap();
        drop(one);
        assert!(!listening(std::process::id()).unwrap().contains(&closed));
        let six = "00000000000000000000000001000000:0050";
        assert_eq!(local(six), Some("[::1]:80".parse().unwrap()));
    }
}
