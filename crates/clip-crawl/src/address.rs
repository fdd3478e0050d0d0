//! Which addresses may be asked: names are resolved once, and never to this machine's own network.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

const KEPT: Duration = Duration::from_secs(300);
/// Names in the cache before it is emptied.
const NAMES: usize = 100_000;

/// The name leads to an address that may not be asked.
#[derive(Debug, thiserror::Error)]
#[error("{0} is a private address")]
pub(crate) struct Blocked(pub String);

/// Whether the address belongs to a private, loopback, link-local or otherwise special network.
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
                || ip.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (b == 18 || b == 19))
        }
        IpAddr::V6(ip) => {
            if let Some(v4) = ip.to_ipv4_mapped() {
                return is_private(v4.into());
            }
            let first = ip.segments()[0];
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || (first & 0xfe00) == 0xfc00
                || (first & 0xffc0) == 0xfe80
        }
    }
}

type Cache = Mutex<HashMap<String, (Instant, Vec<SocketAddr>)>>;

/// Resolves names through the system, keeps the answers, and drops private addresses: reqwest connects only
/// to what this gives, so a name cannot change its mind between the check and the connection.
pub(crate) struct Resolver {
    allow_private: bool,
    cache: Arc<Cache>,
}

impl Resolver {
    pub fn new(allow_private: bool) -> Self {
        Self { allow_private, cache: Arc::default() }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (cache, allow_private) = (self.cache.clone(), self.allow_private);
        let name = name.as_str().to_owned();
        Box::pin(async move {
            let found = match cached(&cache, &name) {
                Some(found) => found,
                None => {
                    let found: Vec<SocketAddr> =
                        tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
                    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
                    if cache.len() >= NAMES {
                        cache.clear();
                    }
                    cache.insert(name.clone(), (Instant::now(), found.clone()));
                    found
                }
            };
            let allowed: Vec<SocketAddr> =
                found.into_iter().filter(|a| allow_private || !is_private(a.ip())).collect();
            if allowed.is_empty() {
                return Err(Box::new(Blocked(name)) as Box<dyn std::error::Error + Send + Sync>);
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn cached(cache: &Cache, name: &str) -> Option<Vec<SocketAddr>> {
    let cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    cache.get(name).filter(|(at, _)| at.elapsed() < KEPT).map(|(_, found)| found.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_networks_are_known() {
        for ip in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "224.0.0.1",
        ] {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["93.184.216.34", "172.32.0.1", "2606:2800:220:1::1"] {
            assert!(!is_private(ip.parse().unwrap()), "{ip}");
        }
    }
}
