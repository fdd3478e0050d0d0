//! A downloader that signs what it asks for.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use clip_crawl::Client;
use clip_pipeline::config::fetch::FetchConfig;

/// A site that has nothing, and gives the heads of its requests.
fn site() -> (String, Receiver<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a.jpg", listener.local_addr().unwrap());
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let head = lines.take_while(|line| !line.is_empty()).collect();
            let nothing =
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(nothing.as_bytes()).unwrap();
            if send.send(head).is_err() {
                return;
            }
        }
    });
    (url, receive)
}

#[tokio::test]
async fn every_request_is_signed_also_for_robots_txt_and_the_key_is_written_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----\n";
    std::fs::write(&key, pem).unwrap();
    let config = FetchConfig {
        allow_private: true,
        retries: 0,
        identity_key: Some(key),
        identity_url: Some("https://crawler.example".into()),
        ..FetchConfig::default()
    };
    assert_eq!(config.fault(), None);
    assert!(!serde_json::to_string(&config).unwrap().contains("identity"));
    let (url, heads) = site();
    assert!(Client::new(&config).unwrap().image(&url).await.is_err());
    let field = |head: &[String], name: &str| {
        let value = head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.unwrap().to_owned()
    };
    let mut signatures = Vec::new();
    for path in ["/robots.txt", "/a.jpg"] {
        let head = heads.recv().unwrap();
        assert_eq!(head[0], format!("GET {path} HTTP/1.1"));
        assert_eq!(field(&head, "signature-agent"), "\"https://crawler.example\"");
        let input = field(&head, "signature-input");
        assert!(input.starts_with("sig1=(\"@authority\" \"signature-agent\");created="), "{input}");
        assert!(input.ends_with(";tag=\"web-bot-auth\""), "{input}");
        signatures.push(field(&head, "signature"));
    }
    assert_ne!(signatures[0], signatures[1], "a nonce");
}

#[test]
fn a_key_without_a_site_and_a_site_that_is_none_are_refused() {
    let config = |key: Option<&str>, url: Option<&str>| FetchConfig {
        identity_key: key.map(Into::into),
        identity_url: url.map(Into::into),
        ..FetchConfig::default()
    };
    for (key, url, why) in [
        (Some("k.pem"), None, "go together"),
        (None, Some("https://crawler.example"), "go together"),
        (Some("k.pem"), Some("http://crawler.example"), "no https URL"),
        (Some("k.pem"), Some("crawler.example"), "no https URL"),
        (Some("k.pem"), Some("https://u:p@crawler.example"), "no https URL"),
        (Some("k.pem"), Some("https://crawler.example/\""), "no https URL"),
    ] {
        let fault = config(key, url).fault().unwrap();
        assert!(fault.contains(why) && fault.contains("\nhint: "), "{fault}");
        assert!(!fault.contains("u:p"), "{fault}");
    }
    let missing = config(Some("/no/such/key.pem"), Some("https://crawler.example"));
    let error = Client::new(&missing).err().unwrap();
    assert!(error.message.contains("/no/such/key.pem"), "{error}");
}
