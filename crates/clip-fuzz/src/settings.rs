//! What describes a run: its configuration, its manifests, its list of queries.

use clip_corpus::{Manifest, PartFile, below};
use clip_pipeline::Config;
use clip_query::wikitext::{Hidden, strip};
use clip_query::words::each_word;
use clip_query::{Dictionary, Found, MatchOptions, QueryList, QueryMatcher, Rules, Workspace};

use crate::choice;
use crate::scratch::with_files;

/// A `pipeline.toml`, with an override of a setting where a zero is followed by one.
pub fn pipeline(data: &[u8]) {
    let mut pieces = data.split(|&byte| byte == 0);
    let text = pieces.next().unwrap_or_default();
    let overrides: Vec<String> =
        pieces.take(4).map(|item| String::from_utf8_lossy(item).into_owned()).collect();
    with_files(&[("pipeline.toml", text)], |folder| {
        let Ok(config) = Config::load(&folder.join("pipeline.toml"), &overrides) else { return };
        let (run, workdir) = (config.run_dir(), config.path(&config.workdir));
        assert_eq!(run.parent(), Some(workdir.as_path()), "{}", run.display());
    });
}

/// A stage's manifest: no file of it is outside the stage's folder. Each line's name too, on its
/// own.
pub fn manifest(data: &[u8]) {
    with_files(&[(Manifest::FILE, data)], |folder| {
        let names = String::from_utf8_lossy(data).into_owned();
        for path in names.lines().filter_map(|name| below(folder, name).ok()) {
            let up = path.components().any(|part| part == std::path::Component::ParentDir);
            assert!(path.starts_with(folder) && path != folder && !up, "{}", path.display());
        }
        let Ok(manifest) = Manifest::open(folder) else { return };
        for commit in manifest.commits() {
            for PartFile { name, blake3, .. } in &commit.files {
                assert!(below(folder, name).is_ok() && blake3.len() == 64, "{name:?} {blake3:?}");
            }
        }
    });
}

/// A list of queries as text, JSON or Parquet, and what it finds in its own bytes.
pub fn queries(data: &[u8]) {
    let (first, content) = choice(data);
    let name = ["list.txt", "list.json", "list.parquet"][first % 3];
    let list = with_files(&[(name, content)], |folder| QueryList::load(&folder.join(name)));
    let Ok(list) = list else { return };
    assert!(!list.is_empty() && list.len() <= list.queries().len());
    let caption = String::from_utf8_lossy(content);
    let characters = caption.chars().count() as u32;
    for rules in [Rules::Words, Rules::Metaclip] {
        let options = MatchOptions { rules, ignore_case: first & 128 != 0 };
        let Ok(matcher) = QueryMatcher::build(&list, options) else { continue };
        let (mut workspace, mut ids) = (Workspace::default(), Vec::new());
        matcher.find(&caption, &mut workspace, &mut ids);
        assert!(ids.iter().all(|id| (*id as usize) < list.queries().len()));
        let mut places: Vec<Found> = Vec::new();
        matcher.find_places(&caption, &mut workspace, &mut places);
        let within = |found: &Found| found.start < found.end && found.end <= characters;
        assert!(places.iter().all(within), "{places:?} of {characters}");
    }
}

/// The text of an article, and its words.
pub fn wikitext(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut plain = String::new();
    strip(&text, &Hidden::default(), &mut plain);
    assert!(plain.len() <= 4 * text.len() + 4, "{} of {}", plain.len(), text.len());
    let own = Dictionary::from_words(plain.split_whitespace().step_by(3).map(|word| (word, 2)));
    for dictionary in [None, Some(&own)] {
        each_word(&plain, false, dictionary, |word, _| assert!(!word.is_empty()));
    }
    let whole: String = own.cut(&plain).into_iter().map(|(word, _)| word).collect();
    assert_eq!(whole, plain);
}
