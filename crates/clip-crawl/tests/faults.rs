//! The downloader against a site that misbehaves.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use clip_crawl::{Client, Kind};
use clip_pipeline::config::fetch::FetchConfig;
use clip_testkit::faults::{FaultSite, Robots};

fn image() -> Vec<u8> {
    let data = (0..64 * 48 * 3).map(|i| (i * 31 % 256) as u8).collect();
    clip_image::encode_jpeg(&clip_image::Rgb { width: 64, height: 48, data }, 90).unwrap()
}

fn site(ip: &str, robots: Robots) -> FaultSite {
    FaultSite::start(ip.parse::<IpAddr>().unwrap(), image(), robots).unwrap()
}

fn quick() -> FetchConfig {
    FetchConfig {
        host_delay_ms: 0,
        per_host: 16,
        timeout: 1.5,
        idle_timeout: 1.0,
        max_bytes: 1_000_000,
        retries: 0,
        allow_private: true,
        user_agent: "clip-data/0.1 (tests)".into(),
        ..Default::default()
    }
}

async fn kind(client: &Client, site: &FaultSite, path: &str) -> Option<Kind> {
    let started = Instant::now();
    let result = client.image(&site.url(path)).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{path} took {:?}", started.elapsed());
    if let Ok(reply) = &result
        && !path.starts_with("/html")
        && !path.starts_with("/huge")
    {
        assert_eq!(reply.body, image(), "{path}");
    }
    result.err().map(|error| error.kind)
}

#[tokio::test]
async fn every_fault_has_its_kind_and_ends_soon() {
    let site = site("127.0.0.1", Robots::Missing);
    let client = Client::new(&quick()).unwrap();
    for (path, expected) in [
        ("/ok.jpg", None),
        ("/gzip", None),
        ("/html", None),
        ("/hops/5", None),
        ("/slow/200", None),
        ("/hops/6", Some(Kind::Redirects)),
        ("/loop", Some(Kind::Redirects)),
        ("/slow/60000", Some(Kind::Timeout)),
        ("/drip", Some(Kind::Timeout)),
        ("/endless", Some(Kind::TooLarge)),
        ("/big", Some(Kind::TooLarge)),
        ("/truncated", Some(Kind::Broken)),
        ("/reset", Some(Kind::Broken)),
        ("/status/404", Some(Kind::Http4xx)),
        ("/status/503", Some(Kind::Http5xx)),
        ("/status/304", Some(Kind::HttpOther)),
        ("/to-file", Some(Kind::BadUrl)),
        ("/tag?noai", Some(Kind::XRobotsTag)),
        ("/tag?clip-data:%20noindex", Some(Kind::XRobotsTag)),
        ("/tag?otherbot:%20noindex", None),
        ("/tag?nofollow", None),
        ("/later", Some(Kind::TooManyRequests)),
        // The host asked for an hour: no request waits, none is sent again.
        ("/ok.jpg", Some(Kind::HostGivenUp)),
    ] {
        assert_eq!(kind(&client, &site, path).await, expected, "{path}");
    }
}

#[tokio::test]
async fn a_short_retry_after_is_waited_for() {
    let site = site("127.0.0.1", Robots::Missing);
    let client = Client::new(&FetchConfig { retries: 2, ..quick() }).unwrap();
    let started = Instant::now();
    assert!(client.image(&site.url("/busy/1/a")).await.is_ok());
    assert!(started.elapsed() >= Duration::from_millis(900));
    assert_eq!(site.hits("/busy/1/a"), 2);
}

#[tokio::test]
async fn private_addresses_are_refused_by_name_by_number_and_behind_redirects() {
    let site = site("127.0.0.1", Robots::Missing);
    let careful = Client::new(&FetchConfig { allow_private: false, ..quick() }).unwrap();
    let port = site.url("").rsplit(':').next().unwrap().to_owned();
    for url in [
        site.url("/ok.jpg"),
        format!("http://localhost:{port}/ok.jpg"),
        format!("http://2130706433:{port}/ok.jpg"),
        format!("http://[::ffff:127.0.0.1]:{port}/ok.jpg"),
        "http://169.254.169.254/latest/meta-data/".into(),
    ] {
        let error = careful.image(&url).await.err().unwrap();
        assert_eq!(error.kind, Kind::BlockedAddress, "{url}: {error}");
    }
    assert_eq!(site.hits("/ok.jpg"), 0);
}

#[tokio::test]
async fn names_and_ports_that_lead_nowhere_have_urllibs_words() {
    let client = Client::new(&quick()).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = client.image(&format!("http://{free}/")).await.err().unwrap();
    assert_eq!(error.kind, Kind::Connect);
    assert_eq!(error.message, "<urlopen error [Errno 111] Connection refused>");
    let error = client.image("http://no-such-host.invalid/").await.err().unwrap();
    assert_eq!(error.kind, Kind::Dns, "{error}");
    for url in ["", "no url", "ftp://e.com/a", "http://", "data:image/png;base64,AA=="] {
        assert_eq!(client.image(url).await.err().unwrap().kind, Kind::BadUrl, "{url}");
    }
}

