//! Which addresses may be asked: names are resolved once, and never to this machine's own network.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::OnceCell;

/// How long an address, or the lack of one, is believed.
const KEPT: Duration = Duration::from_mins(5);
const FAULT_KEPT: Duration = Duration::from_secs(30);
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
            let [first, second, .., a, b] = ip.segments();
            // NAT64 carries an IPv4 address in its end, 6to4 one behind its prefix.
            let inner = |high: u16, low: u16| {
                is_private(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)).into())
            };
            if first == 0x64 && second == 0xff9b && inner(a, b) {
                return true;
            }
            if first == 0x2002 && inner(second, ip.segments()[2]) {
                return true;
            }
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || (first & 0xfe00) == 0xfc00
                || (first & 0xffc0) == 0xfe80
        }
    }
}

/// The name has no address.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unknown(String);

type Answer = Result<Vec<SocketAddr>, String>;
type Slot = Arc<OnceCell<(Instant, Answer)>>;

/// Resolves names through the system, once for all who ask at the same time, keeps the answers, and drops
/// private addresses: reqwest connects only to what this gives, so a name cannot change its mind between the
/// check and the connection.
pub(crate) struct Resolver {
    allow_private: bool,
    cache: Arc<Mutex<HashMap<String, Slot>>>,
}

impl Resolver {
    pub fn new(allow_private: bool) -> Self {
        Self { allow_private, cache: Arc::default() }
    }

    fn slot(&self, name: &str) -> Slot {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let old = |(at, answer): &(Instant, Answer)| {
            at.elapsed() > if answer.is_ok() { KEPT } else { FAULT_KEPT }
        };
        if cache.len() >= NAMES || cache.get(name).is_some_and(|slot| slot.get().is_some_and(old)) {
            // A full cache is emptied: dearer once, but never larger.
            if cache.len() >= NAMES {
                cache.clear();
            }
            cache.remove(name);
        }
        cache.entry(name.to_owned()).or_default().clone()
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (slot, allow_private) = (self.slot(name.as_str()), self.allow_private);
        let name = name.as_str().to_owned();
        Box::pin(async move {
            let look_up = || async {
                let found = tokio::net::lookup_host((name.as_str(), 0)).await;
                (Instant::now(), found.map(Iterator::collect).map_err(|e| e.to_string()))
            };
            let found = match &slot.get_or_init(look_up).await.1 {
                Ok(found) => found.clone(),
                Err(message) => return Err(Unknown(message.clone()).into()),
            };
            let allowed: Vec<SocketAddr> =
                found.into_iter().filter(|a| allow_private || !is_private(a.ip())).collect();
            if allowed.is_empty() {
                return Err(Blocked(name).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
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
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
        ] {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["93.184.216.34", "172.32.0.1", "2606:2800:220:1::1"] {
            assert!(!is_private(ip.parse().unwrap()), "{ip}");
        }
    }
}
