//! Ids of OpenAI's tokenizer for hostile text, which `scripts/golden/clip` makes.

use std::io::Read;

use clip_text::Tokenizer;

#[test]
fn hostile_text_has_openais_ids() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/ids.jsonl.gz");
    let mut golden = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut golden).unwrap();
    let tokenizer = Tokenizer::new();
    let mut wrong = Vec::new();
    for line in golden.lines() {
        let (text, ids): (String, Vec<u32>) = serde_json::from_str(line).unwrap();
        let found = tokenizer.encode(&text);
        if found != ids {
            wrong.push(format!(
                "{text:?}: {:?}, not {:?}",
                tokenizer.decode(&found),
                tokenizer.decode(&ids)
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ: {}",
        wrong.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
    assert!(golden.lines().count() == 1200);
}
