//! `pipeline.toml` as the chain of stages, in order: this is the way of a pair.

mod columns;
mod models;
mod needed;
mod spec;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clip_crawl::{COLLECT, ImageFetch};
use clip_curate::{
    Aligned, BlockImages, BlockUrls, Captions, Check, Languages, Matches, QualityFilter,
    QualityModel, ShardSink,
};
use clip_overlap::{
    CandidateOptions, Checker, CopyRule, Decisions, EvalIndex, SetDecision, default_cache,
};
use clip_pipeline::config::corpus::{Block, Check as CheckConfig, CheckAction};
use clip_pipeline::config::fetch::FetchConfig;
use clip_pipeline::config::source::SourceConfig;
use clip_pipeline::config::text::Compat;
use clip_pipeline::{Config, Error, Plan, Result, RunStore, StageSpec, Work};
use clip_query::{LanguageMatcher, MatchOptions, QueryLists, Rules};
use clip_sql::{Balance, Compare, Deduplicate, UniquePairs};
use serde_json::{Value, json};

pub use models::check_models;
pub use needed::{Needed, needed};
use spec::{resource, stage};

/// The plan of a build: every stage that the configuration asks for.
pub fn plan(config: &Config) -> Result<Plan> {
    all_there(config)?;
    let mut stages = vec![collect(config)?];
    stages.extend(block_urls(config)?);
    stages.push(unique());
    stages.extend(captions(config));
    stages.extend(language(config)?);
    stages.extend(quality(config)?);
    stages.extend(matches(config)?);
    stages.extend(balance(config));
    stages.push(fetch(config));
    stages.extend(block_images(config)?);
    stages.extend(dedup(config)?);
    stages.extend(check(config)?);
    stages.extend(models::scores(config)?);
    stages.extend(models::semantic(config)?);
    stages.extend(models::select(config)?);
    stages.push(shards(config));
    let store = config.store.as_ref().map(|store| RunStore::open(store, &config.name));
    Plan::stored(&config.run_dir(), store.transpose()?, config.seed, stages)
}

/// Refuses a pipeline whose files are missing, all of them by name, each with what brings it.
fn all_there(config: &Config) -> Result<()> {
    let lacking = needed(config).into_iter().filter(|file| !file.path.exists());
    let missing: Vec<String> = lacking
        .map(|Needed { name, path, hint }| {
            format!("{name}: {}: no such file or folder\nhint: {hint}", path.display())
        })
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::Config(missing.join("\n"))) }
}

/// What a fetched byte depends on; how fast it comes changes no output.
fn politeness(fetch: &FetchConfig) -> Value {
    json!({
        "user_agent": fetch.user_agent, "robots": fetch.robots, "x_robots_tag": fetch.x_robots_tag,
        "opt_out": fetch.opt_out,
        "allow_private": fetch.allow_private, "max_bytes": fetch.max_bytes,
        "max_redirects": fetch.max_redirects,
    })
}

/// What of `[fetch]` decides which pairs a source gives: pages of the web are fetched, those of
/// archives may have opted out, and nothing else is asked for. What has no part in it is as it is
/// by default, so that a change there collects nothing anew.
fn of_source(config: &Config) -> FetchConfig {
    let fetch = config.fetch.clone();
    match &config.source {
        SourceConfig::Web(_) => fetch,
        SourceConfig::Wat(_) | SourceConfig::Warc(_) => FetchConfig {
            user_agent: fetch.user_agent,
            x_robots_tag: fetch.x_robots_tag,
            opt_out: fetch.opt_out,
            ..FetchConfig::default()
        },
        _ => FetchConfig::default(),
    }
}

