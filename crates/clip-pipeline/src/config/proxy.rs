//! Which proxy a request goes through: `[fetch] proxy`, or what the environment says.

use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;
use url::{Host, Url};

/// `[fetch] proxy`: a proxy's URL, or `none`. The URL may hold a password: it is never serialized
/// with the settings, and printed without it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct ProxySetting(String);

impl ProxySetting {
    /// As it is written in settings and on command lines.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for ProxySetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", without_user(&self.0))
    }
}

/// The proxies of a process, by the scheme of what is asked for.
#[derive(Clone, Default)]
pub struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    /// Hosts that are asked directly; `None` where a setting sends all requests to its proxy.
    direct: Option<DirectHosts>,
}

impl Proxies {
    /// What the setting says; without one, what the variables `http_proxy`, `https_proxy`,
    /// `all_proxy` and `no_proxy` say, each also in capitals. `variable` reads one of them.
    ///
    /// # Errors
    /// In words and without user or password, for what is no proxy.
    pub fn new(
        setting: Option<&ProxySetting>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        if let Some(ProxySetting(text)) = setting {
            let proxy = (text != "none").then(|| proxy_url("proxy", text)).transpose()?;
            return Ok(Self { http: proxy.clone(), https: proxy, direct: None });
        }
        let read = |name: &str| {
            // To a CGI program, HTTP_PROXY is a header that its client sent.
            let forged = name == "http_proxy" && variable("REQUEST_METHOD").is_some();
            let capitals = name.to_uppercase();
            let value = variable(name).map(|value| (name.to_owned(), value));
            value
                .or_else(|| Some((capitals.clone(), variable(&capitals).filter(|_| !forged)?)))
                .filter(|(_, value)| !value.trim().is_empty())
        };
        let proxy = |name: &str| {
            let found = read(name).or_else(|| read("all_proxy"));
            found.map(|(name, value)| proxy_url(&name, &value)).transpose()
        };
        let direct = read("no_proxy").map(|(_, value)| DirectHosts::new(&value));
        Ok(Self {
            http: proxy("http_proxy")?,
            https: proxy("https_proxy")?,
            direct: Some(direct.unwrap_or_default()),
        })
    }

    /// Whether every request goes directly.
    pub fn is_empty(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }

    /// The hosts of the proxies.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.http.iter().chain(&self.https).filter_map(|proxy| proxy.host_str())
    }

    /// The proxy that a URL is asked through.
    pub fn of_url(&self, url: &Url) -> Option<&Url> {
        let proxy = if url.scheme() == "https" { self.https.as_ref() } else { self.http.as_ref() };
        proxy.filter(|_| !self.direct.as_ref().is_some_and(|direct| direct.has(url)))
    }
}

/// Whether a proxy is given addresses that were looked up here, not names.
pub fn gets_addresses(proxy: &Url) -> bool {
    proxy.scheme() == "socks5"
}

/// The port of SOCKS proxies (RFC 1928), where none is named.
const SOCKS_PORT: u16 = 1080;

/// The URL of a proxy; without a scheme, it is asked over http.
fn proxy_url(name: &str, text: &str) -> Result<Url, String> {
    let hint = "hint: http://HOST:PORT, https://HOST:PORT, socks5://HOST:PORT or socks5h://HOST:PORT, with USER:PASSWORD@ before HOST where it asks for them";
    let shown = without_user(text);
    let text = text.trim();
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let mut url = Url::parse(&with_scheme)
        .map_err(|e| format!("`{name}`: {shown:?} is no URL of a proxy: {e}\n{hint}"))?;
    match url.scheme() {
        "http" | "https" | "socks5" | "socks5h" => {}
        "socks4" | "socks4a" => {
            return Err(format!(
                "`{name}`: {shown:?}: of SOCKS, version 5 alone is spoken\n{hint}"
            ));
        }
        scheme => {
            return Err(format!("`{name}`: {shown:?}: no proxy has the scheme {scheme}\n{hint}"));
        }
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(format!("`{name}`: {shown:?} names no host\n{hint}"));
    }
    if !["", "/"].contains(&url.path()) || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("`{name}`: {shown:?} has more than host and port\n{hint}"));
    }
    if url.scheme().starts_with("socks") && url.port().is_none() {
        let set = url.set_port(Some(SOCKS_PORT));
        set.map_err(|()| format!("`{name}`: {shown:?} has no port\n{hint}"))?;
    }
    Ok(url)
}

