//! Any corpus: streamed against the evaluation sets, reported on a page with contact sheets.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use clip_cli::{Show, StatusLine};
use clip_overlap::corpus::{Unit, units};
use clip_overlap::text::{TextMatch, TextScan};
use clip_overlap::{
    CandidateOptions, ContaminationReport, CopyRule, CorpusAccount, Decisions, Detection,
    EvalIndex, Match, PAIRS, Removal, Scan, ScanOptions, Scanned, SetReport, Subject, TEXTS,
    TextOverlap, UnitCount, default_cache, write_pairs, write_text_copies,
};
use serde_json::json;

use super::{
    Args, check_names, decisions, judge, pages, print_report, retrain, texts, warn_of_names,
};
use crate::commands::{fetch_has_shards, refuse_twice};
use crate::detector_process::DetectorProcess;
use crate::exit;
use crate::set_on_drop::SetOnDrop;

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let names: Vec<&str> = args.eval.iter().map(|(name, _)| name.as_str()).collect();
    if let Some(twice) = names.iter().find(|name| names.iter().filter(|n| n == name).count() > 1) {
        bail!("--eval {twice}: two sets have this name");
    }
    if let Some(odd) = names.iter().find(|name| name.contains(['/', '\\', '\t'])) {
        bail!("--eval {odd}: a name may have no slash in it: a file is called by it");
    }
    check_names(args, &names)?;
    warn_of_names(names.iter().copied());
    let decided = decisions(args, Decisions::default(), args.out(), &names)?;
    let mut all = Vec::new();
    for spec in &args.corpus {
        fetch_has_shards(Path::new(spec))?;
        all.extend(units(spec)?);
    }
    refuse_twice(all.iter().flat_map(|unit| &unit.files).map(PathBuf::as_path))?;
    let places: Vec<PathBuf> = all.iter().map(|unit| PathBuf::from(&unit.place)).collect();
    let removed = Removal::open(&args.without, &places)?;
    let cache = args.index.clone().or_else(default_cache);
    let search = CandidateOptions::of_mode(args.thorough);
    let mut sets = Vec::new();
    for (name, path) in &args.eval {
        let start = Instant::now();
        let set = EvalIndex::open(name, path, cache.as_deref(), &search)?;
        let took = start.elapsed();
        note!("{name}: {} items ready in {took:.1?}", set.len());
        set.warnings().for_each(|text| eprintln!("{text}"));
        sets.push(set);
    }
    let served = args.detector.as_deref().map(DetectorProcess::start).transpose()?;
    let detection = served
        .as_ref()
        .map(|served| Detection::new(served, &sets, cache.as_deref()))
        .transpose()?;
    let scanned = Scanned { rows: AtomicU64::new(0), cancel: AtomicBool::new(false) };
    let mut options = ScanOptions::default();
    let thresholds = decided.sets.values().filter_map(|set| set.threshold);
    options.floor = thresholds.fold(options.floor, f32::min);
    let folder = args.out().join("parts");
    let scan =
        Scan { sets: &sets, options, folder, detection: detection.as_ref(), progress: &scanned };
    let stop = clip_cli::stop_flag(exit::STOPPING)?;
    let Some((counts, matches)) = compare(&scan, &all, args.progress.show(), &stop)? else {
        eprintln!("interrupted: run the same command again to resume");
        return Ok(ExitCode::from(exit::INTERRUPTED));
    };
    let captions = texts::captions(args.eval.iter().map(|(name, path)| (name, path)))?;
    let text_scan = texts::scan(&captions, &scan, &stop);
    let Some((texts, found)) = texts::compare(&text_scan, &all)? else {
        eprintln!("interrupted: run the same command again to resume");
        return Ok(ExitCode::from(exit::INTERRUPTED));
    };
    sweep(&scan, &text_scan, &all)?;
    let kept = |place: &str, id: &str| !removed.has(place, id);
    let mut accounts = Vec::new();
    for set in &sets {
        let decision = decided.set(&set.name);
        let there = |at: usize| kept(&matches[at].place, &matches[at].id);
        accounts.push(SetReport::new(&Subject::of(set), &matches, there, &decision)?);
    }
    decided.warn_of_unmatched(&matches, &|_| false);
    let rules: HashMap<&String, CopyRule> =
        args.eval.iter().map(|(name, _)| (name, decided.set(name).rule())).collect();
    let copies: Vec<bool> = matches.iter().map(|pair| pair.is_copy(&rules[&pair.set])).collect();
    let copied: Vec<&Match> =
        matches.iter().zip(&copies).filter(|(_, copy)| **copy).map(|(pair, _)| pair).collect();
    let shards = UnitCount::shard_hashes(&counts);
    if !captions.is_empty() {
        write_text_copies(&args.out().join(TEXTS), &found, &shards)?;
    }
    // What is called removed has neither image nor text in the corpus.
    let found: Vec<TextMatch> =
        found.into_iter().filter(|text| kept(&text.place, &text.id)).collect();
    for set in &captions {
        for account in accounts.iter_mut().filter(|account| account.name == set.name) {
            account.text = Some(TextOverlap::new(set, texts, &found, &copied)?);
        }
    }
    judge(args, &mut accounts)?;
    let mut account =
        ContaminationReport::new(CorpusAccount::of(args.corpus.clone(), &counts), accounts);
    write_pairs(&args.out().join(PAIRS), &matches, &copies, &shards)?;
    if args.retrain {
        // The runs read it.
        account.write(args.out())?;
        if let Some(code) = retrain::run(args, &mut account)? {
            return Ok(ExitCode::from(code));
        }
    }
    let sets = args.eval.iter().cloned().collect();
    decided.keep(args.out())?;
    pages::write(args.out(), &sets, &account, &matches, &decided, |wanted| {
        Ok(scan.thumbnails(&all, wanted)?)
    })?;
    print_report(args, &account, args.out())
}

