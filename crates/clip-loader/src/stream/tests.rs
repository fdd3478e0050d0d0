//! What a streamed run sees: the same on any number of processes, from any step.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use clip_corpus::{Sample, ShardWriter};
use clip_image::{Rgb, encode_png};

use super::{ShardStream, StreamOptions, StreamRows, StreamSampler};
use crate::{Augment, Error, Loader, LoaderOptions, RowMemory, Sampler, Source};

fn options(window: usize) -> StreamOptions {
    StreamOptions {
        context: 12,
        side: 16,
        weight_column: None,
        caption_keys: crate::CaptionKeys::default(),
        window: Some(window),
        resampled: false,
        cache: None,
        counts: None,
    }
}

/// A shard of pairs with those texts; a text that is empty is left out.
fn shard(path: &Path, texts: &[String]) {
    let mut writer = ShardWriter::create(path).unwrap();
    for (number, text) in texts.iter().enumerate() {
        let colour = blake3::hash(text.as_bytes()).as_bytes()[0];
        let image = encode_png(&Rgb::filled(4, 4, [colour; 3])).unwrap();
        let mut fields = vec![("png".to_owned(), image)];
        if !text.is_empty() {
            fields.push(("txt".to_owned(), text.clone().into_bytes()));
        }
        writer.write(&Sample { key: format!("{number:05}"), fields }).unwrap();
    }
    writer.finish().unwrap();
}

/// Shards of `pairs` pairs each, whose texts say which they are.
fn corpus(folder: &Path, shards: usize, pairs: usize) {
    for number in 0..shards {
        let texts: Vec<String> = (0..pairs).map(|at| format!("shard {number} pair {at}")).collect();
        shard(&folder.join(format!("{number:05}.tar")), &texts);
    }
}

fn open(folder: &Path, options: StreamOptions) -> Arc<ShardStream> {
    let source = Source { spec: folder.display().to_string(), weight: 1.0 };
    Arc::new(ShardStream::open(&[source], options).unwrap())
}

/// The texts of each batch from a step on, its rows planned by `world` processes.
fn batches(sampler: &StreamSampler, world: usize, first: u64) -> Vec<Vec<String>> {
    let local = sampler.epochs().batch() / world;
    let mut ranks: Vec<_> =
        (0..world).map(|r| StreamRows::new(sampler, r * local..(r + 1) * local, first)).collect();
    let steps = first..sampler.epochs().steps();
    let mut step = || -> Vec<String> {
        let rows = ranks.iter_mut().flat_map(|rank| rank.next().unwrap().unwrap());
        rows.map(|row| row.text().unwrap().to_owned()).collect()
    };
    steps.map(|_| step()).collect()
}

#[test]
fn a_batch_is_the_same_on_any_processes_and_from_any_step() {
    let folder = tempfile::tempdir().unwrap();
    corpus(folder.path(), 130, 6);
    let sampler = open(folder.path(), options(4)).sampler(3, 16, 2, None).unwrap();
    assert_eq!(sampler.streams(), 2);
    let whole = batches(&sampler, 1, 0);
    assert_eq!(whole.len(), 2 * 130 * 6 / 16);
    for world in [2, 4] {
        assert_eq!(batches(&sampler, world, 0), whole, "{world} processes");
    }
    // Killed at these steps, and resumed by other numbers of processes.
    for (first, world) in [(1, 2), (7, 4), (48, 1), (49, 4), (95, 2), (96, 1)] {
        assert_eq!(batches(&sampler, world, first), whole[first as usize..], "from step {first}");
    }
}

#[test]
fn every_pair_comes_once_in_an_epoch_and_no_text_twice_in_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    corpus(folder.path(), 130, 6);
    let sampler = open(folder.path(), options(4)).sampler(3, 20, 3, None).unwrap();
    let stream = batches(&sampler, 1, 0).concat();
    // The batches of three epochs of 780 end with the third: 117 steps of 20.
    let mut counts: HashMap<&str, usize> = HashMap::new();
    stream.iter().for_each(|text| *counts.entry(text).or_default() += 1);
    assert_eq!(counts.len(), 780);
    assert!(counts.values().all(|&count| count == 3), "{counts:?}");
    let first: HashSet<&String> = stream[..780].iter().collect();
    assert_eq!(first.len(), 780);

    // Every eighth text is the same one; a window has enough others.
    let folder = tempfile::tempdir().unwrap();
    for number in 0..8 {
        let text = |at: usize| match at % 8 {
            0 => "the same".to_owned(),
            _ => format!("shard {number} pair {at}"),
        };
        let texts: Vec<String> = (0..40).map(text).collect();
        shard(&folder.path().join(format!("{number}.tar")), &texts);
    }
    let sampler = open(folder.path(), options(8)).sampler(3, 4, 1, None).unwrap();
    let doubled = batches(&sampler, 1, 0);
    let doubled =
        doubled.iter().filter(|batch| batch.iter().collect::<HashSet<_>>().len() < batch.len());
    assert!(doubled.count() <= 1);
}

