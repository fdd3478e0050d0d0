//! Balance: the limit of each query and of each language.

use clip_query::LanguageIds;
use clip_sql::{Balance, Mode};

use super::*;

struct Pairs {
    batch: RecordBatch,
    uids: Vec<String>,
    queries: Vec<Vec<u32>>,
    counts: HashMap<u32, u64>,
}

/// Pairs whose queries have a long tail: query q has about 1 in q + 1 of them.
fn pairs() -> Pairs {
    let mut random = Random(5);
    let queries: Vec<Vec<u32>> = (0..600)
        .map(|_| (0..60).filter(|&q| random.below(q * q + 2) == 0).map(|q| q as u32).collect())
        .collect();
    let mut counts = HashMap::new();
    queries.iter().flatten().for_each(|&q| *counts.entry(q).or_default() += 1);
    let uids: Vec<String> =
        (0..600).map(|i| clip_corpus::uid("http://x", &i.to_string())).collect();
    let mut lists = ListBuilder::new(UInt32Builder::new());
    queries.iter().for_each(|list| lists.append_value(list.iter().map(|&q| Some(q))));
    let batch = batch(vec![
        ("row", rows(600)),
        ("uid", Arc::new(StringArray::from_iter_values(&uids))),
        ("queries", Arc::new(lists.finish())),
    ]);
    Pairs { batch, uids, queries, counts }
}

fn balance(mode: Mode, limit: u64) -> Balance {
    Balance { mode, limit, require_match: true, languages: vec![] }
}

#[test]
fn one_language_or_several_with_one_limit_decide_as_one_list_does() {
    let p = pairs();
    let all = LanguageIds { language: "en".into(), ids: 0..60 };
    for mode in [Mode::Assign, Mode::Metaclip, Mode::Strict, Mode::Online] {
        let (expected, _folder) = decide(&balance(mode, 10), &p.batch);
        let own = Balance { languages: vec![all.clone()], ..balance(mode, 10) };
        let (decisions, _folder) = decide(&own, &p.batch);
        assert_eq!(decisions, expected, "{mode:?}");
    }
}

/// The share of matches that queries below a limit have, as MetaCLIP 2's code says it.
fn t_to_p(counts: &HashMap<u32, u64>, t: u64) -> f64 {
    let below: u64 = counts.values().filter(|&&count| count < t).sum();
    below as f64 / counts.values().sum::<u64>() as f64
}

/// The limit below which queries have about a share of the matches, as MetaCLIP 2's code says it.
fn p_to_t(counts: &HashMap<u32, u64>, p: f64) -> u64 {
    let mut sorted: Vec<u64> = counts.values().copied().collect();
    sorted.sort_unstable();
    let total: u64 = sorted.iter().sum();
    let distance = |n: usize| (sorted[..=n].iter().sum::<u64>() as f64 / total as f64 - p).abs();
    let nearest = (0..sorted.len()).min_by(|&a, &b| distance(a).total_cmp(&distance(b)));
    sorted[nearest.unwrap()]
}

#[test]
fn a_language_is_balanced_as_if_it_were_alone() {
    // The same pairs again in another language, each twice as often: all its limits are doubled.
    let p = pairs();
    let (size, first) = (p.queries.len() as u64, 60);
    let english = p.queries.iter().zip(&p.uids).map(|(list, uid)| (list.clone(), uid.clone()));
    let other = (0..2).flat_map(|copy| {
        let both = p.queries.iter().zip(&p.uids);
        both.map(move |(list, uid)| {
            (list.iter().map(|q| q + first).collect::<Vec<u32>>(), format!("{uid}{copy}"))
        })
    });
    let (lists, uids): (Vec<_>, Vec<_>) = english.chain(other).unzip();
    let mut queries = ListBuilder::new(UInt32Builder::new());
    lists.iter().for_each(|list| queries.append_value(list.iter().map(|&q| Some(q))));
    let both = batch(vec![
        ("row", rows(3 * size)),
        ("uid", Arc::new(StringArray::from_iter_values(&uids))),
        ("queries", Arc::new(queries.finish())),
    ]);
    let ids = |language: &str, ids| LanguageIds { language: language.into(), ids };
    let languages = vec![ids("en", 0..first), ids("ja", first..2 * first)];
    for mode in [Mode::Assign, Mode::Metaclip, Mode::Strict, Mode::Online] {
        let (alone, _folder) = decide(&balance(mode, 10), &p.batch);
        let (all, folder) =
            decide(&Balance { languages: languages.clone(), ..balance(mode, 10) }, &both);
        assert_eq!(all.slice(0, 600), alone, "{mode:?}");
        let account = std::fs::read(folder.path().join("scratch/balance.json")).unwrap();
        let account: serde_json::Value = serde_json::from_slice(&account).unwrap();
        let (english, other) = (&account["languages"][0], &account["languages"][1]);
        assert_eq!((&english["language"], &other["language"]), (&"en".into(), &"ja".into()));
        let limit = other["limit"].as_u64().unwrap();
        assert_eq!(limit, 2 * p_to_t(&p.counts, t_to_p(&p.counts, 10)), "{mode:?}");
        assert_eq!(other["pairs"].as_u64().unwrap(), 2 * english["pairs"].as_u64().unwrap());
        let of_other = all.slice(600, 1200);
        let kept = reasons(&of_other).into_iter().zip(&lists[600..]);
        let kept = kept.filter(|(reason, list)| reason.is_none() && !list.is_empty()).count();
        assert_eq!(other["kept"], kept, "{mode:?}");
        if mode == Mode::Assign {
            assert!(other["most_charged"].as_u64().unwrap() <= limit);
        }
        if mode == Mode::Strict {
            assert!(other["most_after"].as_u64().unwrap() <= limit);
        }
    }
}

