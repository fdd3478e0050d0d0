//! The options of `clip-data fetch` and `retry` that say how a web is asked.

use std::path::PathBuf;

use clip_pipeline::Error;
use clip_pipeline::config::fetch::{FetchConfig, OptOutSignal};
use clip_pipeline::config::proxy::ProxySetting;

use super::fire::{list, truth, word};

/// How politely a web is asked; shared with `clip-data retry`.
#[derive(clap::Args)]
pub struct PolitenessArgs {
    /// Requests in flight to one host
    #[arg(long = "per_host")]
    per_host: Option<usize>,
    /// Time between two requests to one host, in milliseconds [default: 50, less while the host
    /// answers fast]
    #[arg(long = "host_delay_ms")]
    host_delay_ms: Option<u64>,
    /// Most requests a second to one host, while it answers fast [default: 200, or what
    /// --host_delay_ms says]
    #[arg(long = "max_host_rate", value_name = "N")]
    max_host_rate: Option<f64>,
    /// Most seconds for a whole request, redirects included
    #[arg(long = "total_timeout")]
    total_timeout: Option<f64>,
    /// Longest Retry-After that is waited for, in seconds
    #[arg(long = "max_pause")]
    max_pause: Option<f64>,
    /// Longest body, in bytes
    #[arg(long = "max_bytes")]
    max_bytes: Option<u64>,
    /// Bytes of bodies held at a time
    #[arg(long = "bytes_in_flight")]
    bytes_in_flight: Option<u64>,
    /// Least rate of a body after its first seconds, in bytes a second
    #[arg(long = "min_rate")]
    min_rate: Option<f64>,
    /// Most redirects
    #[arg(long = "max_redirects")]
    max_redirects: Option<usize>,
    /// Faults in a row after which a host is left alone
    #[arg(long = "host_faults")]
    host_faults: Option<u32>,
    /// Follow robots.txt
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_parser = truth)]
    robots: Option<bool>,
    /// Further opt-outs to follow, of content_usage,tdm_reservation,c2pa,ai_txt,tdmrep_json; [] for
    /// none [default: the first three; the others ask each host for a file]
    #[arg(long = "opt_out", value_name = "SIGNALS")]
    opt_out: Option<String>,
    /// Ask private and loopback addresses too
    #[arg(long = "allow_private", num_args = 0..=1, default_missing_value = "true", value_parser = truth)]
    allow_private: Option<bool>,
    /// Name servers to ask in place of this machine's, as `1.1.1.1,[::1]:5353`; `system` for
    /// getaddrinfo
    #[arg(long, value_name = "SERVERS")]
    dns: Option<String>,
    /// Proxy for all requests, as `http://[USER:PASSWORD@]HOST:PORT` (or https://, socks5:// where
    /// names are looked up here, socks5h:// where it looks them up); `none` ignores http_proxy,
    /// https_proxy, all_proxy and no_proxy of the environment, which count otherwise
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Sign every request with this private Ed25519 key in PEM (web-bot-auth)
    #[arg(long = "identity_key", value_name = "FILE", requires = "identity_url")]
    identity_key: Option<PathBuf>,
    /// The site that publishes the public key, as `https://example.org`
    #[arg(long = "identity_url", value_name = "URL", requires = "identity_key")]
    identity_url: Option<String>,
}

impl PolitenessArgs {
    /// Whether private addresses are allowed on the command line.
    pub fn allows_private(&self) -> bool {
        self.allow_private == Some(true)
    }

    /// Changes what was given.
    ///
    /// # Errors
    /// For settings that no fetch can work with.
    pub fn apply(&self, fetch: &mut FetchConfig) -> Result<(), Error> {
        fn set<T: Copy>(place: &mut T, value: Option<T>) {
            *place = value.unwrap_or(*place);
        }
        set(&mut fetch.per_host, self.per_host);
        set(&mut fetch.host_delay_ms, self.host_delay_ms);
        set(&mut fetch.timeout, self.total_timeout);
        set(&mut fetch.max_pause, self.max_pause);
        set(&mut fetch.max_bytes, self.max_bytes);
        set(&mut fetch.bytes_in_flight, self.bytes_in_flight);
        set(&mut fetch.min_rate, self.min_rate);
        set(&mut fetch.max_redirects, self.max_redirects);
        set(&mut fetch.host_faults, self.host_faults);
        set(&mut fetch.robots, self.robots);
        set(&mut fetch.allow_private, self.allow_private);
        fetch.max_host_rate = self.max_host_rate.or(fetch.max_host_rate);
        if let Some(signals) = &self.opt_out {
            let signals = list(signals);
            let signals = signals.iter().map(|name| word::<OptOutSignal>(name));
            let signals: Result<_, String> = signals.collect();
            fetch.opt_out = signals.map_err(|e| Error::Config(format!("--opt_out: {e}")))?;
        }
        if let Some(servers) = &self.dns {
            fetch.dns = servers.split(',').map(|server| server.trim().to_owned()).collect();
        }
        fetch.proxy = self.proxy.as_deref().map(ProxySetting::new).or(fetch.proxy.take());
        fetch.identity_key = self.identity_key.clone().or(fetch.identity_key.take());
        fetch.identity_url = self.identity_url.clone().or(fetch.identity_url.take());
        fetch.fault().map_or(Ok(()), |fault| Err(Error::Config(fault)))
    }
}