type Compared = (Vec<UnitCount>, Vec<Match>);

/// Every unit in order; nothing when it was interrupted.
fn compare(
    scan: &Scan,
    units: &[Unit],
    show: Show,
    stop: &AtomicBool,
) -> anyhow::Result<Option<Compared>> {
    let (mut counts, mut matches) = (Vec::new(), Vec::new());
    let done = AtomicBool::new(false);
    let ready = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let _done = SetOnDrop(&done);
        scope.spawn(|| watch(scan.progress, &ready, units.len(), show, (stop, &done)));
        for unit in units {
            let Some((count, found)) = scan.unit(unit)? else { return Ok(None) };
            counts.push(count);
            matches.extend(found);
            ready.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Some((counts, matches)))
    })
}

/// Prints how far it has come, now and then, and passes a signal on.
fn watch(
    scanned: &Scanned,
    ready: &AtomicU64,
    units: usize,
    show: Show,
    (stop, done): (&AtomicBool, &AtomicBool),
) {
    let (start, status) = (Instant::now(), StatusLine::new(show, "compared", Some(units as u64)));
    let line = || {
        let (rows, ready) = (scanned.rows.load(Ordering::Relaxed), ready.load(Ordering::Relaxed));
        let rate = rows as f64 / start.elapsed().as_secs_f64().max(1e-3);
        let text = format!("{ready} of {units} files, {rows} rows, {rate:.0} a second");
        let event = json!({"event": "scanned", "units": ready, "of": units, "rows": rows, "rate": rate.round()});
        (text, event)
    };
    while !done.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
        scanned.cancel.fetch_or(stop.load(Ordering::Relaxed), Ordering::Relaxed);
        status.update(ready.load(Ordering::Relaxed), line);
    }
    status.finish(ready.load(Ordering::Relaxed), line());
}

/// Removes what earlier runs kept of other corpora, sets or versions.
fn sweep(scan: &Scan, texts: &TextScan, units: &[Unit]) -> anyhow::Result<()> {
    let mut own: HashSet<PathBuf> =
        units.iter().map(|unit| scan.file(unit)).collect::<Result<_, _>>()?;
    for unit in units {
        own.insert(texts.file(unit)?);
    }
    for entry in std::fs::read_dir(&scan.folder)? {
        let path = entry?.path();
        if !own.contains(&path) && path.extension().is_some_and(|e| e == "parquet" || e == "json") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
