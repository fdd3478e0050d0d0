//! The stages behind the fetch that choose by models and columns.

use std::sync::Arc;

use clip_curate::Scores;
use clip_filter::{Clusters, Keep, SelectStage, Semantic, SemanticStage, Top};
use clip_pipeline::config::score::Score;
use clip_pipeline::config::semantic::SemanticKeep;
use clip_pipeline::{Config, Error, Plan, Result, StageSpec, Status, Work};
use clip_sql::Condition;
use clip_sql::condition::no_column;
use serde_json::{Value, json};

use super::columns;
use super::spec::{resource, stage};
use crate::score_process::ScoreProcess;

/// A stage for each scorer.
pub(super) fn scores(config: &Config) -> Result<Vec<StageSpec>> {
    let stage_of = |score: &Score| {
        let run = config.path(&score.model).join("checkpoints");
        if run.is_dir() {
            let hint = format!("hint: name one of those in {}", run.display());
            let what = "a run of training, whose newest checkpoint changes";
            let model = score.model.display();
            return Err(Error::Config(format!(
                "score.{}.model: {model}: {what}\n{hint}",
                score.name
            )));
        }
        let mut resources = vec![resource("score.model", &config.path(&score.model))?];
        if let Some(file) = score.model_config() {
            resources.push(resource("score.model_name", &config.path(file))?);
        }
        for (name, head) in &score.heads {
            resources.push(resource(&format!("score.heads.{name}"), &config.path(&head.file))?);
        }
        // Where files are is not what they hold.
        let mut settings = json!(score);
        settings["model"] = Value::Null;
        if score.model_config().is_some() {
            settings["model_name"] = Value::Null;
        }
        for name in score.heads.keys() {
            settings["heads"][name]["file"] = Value::Null;
        }
        let (name, columns, embeddings) = (score.name.clone(), score.columns(), score.embeddings);
        let process = Arc::new((config.clone(), score.clone()));
        // Version 2: linear maps are computed by oneDNN, with other last digits.
        // Version 3: images of a palette are resized with Pillow's rounding.
        Ok(stage(Scores::stage(&score.name), 3, settings, resources, move || {
            let process = ScoreProcess::new(&process.0.base, &process.1);
            let process = Box::new(process);
            Ok(Work::Map(Box::new(Scores::new(&name, columns.clone(), embeddings, process))))
        }))
    };
    config.score.iter().map(stage_of).collect()
}

/// Whether this machine can run the models of the stages that are to run: without libtorch, or with
/// a head that does not fit, nothing is to be fetched first. `from` and `until` are those of
/// [`clip_pipeline::Selection`].
pub fn check_models(
    config: &Config,
    plan: &Plan,
    from: Option<&str>,
    until: Option<&str>,
) -> anyhow::Result<()> {
    let from = from.map_or(Ok(usize::MAX), |name| plan.find(name))?;
    let until = until.map_or(Ok(usize::MAX), |name| plan.find(name))?;
    for score in &config.score {
        let at = plan.find(&Scores::stage(&score.name))?;
        let there = plan.stages[at].status == Status::Reuse && at < from;
        if at <= until && !there {
            ScoreProcess::new(&config.base, score).check()?;
        }
    }
    Ok(())
}

pub(super) fn semantic(config: &Config) -> Result<Option<StageSpec>> {
    let Some(semantic) = config.semantic.clone() else { return Ok(None) };
    let scorer = semantic.scorer(&config.score).map_err(Error::Config)?;
    let embedded = Scores::stage(&scorer.name);
    let resources = semantic.files().map(|(name, path)| resource(name, &config.path(path)));
    let resources = resources.collect::<Result<_>>()?;
    let keep = match semantic.keep {
        None | Some(SemanticKeep::Hard) => Keep::Hard,
        Some(SemanticKeep::Easy) => Keep::Easy,
        Some(SemanticKeep::Random) => Keep::Random,
    };
    let settings = json!({
        "of": embedded, "clusters": semantic.clusters, "semdedup": semantic.semdedup,
        "keep": semantic.semdedup.map(|_| semantic.keep.unwrap_or(SemanticKeep::Hard)),
    });
    let chosen = Semantic {
        clusters: match (&semantic.centroids, semantic.clusters) {
            (Some(path), _) => Clusters::File(config.path(path)),
            (None, clusters) => Clusters::Train(clusters.unwrap_or_default()),
        },
        embedding: "img_emb".into(),
        targets: semantic.targets.iter().map(|path| config.path(path)).collect(),
        epsilon: semantic.semdedup,
        keep,
        seed: config.seed,
        save: None,
    };
    Ok(Some(stage(SemanticStage::STAGE, 1, settings, resources, move || {
        let (semantic, embedded) = (chosen.clone(), embedded.clone());
        Ok(Work::Barrier(Box::new(SemanticStage { semantic, embedded })))
    })))
}

pub(super) fn select(config: &Config) -> Result<Option<StageSpec>> {
    let Some(select) = config.select.clone() else { return Ok(None) };
    // Their types are known when the stage runs; what is misspelt is known now.
    let names = columns::at_select(config);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let check = |text: &String| Condition::check_names(text, &names);
    let checked = select.r#where.iter().try_for_each(check);
    checked.map_err(|e| Error::Config(format!("[select]: {e}")))?;
    if let Some(column) = select.top.keys().find(|column| !names.contains(&column.as_str())) {
        return Err(Error::Config(format!("[select] top: {}", no_column(column, &names))));
    }
    let settings = json!({
        "where": select.r#where, "top": select.top, "functions": clip_sql::functions::VERSION,
    });
    // Version 2: numbers of a condition are rounded to the type of the column.
    Ok(Some(stage(SelectStage::STAGE, 2, settings, vec![], move || {
        let top = select.top.iter();
        let top = top.map(|(column, &fraction)| Top { column: column.clone(), fraction });
        let conditions = select.r#where.clone();
        Ok(Work::Barrier(Box::new(SelectStage { conditions, top: top.collect() })))
    })))
}
