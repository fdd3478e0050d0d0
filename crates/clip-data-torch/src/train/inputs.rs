//! What the arguments name to read: training data, and sets for zero-shot classification.

use anyhow::{Context, bail, ensure};
use clip_cli::torch::{TrainArgs, Window};
use clip_loader::{CaptionKeys, CsvOptions, Source};

/// What a run reads.
pub trait Inputs {
    /// Whether there is a set for zero-shot classification.
    fn has_zeroshot(&self) -> bool;
    /// Whether the pairs are made on the spot.
    fn is_synthetic(&self) -> anyhow::Result<bool>;
    /// The columns of the tables, where --train-data is tables: by --dataset-type, else by the
    /// ending of its name, as in open_clip.
    fn csv(&self) -> anyhow::Result<Option<CsvOptions>>;
    /// Where captions are.
    fn caption_keys(&self) -> anyhow::Result<CaptionKeys>;
    /// Whether one of the sources is behind a URL.
    fn is_remote(&self) -> anyhow::Result<bool>;
    /// Whether the flags ask for windows.
    fn is_streamed(&self) -> bool;
    /// The sources of the training data with their weights.
    fn sources(&self) -> anyhow::Result<Vec<Source>>;
    /// What they are called in files: without what gives access.
    fn shown_sources(&self) -> String;
}

impl Inputs for TrainArgs {
    fn has_zeroshot(&self) -> bool {
        !self.zeroshot.is_empty() || self.imagenet_val.is_some() || self.imagenet_v2.is_some()
    }

    fn is_synthetic(&self) -> anyhow::Result<bool> {
        match self.dataset_type.as_deref() {
            Some("synthetic") => Ok(true),
            None | Some("auto" | "webdataset" | "csv") => {
                let hint = "hint: --train-data SHARDS, or --dataset-type synthetic";
                ensure!(self.train_data.is_some(), "no --train-data\n{hint}");
                Ok(false)
            }
            Some(other) => bail!("--dataset-type {other}: webdataset, csv, synthetic or auto"),
        }
    }

    fn csv(&self) -> anyhow::Result<Option<CsvOptions>> {
        let path = self.train_data.as_deref().unwrap_or_default();
        let ends = [".csv", ".tsv"].iter().any(|ending| path.ends_with(ending));
        let csv = match self.dataset_type.as_deref() {
            None | Some("auto") => ends,
            Some(named) => named == "csv",
        };
        let separator = match self.csv_separator.as_deref().unwrap_or("\t") {
            "\\t" => b'\t',
            text if text.len() == 1 && !text.contains(['"', '\n', '\r']) => text.as_bytes()[0],
            other => bail!("--csv-separator {other:?}: one character is wanted"),
        };
        let name = |given: &Option<String>, default: &str| {
            given.clone().unwrap_or_else(|| default.to_owned())
        };
        Ok(csv.then(|| CsvOptions {
            image_key: name(&self.csv_img_key, "filepath"),
            caption_key: name(&self.csv_caption_key, "title"),
            separator,
        }))
    }

    fn caption_keys(&self) -> anyhow::Result<CaptionKeys> {
        let keys = self.caption_keys.join(" ").parse();
        keys.map_err(|reason: String| anyhow::anyhow!("--caption-keys: {reason}"))
    }

    fn is_remote(&self) -> anyhow::Result<bool> {
        let Some(spec) = &self.train_data else { return Ok(false) };
        let names = clip_corpus::names(spec)?;
        Ok(names.iter().any(|name| clip_corpus::is_remote(name)))
    }

    fn is_streamed(&self) -> bool {
        self.dataset_resampled || matches!(self.shuffle_window, Some(Window::Shards(_)))
    }

    fn sources(&self) -> anyhow::Result<Vec<Source>> {
        let specs: Vec<&str> = self.train_data.as_deref().unwrap_or("").split("::").collect();
        let weights = match &self.train_data_upsampling_factors {
            None => vec![1.0; specs.len()],
            Some(text) => text
                .split("::")
                .map(|weight| weight.trim().parse::<f32>().ok().filter(|w| (0.0..=1e6).contains(w)))
                .collect::<Option<Vec<f32>>>()
                .with_context(|| {
                    format!("--train-data-upsampling-factors {text}: numbers by ::")
                })?,
        };
        ensure!(
            weights.len() == specs.len(),
            "{} weights for {} sources of --train-data",
            weights.len(),
            specs.len()
        );
        let source = |(spec, weight): (&str, f32)| Source { spec: spec.to_owned(), weight };
        Ok(specs.into_iter().zip(weights).map(source).collect())
    }

    fn shown_sources(&self) -> String {
        let spec = self.train_data.as_deref().unwrap_or("synthetic");
        clip_corpus::redacted(spec).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: TrainArgs,
    }

    #[test]
    fn sources_and_their_weights() {
        let sources = |weights: &str| {
            let words = ["train", "--train-data", "a::b", "--train-data-upsampling-factors"];
            Cli::try_parse_from(words.into_iter().chain([weights])).unwrap().args.sources()
        };
        let two = sources("1::0.5").unwrap();
        assert_eq!((two[1].spec.as_str(), two[1].weight), ("b", 0.5));
        assert!(sources("1::2::3").is_err() && sources("1::x").is_err());
    }

    #[test]
    fn files_hold_no_passwords() {
        let data = "https://me:secret@host/{0..1}.tar?X-Amz-Signature=5ec2e7::shards";
        let args = Cli::try_parse_from(["train", "--train-data", data]).unwrap().args;
        let shown = args.shown_sources();
        assert!(!shown.contains("secret") && !shown.contains("5ec2e7"), "{shown}");
        assert!(shown.contains("@host/{0..1}.tar"), "{shown}");
        let drawn = ["train", "--dataset-type", "synthetic"];
        assert_eq!(Cli::try_parse_from(drawn).unwrap().args.shown_sources(), "synthetic");
    }
}
