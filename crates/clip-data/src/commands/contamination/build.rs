//! The corpus of a build: what its check stage found.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clip_corpus::Manifest;
use clip_crawl::ImageFetch;
use clip_curate::{Check, ShardSink};
use clip_overlap::stage::{checked, checked_texts};
use clip_overlap::{
    CandidateOptions, ContaminationReport, CorpusAccount, EvalIndex, Match, SetReport, Subject,
    TextOverlap, default_cache,
};
use clip_pipeline::{Plan, RunReader, Status};
use clip_report::stored;

use super::{Args, check_names, decisions, judge, pages, print_report, texts, this_build};
use crate::commands::is_tar;
use crate::recipe;

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = args.pipeline.load()?;
    let Some(check) = &config.check else {
        let hint = "hint: name evaluation sets under [check] against and build, or give --corpus and --eval";
        bail!("{}: no [check] section\n{hint}", args.pipeline.config.display());
    };
    let plan = recipe::plan(&config)?;
    let stage = &plan.stages[plan.find(Check::STAGE)?];
    if stage.status != Status::Reuse {
        let path = args.pipeline.config.display();
        bail!("the corpus is not checked yet\nhint: run `clip-data build -c {path}` first");
    }
    let names: Vec<&str> = check.against.keys().map(String::as_str).collect();
    check_names(args, &names)?;
    let dir = plan.layout.dir();
    let decided = decisions(args, recipe::decisions(&config, check)?, dir, &names)?;
    let (found, rows) = checked(&stage.layout)?;
    let kept: Vec<bool> = found.iter().map(|checked| checked.kept).collect();
    let mut matches: Vec<Match> = found.into_iter().map(|checked| checked.pair).collect();
    let cache = args.index.clone().or_else(default_cache);
    let search = CandidateOptions::of_mode(check.thorough);
    let mut sets = Vec::new();
    for (name, path) in &check.against {
        let index = EvalIndex::open(name, &config.path(path), cache.as_deref(), &search)?;
        index.warnings().for_each(|text| eprintln!("{text}"));
        for pair in matches.iter_mut().filter(|pair| pair.set == *name) {
            let item = index.keys.iter().position(|key| *key == pair.key);
            pair.class = item.map_or(String::new(), |item| index.class(item as u32).to_owned());
        }
        sets.push(SetReport::new(
            &Subject::of(&index),
            &matches,
            |at| kept[at],
            &decided.set(name),
        )?);
    }
    let run = RunReader::open(dir)?;
    let reader = run.stage(Check::STAGE)?;
    let there = |row: &u64| Ok(reader.kept(*row)?.is_some() || reader.rejected(*row)?.is_some());
    let is_row = |row: u64| matches!(there(&row), Ok::<_, clip_pipeline::Error>(true));
    decided.warn_of_unmatched(&matches, &is_row);
    let paths: BTreeMap<String, PathBuf> =
        check.against.iter().map(|(name, path)| (name.clone(), config.path(path))).collect();
    let captions = texts::captions(paths.iter())?;
    let found = checked_texts(&stage.layout, &captions)?;
    let copied = matches
        .iter()
        .zip(&kept)
        .filter(|(pair, kept)| **kept && pair.is_copy(&decided.set(&pair.set).rule()));
    let copied: Vec<&Match> = copied.map(|(pair, _)| pair).collect();
    for set in &captions {
        for report in sets.iter_mut().filter(|report| report.name == set.name) {
            report.text = Some(TextOverlap::new(set, found.texts, &found.matches, &copied)?);
        }
    }
    judge(args, &mut sets)?;
    let shards = shards_of(&plan)?;
    let corpus = CorpusAccount {
        paths: vec![dir.display().to_string()],
        images: rows,
        check: Some(stage.layout.name()),
        check_parts: Some(this_build::parts_hash(&stage.layout)?),
        in_shards: shards.as_ref().map(|(_, rows)| *rows),
        shards: shards.map(|(files, _)| files).unwrap_or_default(),
        ..CorpusAccount::default()
    };
    let account = ContaminationReport::new(corpus, sets);
    let fetched = &plan.stages[plan.find(ImageFetch::STAGE)?].layout;
    let shards = plan.layout.shards();
    decided.keep(dir)?;
    pages::write(dir, &paths, &account, &matches, &decided, |wanted| {
        Ok(stored(wanted, fetched, &shards)?)
    })?;
    print_report(args, &account, dir)
}

/// blake3 of the build's shards as they were written, and their rows; none where they are not all
/// there yet.
fn shards_of(plan: &Plan) -> anyhow::Result<Option<(Vec<String>, u64)>> {
    let stage = plan.find(ShardSink::STAGE).map(|at| &plan.stages[at]);
    let Some(stage) = stage.ok().filter(|stage| stage.status == Status::Reuse) else {
        return Ok(None);
    };
    let manifest = Manifest::open(stage.layout.dir())?;
    let files = manifest.commits().flat_map(|commit| &commit.files);
    let shards = files.filter(|file| is_tar(&file.name));
    let hashes = shards.map(|file| file.blake3.clone()).collect();
    Ok(Some((hashes, manifest.counts().rows_out)))
}
