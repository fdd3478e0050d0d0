//! Pages read as html5lib reads them (`scripts/oracles/html.py`): tree, characters and encoding of
//! the HTML standard.

use clip_crawl::extract;
use serde_json::Value;
use url::Url;

#[test]
fn pages_give_the_pairs_that_html5lib_finds() {
    let golden: Value = serde_json::from_str(include_str!("golden/oracle/html.json")).unwrap();
    let url = Url::parse(golden["page"].as_str().unwrap()).unwrap();
    let pages = golden["pages"].as_array().unwrap();
    let mut otherwise = Vec::new();
    for page in pages {
        let text = |name: &str| page[name].as_str().unwrap();
        let bytes: Vec<u8> = text("html").chars().map(|c| c as u8).collect();
        let found = extract(&bytes, text("content_type"), &url);
        let mut pairs: Vec<[String; 3]> =
            found.images.into_iter().map(|f| [f.url, f.caption, f.source.to_owned()]).collect();
        pairs.sort();
        let expected: Vec<[String; 3]> = serde_json::from_value(page["pairs"].clone()).unwrap();
        if pairs != expected {
            otherwise.push(format!("{}: {pairs:?}, but html5lib {expected:?}", text("name")));
        }
    }
    assert!(otherwise.is_empty(), "{}", otherwise.join("\n"));
    println!(
        "oracle\tweb pages\timage URLs, alternative texts, captions, encodings\t{}\t{}\t0\ttags by a pattern, the first charset=: differs by {}",
        golden["by"].as_str().unwrap(),
        pages.len(),
        golden["wrong_by"]
    );
}