#[test]
fn assign_charges_the_rarest_query_and_keeps_the_limit() {
    let p = pairs();
    let (decisions, folder) = decide(&balance(Mode::Assign, 10), &p.batch);
    let rarest: Vec<Option<u32>> = p
        .queries
        .iter()
        .map(|list| list.iter().copied().min_by_key(|q| (p.counts[q], *q)))
        .collect();
    assert_eq!(decisions["query"].as_primitive::<UInt32Type>().iter().collect::<Vec<_>>(), rarest);
    let mut queues: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (at, query) in rarest.iter().enumerate() {
        query.iter().for_each(|q| queues.entry(*q).or_default().push(at));
    }
    let mut expected = vec![Some("no_query"); 600];
    for (query, mut queue) in queues {
        queue.sort_by(|a, b| {
            clip_query::draw(7, &p.uids[*a], query).total_cmp(&clip_query::draw(
                7,
                &p.uids[*b],
                query,
            ))
        });
        for (place, at) in queue.into_iter().enumerate() {
            expected[at] = (place >= 10).then_some("over_limit");
        }
    }
    assert!(expected.contains(&Some("over_limit")) && expected.contains(&Some("no_query")));
    assert_eq!(reasons(&decisions), expected);
    let account = std::fs::read(folder.path().join("scratch/balance.json")).unwrap();
    let account: serde_json::Value = serde_json::from_slice(&account).unwrap();
    let kept = expected.iter().filter(|reason| reason.is_none()).count();
    assert_eq!(account["kept"], kept);
    assert_eq!(account["most_charged"], 10);
    assert_eq!(account["queries_matched"], p.counts.len());
    let head = p.counts.values().max().unwrap();
    assert_eq!(account["head"][0]["before"], *head);
}

#[test]
fn metaclip_keeps_what_any_query_draws() {
    let p = pairs();
    let (decisions, _folder) = decide(&balance(Mode::Metaclip, 10), &p.batch);
    let (online, _folder) = decide(&balance(Mode::Online, 10), &p.batch);
    let chances = decisions["keep_prob"].as_primitive::<Float32Type>();
    assert_eq!(chances, online["keep_prob"].as_primitive::<Float32Type>());
    for (at, reason) in reasons(&decisions).into_iter().enumerate() {
        let list = &p.queries[at];
        let drawn = |q: &u32| clip_query::draw(7, &p.uids[at], *q) * (p.counts[q] as f64) < 10.0;
        let expected = match (list.is_empty(), list.iter().any(drawn)) {
            (true, _) => Some("no_query"),
            (false, true) => None,
            (false, false) => Some("not_drawn"),
        };
        assert_eq!(reason, expected, "row {at}");
        let chance = clip_query::keep_probability(list.iter().map(|q| p.counts[q]), 10);
        assert!((f64::from(chances.value(at)) - chance).abs() < 1e-6, "row {at}");
        assert_eq!(reasons(&online)[at].is_some(), list.is_empty());
    }
}

#[test]
fn strict_lets_no_query_exceed_the_limit() {
    let p = pairs();
    let (decisions, _folder) = decide(&balance(Mode::Strict, 10), &p.batch);
    let mut after: HashMap<u32, u64> = HashMap::new();
    for (list, reason) in p.queries.iter().zip(reasons(&decisions)) {
        if reason.is_none() {
            list.iter().for_each(|&q| *after.entry(q).or_default() += 1);
        }
        let tail = !list.is_empty() && list.iter().all(|q| p.counts[q] <= 10);
        assert!(!tail || reason.is_none(), "a pair of the tail fell");
    }
    assert!(!after.is_empty());
    assert!(after.values().all(|&count| count <= 10), "{after:?}");
}
