//! The files and folders that a pipeline's settings name.

use std::path::{Path, PathBuf};

use clip_pipeline::Config;
use clip_pipeline::config::semantic::Semantic;
use clip_pipeline::config::text::Queries;

use crate::install;

/// One of them.
pub struct Needed {
    /// The setting.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What brings it.
    pub hint: String,
}

/// All of them, in the order of the stages.
pub fn needed(config: &Config) -> Vec<Needed> {
    let named = |name: &str, path: &Path, hint: &str| Needed {
        name: name.to_owned(),
        path: config.path(path),
        hint: hint.to_owned(),
    };
    let mut all = Vec::new();
    all.extend(config.block.iter().flat_map(|block| {
        let lists = block.before_fetch().chain(block.after_fetch());
        lists.map(|(name, path)| named(name, path, "a list with an entry a line"))
    }));
    all.extend(config.language.iter().map(|language| {
        let hint = install::download_languages(&config.path(&language.model));
        named("language.model", &language.model, &hint)
    }));
    all.extend(config.quality.iter().map(|quality| {
        let hint = format!(
            "clip-data classifier train --positive GOOD.txt --negative OTHER.txt --out {}",
            config.path(&quality.model).display()
        );
        named(&format!("quality.{}", quality.name), &quality.model, &hint)
    }));
    all.extend(config.queries.iter().flat_map(Queries::lists).map(|(name, path)| {
        let hint = format!("clip-data queries build --out {}", config.path(path).display());
        named(&name, path, &hint)
    }));
    let corpora = config.dedup.iter().flat_map(|dedup| &dedup.against);
    let corpus = "a folder of shards, or a Parquet table";
    all.extend(corpora.map(|path| named("dedup.against", path, corpus)));
    if let Some(check) = &config.check {
        let set = "a folder of images by class, or a set that `clip-data eval datasets` lists";
        let sheet = "a contact sheet of `clip-data contamination` saves it";
        let sets = check.against.iter();
        all.extend(sets.map(|(name, path)| named(&format!("check.against.{name}"), path, set)));
        all.extend(check.decisions.iter().map(|path| named("check.decisions", path, sheet)));
    }
    for score in &config.score {
        let key = format!("score.{}", score.name);
        let weights = "weights in any format that `clip-data embed` opens";
        let head = "safetensors, or a state dict of PyTorch";
        let name = "a model_cfg, or the name of a model";
        all.push(named(&format!("{key}.model"), &score.model, weights));
        let heads = score.heads.iter();
        all.extend(heads.map(|(name, own)| named(&format!("{key}.heads.{name}"), &own.file, head)));
        let config = score.model_config();
        all.extend(config.map(|file| named(&format!("{key}.model_name"), file, name)));
    }
    let arrays = config.semantic.iter().flat_map(Semantic::files);
    all.extend(arrays.map(|(name, path)| named(name, path, "a .npy file of [rows, width]")));
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: &str = r#"
        schema = 1
        name = "all"
        [source]
        kind = "list"
        paths = ["pairs.csv"]
        [block]
        hosts = ["hosts"]
        urls = ["urls"]
        sha256 = ["sha256"]
        phash = ["phash"]
        pdq = ["pdq"]
        [language]
        model = "language"
        keep = ["en", "ja"]
        [[quality]]
        name = "good"
        model = "quality"
        label = "positive"
        [queries]
        list = "queries"
        languages = { ja = "japanese" }
        [dedup]
        against = ["corpus"]
        [check]
        against = { toys = "toys" }
        decisions = "decisions"
        [[score]]
        model = "model"
        model_name = "model.json"
        embeddings = true
        [score.heads]
        aesthetic = { file = "head" }
        [semantic]
        centroids = "centroids"
        targets = ["targets"]
    "#;

    /// [`Config::files`] takes the settings apart, so that it cannot forget one.
    #[test]
    fn all_files_of_the_settings_are_needed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipeline.toml");
        std::fs::write(&path, ALL).unwrap();
        let config = Config::load(&path, &[]).unwrap();
        let found: BTreeSet<PathBuf> = needed(&config).into_iter().map(|file| file.path).collect();
        let mut wanted: BTreeSet<PathBuf> = config.files().into_iter().collect();
        wanted.remove(&config.run_dir());
        assert_eq!(found, wanted);
        assert_eq!(found.len(), 17);
    }
}