/// The text without what is before the last `@`: also of what is no URL.
fn without_user(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or((None, text), |(s, rest)| (Some(s), rest));
    let host = rest.rsplit_once('@').map_or(rest.to_owned(), |(_, host)| format!("***@{host}"));
    scheme.map_or_else(|| host.clone(), |scheme| format!("{scheme}://{host}"))
}

/// What `no_proxy` names. Loopback is always among it, as curl's users write it and Go has it.
#[derive(Clone, Default)]
struct DirectHosts(Vec<DirectHost>);

#[derive(Clone)]
enum DirectHost {
    All,
    /// A network: an address and its leading bits.
    Network(IpAddr, u32),
    /// A name and all names below it, perhaps at one port only.
    Name(String, Option<u16>),
}

impl DirectHosts {
    fn new(text: &str) -> Self {
        let entries = text.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
        Self(entries.map(DirectHost::new).collect())
    }

    fn has(&self, url: &Url) -> bool {
        let (ip, name) = match url.host() {
            Some(Host::Ipv4(ip)) => (Some(IpAddr::V4(ip)), ip.to_string()),
            Some(Host::Ipv6(ip)) => (Some(IpAddr::V6(ip)), ip.to_string()),
            Some(Host::Domain(name)) => (None, name.trim_end_matches('.').to_lowercase()),
            None => return false,
        };
        let loopback = ip.map_or_else(
            || name == "localhost" || name.ends_with(".localhost"),
            |ip| ip.is_loopback(),
        );
        loopback || self.0.iter().any(|entry| entry.has(ip, &name, url.port_or_known_default()))
    }
}

impl DirectHost {
    fn new(entry: &str) -> Self {
        if entry == "*" {
            return Self::All;
        }
        let bare = entry.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse() {
            return Self::Network(ip, 128);
        }
        if let Some((ip, bits)) = entry.split_once('/')
            && let (Ok(ip), Ok(bits)) = (ip.parse(), bits.parse())
        {
            return Self::Network(ip, bits);
        }
        let (name, port) = match entry.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
            Some((name, Ok(port))) => (name, Some(port)),
            _ => (entry, None),
        };
        let name = name.trim_start_matches('*').trim_matches('.').to_lowercase();
        Self::Name(name, port)
    }

    fn has(&self, ip: Option<IpAddr>, name: &str, port: Option<u16>) -> bool {
        match self {
            Self::All => true,
            Self::Network(network, bits) => ip.is_some_and(|ip| within(ip, *network, *bits)),
            Self::Name(own, only) => {
                let below = name.strip_suffix(own.as_str()).is_some_and(|before| {
                    before.is_empty() || (before.ends_with('.') && ip.is_none())
                });
                below && (only.is_none() || *only == port)
            }
        }
    }
}