#[test]
fn shards_sorted_by_label_give_mixed_batches() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..64 {
        let texts: Vec<String> =
            (0..32).map(|at| format!("{} {number} {at}", number / 8)).collect();
        shard(&folder.path().join(format!("{number:02}.tar")), &texts);
    }
    let labels = |window| {
        let sampler = open(folder.path(), options(window)).sampler(3, 32, 1, None).unwrap();
        let batches = batches(&sampler, 1, 0);
        let label = |text: &String| text.split(' ').next().unwrap().to_owned();
        let distinct = |batch: &Vec<String>| batch.iter().map(label).collect::<HashSet<_>>().len();
        batches.iter().map(distinct).sum::<usize>() as f64 / batches.len() as f64
    };
    // 8 (1 - (7/8)^32) = 7.9 of 8 are expected of a whole shuffle, 8 (1 - (7/8)^16) = 7.1 of
    // windows of 16 shards.
    let (whole, windows) = (labels(64), labels(16));
    assert!(whole > 7.7 && windows > 6.5, "{whole} {windows}");
    // Without a number a corpus of few pairs is one window.
    let asked = open(folder.path(), options(64));
    let default = open(folder.path(), StreamOptions { window: None, ..options(8) });
    assert_eq!((asked.window(), default.window()), (64, 64));
    assert_eq!(asked.digest(), default.digest());
}

#[test]
fn weights_of_sources_and_resampling_say_how_often() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    for (path, name) in [(&a, "often"), (&b, "seldom")] {
        std::fs::create_dir(path).unwrap();
        let texts: Vec<String> = (0..50).map(|at| format!("{name} {at}")).collect();
        shard(&path.join("0.tar"), &texts);
    }
    let source = |path: &Path, weight| Source { spec: path.display().to_string(), weight };
    let sources = [source(&a, 2.5), source(&b, 0.25)];
    let stream = Arc::new(ShardStream::open(&sources, options(4)).unwrap());
    let sampler = stream.sampler(1, 16, 40, None).unwrap();
    let all = batches(&sampler, 1, 0).concat();
    let mut counts: HashMap<String, f64> = HashMap::new();
    all.iter().for_each(|text| *counts.entry(text.clone()).or_default() += 1.0 / 40.0);
    for at in 0..50 {
        let (often, seldom) = (counts[&format!("often {at}")], counts[&format!("seldom {at}")]);
        assert!((often - 2.5).abs() < 0.3 && (seldom - 0.25).abs() < 0.2, "{often} {seldom}");
    }

    let folder = tempfile::tempdir().unwrap();
    corpus(folder.path(), 40, 4);
    let resampled = StreamOptions { resampled: true, ..options(4) };
    let sampler = open(folder.path(), resampled).sampler(3, 8, 1, None).unwrap();
    let drawn = batches(&sampler, 1, 0).concat();
    let distinct = drawn.iter().collect::<HashSet<_>>().len();
    // 1 - 1/e of the shards are expected.
    assert!(drawn.len() == 160 && (60..140).contains(&distinct), "{distinct}");
}

fn loaded(sampler: &StreamSampler, threads: usize, first: u64) -> Vec<(Vec<u8>, Vec<Vec<u16>>)> {
    let options = LoaderOptions {
        size: 4,
        augment: Augment::None,
        seed: 3,
        threads,
        ..LoaderOptions::default()
    };
    let steps = first..sampler.epochs().steps();
    let sampler = Sampler::Streamed(sampler.clone());
    let mut loader = Loader::start(&sampler, &options, first, RowMemory::of_bytes).unwrap();
    let batches = steps.map(|_| {
        let batch = loader.next_batch(&mut |_| false).unwrap().unwrap();
        (batch.images.to_vec(), batch.texts)
    });
    let batches = batches.collect();
    assert_eq!(loader.take_faults(), Vec::<String>::new());
    batches
}

#[test]
fn threads_change_nothing_and_an_image_has_its_caption() {
    let folder = tempfile::tempdir().unwrap();
    corpus(folder.path(), 12, 10);
    let sampler = open(folder.path(), options(3)).sampler(3, 12, 2, None).unwrap();
    let whole = loaded(&sampler, 1, 0);
    assert_eq!(loaded(&sampler, 3, 0), whole);
    assert_eq!(loaded(&sampler, 2, 13), whole[13..]);
    let texts = batches(&sampler, 1, 0);
    for (texts, (images, _)) in texts.iter().zip(&whole) {
        let colours = images.chunks(4 * 4 * 3).map(|image| image[0]);
        let wanted = texts.iter().map(|text| blake3::hash(text.as_bytes()).as_bytes()[0]);
        assert!(colours.eq(wanted));
    }
}

