//! What the arguments mean: the preset with all flags applied.

use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};
use clip_cli::torch::TrainArgs;
use clip_loader::Augment;
use clip_model::{ModelConfig, Weights};
use clip_text::Tokenizer;
use clip_train::{AdamStats, Objective, Opt, Preset, Recipe};
use serde::de::DeserializeOwned;

use crate::model::{newest, preprocess_fields};

/// A choice by its name, as it is written in recipes.
pub fn choice<T: DeserializeOwned>(flag: &str, name: &str) -> anyhow::Result<T> {
    let value = serde_json::Value::String(name.to_owned());
    serde_json::from_value(value).with_context(|| format!("{flag} {name}"))
}

/// What the arguments mean.
pub trait Resolve {
    /// The preset with all flags applied, and the pairs that a process takes through the model at a
    /// time.
    fn resolve(&self, world: usize) -> anyhow::Result<(ModelConfig, Recipe, usize)>;
    /// What the flags set of the recipe.
    fn apply(&self, recipe: &mut Recipe) -> anyhow::Result<()>;
    /// open_clip's arithmetic: a batch is --batch-size x --accum-freq x processes. Without
    /// --batch-size the preset's batch is cut into chunks.
    fn batch(&self, recipe: &mut Recipe, world: usize) -> anyhow::Result<usize>;
}

impl Resolve for TrainArgs {
    fn resolve(&self, world: usize) -> anyhow::Result<(ModelConfig, Recipe, usize)> {
        let resumed = self.resume.as_deref().filter(|path| *path != "latest").map(Path::new);
        let named = [("--pretrained", self.pretrained.as_deref()), ("--resume", resumed)];
        let weights = named
            .into_iter()
            .find_map(|(option, path)| Some((option, path.filter(|p| p.exists())?)));
        let (name, known) = match (&self.preset, &self.model, weights) {
            (Some(preset), ..) => (preset.clone(), None),
            (None, Some(model), _) => (format!("openclip/{model}"), None),
            (None, None, _) if self.scale.is_some() => ("paper/RN50".into(), None),
            (None, None, Some((option, path))) => {
                let config = Weights::read(&newest(path)?)?.config(None)?;
                (format!("the model of {option}"), Some(Preset::open_clip(config)))
            }
            (None, None, None)
                if let Some((option, path)) =
                    named.iter().find_map(|(option, path)| Some((option, (*path)?))) =>
            {
                bail!(
                    "{option} {}: no such file or folder\nhint: weights (a file or a folder) that record their model",
                    path.display()
                )
            }
            (None, None, None) => bail!(
                "no model\n\
                 hint: --preset paper/ViT-B-32 and the like, --model, or --pretrained or --resume PATH of weights that record theirs"
            ),
        };
        let weights = self.pretrained.is_some() || self.resume.is_some();
        if Preset::wants_weights(&name) && !weights {
            bail!(
                "--preset {name}: it is one more epoch, at 336 pixels, of the paper's ViT-L-14\n\
                 hint: --pretrained PATH of that model's weights"
            );
        }
        let found = known.map_or_else(|| Preset::find(&name), Ok);
        let known = found.map_err(|error| match error {
            // What the caller wrote is wrong, not a model's file.
            clip_train::Error::Model(clip_model::Error::Config(reason)) => anyhow!(reason),
            error => error.into(),
        })?;
        let Preset { mut model_cfg, train: mut recipe } = known;
        if let Some(k) = self.scale {
            let quick_gelu = model_cfg.quick_gelu;
            let scalable = ModelConfig { quick_gelu, ..ModelConfig::find("RN50")? };
            ensure!(
                model_cfg == scalable,
                "--scale: RN50 can be scaled, and {name} is another model\n\
                 hint: --scale {k} alone, or with --preset paper/RN50 or --model RN50"
            );
            let scaled = ModelConfig::scaled_resnet(k).map_err(|error| match error {
                // The number is the caller's, and no file is damaged.
                clip_model::Error::Config(reason) => anyhow!(reason),
                error => error.into(),
            })?;
            model_cfg = ModelConfig { quick_gelu, ..scaled };
        }
        model_cfg.quick_gelu |= self.force_quick_gelu;
        if let Some(side) = self.force_image_size {
            model_cfg = model_cfg.with_image_size(side)?;
        }
        if let Some(length) = self.force_context_length {
            ensure!(length >= 3, "--force-context-length {length}: start, a token and end are 3");
            model_cfg.text_cfg.context_length = length;
            model_cfg = model_cfg.checked().context("--force-context-length")?;
        }
        let (known, has) = (Tokenizer::VOCABULARY as i64, model_cfg.text_cfg.vocab_size);
        let hint = "hint: vocab_size of its text_cfg";
        ensure!(has >= known, "the model has {has} tokens, and the tokenizer {known}\n{hint}");
        preprocess_fields(&self.preprocess)?;
        self.apply(&mut recipe)?;
        let chunk = self.batch(&mut recipe, world)?;
        super::idle::check(self, &model_cfg, &recipe)?;
        recipe.check(&model_cfg)?;
        Ok((model_cfg, recipe, chunk))
    }

