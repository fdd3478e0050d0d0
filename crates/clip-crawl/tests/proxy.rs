//! The downloader behind a proxy.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use clip_crawl::{Client, Kind};
use clip_pipeline::config::fetch::FetchConfig;
use clip_pipeline::config::proxy::ProxySetting;
use clip_testkit::dns::{NameServer, Reply};
use clip_testkit::faults::{FaultSite, Robots};
use clip_testkit::proxy::ForwardProxy;
use clip_testkit::socks::SocksProxy;

fn site() -> FaultSite {
    let image = clip_image::Rgb::filled(8, 8, [1, 2, 3]);
    let image = clip_image::encode_jpeg(&image, 90).unwrap();
    FaultSite::start("127.0.0.1".parse().unwrap(), image, Robots::Missing).unwrap()
}

/// The URL of the site by another name.
fn named(site: &FaultSite, host: &str) -> String {
    site.url("/ok.jpg").replace("127.0.0.1", host)
}

fn config(proxy: &str) -> FetchConfig {
    FetchConfig {
        host_delay_ms: 0,
        retries: 0,
        timeout: 5.0,
        proxy: Some(ProxySetting::new(proxy)),
        ..FetchConfig::default()
    }
}

async fn kind(client: &Client, url: &str) -> Option<Kind> {
    client.image(url).await.err().map(|error| error.kind)
}

#[tokio::test]
async fn all_requests_go_through_the_proxy_with_its_password_which_is_written_nowhere() {
    let (site, proxy) = (site(), ForwardProxy::start(Some("Basic dXNlcjpzZWNyZXQ=")).unwrap());
    let own = FetchConfig {
        allow_private: true,
        ..config(&format!("http://user:secret@{}", proxy.address()))
    };
    let client = Client::new(&own).unwrap();
    let url = named(&site, "photos.test");
    assert_eq!(kind(&client, &url).await, None);
    let robots = url.replace("/ok.jpg", "/robots.txt");
    assert_eq!(proxy.asked(), [format!("GET {robots}"), format!("GET {url}")]);
    for text in [format!("{own:?}"), serde_json::to_string(&own).unwrap()] {
        assert!(!text.contains("secret"), "{text}");
    }

    let wrong = FetchConfig {
        allow_private: true,
        robots: false,
        ..config(&format!("http://user:wrong@{}", proxy.address()))
    };
    let client = Client::new(&wrong).unwrap();
    for url in [url.clone(), url.replace("http:", "https:")] {
        let error = client.image(&url).await.err().unwrap();
        assert_eq!(error.kind, Kind::Proxy, "{url}: {error}");
        assert!(!error.message.contains("wrong"), "{error}");
    }
}

#[tokio::test]
async fn names_that_lead_to_private_addresses_or_cannot_be_checked_never_reach_the_proxy() {
    let (site, proxy) = (site(), ForwardProxy::start(None).unwrap());
    let names = NameServer::start(|name, _, _| match name.split('.').next().unwrap_or_default() {
        "photos" => Reply::addresses(&["93.184.216.34"]),
        "inner" => Reply::addresses(&["10.0.0.1"]),
        "both" => Reply::addresses(&["93.184.216.34", "127.0.0.1"]),
        _ => Reply::NoName,
    })
    .unwrap();
    let careful = FetchConfig {
        robots: false,
        dns: vec![names.address().to_string()],
        ..config(&format!("http://{}", proxy.address()))
    };
    let client = Client::new(&careful).unwrap();
    for (host, expected) in [
        ("inner.test", Some(Kind::BlockedAddress)),
        ("both.test", Some(Kind::BlockedAddress)),
        ("127.0.0.1", Some(Kind::BlockedAddress)),
        ("localhost", Some(Kind::BlockedAddress)),
        ("gone.test", Some(Kind::Dns)),
        ("photos.test", None),
    ] {
        assert_eq!(kind(&client, &named(&site, host)).await, expected, "{host}");
    }
    assert_eq!(proxy.asked(), [format!("GET {}", named(&site, "photos.test"))]);

    // Who allows private addresses leaves names to the proxy.
    let own = Client::new(&FetchConfig { allow_private: true, ..careful }).unwrap();
    assert_eq!(kind(&own, &named(&site, "gone.test")).await, None);
}