/// Whether the first bits of two addresses are the same.
fn within(ip: IpAddr, network: IpAddr, bits: u32) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        let rest = width - bits.min(width);
        rest == width || (a ^ b) >> rest == 0
    };
    match (ip, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(setting: Option<&str>, variables: &[(&str, &str)]) -> Result<Proxies, String> {
        let read = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Proxies::new(setting.map(ProxySetting::new).as_ref(), read)
    }

    fn through(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.of_url(&Url::parse(url).unwrap()).map(|url| url.host_str().unwrap().to_owned())
    }

    #[test]
    fn a_setting_wins_over_the_environment_and_small_letters_over_capitals() {
        let all = [
            ("HTTP_PROXY", "http://capitals:1"),
            ("http_proxy", "small:3128"),
            ("ALL_PROXY", "http://all:1"),
            ("NO_PROXY", "example.org"),
        ];
        let environment = proxies(None, &all).unwrap();
        assert_eq!(through(&environment, "http://a.com/").as_deref(), Some("small"));
        assert_eq!(through(&environment, "https://a.com/").as_deref(), Some("all"));
        assert_eq!(through(&environment, "http://www.example.org/"), None);
        let setting = proxies(Some("http://own:8080"), &all).unwrap();
        assert_eq!(through(&setting, "http://www.example.org/").as_deref(), Some("own"));
        assert_eq!(through(&setting, "https://127.0.0.1/").as_deref(), Some("own"));
        assert!(proxies(Some("none"), &all).unwrap().is_empty());
        assert!(proxies(None, &[("https_proxy", " ")]).unwrap().is_empty());
        let cgi = [("HTTP_PROXY", "http://forged:1"), ("REQUEST_METHOD", "GET")];
        assert!(proxies(None, &cgi).unwrap().is_empty());
    }

    #[test]
    fn socks_proxies_have_their_own_port() {
        for (text, port, addresses) in [
            ("socks5://u:p@own", Some(1080), true),
            ("socks5h://own:9050", Some(9050), false),
            ("http://own:3128", Some(3128), false),
        ] {
            let proxies = proxies(Some(text), &[]).unwrap();
            assert_eq!(proxies.hosts().collect::<Vec<_>>(), ["own"; 2]);
            let proxy = proxies.of_url(&Url::parse("https://a.com/").unwrap()).unwrap();
            assert_eq!((proxy.port(), gets_addresses(proxy)), (port, addresses), "{text}");
        }
    }

    #[test]
    fn no_proxy_names_hosts_networks_and_ports() {
        let direct = "example.org,.b.net, *.c.net,10.0.0.0/8,[2001:db8::1],d.net:8080,192.0.2.7";
        let proxies = proxies(None, &[("all_proxy", "http://p:1"), ("no_proxy", direct)]).unwrap();
        for (url, direct) in [
            ("http://example.org/", true),
            ("http://www.EXAMPLE.org./", true),
            ("http://notexample.org/", false),
            ("http://x.b.net/", true),
            ("http://x.c.net/", true),
            ("http://10.1.2.3/", true),
            ("http://11.1.2.3/", false),
            ("http://[2001:db8::1]/", true),
            ("http://[2001:db8::2]/", false),
            ("http://d.net/", false),
            ("http://d.net:8080/", true),
            ("http://192.0.2.7/", true),
            ("http://1.192.0.2.7.example/", false),
            ("http://localhost:8000/", true),
            ("http://[::1]/", true),
            ("http://127.0.0.1/", true),
        ] {
            assert_eq!(through(&proxies, url).is_none(), direct, "{url}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_its_password() {
        for bad in [
            "",
            "http://",
            "http://u:secret@",
            "ftp://u:secret@host:1",
            "socks4://u:secret@host:1080",
            "socks5://u:secret@host:1080/path",
            "socks5://u:secret@:1080",
            "http://u:secret@host:1/path",
            "http://u:secret@host:port",
            "u:secret@ho st:1",
            "http://u:se@cret@host:1?x",
        ] {
            let error = proxies(Some(bad), &[]).err().expect(bad);
            assert!(!error.contains("cret") && error.contains("\nhint: "), "{bad}: {error}");
            let error = proxies(None, &[("HTTPS_PROXY", bad)]).err();
            assert_eq!(error.is_some(), !bad.is_empty(), "{bad}");
            assert!(error.is_none_or(|e| e.contains("`HTTPS_PROXY`") && !e.contains("cret")));
        }
        let shown = format!("{:?}", ProxySetting::new("http://u:secret@host:1"));
        assert_eq!(shown, "\"http://***@host:1\"");
    }
}
