//! Which addresses may be asked: none of this machine's own network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether the address belongs to a private, loopback, link-local or otherwise special network:
/// those that the IANA special-purpose registries (RFC 6890) do not call globally reachable, and a
/// cloud's own service.
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => is_private_v6(ip),
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
        // Azure's virtual machines ask their host at this public address.
        || ip == Ipv4Addr::new(168, 63, 129, 16)
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    let [first, second, third, ..] = ip.segments();
    embedded_v4(ip).is_some_and(is_private_v4)
        || ip.is_multicast()
        // `::/96` holds `::`, `::1` and IPv4-compatible addresses.
        || ip.segments()[..6] == [0; 6]
        // NAT64 for local use, discard-only.
        || (first == 0x64 && second == 0xff9b && third == 1)
        || (first == 0x100 && second == 0)
        // Protocol assignments, among them Teredo, which carries an IPv4 address twice;
        // documentation.
        || (first == 0x2001 && second < 0x200)
        || (first == 0x2001 && second == 0xdb8)
        || (first == 0x3fff && second < 0x1000)
        // Segment routing, unique local, link-local, and site-local, which is deprecated.
        || first == 0x5f00
        || (first & 0xfe00) == 0xfc00
        || (first & 0xff80) == 0xfe80
}

/// The IPv4 address that an IPv6 address leads to through a translator: mapped (`::ffff:0:0/96`),
/// translated (`::ffff:0:0:0/96`), NAT64 (`64:ff9b::/96`), 6to4 (`2002::/16`).
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let ([0, 0, 0, 0, 0, 0xffff, high, low]
    | [0, 0, 0, 0, 0xffff, 0, high, low]
    | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
    | [0x2002, high, low, ..]) = ip.segments()
    else {
        return None;
    };
    Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
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
            "::7f00:1",
            "::a9fe:a9fe",
            "::ffff:0:127.0.0.1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:db8::1",
            "64:ff9b:1::a00:1",
            "fec0::1",
            "100::1",
            "192.0.0.192",
            "192.88.99.1",
            "168.63.129.16",
            "255.255.255.255",
        ] {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "93.184.216.34",
            "172.32.0.1",
            "192.0.1.1",
            "168.63.129.17",
            "2606:2800:220:1::1",
            "2001:4860:4860::8888",
            "2002:5db8:d822::1",
            "64:ff9b::5db8:d822",
            "::ffff:93.184.216.34",
        ] {
            assert!(!is_private(ip.parse().unwrap()), "{ip}");
        }
    }
}
