//! The columns that rows have when `[select]` decides, before there are any: a name that is none of
//! them is to be found before anything is fetched.

use clip_corpus::columns::{self, pair_schema};
use clip_overlap::stage::HITS;
use clip_pipeline::Config;
use clip_pipeline::config::source::SourceConfig;
use clip_score::Similarity;

/// Names of the columns, in the order of the stages that add them.
pub(super) fn at_select(config: &Config) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |more: &[&str]| {
        for name in more.iter().filter(|name| !name.is_empty()) {
            if !names.iter().any(|known| known == name) {
                names.push((*name).to_owned());
            }
        }
    };
    pair_schema().fields().iter().for_each(|field| add(&[field.name()]));
    if matches!(config.source, SourceConfig::Folder(_) | SourceConfig::Webdataset(_)) {
        add(&[columns::SOURCE_KEY]);
    }
    config.source.columns().iter().for_each(|name| add(&[name]));
    if config.language.is_some() {
        add(&[columns::LANGUAGE, columns::LANGUAGE_PROB]);
    }
    for quality in config.quality.iter().filter(|quality| quality.column) {
        add(&[&format!("quality_{}", quality.name)]);
    }
    if let Some(queries) = &config.queries {
        add(&[columns::QUERIES, if queries.places { "query_places" } else { "" }]);
    }
    if config.balance.is_some() {
        add(&["query", "keep_prob"]);
    }
    add(&["width", "height", "original_width", "original_height", "format", "sha256", "blake3"]);
    add(&[columns::PHASH, columns::DHASH, "flat", "exif"]);
    if config.dedup.is_some() {
        add(&[columns::CLUSTER, columns::CAPTIONS]);
    }
    if config.check.is_some() {
        add(&[columns::OVERLAP, "overlap_key", "overlap_score", HITS]);
    }
    for score in &config.score {
        let similarity = Similarity::of(&score.name);
        // Without `[dedup]` a row has one caption.
        let several = config.dedup.is_some();
        add(&similarity.names()[..if several { 3 } else { 1 }]);
        score.columns().iter().for_each(|name| add(&[name]));
    }
    if config.semantic.is_some() {
        add(&[columns::SEMANTIC_CLUSTER]);
    }
    names
}