fn collect(config: &Config) -> Result<StageSpec> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let inputs = clip_crawl::inputs(&config.source, &config.base)?;
    let resources = inputs.iter().map(|path| resource(&name(path), path)).collect::<Result<_>>()?;
    let settings = json!({"source": config.source, "fetch": politeness(&of_source(config))});
    let (source, fetch, base) = (config.source.clone(), config.fetch.clone(), config.base.clone());
    // Version 4: rows of local images are named by their place in the corpus and keep what their
    // JSON knows of them; images of pages that opt out are rejected, also those of archives.
    // Version 5: pages of WAT files that were errors have no pairs.
    Ok(stage(COLLECT, 5, settings, resources, move || {
        Ok(Work::Source(clip_crawl::source(&source, &fetch, &base)?))
    }))
}

/// `[block]` with the files' own paths.
fn block(config: &Config) -> Option<Block> {
    let paths = |list: &[PathBuf]| list.iter().map(|path| config.path(path)).collect();
    config.block.as_ref().map(|block| Block {
        hosts: paths(&block.hosts),
        urls: paths(&block.urls),
        sha256: paths(&block.sha256),
        phash: paths(&block.phash),
        pdq: paths(&block.pdq),
        ..block.clone()
    })
}

fn block_urls(config: &Config) -> Result<Option<StageSpec>> {
    let Some(block) = block(config) else { return Ok(None) };
    let resources = block.before_fetch().map(|(name, path)| resource(name, path));
    let resources = resources.collect::<Result<Vec<_>>>()?;
    if resources.is_empty() {
        return Ok(None);
    }
    Ok(Some(stage(BlockUrls::STAGE, 1, json!({}), resources, move || {
        Ok(Work::Map(Box::new(BlockUrls::open(&block)?)))
    })))
}

fn block_images(config: &Config) -> Result<Option<StageSpec>> {
    let Some(block) = block(config) else { return Ok(None) };
    let resources = block.after_fetch().map(|(name, path)| resource(name, path));
    let resources = resources.collect::<Result<Vec<_>>>()?;
    if resources.is_empty() {
        return Ok(None);
    }
    let radius = |list: &[PathBuf], radius: u32| (!list.is_empty()).then_some(radius);
    let settings = json!({
        "phash_radius": radius(&block.phash, block.phash_radius()),
        "pdq_radius": radius(&block.pdq, block.pdq_radius()),
    });
    Ok(Some(stage(BlockImages::STAGE, 1, settings, resources, move || {
        Ok(Work::Map(Box::new(BlockImages::open(&block)?)))
    })))
}

fn unique() -> StageSpec {
    let resources = clip_sql::resources(&UniquePairs::QUERIES);
    stage("unique", 1, json!({}), resources, || Ok(Work::Barrier(Box::new(UniquePairs))))
}

fn captions(config: &Config) -> Option<StageSpec> {
    let filter = config.caption.clone()?;
    // Version 3: a caption that ends in the extension of any image format is a file's name.
    Some(stage(Captions::STAGE, 3, json!(filter), vec![], move || {
        Ok(Work::Map(Box::new(Captions::new(filter.clone()))))
    }))
}

fn language(config: &Config) -> Result<Option<StageSpec>> {
    let Some(language) = config.language.clone() else { return Ok(None) };
    let model = config.path(&language.model);
    let resources = vec![resource("language.model", &model)?];
    Languages::check(&model, &language.keep)?;
    let settings = json!({"keep": language.keep, "min_prob": language.min_prob});
    Ok(Some(stage(Languages::STAGE, 2, settings, resources, move || {
        let languages = Languages::open(&model, language.keep.clone(), language.min_prob)?;
        Ok(Work::Map(Box::new(languages)))
    })))
}

fn quality(config: &Config) -> Result<Option<StageSpec>> {
    if config.quality.is_empty() {
        return Ok(None);
    }
    let all: Vec<_> = config.quality.iter().map(|q| (config.path(&q.model), q.clone())).collect();
    let resources = all.iter().map(|(path, q)| resource(&format!("quality.{}", q.name), path));
    let resources = resources.collect::<Result<_>>()?;
    let settings = all.iter().map(|(_, q)| {
        json!({"name": q.name, "label": q.label, "min_prob": q.min_prob, "column": q.column})
    });
    let settings = json!({"models": settings.collect::<Vec<_>>()});
    Ok(Some(stage(QualityFilter::STAGE, 1, settings, resources, move || {
        let open = |(path, q): &(PathBuf, _)| QualityModel::open(path, q);
        let models = all.iter().map(open).collect::<Result<_>>()?;
        Ok(Work::Map(Box::new(QualityFilter::new(models))))
    })))
}

