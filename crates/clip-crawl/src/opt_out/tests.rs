//! The table of opt-outs, each row over a real connection to a host of its own.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;

use clip_pipeline::config::fetch::{FetchConfig, OptOutSignal};
use clip_testkit::dns::{NameServer, Reply};

use crate::Client;
use crate::html::extract;

const TABLE: &str = include_str!("table.tsv");

struct Row {
    signal: &'static str,
    what: &'static str,
    place: &'static str,
    given: String,
    path: &'static str,
    reason: &'static str,
    decider: &'static str,
}

fn table() -> Vec<Row> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#')).skip(1);
    let row = |line: &'static str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let [signal, what, place, given, path, reason, decider] = cells[..] else {
            panic!("a row of the table: {line:?}")
        };
        let given = given.replace("\\r", "\r").replace("\\n", "\n");
        Row { signal, what, place, given, path, reason, decider }
    };
    lines.map(row).collect()
}

/// A box of JUMBF.
fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat()
}

/// A superbox with this label.
fn superbox(label: &str, content: &[u8]) -> Vec<u8> {
    let description = [&[7; 16][..], &[3], label.as_bytes(), b"\0"].concat();
    boxed(b"jumb", &[boxed(b"jumd", &description), content.to_vec()].concat())
}

/// Text of CBOR.
fn text(text: &str) -> Vec<u8> {
    [&[0x78, text.len() as u8][..], text.as_bytes()].concat()
}

/// The image that words of the table describe: format, form, label and entry of an assertion.
fn image(words: &str) -> Vec<u8> {
    let mut words = words.split(' ');
    let (format, assertion) = (words.next().unwrap(), words.collect::<Vec<_>>());
    let store = match assertion[..] {
        [form, label, entry] => {
            let (name, value) = entry.split_once('=').unwrap();
            let content = if form == "json" {
                let json = serde_json::json!({"entries": {name: {"use": value}}});
                boxed(b"json", json.to_string().as_bytes())
            } else {
                // Maps of one entry each.
                let parts = [&[0xa1][..], &text("entries"), &[0xa1], &text(name), &[0xa1]];
                boxed(b"cbor", &[parts.concat(), text("use"), text(value)].concat())
            };
            let assertions = superbox("c2pa.assertions", &superbox(label, &content));
            superbox("c2pa", &superbox("urn:uuid:1", &assertions))
        }
        _ => Vec::new(),
    };
    let plain = clip_image::Rgb { width: 8, height: 8, data: vec![99; 192] };
    match format {
        "jpeg" => {
            let jpeg = clip_image::encode_jpeg(&plain, 90).unwrap();
            if store.is_empty() {
                return jpeg;
            }
            let body = [b"JP\0\x01\0\0\0\x01", &store[..]].concat();
            let length = (body.len() as u16 + 2).to_be_bytes();
            [&jpeg[..2], &[0xff, 0xeb], &length, &body, &jpeg[2..]].concat()
        }
        "png" => {
            let png = clip_image::encode_png(&plain).unwrap();
            let length = (store.len() as u32).to_be_bytes();
            // Behind the header; its checksum is not read.
            [&png[..33], &length, b"caBX", &store, b"....", &png[33..]].concat()
        }
        _ => {
            let length = (store.len() as u32).to_le_bytes();
            [b"RIFF\0\0\0\0WEBPC2PA", &length[..], &store, b"\0"].concat()
        }
    }
}

/// What a host of the table answers to a path: head and body.
fn answer(row: &Row, path: &str) -> Option<(String, Vec<u8>)> {
    let file = match path {
        "/robots.txt" => "robots",
        "/ai.txt" => "ai",
        "/.well-known/tdmrep.json" => "tdmrep",
        _ => {
            let headers = if row.place.starts_with("header") { row.given.as_str() } else { "" };
            let (kind, body) = match row.place {
                "html" => ("text/html", row.given.clone().into_bytes()),
                "header+html" => ("text/html", b"<html>".to_vec()),
                "image" => ("image/jpeg", image(&row.given)),
                _ => ("image/jpeg", image("jpeg")),
            };
            let headers: String = headers.lines().map(|line| format!("{line}\r\n")).collect();
            return Some((format!("Content-Type: {kind}\r\n{headers}"), body));
        }
    };
    let there = row.place == file && !row.given.is_empty();
    there.then(|| ("Content-Type: text/plain\r\n".to_owned(), row.given.clone().into_bytes()))
}

/// Serves the rows by the host that is asked for, `r7.test` for the eighth; gives the port.
fn serve(rows: Arc<Vec<Row>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().and_then(Result::ok).unwrap_or_default();
            let headers: HashMap<String, String> = lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .filter_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    Some((name.to_lowercase(), value.trim().to_owned()))
                })
                .collect();
            let host = headers["host"].strip_prefix('r').unwrap();
            let row: usize = host.split('.').next().unwrap().parse().unwrap();
            let path = first.split(' ').nth(1).unwrap_or_default();
            let (status, (head, body)) = match answer(&rows[row], path) {
                Some(found) => ("200 OK", found),
                None => ("404 Not Found", Default::default()),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\n{head}Content-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    port
}

#[tokio::test]
async fn every_row_of_the_table_has_its_verdict_and_what_decided_it() {
    let rows = Arc::new(table());
    let mut signals: HashMap<&str, usize> = HashMap::new();
    rows.iter().for_each(|row| *signals.entry(row.signal).or_default() += 1);
    assert!(signals.len() == 10 && signals.values().all(|count| *count == 10), "{signals:?}");
    let names = NameServer::start(|_, _, _| Reply::addresses(&["127.0.0.1"])).unwrap();
    let port = serve(rows.clone());
    let mut config = FetchConfig {
        host_delay_ms: 0,
        allow_private: true,
        user_agent: "clip-data/0.1 (tests)".into(),
        dns: vec![names.address().to_string()],
        ..Default::default()
    };
    config.opt_out.extend([OptOutSignal::AiTxt, OptOutSignal::TdmrepJson]);
    let client = Client::new(&config).unwrap();
    let lax = FetchConfig { robots: false, x_robots_tag: vec![], opt_out: vec![], ..config };
    let lax = Client::new(&lax).unwrap();
    let mut wrong = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let url = format!("http://r{number}.test:{port}{}", row.path);
        let verdict = verdict(&client, &url).await;
        let (reason, message) = verdict.clone().unwrap_or(("-", String::new()));
        let decided = row.decider == "-" || message.contains(row.decider);
        // A decider names its place: the host's, or the page's.
        let placed = reason == "-" || message.contains(&format!("http://r{number}.test:{port}"));
        if reason != row.reason || !decided || !placed {
            wrong.push(format!("{}, {}: {verdict:?}", row.signal, row.what));
        }
        assert_eq!(self::verdict(&lax, &url).await, None, "nothing is followed: {}", row.what);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Reason and message where the use of an image, or of the images of a page, is forbidden.
async fn verdict(client: &Client, url: &str) -> Option<(&'static str, String)> {
    let reply = if url.ends_with("/p") { client.page(url).await } else { client.image(url).await };
    match reply {
        Ok(reply) => {
            let found = extract(&reply.body, &reply.content_type, &reply.url);
            let opt_out = client.policy().page(url, &reply.body, &found)?;
            Some((opt_out.kind.name(), opt_out.message()))
        }
        Err(error) => Some((error.kind.name(), error.message)),
    }
}
