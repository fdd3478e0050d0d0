//! What this machine says about names: `/etc/resolv.conf` and `/etc/hosts`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The port of name servers.
const PORT: u16 = 53;

/// `/etc/resolv.conf`: who is asked, and what follows a name without a dot.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ResolvConf {
    pub servers: Vec<SocketAddr>,
    pub search: Vec<String>,
}

impl ResolvConf {
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    conf.servers.extend(address.map(|ip| SocketAddr::new(ip, PORT)));
                }
                // The last one counts (resolv.conf(5)).
                Some("search" | "domain") => conf.search = words.map(str::to_owned).collect(),
                _ => {}
            }
        }
        conf
    }
}

/// `/etc/hosts`, and the names that never are any server's business (RFC 6761).
#[derive(Debug, Default)]
pub(super) struct HostsFile {
    names: HashMap<String, Vec<IpAddr>>,
}

impl HostsFile {
    pub fn parse(text: &str) -> Self {
        let mut names: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let Some(ip) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else {
                continue;
            };
            for name in words {
                let addresses = names.entry(name.to_ascii_lowercase()).or_default();
                if !addresses.contains(&ip) {
                    addresses.push(ip);
                }
            }
        }
        Self { names }
    }

    /// The addresses of a name in lower case, which may be none; nothing where a server must be
    /// asked.
    pub fn get(&self, name: &str) -> Option<Vec<IpAddr>> {
        if let Some(addresses) = self.names.get(name) {
            return Some(addresses.clone());
        }
        let under = |top: &str| {
            name.strip_suffix(top).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        if under("localhost") {
            return Some(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        under("invalid").then(Vec::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_search_domains_are_read() {
        let text = "# x\nsearch old.example\nnameserver 10.0.0.2\nnameserver 2001:db8::1\n\
                    nameserver what\ndomain a.example b.example\noptions ndots:5\n";
        let conf = ResolvConf::parse(text);
        let servers = ["10.0.0.2:53", "[2001:db8::1]:53"].map(|text| text.parse().unwrap());
        assert_eq!(
            (conf.servers, conf.search),
            (servers.into(), vec!["a.example".into(), "b.example".into()])
        );
    }

    #[test]
    fn own_names_are_known_without_a_server() {
        let hosts =
            HostsFile::parse("10.1.1.1 A.example b # c.example\n10.1.1.2 b\n::1 b\nbad line\n");
        let get = |name: &str| {
            let found = hosts.get(name)?;
            Some(found.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(get("a.example").unwrap(), ["10.1.1.1"]);
        assert_eq!(get("b").unwrap(), ["10.1.1.1", "10.1.1.2", "::1"]);
        assert_eq!(get("c.example"), None);
        assert_eq!(get("localhost").unwrap(), ["127.0.0.1", "::1"]);
        assert_eq!(get("x.localhost").unwrap().len(), 2);
        assert_eq!(get("xlocalhost"), None);
        assert!(get("no-such-host.invalid").unwrap().is_empty());
    }
}