    fn apply(&self, recipe: &mut Recipe) -> anyhow::Result<()> {
        macro_rules! over {
            ($($field:ident),*) => {
                $(recipe.$field = self.$field.unwrap_or(recipe.$field);)*
            };
        }
        if let Some(name) = &self.opt {
            recipe.opt = choice("--opt", name)?;
            if recipe.opt == Opt::Lion {
                // The recipe's are Adam's; this is the one of Lion's authors.
                recipe.beta2 = 0.99;
                recipe.adam_stats = AdamStats::Fp32;
            }
        }
        over!(epochs, lr, beta1, beta2, eps, momentum, wd, warmup);
        recipe.layer_decay = self.layer_decay.or(recipe.layer_decay);
        over!(epochs_cooldown, lr_cooldown_end, lr_cooldown_power);
        recipe.train_num_samples = self.train_num_samples.or(recipe.train_num_samples);
        recipe.grad_clip_norm = self.grad_clip_norm.or(recipe.grad_clip_norm);
        recipe.ema_decay = self.ema_decay.or(recipe.ema_decay);
        recipe.patch_dropout = self.force_patch_dropout.unwrap_or(recipe.patch_dropout);
        recipe.lock_image =
            self.lock_image.then_some(self.lock_image_unlocked_groups).or(recipe.lock_image);
        recipe.lock_text =
            self.lock_text.then_some(self.lock_text_unlocked_layers).or(recipe.lock_text);
        if let Some(name) = &self.precision {
            recipe.precision = choice("--precision", name)?;
        }
        if let Some(name) = &self.augment {
            recipe.augment = choice("--augment", name)?;
        }
        if !self.aug_cfg.is_empty() {
            let cfg = self.aug_cfg.join(" ").parse();
            let cfg = cfg.map_err(|reason: String| anyhow::anyhow!("--aug-cfg {reason}"))?;
            recipe.augment = Augment::OpenClip(cfg);
        }
        if let Some(name) = &self.objective {
            recipe.objective = choice("--objective", name)?;
        }
        if self.siglip {
            recipe.objective = Objective::Sigmoid;
        }
        if let Some(name) = &self.decay_rule {
            recipe.decay_rule = choice("--decay-rule", name)?;
        }
        if let Some(name) = &self.lr_scheduler {
            recipe.lr_scheduler = choice("--lr-scheduler", name)?;
        }
        if let Some(name) = &self.adam_stats {
            recipe.adam_stats = choice("--adam-stats", name)?;
        }
        if let Some(name) = &self.text_weights {
            recipe.text_weights = choice("--text-weights", name)?;
        }
        let share = |value: f64| (0.0..1.0).contains(&value);
        ensure!(share(recipe.patch_dropout), "--force-patch-dropout: a share below 1 is wanted");
        ensure!(recipe.ema_decay.is_none_or(share), "--ema-decay: a share below 1 is wanted");
        ensure!(recipe.lr > 0.0 && recipe.wd >= 0.0, "--lr and --wd: positive numbers are wanted");
        let inside = |value: f64| 0.0 < value && value < 1.0;
        ensure!(recipe.layer_decay.is_none_or(inside), "--layer-decay: between 0 and 1 is wanted");
        ensure!(share(recipe.momentum), "--momentum: a share below 1 is wanted");
        ensure!(recipe.epochs > 0, "--epochs: at least 1 is wanted");
        Ok(())
    }

