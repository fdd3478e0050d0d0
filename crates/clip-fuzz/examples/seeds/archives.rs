//! Shards, WARC and WAT files, HTTP messages.

use std::io::{Result, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::{Seeds, chosen};

pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::default());
    writer.write_all(bytes)?;
    writer.finish()
}

fn record(kind: &str, uri: &str, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {uri}\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    [head.as_bytes(), content, b"\r\n\r\n"].concat()
}

fn tar(members: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *content)?;
    }
    archive.into_inner()
}

const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\nContent-Type: text/html;\r\n charset=utf-8\r\n\r\n<img src=/i.png alt='an image'><a href=b>";
const LINKS: &str = r#"{"Envelope":{"WARC-Header-Metadata":{"WARC-Target-URI":"http://e.com/a/p.html","y":NaN},"Payload-Metadata":{"HTTP-Response-Metadata":{"HTML-Metadata":{"Head":{"Base":"/b/"},"Links":[{"path":"IMG@/src","url":"x.jpg","alt":" a \"q\" \ud83d cat ","title":"T"},{"path":"A@/href","url":"y"},{"url":"late.jpg","alt":"last","path":"IMG@/data-src"},{"path":"IMG@/srcset","url":"s.jpg 1x, l.jpg 2x","alt":"dense"}]}}}}}"#;

pub fn seeds() -> Result<Seeds> {
    let long = "f".repeat(150);
    let samples = tar(&[
        ("000/1.jpg", b"\xff\xd8\xff"),
        ("000/1.txt", b"a caption"),
        ("000/1.json", br#"{"url": "http://e.com/1.jpg", "caption": "c"}"#),
        ("000/2.png", b"\x89PNG"),
        ("README", b"text"),
        ("__meta__/x.y", b""),
    ])?;
    let named = tar(&[(&format!("{long}/a.jpg"), b"1"), (&format!("{long}/a.txt"), b"2")])?;
    let cut = samples[..1300].to_vec();
    let mut damaged = samples.clone();
    damaged[600] ^= 1;
    damaged[1030] ^= 1;
    let index = b"000/1\tjpg\t512\t3\n000/1\ttxt\t1536\t9\n".to_vec();
    let response = record("response", "<http://e.com/p>", PAGE);
    let members = [gzip(&record("warcinfo", "x", b"software: y\r\n"))?, gzip(&response)?].concat();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: TEXT/HTML\r\n\r\n1c\r\n<img src=/i.jpg alt='in chun\r\n4;x=y\r\nks'>\r\n0\r\n\r\n";
    let packed = gzip(b"<html><img src=/i.jpg alt='packed'></html>")?;
    let encoded = [&b"HTTP/1.0 200\r\nContent-Encoding: gzip\r\n\r\n"[..], &packed].concat();
    let stored = b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n\x0b\x04\x80<p>hi</p>\x03";
    Ok(vec![
        (
            "tar",
            vec![
                ("samples", samples.clone()),
                ("long", named),
                ("cut", cut),
                ("damaged", damaged),
                ("index", index),
            ],
        ),
        (
            "warc",
            vec![
                ("members", members),
                ("record", response),
                ("padded", [&[0; 40][..], &gzip(PAGE)?].concat()),
            ],
        ),
        (
            "http",
            vec![
                ("page", PAGE.to_vec()),
                ("chunked", chunked.to_vec()),
                ("gzip", encoded),
                ("brotli", stored.to_vec()),
                (
                    "deflate",
                    b"HTTP/1.1 203\r\nContent-Encoding: deflate, identity\r\n\r\n<img src=a alt=b>"
                        .to_vec(),
                ),
                ("none", b"HTTP/1.1 404 Not Found\n\n<img src=a alt=b>".to_vec()),
            ],
        ),
        ("wat", vec![("links", LINKS.into()), ("broken", b"{broken IMG@/".to_vec())]),
        (
            "source",
            vec![
                (
                    "coco",
                    chosen(
                        0,
                        r#"{"images":[{"id":7,"coco_url":"http://c.org/7.jpg"}],"annotations":[{"image_id":7,"caption":"A dog. "},{"image_id":8,"caption":"Lost"}]}"#,
                    ),
                ),
                (
                    "genome",
                    chosen(
                        1,
                        r#"[{"id":1,"regions":[{"phrase":"a red clock","x":1},{"phrase":"trees"}]},{"image_id":2,"regions":[]}]"#,
                    ),
                ),
                (
                    "yfcc",
                    chosen(
                        2,
                        format!(
                            "0\t1\t2\t3\tuser\t2010\t\tCanon\tA+title+here\tSome+natural+words+%26+more\ttag\t\t\t\t\t\thttp://f.org/p\thttp://f.org/d.jpg{}\n",
                            "\tx".repeat(8)
                        ),
                    ),
                ),
                (
                    "wit",
                    chosen(
                        3,
                        "language\tpage_url\timage_url\tpage_title\tcaption_reference_description\tcaption_alt_text_description\nen\thttp://e.org/p\thttp://e.org/i.jpg\tT\t\"a \"\"quoted\"\" caption\"\talt\n",
                    ),
                ),
                ("shard", chosen(4, samples)),
                ("folder", chosen(5, r#"{"caption": "a cat", "other": NaN}"#)),
            ],
        ),
    ])
}
