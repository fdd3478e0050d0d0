//! Requests through a proxy, and what is checked of them here.

use std::sync::Arc;

use clip_pipeline::config::proxy::{Proxies, gets_addresses};
use reqwest::dns::{Name, Resolve, Resolving};
use url::{Host, Url};

use crate::dns::Resolver;
use crate::error::{FetchError, Kind};

/// A client whose requests all go through proxies.
///
/// While private addresses may not be asked, every name is looked up here before its request. A
/// proxy of the scheme `socks5` is then given one of the addresses that were found and may be
/// asked, so that nothing is looked up twice. The others look names up themselves: they are given a
/// name only where all its addresses are public, which leaves one hole, for their own answer may be
/// another one.
pub(crate) struct ProxyClient {
    pub http: reqwest::Client,
    proxies: Proxies,
    /// What names are checked with; nothing where private addresses may be asked.
    check: Option<Arc<Resolver>>,
}

/// Looks up the names of proxies, which may be private, and names that a proxy is given the address
/// of.
struct ProxyResolver {
    proxies: Vec<String>,
    own: Resolver,
    checked: Arc<Resolver>,
}

impl Resolve for ProxyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let of_proxy = self.proxies.iter().any(|proxy| proxy.eq_ignore_ascii_case(name.as_str()));
        if of_proxy { self.own.resolve(name) } else { self.checked.resolve(name) }
    }
}

impl ProxyClient {
    /// With a builder that has all settings but the proxies and the resolver. `own` looks up the
    /// proxies' names, `checked` those that are asked; its answers have no private address unless
    /// `allow_private`.
    pub fn new(
        builder: reqwest::ClientBuilder,
        proxies: Proxies,
        own: Resolver,
        checked: Arc<Resolver>,
        allow_private: bool,
    ) -> reqwest::Result<Self> {
        let chosen = proxies.clone();
        let proxy = reqwest::Proxy::custom(move |url| chosen.of_url(url).cloned());
        let check = (!allow_private).then(|| checked.clone());
        let names = proxies.hosts().map(str::to_owned).collect();
        let resolver = ProxyResolver { proxies: names, own, checked };
        let http = builder.proxy(proxy).dns_resolver(Arc::new(resolver)).build()?;
        Ok(Self { http, proxies, check })
    }

    /// Whether the URL is asked through a proxy.
    pub fn takes(&self, url: &Url) -> bool {
        self.proxies.of_url(url).is_some()
    }

    /// Refuses a host whose name leads, or may lead, to a private address.
    pub async fn check(&self, url: &Url) -> Result<(), FetchError> {
        let (Some(resolver), Some(Host::Domain(name))) = (&self.check, url.host()) else {
            return Ok(());
        };
        let by_address = self.proxies.of_url(url).is_some_and(gets_addresses);
        let found = if by_address {
            resolver.allowed(name).await.map(drop)
        } else {
            resolver.all_public(name).await
        };
        found.map_err(|error| {
            let kind =
                if error.is::<crate::dns::Blocked>() { Kind::BlockedAddress } else { Kind::Dns };
            let why = match kind {
                Kind::Dns if !by_address => ", and what the proxy would find cannot be checked",
                _ => "",
            };
            FetchError::new(kind, format!("{name}: {error}{why}"))
        })
    }
}

/// A failed request through a proxy: a fault of the proxy where it was not reached, or did not
/// connect.
pub(crate) fn request_error(error: &reqwest::Error) -> FetchError {
    let fault = FetchError::of_request(error);
    // Without TLS the tunnel was there; what is behind it is at fault.
    if fault.kind != Kind::Connect && fault.kind != Kind::Dns {
        return fault;
    }
    FetchError { kind: Kind::Proxy, message: format!("proxy: {}", fault.message), ..fault }
}