    fn batch(&self, recipe: &mut Recipe, world: usize) -> anyhow::Result<usize> {
        let chunks = self.accum_freq.unwrap_or(1);
        match (self.batch_size, self.global_batch_size) {
            (Some(chunk), None) => {
                recipe.batch_size = chunk.saturating_mul(chunks).saturating_mul(world);
            }
            (_, Some(global)) => recipe.batch_size = global,
            (None, None) => {}
        }
        let global = recipe.batch_size;
        ensure!(global > 0, "a batch of no pairs");
        ensure!(
            global.is_multiple_of(world),
            "a batch of {global} cannot be shared by {world} processes\nhint: --global-batch-size"
        );
        let local = global / world;
        let chunk = match (self.batch_size, self.accum_freq) {
            (Some(chunk), _) => chunk,
            (None, Some(chunks)) => local.div_ceil(chunks),
            (None, None) => DEFAULT_CHUNK,
        };
        Ok(chunk.min(local))
    }
}

/// Pairs in the model at a time where nothing else is asked for.
const DEFAULT_CHUNK: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: TrainArgs,
    }

    fn parse(flags: &str) -> TrainArgs {
        let words = ["train", "--train-data", "x.tar"].into_iter().chain(flags.split_whitespace());
        Cli::try_parse_from(words).unwrap().args
    }

    fn batch(flags: &str, world: usize) -> (usize, usize) {
        let (_, recipe, chunk) = parse(flags).resolve(world).unwrap();
        (recipe.batch_size, chunk)
    }

    #[test]
    fn batches_are_open_clips_arithmetic() {
        assert_eq!(batch("--model ViT-B-32", 1), (64, 64));
        assert_eq!(batch("--model ViT-B-32 --batch-size 32 --accum-freq 4", 2), (256, 32));
        assert_eq!(batch("--preset paper/RN50", 8), (32_768, 256));
        assert_eq!(batch("--preset paper/RN50 --batch-size 512", 8), (4096, 512));
        let both = "--preset paper/RN50 --batch-size 512 --global-batch-size 32768";
        assert_eq!(batch(both, 8), (32_768, 512));
        assert_eq!(batch("--preset emoji", 1), (128, 128));
        assert_eq!(batch("--preset emoji --accum-freq 3", 2), (128, 22));
        assert!(parse("--preset emoji").resolve(3).is_err());
    }

    #[test]
    fn flags_override_the_preset() {
        let flags = "--preset paper/ViT-L-14 --lr 1e-3 --siglip --adam-stats fp32 --lock-image \
                     --lock-image-unlocked-groups 2 --lr-scheduler const-cooldown --epochs-cooldown 2";
        let (_, recipe, _) = parse(flags).resolve(1).unwrap();
        assert_eq!((recipe.lr, recipe.objective), (1e-3, Objective::Sigmoid));
        assert_eq!((recipe.lock_image, recipe.lock_text), (Some(2), None));
        let (scaled, recipe, _) = parse("--scale 4 --epochs 3").resolve(1).unwrap();
        assert_eq!((scaled, recipe.epochs), (ModelConfig::find("RN50x4-quickgelu").unwrap(), 3));
        let (exact, ..) = parse("--model RN50 --scale 4").resolve(1).unwrap();
        assert_eq!(exact, ModelConfig::find("RN50x4").unwrap());
        let fine = "--preset paper/ViT-L-14-336 --pretrained ViT-L-14.pt";
        let (config, recipe, _) = parse(fine).resolve(1).unwrap();
        let side = config.vision_cfg.image_size;
        assert_eq!((side, recipe.epochs, recipe.lr), (336, 1, 2e-5));
        for (bad, word) in [
            ("--preset emoji --objective guess", "--objective guess"),
            ("--preset emoji --force-patch-dropout 1", "below 1"),
            ("--lr 1", "no model"),
            ("--pretrained nosuch", "--pretrained nosuch: no such file or folder\nhint: "),
            ("--preset paper/ViT-L-14-336", "--pretrained PATH of that model's weights"),
            ("--preset paper/ViT-B-32 --scale 2", "--scale: RN50 can be scaled"),
            ("--preset emoji --scale 2", "--scale: RN50 can be scaled"),
        ] {
            let message = format!("{:#}", parse(bad).resolve(1).unwrap_err());
            assert!(message.contains(word), "{message}");
        }
    }
}