fn matches(config: &Config) -> Result<Option<StageSpec>> {
    let Some(queries) = config.queries.clone() else { return Ok(None) };
    let lists = queries.lists().map(|(name, path)| resource(&name, &config.path(path)));
    let resources = lists.collect::<Result<_>>()?;
    let lists = query_lists(config);
    // An empty list, or one of another kind, is known before anything is collected.
    lists().map_err(|e| Error::Config(e.to_string()))?;
    let (ignore_case, places) = (queries.ignore_case, queries.places);
    let settings = json!({"compat": queries.compat, "ignore_case": ignore_case, "places": places});
    Ok(Some(stage(Matches::STAGE, 2, settings, resources, move || {
        let rules = match queries.compat {
            Compat::Default => Rules::Words,
            Compat::Metaclip => Rules::Metaclip,
        };
        let options = MatchOptions { rules, ignore_case };
        let matcher = LanguageMatcher::build(&lists()?, options);
        let matcher = matcher.map_err(|e| Error::stage(Matches::STAGE, e))?;
        Ok(Work::Map(Box::new(Matches::new(matcher, places))))
    })))
}

/// Reads the lists of queries when they are needed.
pub fn query_lists(config: &Config) -> impl Fn() -> Result<QueryLists> + Send + Sync + 'static {
    let queries = config.queries.clone().map(|queries| {
        let own = queries.languages.iter();
        let own = own.map(|(code, path)| (code.clone(), config.path(path)));
        let rest = queries.rest(config.language.as_ref());
        (rest, config.path(&queries.list), own.collect())
    });
    move || {
        let none = || Error::Config("there is no [queries]".into());
        let (rest, list, own) = queries.as_ref().ok_or_else(none)?;
        QueryLists::open(rest, list, own).map_err(|e| Error::stage(Matches::STAGE, e))
    }
}

fn balance(config: &Config) -> Option<StageSpec> {
    let settings = config.balance.clone()?;
    let by_language = config.queries.as_ref().is_some_and(|q| !q.languages.is_empty());
    let resources = clip_sql::resources(&Balance::queries(settings.mode));
    let lists = query_lists(config);
    // Version 3: on a cluster, `assign` and `strict` keep no more than the limit.
    Some(stage("balance", 3, json!(settings), resources, move || {
        let languages =
            if by_language { lists()?.languages().cloned().collect() } else { Vec::new() };
        let (mode, limit, require_match) = (settings.mode, settings.limit, settings.require_match);
        Ok(Work::Barrier(Box::new(Balance { mode, limit, require_match, languages })))
    }))
}

fn fetch(config: &Config) -> StageSpec {
    let settings = json!({"fetch": politeness(&config.fetch), "image": config.image});
    let (fetch, image) = (config.fetch.clone(), config.image.clone());
    let (source, base) = (config.source.clone(), config.base.clone());
    // Version 4: AVIF and JPEG XL are decoded.
    stage(ImageFetch::STAGE, 4, settings, vec![], move || {
        Ok(Work::Fetch(Box::new(ImageFetch::new(&fetch, &image, &source, &base)?)))
    })
}

