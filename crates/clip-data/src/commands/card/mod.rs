//! `clip-data card`: a data card and a model card, made from what a build, a training and an
//! evaluation left on disk, with the hashes of all of that.

mod check;
mod data;
mod files;
mod markdown;
mod model;
mod origin;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

pub use check::check;

use super::PipelineArgs;
use super::report::same_report;
use data::DataCard;
use files::{FileHash, relative};
use model::ModelCard;

/// Arguments of `clip-data card`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// A training's folder, logs/NAME: a model card is written, too
    #[arg(long, value_name = "DIR")]
    training: Option<PathBuf>,
    /// Scores of that model from `clip-data eval --out`; may be given again
    #[arg(long, value_name = "FILE", requires = "training")]
    scores: Vec<PathBuf>,
    /// The contamination.json of the corpus; that of the run's folder when absent
    #[arg(long, value_name = "FILE")]
    contamination: Option<PathBuf>,
    /// Where the cards go; the run's folder when absent
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What a card is made from, as paths that begin in the card's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    run: String,
    training: Option<String>,
    scores: Vec<String>,
    contamination: Option<String>,
}

/// `card.json`: what both documents say, and what they were made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    format: u32,
    clip_data: String,
    inputs: Inputs,
    data: DataCard,
    model: Option<ModelCard>,
    files: Vec<FileHash>,
    documents: Vec<FileHash>,
}

/// The format of `card.json`.
const FORMAT: u32 = 2;
/// Its name.
pub const FILE: &str = "card.json";

/// Writes the cards and prints where they are.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.pipeline.load()?;
    let run = crate::recipe::plan(&config)?.layout.dir().to_path_buf();
    let out = args.out.unwrap_or_else(|| run.clone());
    std::fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    let given = args.training.iter().chain(&args.contamination).chain(&args.scores);
    for path in given {
        super::require("", path)?;
    }
    let own = run.join(clip_overlap::ContaminationReport::FILE);
    let contamination = args.contamination.or_else(|| own.is_file().then_some(own));
    let name = |path: &Path| relative(&out, path);
    let inputs = Inputs {
        run: name(&run)?,
        training: args.training.as_deref().map(name).transpose()?,
        scores: args.scores.iter().map(|path| name(path)).collect::<anyhow::Result<_>>()?,
        contamination: contamination.as_deref().map(name).transpose()?,
    };
    let mut card = Card::read(&out, inputs)?;
    if let Some(false) = card.model.as_ref().and_then(|model| model.trained_on_this_corpus) {
        eprintln!("warning: {}", markdown::OTHER_TRAINING);
    }
    // One that an earlier card had is of another state, and no check reads it.
    let old = out.join(markdown::MODEL);
    if card.model.is_none() && old.is_file() {
        std::fs::remove_file(&old).with_context(|| old.display().to_string())?;
        println!("removed: {}, of an earlier card with --training", old.display());
    }
    for (file, text) in card.render() {
        let path = out.join(file);
        clip_format::write_atomic(&path, text.as_bytes())?;
        card.documents.push(FileHash::of_bytes(file, text.as_bytes()));
        println!("card: {}", path.display());
    }
    let path = out.join(FILE);
    let text = serde_json::to_string_pretty(&card)? + "\n";
    clip_format::write_atomic(&path, text.as_bytes())?;
    println!("card: {}\nverify it: clip-data verify --card {}", path.display(), path.display());
    Ok(ExitCode::SUCCESS)
}

impl Card {
    /// What the inputs say now; `folder` is the card's.
    fn read(folder: &Path, inputs: Inputs) -> anyhow::Result<Self> {
        let mut files = files::Files::new(folder);
        let contamination = inputs.contamination.as_ref().map(|path| folder.join(path));
        let data = DataCard::read(&folder.join(&inputs.run), contamination.as_deref(), &mut files)?;
        let scores: Vec<PathBuf> = inputs.scores.iter().map(|path| folder.join(path)).collect();
        let training = inputs.training.as_ref().map(|path| folder.join(path));
        let training = training.as_deref();
        let model = training.map(|training| ModelCard::read(training, &scores, &mut files));
        let mut model = model.transpose()?;
        let shards = training.map(|training| model::shards_of(training, &mut files));
        let shards = shards.transpose()?.flatten();
        if let (Some(model), Some(overlap)) = (&model, &data.overlap) {
            for (path, score) in scores.iter().zip(&model.scores) {
                same_report(path, &score.contamination, &overlap.report)?;
            }
        }
        let files = files.into_hashes();
        if let (Some(model), Some(shards)) = (&mut model, shards) {
            let own: HashSet<&str> = files.iter().map(|file| file.blake3.as_str()).collect();
            model.trained_on_this_corpus =
                Some(shards.iter().all(|shard| own.contains(shard.as_str())));
        }
        Ok(Self {
            format: FORMAT,
            clip_data: env!("CARGO_PKG_VERSION").to_owned(),
            inputs,
            data,
            model,
            files,
            documents: Vec::new(),
        })
    }

    /// The documents by their names.
    fn render(&self) -> Vec<(&'static str, String)> {
        let data = ("data_card.md", markdown::data(&self.data));
        let model = self.model.as_ref();
        let model = model.map(|model| (markdown::MODEL, markdown::model(model, &self.data)));
        [Some(data), model].into_iter().flatten().collect()
    }

    /// A card that was written before.
    fn open(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let card: serde_json::Value = serde_json::from_str(&text).with_context(|| {
            format!(
                "{}: no card\nhint: the card.json that `clip-data card` wrote, or its folder",
                path.display()
            )
        })?;
        let format = card["format"].as_u64().unwrap_or(0);
        if format != u64::from(FORMAT) {
            let path = path.display();
            bail!(
                "{path}: format {format}, and {FORMAT} is known\nhint: is it a card.json of `clip-data card`?"
            );
        }
        serde_json::from_value(card).with_context(|| format!("{}: no card", path.display()))
    }
}
