//! Runs of Chinese characters cut by a dictionary, as jieba cuts them
//! (`scripts/oracles/segmentation.py`).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use clip_query::Dictionary;
use serde_json::Value;

const GOLDEN: &str = include_str!("golden/oracle/segmentation.json");

#[test]
fn runs_are_cut_as_jieba_cuts_them() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let words = golden["words"].as_array().unwrap().iter();
    let words = words.map(|word| (word[0].as_str().unwrap(), word[1].as_u64().unwrap()));
    let dictionary = Dictionary::from_words(words);
    let cuts = golden["cuts"].as_array().unwrap();
    for cut in cuts {
        let cut = cut.as_str().unwrap();
        let run = cut.replace(' ', "");
        let ours: Vec<&str> = dictionary.cut(&run).into_iter().map(|(word, _)| word).collect();
        assert_eq!(ours.join(" "), cut);
    }
    let (source, wrong) = (golden["source"].as_str().unwrap(), &golden["wrong_by"]);
    println!(
        "oracle\tsegmentation\twords by a dictionary\t{source}\t{}\t0\tthe longest word first: differs by {wrong}",
        cuts.len()
    );
}
