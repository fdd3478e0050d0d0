//! Requests through a proxy, and what is checked of them here.

use std::sync::Arc;

use clip_pipeline::config::proxy::Proxies;
use url::{Host, Url};

use crate::dns::Resolver;
use crate::error::{FetchError, Kind};

/// A client whose requests all go through proxies.
///
/// A proxy looks up names itself, so the addresses that it connects to cannot be checked here.
/// While private ones may not be asked, a name is therefore looked up here first, and goes to the
/// proxy only where all its addresses are public. That leaves one hole: the proxy's own answer may
/// be another one.
pub(crate) struct ProxyClient {
    pub http: reqwest::Client,
    proxies: Proxies,
    /// What names are checked with; nothing where private addresses may be asked.
    check: Option<Arc<Resolver>>,
}

impl ProxyClient {
    /// With a builder that has all settings but the proxies and the resolver. `own` looks up the
    /// proxies' names, which may be private.
    pub fn new(
        builder: reqwest::ClientBuilder,
        proxies: Proxies,
        own: Arc<Resolver>,
        check: Option<Arc<Resolver>>,
    ) -> reqwest::Result<Self> {
        let chosen = proxies.clone();
        let proxy = reqwest::Proxy::custom(move |url| chosen.of_url(url).cloned());
        let http = builder.proxy(proxy).dns_resolver(own).build()?;
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
        resolver.all_public(name).await.map_err(|error| {
            let kind =
                if error.is::<crate::dns::Blocked>() { Kind::BlockedAddress } else { Kind::Dns };
            let why = match kind {
                Kind::Dns => ", and what the proxy would find cannot be checked",
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
    if fault.kind != Kind::Connect && fault.kind != Kind::Dns {
        return fault;
    }
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        let io = error.downcast_ref::<std::io::Error>();
        if io.and_then(std::io::Error::get_ref).is_some_and(|inner| inner.is::<rustls::Error>()) {
            // The tunnel was there; what is behind it has no certificate that holds.
            return fault;
        }
        source = error.source();
    }
    FetchError { kind: Kind::Proxy, message: format!("proxy: {}", fault.message), ..fault }
}