#[tokio::test]
async fn robots_txt_is_asked_once_and_followed() {
    let client = Client::new(&quick()).unwrap();
    let text = "User-agent: *\nDisallow: /\n\nUser-agent: clip-data\nDisallow: /n/\nAllow: /n/ok\n";
    // Longer than any body may be: its beginning counts (RFC 9309, section 2.5).
    let long = format!("User-agent: *\nDisallow: /n/\n{}", "# x\n".repeat(500_000));
    for (ip, robots, ok, refused) in [
        ("127.0.0.2", Robots::Text(text.into()), "/n/ok.jpg", Some("/n/other.jpg")),
        ("127.0.0.3", Robots::Missing, "/ok.jpg", None),
        ("127.0.0.4", Robots::Broken, "", Some("/ok.jpg")),
        ("127.0.0.5", Robots::Loop, "/ok.jpg", None),
        ("127.0.0.6", Robots::Text("<html>what?</html>".into()), "/ok.jpg", None),
        ("127.0.0.8", Robots::Text(long), "/ok.jpg", Some("/n/other.jpg")),
    ] {
        let site = site(ip, robots);
        if !ok.is_empty() {
            assert_eq!(kind(&client, &site, ok).await, None, "{ip}");
            assert_eq!(kind(&client, &site, ok).await, None, "{ip}");
        }
        if let Some(path) = refused {
            assert_eq!(kind(&client, &site, path).await, Some(Kind::Robots), "{ip}");
            assert_eq!(site.hits(path), 0, "{ip}");
        }
        assert!(site.hits("/robots.txt") <= 6, "{ip}");
    }
    let lax = Client::new(&FetchConfig { robots: false, ..quick() }).unwrap();
    let site = site("127.0.0.7", Robots::Broken);
    assert_eq!(kind(&lax, &site, "/ok.jpg").await, None);
}

#[tokio::test]
async fn a_host_that_stalls_costs_bounded_time() {
    let site = site("127.0.0.1", Robots::Missing);
    let config = FetchConfig { timeout: 0.3, host_faults: 4, per_host: 2, ..quick() };
    let client = Client::new(&config).unwrap();
    let started = Instant::now();
    let urls: Vec<String> = (0..50).map(|i| site.url(&format!("/slow/{}", 90_000 + i))).collect();
    let kinds = futures::future::join_all(urls.iter().map(|url| client.image(url))).await;
    assert!(started.elapsed() < Duration::from_secs(3));
    let given_up = kinds.iter().filter(|k| k.as_ref().err().unwrap().kind == Kind::HostGivenUp);
    assert!(given_up.count() >= 44);
}

/// Panics at the first row that is done.
struct Panics;

impl clip_crawl::dataset::Watch for Panics {
    fn row(&self, _: clip_crawl::dataset::Status) {
        std::panic::resume_unwind(Box::new("as a panic, but silent"));
    }
}

#[test]
fn a_run_ends_when_the_thread_that_collects_its_rows_panics() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("urls.txt");
    // More than wait in the channel.
    std::fs::write(&list, "not an address\n".repeat(300)).unwrap();
    let config = clip_crawl::dataset::DatasetConfig {
        url_list: list,
        output_folder: folder.path().join("out"),
        number_sample_per_shard: 100,
        fetch: quick(),
        ..Default::default()
    };
    let watch: std::sync::Arc<dyn clip_crawl::dataset::Watch> = std::sync::Arc::new(Panics);
    let ended = clip_crawl::dataset::run(&config, &watch, &std::sync::Arc::default());
    let error = ended.err().unwrap().to_string();
    assert!(error.contains("the collector panicked"), "{error}");
}

/// A server of bytes as they are: what it is asked for, and what it answers.
fn raw_site(answers: Vec<(&'static str, Vec<u8>)>) -> String {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let site = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let asked = lines.next().and_then(Result::ok).unwrap_or_default();
            lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
            let path = asked.split(' ').nth(1).unwrap_or_default();
            let known = answers.iter().find(|(known, _)| *known == path);
            let missing =
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    .to_vec();
            let answer = known.map_or(missing, |(_, answer)| answer.clone());
            let _ = (&stream).write_all(&answer);
        }
    });
    site
}

#[tokio::test]
async fn redirects_beyond_ascii_lead_where_browsers_go() {
    let to = |location: &[u8]| {
        let head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\nLocation: ";
        [head.as_slice(), location, b"\r\n\r\n"].concat()
    };
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\nContent-Type: image/jpeg; name=\"caf\xe9\"\r\n\r\nimage".to_vec();
    let site = raw_site(vec![
        ("/utf8", to("/café.jpg".as_bytes())),
        ("/latin1", to(b"/caf\xe9.jpg")),
        ("/space", to(b"/a b.jpg")),
        ("/deeper", to("/日本/写真.jpg".as_bytes())),
        ("/caf%C3%A9.jpg", ok.clone()),
        ("/a%20b.jpg", ok.clone()),
        ("/%E6%97%A5%E6%9C%AC/%E5%86%99%E7%9C%9F.jpg", ok),
    ]);
    let client = Client::new(&quick()).unwrap();
    for path in ["/utf8", "/latin1", "/space", "/deeper"] {
        let reply = client.image(&format!("{site}{path}")).await;
        let reply = reply.map_err(|e| format!("{path}: {e}")).unwrap();
        assert_eq!(reply.body, b"image", "{path}");
        assert!(reply.content_type.contains("café"), "{path}: {}", reply.content_type);
    }
}