#[tokio::test]
async fn https_goes_through_a_tunnel_and_a_proxy_that_is_gone_is_named() {
    let proxy = ForwardProxy::start(None).unwrap();
    let own = |proxy: &str| FetchConfig { allow_private: true, robots: false, ..config(proxy) };
    let client = Client::new(&own(&proxy.address().to_string())).unwrap();
    // Nothing listens there, so that the proxy makes no tunnel.
    assert_eq!(kind(&client, "https://photos.test:9/a.jpg").await, Some(Kind::Proxy));
    assert_eq!(proxy.asked(), ["CONNECT photos.test:9"]);
    // What listens there does not speak TLS: no fault of the proxy.
    let site = site();
    let url = named(&site, "photos.test").replace("http:", "https:");
    let found = kind(&client, &url).await;
    assert!(found.is_some_and(|kind| kind != Kind::Proxy), "{found:?}");

    let gone = Client::new(&own("http://127.0.0.1:9")).unwrap();
    let error = gone.image("http://photos.test/a.jpg").await.err().unwrap();
    assert_eq!(error.kind, Kind::Proxy);
    assert!(error.message.starts_with("proxy: "), "{error}");
}

#[tokio::test]
async fn a_socks_proxy_gets_addresses_that_were_checked_or_names_as_its_scheme_says() {
    let (site, proxy) = (site(), SocksProxy::start(Some(("user", "secret"))).unwrap());
    let names = NameServer::start(|name, _, _| match name.split('.').next().unwrap_or_default() {
        "photos" => Reply::addresses(&["93.184.216.34"]),
        "inner" => Reply::addresses(&["10.0.0.1"]),
        "both" => Reply::addresses(&["127.0.0.1", "93.184.216.34"]),
        // The proxy's own name may be private.
        "proxy" => Reply::addresses(&["127.0.0.1"]),
        _ => Reply::NoName,
    })
    .unwrap();
    let port = named(&site, "x").rsplit_once(':').unwrap().1.split('/').next().unwrap().to_owned();
    let at = |scheme: &str, user: &str| FetchConfig {
        robots: false,
        dns: vec![names.address().to_string()],
        ..config(&format!("{scheme}://{user}@proxy.test:{}", proxy.address().port()))
    };
    let blocked = Some(Kind::BlockedAddress);
    for (scheme, both, photos) in
        [("socks5", None, "93.184.216.34"), ("socks5h", blocked, "photos.test")]
    {
        let before = proxy.asked().len();
        let client = Client::new(&at(scheme, "user:secret")).unwrap();
        for (host, expected) in [
            ("photos.test", None),
            ("inner.test", blocked),
            ("127.0.0.1", blocked),
            ("proxy.test", blocked),
            ("gone.test", Some(Kind::Dns)),
            ("both.test", both),
        ] {
            assert_eq!(kind(&client, &named(&site, host)).await, expected, "{scheme} {host}");
        }
        let mut asked = vec![format!("{photos}:{port}")];
        // Of its two addresses the public one.
        asked.extend(both.is_none().then(|| format!("93.184.216.34:{port}")));
        assert_eq!(proxy.asked()[before..], asked, "{scheme}");
    }

    let client = Client::new(&at("socks5", "user:wrong")).unwrap();
    let error = client.image(&named(&site, "photos.test")).await.err().unwrap();
    assert_eq!(error.kind, Kind::Proxy, "{error}");
    assert!(!error.message.contains("wrong"), "{error}");
    // Nothing listens there.
    let client = Client::new(&at("socks5h", "user:secret")).unwrap();
    assert_eq!(kind(&client, "http://photos.test:9/a.jpg").await, Some(Kind::Proxy));
}
