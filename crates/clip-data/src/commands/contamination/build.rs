//! The corpus of a build: what its check stage found.

use std::process::ExitCode;

use anyhow::bail;
use clip_corpus::Manifest;
use clip_crawl::ImageFetch;
use clip_curate::{Check, ShardSink};
use clip_overlap::stage::checked;
use clip_overlap::{
    CandidateOptions, ContaminationReport, CorpusAccount, EvalIndex, Match, SetReport, Subject,
    default_cache,
};
use clip_pipeline::{Plan, Status};
use clip_report::stored;

use super::{Args, check_names, decisions, judge, pages, print_report, this_build};
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
    let decided = decisions(args, recipe::decisions(&config, check)?, &names)?;
    let (found, rows) = checked(&stage.layout)?;
    let kept: Vec<bool> = found.iter().map(|checked| checked.kept).collect();
    let mut matches: Vec<Match> = found.into_iter().map(|checked| checked.pair).collect();
    let cache = args.index.clone().or_else(default_cache);
    let search = CandidateOptions::of_mode(check.thorough);
    let mut sets = Vec::new();
    for (name, path) in &check.against {
        let index = EvalIndex::open(name, &config.path(path), cache.as_deref(), &search)?;
        for pair in matches.iter_mut().filter(|pair| pair.set == *name) {
            let item = index.keys.iter().position(|key| *key == pair.key);
            pair.class = item.map_or(String::new(), |item| index.class(item as u32).to_owned());
        }
        let (items, unreadable) = (index.len() as u64, index.unreadable.len() as u64);
        let subject = Subject { name, index: &index.hash, items, unreadable };
        sets.push(SetReport::new(&subject, &matches, |at| kept[at], &decided.set(name))?);
    }
    judge(args, &mut sets)?;
    let dir = plan.layout.dir();
    let corpus = CorpusAccount {
        paths: vec![dir.display().to_string()],
        images: rows,
        check: Some(stage.layout.name()),
        check_parts: Some(this_build::parts_hash(&stage.layout)?),
        shards: shards_of(&plan)?,
        ..CorpusAccount::default()
    };
    let account = ContaminationReport::new(corpus, sets);
    let paths =
        check.against.iter().map(|(name, path)| (name.clone(), config.path(path))).collect();
    let fetched = &plan.stages[plan.find(ImageFetch::STAGE)?].layout;
    let shards = plan.layout.shards();
    pages::write(dir, &paths, &account, &matches, &decided, |wanted| {
        Ok(stored(wanted, fetched, &shards)?)
    })?;
    print_report(args, &account, dir)
}

/// blake3 of the build's shards as they were written; none where they are not all there yet.
fn shards_of(plan: &Plan) -> anyhow::Result<Vec<String>> {
    let stage = plan.find(ShardSink::STAGE).map(|at| &plan.stages[at]);
    let Some(stage) = stage.ok().filter(|stage| stage.status == Status::Reuse) else {
        return Ok(Vec::new());
    };
    let manifest = Manifest::open(stage.layout.dir())?;
    let files = manifest.commits().flat_map(|commit| &commit.files);
    let shards = files.filter(|file| is_tar(&file.name));
    Ok(shards.map(|file| file.blake3.clone()).collect())
}