fn dedup(config: &Config) -> Result<Option<StageSpec>> {
    let Some(settings) = config.dedup.clone() else { return Ok(None) };
    let mut resources = clip_sql::resources(&Deduplicate::QUERIES);
    let mut known = Vec::new();
    for corpus in &settings.against {
        let tables = clip_sql::dedup::tables(&config.path(corpus));
        known.extend(tables.map_err(|e| Error::Config(format!("dedup.against: {e}")))?);
    }
    for table in &known {
        resources.push(resource("dedup.against", table)?);
    }
    let likeness = settings.likeness.unwrap_or(CopyRule::default().threshold());
    let configuration = json!({
        "radius": settings.radius, "keep_captions": settings.keep_captions, "likeness": likeness,
        "max_captions": settings.max_captions, "placeholder_limit": settings.placeholder_limit,
    });
    Ok(Some(stage("dedup", 10, configuration, resources, move || {
        let aligned = || -> Arc<dyn Compare> { Arc::new(Aligned::new(CopyRule::at(likeness))) };
        Ok(Work::Barrier(Box::new(Deduplicate {
            radius: settings.radius,
            max_captions: if settings.keep_captions { settings.max_captions } else { 0 },
            placeholder_limit: settings.placeholder_limit,
            known: known.clone(),
            compare: (likeness > 0.0).then(aligned),
        })))
    })))
}

fn check(config: &Config) -> Result<Option<StageSpec>> {
    let Some(check) = config.check.clone() else { return Ok(None) };
    let sets: Vec<_> =
        check.against.iter().map(|(n, path)| (n.clone(), config.path(path))).collect();
    let resources =
        sets.iter().map(|(name, path)| resource(&format!("check.against.{name}"), path));
    let resources = resources.collect::<Result<_>>()?;
    let decided = decisions(config, &check)?;
    let settings = json!({"action": check.action, "decided": decided, "thorough": check.thorough});
    Ok(Some(stage(Check::STAGE, 14, settings, resources, move || {
        let (cache, search) = (default_cache(), CandidateOptions::of_mode(check.thorough));
        let open = |(name, path): &(String, PathBuf)| {
            let index = EvalIndex::open(name, path, cache.as_deref(), &search);
            let index = index.map_err(|e| Error::stage(Check::STAGE, e))?;
            index.warnings().for_each(|text| eprintln!("{text}"));
            Ok((index, decided.set(name).rule()))
        };
        let sets = sets.iter().map(open).collect::<Result<_>>()?;
        let drop = check.action == CheckAction::Drop;
        Ok(Work::Map(Box::new(Check::new(Checker::new(sets), drop))))
    })))
}

/// What is decided of each set of `[check]`: by its thresholds, else by its decision file, else by
/// default.
pub fn decisions(config: &Config, check: &CheckConfig) -> Result<Decisions> {
    let file = check.decisions.as_ref().map(|file| Decisions::read(&config.path(file)));
    let file = file.transpose().map_err(|e| Error::Config(format!("check.decisions: {e}")))?;
    let file = file.unwrap_or_default();
    check_marks(check, &file)?;
    let set = |name: &String| {
        let own = file.set(name);
        // Written out, so that another default is another stage.
        let threshold = check.threshold.of(name).unwrap_or(own.rule().threshold());
        (name.clone(), SetDecision { threshold: Some(threshold), ..own })
    };
    Ok(Decisions { sets: check.against.keys().map(set).collect() })
}

/// Refuses marks of images by another name than the number of a row: they would decide nothing.
fn check_marks(check: &CheckConfig, decided: &Decisions) -> Result<()> {
    let is_row = |id: &str| id.parse::<u64>().is_ok_and(|row| row.to_string() == id);
    let sets = decided.sets.iter().filter(|(name, _)| check.against.contains_key(*name));
    for (name, set) in sets {
        let other: Vec<_> = set.marks.iter().filter(|mark| !is_row(&mark.id)).collect();
        let Some(first) = other.first() else { continue };
        return Err(Error::Config(format!(
            "check.decisions: {name}: {} of {} marks name an image that is no row of a build, such as {:?}\n\
             hint: mark the pairs of the report that `clip-data contamination` writes of the build itself",
            other.len(),
            set.marks.len(),
            first.id
        )));
    }
    Ok(())
}

fn shards(config: &Config) -> StageSpec {
    let rows = config.shards.rows;
    stage(ShardSink::STAGE, 2, json!({"rows": rows}), vec![], move || {
        Ok(Work::Sink(Box::new(ShardSink::new(rows))))
    })
}