#[test]
fn what_is_missing_is_replaced_and_named_and_a_changed_shard_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> =
        (0..8).map(|at| if at == 5 { String::new() } else { format!("pair {at}") }).collect();
    let path = folder.path().join("0.tar");
    shard(&path, &texts);
    let stream = open(folder.path(), options(4));
    let sampler = stream.sampler(3, 8, 1, None).unwrap();
    let mut rows = StreamRows::new(&sampler, 0..8, 0);
    let rows: Vec<_> = rows.next().unwrap().unwrap();
    let (sampler, mut faults) = (Sampler::Streamed(sampler), Vec::new());
    rows.iter().for_each(|row| drop(sampler.load(row, &mut faults).unwrap()));
    assert!(faults.len() == 1 && faults[0].contains("no caption or no image"), "{faults:?}");

    // One more sample than was counted, and then another length than `_stats.json` says.
    shard(&path, &vec!["x".to_owned(); 9]);
    let Sampler::Streamed(sampler) = sampler else { unreachable!() };
    let error = StreamRows::new(&sampler, 0..8, 0).next().unwrap().err().unwrap();
    assert!(error.to_string().contains("was changed while"), "{error}");
    let stats = serde_json::json!({"successes": 9, "bytes": 5});
    std::fs::write(folder.path().join("0_stats.json"), stats.to_string()).unwrap();
    let source = Source { spec: folder.path().display().to_string(), weight: 1.0 };
    let error = ShardStream::open(&[source], options(4)).err().unwrap();
    assert!(matches!(&error, Error::Corpus(error) if error.is_damage()), "{error}");
}

#[test]
fn counts_are_kept_and_a_changed_shard_is_counted_again() {
    let folder = tempfile::tempdir().unwrap();
    corpus(folder.path(), 3, 4);
    let counts = folder.path().join("counts.jsonl");
    let kept = || StreamOptions { counts: Some(counts.clone()), ..options(4) };
    let first = open(folder.path(), kept());
    let second = open(folder.path(), kept());
    assert_eq!((first.counted(), second.counted()), (3, 0));
    assert_eq!(first.digest(), second.digest());
    shard(&folder.path().join("00001.tar"), &vec!["other".to_owned(); 7]);
    let third = open(folder.path(), kept());
    assert_eq!((third.counted(), third.len()), (1, 15));
    assert_ne!(third.digest(), first.digest());
}

#[test]
fn captions_are_drawn_by_their_shares_streamed_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = ShardWriter::create(&folder.path().join("0.tar")).unwrap();
    for number in 0..40 {
        let image = encode_png(&Rgb::filled(4, 4, [number; 3])).unwrap();
        let json = format!(r#"{{"long": "model {number}", "captions": ["unused"]}}"#);
        let mut fields = vec![("png".to_owned(), image), ("json".to_owned(), json.into_bytes())];
        // A quarter has one of the fields alone.
        if number % 4 != 0 {
            fields.push(("txt".to_owned(), format!("web {number}").into_bytes()));
        }
        writer.write(&Sample { key: format!("{number:05}"), fields }).unwrap();
    }
    writer.finish().unwrap();
    let caption_keys: crate::CaptionKeys = "txt=0.25 json.long=0.75".parse().unwrap();
    let streamed = StreamOptions { caption_keys: caption_keys.clone(), ..options(4) };
    let sampler = open(folder.path(), streamed).sampler(3, 8, 40, None).unwrap();
    let texts = batches(&sampler, 1, 0).concat();
    let web = texts.iter().filter(|text| text.starts_with("web")).count();
    assert_eq!(texts.len(), 1600);
    // 0.25 of three quarters of 1600, and four standard deviations.
    assert!((240..360).contains(&web), "{web}");

    let source = Source { spec: folder.path().display().to_string(), weight: 1.0 };
    let (context, side, cache_bytes, weight_column) = (12, 16, 0, None);
    let identity = crate::Identity::None;
    let whole = crate::CorpusOptions {
        context,
        side: Some(side),
        cache_bytes,
        weight_column,
        caption_keys,
        identity,
    };
    let corpus = Arc::new(crate::Corpus::open(&[source], &whole).unwrap());
    assert!(corpus.digest().ends_with(", captions txt=0.25 json.long=0.75"));
    let used = crate::EpochSampler::new(&corpus, 3, 8, 40).unwrap().batches(0).flatten();
    let web =
        used.filter(|used| corpus.caption_count(used.pair as usize) == 2 && used.caption == 0);
    let web = web.count();
    assert!((240..360).contains(&web), "{web}");
}
