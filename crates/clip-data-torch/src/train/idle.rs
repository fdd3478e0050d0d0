//! Options that would change nothing are refused by their names.

use anyhow::ensure;
use clip_cli::torch::{TrainArgs, Window};
use clip_model::ModelConfig;
use clip_train::{Opt, RankInfo, Recipe, Schedule};

use super::inputs::Inputs;
use super::reports::Reports;

/// Refuses the first option that has no effect beside the others.
pub fn check(args: &TrainArgs, model: &ModelConfig, recipe: &Recipe) -> anyhow::Result<()> {
    let synthetic = args.is_synthetic()?;
    let reports = Reports::parse(&args.report_to)?;
    let on_the_spot = "with --dataset-type synthetic";
    let uncooled = recipe.lr_scheduler != Schedule::ConstCooldown;
    let cooled = "without --lr-scheduler const-cooldown";
    let alone = args.nproc.is_none_or(|count| count == 1)
        && !RankInfo::is_launched(&|name| std::env::var(name).ok());
    let one = "in a process that trains alone";
    let resnet = model.vision_cfg.is_resnet();
    let on_resnet = "on a ResNet, which has no patches";
    let on_vit = "on a vision transformer, which has no batch normalisation";
    let (validated, zeroshot) = (args.val_data.is_some(), args.has_zeroshot());
    let (unvalidated, without_sets) = ("without --val-data", "without --zeroshot");
    let csv = args.csv()?.is_some();
    let (no_table, on_table) = ("without --dataset-type csv", "on a table");
    let remote = args.is_remote()?;
    let streams = remote || args.is_streamed();
    let whole = args.shuffle_window == Some(Window::Whole);
    let idle = [
        (!csv && args.csv_img_key.is_some(), "--csv-img-key", no_table),
        (!csv && args.csv_caption_key.is_some(), "--csv-caption-key", no_table),
        (!csv && args.csv_separator.is_some(), "--csv-separator", no_table),
        (csv && args.shuffle_window.is_some(), "--shuffle-window", on_table),
        (csv && args.dataset_resampled, "--dataset-resampled", on_table),
        (csv && !args.caption_keys.is_empty(), "--caption-keys", on_table),
        (synthetic && !args.caption_keys.is_empty(), "--caption-keys", on_the_spot),
        (csv && args.weight_column.is_some(), "--weight-column", on_table),
        (synthetic && args.shuffle_window.is_some(), "--shuffle-window", on_the_spot),
        (synthetic && args.dataset_resampled, "--dataset-resampled", on_the_spot),
        (streams && args.cache_mb.is_some(), "--cache-mb", "on shards that are streamed"),
        (args.dataset_resampled && whole, "--shuffle-window whole", "with --dataset-resampled"),
        (remote && whole, "--shuffle-window whole", "on remote shards, which are streamed"),
        (!remote && args.cache_dir.is_some(), "--cache-dir", "on local shards"),
        (!remote && args.cache_limit.is_some(), "--cache-limit", "on local shards"),
        (!validated && args.val_num_samples.is_some(), "--val-num-samples", unvalidated),
        (synthetic && args.train_data.is_some(), "--train-data", on_the_spot),
        (
            synthetic && args.train_data_upsampling_factors.is_some(),
            "--train-data-upsampling-factors",
            on_the_spot,
        ),
        (synthetic && args.weight_column.is_some(), "--weight-column", on_the_spot),
        (synthetic && args.cache_mb.is_some(), "--cache-mb", on_the_spot),
        (!validated && args.val_frequency.is_some(), "--val-frequency", unvalidated),
        (!zeroshot && args.zeroshot_frequency.is_some(), "--zeroshot-frequency", without_sets),
        (validated && args.val_frequency == Some(0), "--val-data", "with --val-frequency 0"),
        (!zeroshot && args.contamination.is_some(), "--contamination", without_sets),
        (synthetic && args.copies.is_some(), "--copies", on_the_spot),
        (csv && args.copies.is_some(), "--copies", on_table),
        (streams && args.copies.is_some(), "--copies", "on shards that are streamed"),
        (
            zeroshot && args.zeroshot_frequency == Some(0),
            "--zeroshot",
            "with --zeroshot-frequency 0",
        ),
        (resnet && args.force_patch_dropout.is_some(), "--force-patch-dropout", on_resnet),
        (!resnet && args.lock_image_freeze_bn_stats, "--lock-image-freeze-bn-stats", on_vit),
        (uncooled && args.epochs_cooldown.is_some(), "--epochs-cooldown", cooled),
        (uncooled && args.lr_cooldown_end.is_some(), "--lr-cooldown-end", cooled),
        (uncooled && args.lr_cooldown_power.is_some(), "--lr-cooldown-power", cooled),
        (recipe.opt == Opt::Lion && args.eps.is_some(), "--eps", "with --opt lion"),
        (recipe.opt != Opt::Muon && args.momentum.is_some(), "--momentum", "without --opt muon"),
        (
            !reports.wandb && args.wandb_project_name.is_some(),
            "--wandb-project-name",
            "without --report-to wandb",
        ),
        (alone && args.dist_url.is_some(), "--dist-url", one),
        (alone && args.dist_backend.is_some(), "--dist-backend", one),
        (alone && args.dist_timeout.is_some(), "--dist-timeout", one),
    ];
    for (idle, flag, why) in idle {
        ensure!(!idle, "{flag} has no effect {why}");
    }
    Ok(())
}
