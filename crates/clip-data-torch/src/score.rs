//! `clip-data score`, and the same for a build that asks over a pipe.

use std::io::{BufReader, BufWriter, Read, Write};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;

use anyhow::Context;
use clip_cli::torch::{Precision, ScoreArgs, ScorerArgs, ServeScoresArgs};
use clip_embed::{Encoder, Input, ScoreOptions, Scorer, score};
use clip_image::Rgb;
use clip_model::{LoadOptions, Weights};
use clip_score::{Fault, Pair, Scored, Similarity};
use clip_torch::tch::Kind;
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::device::device;
use crate::exit;
use crate::model::{load_options, model_identity, weights_path};
use crate::row_progress::RowProgress;

/// The scorer, and what decides its scores.
fn open(args: &ScorerArgs) -> anyhow::Result<(Scorer, Value)> {
    clip_torch::init(args.threads)?;
    let device = device(&args.device)?;
    let kind = if args.precision == Precision::Bf16 { Kind::BFloat16 } else { Kind::Float };
    let opening = LoadOptions { device, ..load_options(&args.model.options)? };
    let path = weights_path(&args.model)?;
    let weights = Weights::read(&path)?;
    let heads = args.heads.iter().map(|head| {
        let hash = clip_corpus::hash_file(&head.file)?.0;
        Ok(json!({"head": head.to_string(), "blake3": hash}))
    });
    let identity = json!({
        "model": model_identity(&weights, &opening)?,
        "precision": if kind == Kind::BFloat16 { "bf16" } else { "fp32" },
        "device": if device.is_cuda() { "cuda" } else { "cpu" },
        "heads": heads.collect::<anyhow::Result<Vec<_>>>()?, "classes": args.prompts(),
    });
    let encoder = Encoder::new(weights.into_model(&opening)?.for_inference(kind));
    Ok((Scorer::new(encoder, &args.heads, &args.prompts())?, identity))
}

/// Scores what is not scored yet.
pub fn run(args: &ScoreArgs) -> anyhow::Result<ExitCode> {
    let similarity = Similarity::of(&args.name);
    let own = args.scorer.heads.iter().map(|head| head.name.clone());
    let classes = args.scorer.prompts().into_iter().map(|(name, _)| name);
    let names: Vec<String> = ["uid", "key", "url", "caption"]
        .map(str::to_owned)
        .into_iter()
        .chain(own)
        .chain(classes)
        .collect();
    clip_score::check_names(names.iter().map(String::as_str).chain(similarity.names()))
        .map_err(anyhow::Error::msg)?;
    let mut inputs = args.shards.iter().map(|spec| Input::open(spec, 10_000));
    let mut input = inputs.next().context("no shards")??;
    for other in inputs {
        input.parts.extend(other?.parts);
    }
    anyhow::ensure!(input.images, "{}: pairs are wanted, and it has texts only", args.shards[0]);
    input.texts = true;
    let (scorer, mut identity) = open(&args.scorer)?;
    identity["shards"] = json!(args.shards);
    identity["name"] = json!(args.name);
    let options = ScoreOptions {
        output: args.out.clone(),
        name: args.name.clone(),
        batch: args.batch_size,
        identity: format!("{identity:#}\n"),
    };
    let stop = clip_cli::stop_flag(exit::STOPPING)?;
    let progress = RowProgress::new("score", "pair");
    let summary = score(&input, &scorer, &options, &|rows| {
        progress.add(rows);
        !stop.load(Ordering::Relaxed)
    })?;
    Ok(progress.report(summary, input.parts.len(), &args.out))
}

/// Answers until the questions end.
pub fn serve(args: &ServeScoresArgs) -> anyhow::Result<ExitCode> {
    let (scorer, _) = open(&args.scorer)?;
    let scorer = if args.embeddings { scorer.with_embeddings() } else { scorer };
    let (questions, answers) = (std::io::stdin(), std::io::stdout().lock());
    answer(&scorer, BufReader::new(questions), BufWriter::new(answers))
        .context("the stream of pairs")?;
    Ok(ExitCode::SUCCESS)
}

/// A question whose images are decoded.
struct Decoded {
    images: Vec<Rgb>,
    captions: Vec<Vec<String>>,
    /// For each pair: nothing, or why its image is not among the others.
    faults: Vec<Option<Fault>>,
}

/// Reads and decodes the next question while one is computed.
fn answer(
    scorer: &Scorer,
    mut questions: impl Read + Send + 'static,
    mut answers: impl Write,
) -> std::io::Result<()> {
    let transform = scorer.encoder().transform();
    clip_score::write_greeting(&mut answers, scorer.greeting())?;
    let (sender, receiver) = sync_channel::<std::io::Result<Decoded>>(1);
    // It is not joined: it may wait for a question when answers cannot be written any more.
    std::thread::spawn(move || {
        loop {
            let decoded = match clip_score::read_question(&mut questions) {
                Ok(None) => return,
                Ok(Some(pairs)) => {
                    Ok(decode(&pairs, &|bytes| transform.pixels(bytes).map_err(|e| e.to_string())))
                }
                Err(error) => Err(error),
            };
            let failed = decoded.is_err();
            if sender.send(decoded).is_err() || failed {
                return;
            }
        }
    });
    for decoded in receiver {
        let Decoded { images, captions, faults } = decoded?;
        let mut scores = scorer.score(&images, &captions).into_iter();
        let each = |fault: Option<Fault>| match fault {
            Some(fault) => Err(fault),
            None => scores.next().unwrap_or_else(|| Err(Fault::Image("no score".into()))),
        };
        let scored: Vec<Scored> = faults.into_iter().map(each).collect();
        clip_score::write_answer(&mut answers, &scored)?;
    }
    Ok(())
}

fn decode(pairs: &[Pair<'_>], pixels: &(dyn Fn(&[u8]) -> Result<Rgb, String> + Sync)) -> Decoded {
    let decoded: Vec<Result<Rgb, String>> =
        pairs.par_iter().map(|pair| pixels(&pair.image)).collect();
    let (mut images, mut captions, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    for (pair, decoded) in pairs.iter().zip(decoded) {
        faults.push(match decoded {
            Ok(image) => {
                images.push(image);
                captions.push(pair.captions.iter().map(|text| text.clone().into_owned()).collect());
                None
            }
            Err(reason) => Some(Fault::Image(reason)),
        });
    }
    Decoded { images, captions, faults }
}
