//! Names to addresses: looked up once for all who ask, kept for as long as the answer says, and
//! never leading into this machine's own network.

mod cache;
mod files;
mod message;
mod stub;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clip_pipeline::config::fetch::NameServers;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use self::cache::{Cache, Found};
use self::stub::Stub;
use crate::address::is_private;

pub(crate) use self::cache::Missing;

/// How long an answer of the system's own resolver, or its lack, is kept: it does not say how long
/// it holds.
const KEPT: Duration = Duration::from_mins(5);
const FAULT_KEPT: Duration = Duration::from_secs(30);

/// The name leads to an address that may not be asked.
#[derive(Debug, thiserror::Error)]
#[error("{0} is a private address")]
pub(crate) struct Blocked(pub String);

/// The name has no address that is known.
#[derive(Debug, thiserror::Error)]
#[error("{}", match .0 {
    Missing::NoAddress => "the name has no address",
    Missing::NoAnswer => "no name server answered",
})]
pub(crate) struct Unknown(pub Missing);

/// Who knows the addresses of names.
enum Source {
    /// getaddrinfo, on threads.
    System,
    Servers(Stub),
}

/// Drops private addresses: reqwest connects only to what this gives, so a name cannot change its
/// mind between the check and the connection.
#[derive(Clone)]
pub(crate) struct Resolver {
    allow_private: bool,
    source: Arc<Source>,
    cache: Arc<Cache>,
}

impl Resolver {
    pub fn new(servers: &NameServers, allow_private: bool) -> Self {
        let stub = match servers {
            NameServers::System => None,
            NameServers::Machine => Stub::new(&[]),
            NameServers::Servers(servers) => Stub::new(servers),
        };
        let source = Arc::new(stub.map_or(Source::System, Source::Servers));
        Self { allow_private, source, cache: Arc::default() }
    }
}

impl Resolver {
    /// The addresses of a name that may be asked.
    ///
    /// # Errors
    /// When all of them are private; when it has none.
    pub async fn allowed(&self, name: &str) -> Result<Vec<IpAddr>, BoxError> {
        let found = self.cache.get(name, || look_up(self.source.clone(), name.to_owned())).await;
        let known: &[IpAddr] = found.addresses.as_ref().map_err(|missing| Unknown(*missing))?;
        let allowed = known.iter().filter(|ip| self.allow_private || !is_private(**ip));
        let allowed: Vec<IpAddr> = allowed.copied().collect();
        if allowed.is_empty() { Err(Blocked(name.to_owned()).into()) } else { Ok(allowed) }
    }

    /// Looks a name up for a connection that another machine makes.
    ///
    /// # Errors
    /// When any of its addresses is private, since that machine may choose it; when it has none.
    pub async fn all_public(&self, name: &str) -> Result<(), BoxError> {
        let found = self.cache.get(name, || look_up(self.source.clone(), name.to_owned())).await;
        let known: &[IpAddr] = found.addresses.as_ref().map_err(|missing| Unknown(*missing))?;
        if known.is_empty() || known.iter().any(|ip| is_private(*ip)) {
            return Err(Blocked(name.to_owned()).into());
        }
        Ok(())
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

async fn look_up(source: Arc<Source>, name: String) -> Found {
    match &*source {
        Source::Servers(stub) => stub.look_up(&name).await,
        Source::System => match tokio::net::lookup_host((name.as_str(), 0)).await {
            Ok(found) => Found::new(Ok(found.map(|address| address.ip()).collect()), KEPT),
            Err(_) => Found::new(Err(Missing::NoAddress), FAULT_KEPT),
        },
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let own = self.clone();
        Box::pin(async move {
            let allowed = own.allowed(name.as_str()).await?;
            Ok(Box::new(allowed.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;
