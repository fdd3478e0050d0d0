//! Every flag of `train` does something, or is refused: this table must name them all.

use clap::{CommandFactory, Parser};

use super::data::corpus_options;
use super::inputs::Inputs;
use super::resolve::Resolve;
use super::{Args, options};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

/// What giving a flag does.
enum Effect {
    /// Another model, recipe, plan of checkpoints or evaluations, or use of data: of two lists of
    /// flags.
    Changes(&'static str, &'static str),
    /// It is seen in a run: `tests/it/train_flags.rs`, `tests/it/labels.rs`,
    /// `tests/it/stream.rs`, `tests/it/retrain.rs`.
    Runs,
    /// It states what is always so beside those flags, for commands written for open_clip.
    Always(&'static str),
}
use Effect::{Always, Changes, Runs};

const VIT: &str = "--train-data x --model ViT-B-32";
const COOLED: &str = "--lr-scheduler const-cooldown --epochs-cooldown";

/// Flags that are added to [`VIT`] unless they name a model of their own.
const TABLE: &[(&str, Effect)] = &[
    ("train-data", Changes("--train-data x --preset emoji", "--train-data y --preset emoji")),
    ("train-data-upsampling-factors", Changes("", "--train-data-upsampling-factors 2")),
    ("weight-column", Changes("", "--weight-column balance")),
    (
        "dataset-type",
        Changes("--train-data x --preset emoji", "--dataset-type synthetic --preset emoji"),
    ),
    ("csv-img-key", Changes("--dataset-type csv", "--dataset-type csv --csv-img-key image")),
    ("csv-caption-key", Changes("--dataset-type csv", "--dataset-type csv --csv-caption-key text")),
    ("csv-separator", Changes("--dataset-type csv", "--dataset-type csv --csv-separator ,")),
    ("caption-keys", Changes("", "--caption-keys txt=0.3 json.recaption=0.7")),
    ("shuffle-window", Runs),
    ("dataset-resampled", Runs),
    ("cache-dir", Runs),
    ("cache-limit", Runs),
    ("train-num-samples", Changes("", "--train-num-samples 1000")),
    ("val-data", Runs),
    ("val-num-samples", Runs),
    ("val-frequency", Changes("--val-data v", "--val-data v --val-frequency 3")),
    ("zeroshot", Runs),
    ("imagenet-val", Runs),
    ("imagenet-v2", Runs),
    ("zeroshot-frequency", Changes("--zeroshot z", "--zeroshot z --zeroshot-frequency 3")),
    ("contamination", Runs),
    ("copies", Runs),
    ("preset", Changes("--train-data x --preset emoji", "--train-data x --preset paper/RN50")),
    ("model", Changes("--train-data x --model RN50", "--train-data x --model RN101")),
    ("scale", Changes("--train-data x --model RN50", "--train-data x --model RN50 --scale 2")),
    ("pretrained", Runs),
    ("pretrained-image", Runs),
    ("force-quick-gelu", Changes("", "--force-quick-gelu")),
    ("force-image-size", Changes("", "--force-image-size 64")),
    ("force-context-length", Changes("", "--force-context-length 32")),
    ("force-patch-dropout", Changes("", "--force-patch-dropout 0.5")),
    ("image-mean", Changes("", "--image-mean 0.5 0.5 0.5")),
    ("image-std", Changes("", "--image-std 0.5")),
    ("image-interpolation", Changes("", "--image-interpolation bilinear")),
    ("image-resize-mode", Changes("", "--image-resize-mode squash")),
    ("lock-image", Changes("", "--lock-image")),
    (
        "lock-image-unlocked-groups",
        Changes("--lock-image", "--lock-image --lock-image-unlocked-groups 1"),
    ),
    ("lock-image-freeze-bn-stats", Always("--train-data x --model RN50 --lock-image")),
    ("lock-text", Changes("", "--lock-text")),
    (
        "lock-text-unlocked-layers",
        Changes("--lock-text", "--lock-text --lock-text-unlocked-layers 1"),
    ),
    ("name", Runs),
    ("logs", Runs),
    ("resume", Runs),
    ("save-minutes", Changes("", "--save-minutes 1")),
    ("save-steps", Changes("", "--save-steps 5")),
    ("save-frequency", Changes("", "--save-frequency 2")),
    ("keep", Changes("", "--keep 3")),
    ("max-minutes", Runs),
    ("report-to", Runs),
    ("wandb-project-name", Runs),
    ("log-every-n-steps", Changes("", "--log-every-n-steps 7")),
    ("epochs", Changes("", "--epochs 3")),
    ("batch-size", Changes("", "--batch-size 32")),
    ("accum-freq", Changes("", "--accum-freq 2")),
    ("global-batch-size", Changes("", "--global-batch-size 128")),
    ("objective", Changes("", "--objective caption")),
    ("siglip", Changes("", "--siglip")),
    ("opt", Changes("", "--opt lion")),
    ("momentum", Changes("--opt muon", "--opt muon --momentum 0.9")),
    ("layer-decay", Changes("", "--layer-decay 0.75")),
    ("lr", Changes("", "--lr 1e-3")),
    ("beta1", Changes("", "--beta1 0.8")),
    ("beta2", Changes("", "--beta2 0.9")),
    ("eps", Changes("", "--eps 1e-7")),
    ("wd", Changes("", "--wd 0.1")),
    ("decay-rule", Changes("", "--decay-rule spare-positions")),
    ("warmup", Changes("", "--warmup 5")),
    ("lr-scheduler", Changes("", "--lr-scheduler const")),
    ("epochs-cooldown", Changes("COOLED 1", "COOLED 2")),
    ("lr-cooldown-end", Changes("COOLED 1", "COOLED 1 --lr-cooldown-end 1e-5")),
    ("lr-cooldown-power", Changes("COOLED 1", "COOLED 1 --lr-cooldown-power 2")),
    ("precision", Changes("", "--precision fp32")),
    ("augment", Changes("", "--augment none")),
    ("aug-cfg", Changes("", "--aug-cfg scale=(0.5,1) gray_scale_prob=0.2")),
    ("grad-clip-norm", Changes("", "--grad-clip-norm 1")),
    ("adam-stats", Changes("", "--adam-stats fp16")),
    ("text-weights", Changes("", "--text-weights fp16-sr")),
    ("ema-decay", Changes("", "--ema-decay 0.9")),
    ("grad-checkpointing", Changes("", "--grad-checkpointing")),
    ("seed", Changes("", "--seed 5")),
    ("workers", Changes("", "--workers 2")),
    ("cache-mb", Changes("", "--cache-mb 5")),
    ("device", Runs),
    ("nproc", Runs),
    ("dist-url", Runs),
    ("dist-backend", Runs),
    ("dist-timeout", Runs),
    ("local-loss", Always("")),
    ("gather-with-grad", Always("")),
];

/// Flags that change nothing beside those others, and the one that the message names.
const REFUSED: &[(&str, &str)] = &[
    ("--model RN50 --train-data x --force-patch-dropout 0.5", "--force-patch-dropout"),
    ("--model RN50 --train-data x --force-patch-dropout 0", "--force-patch-dropout"),
    (
        "--model RN50 --train-data x --lock-image --lock-image-unlocked-groups 1",
        "--lock-image-unlocked-groups",
    ),
    ("--lock-image-unlocked-groups 1", "--lock-image"),
    ("--lock-text-unlocked-layers 1", "--lock-text"),
    ("--lock-image --lock-image-freeze-bn-stats", "--lock-image-freeze-bn-stats"),
    ("--pretrained a --pretrained-image b", "--pretrained-image"),
    ("--force-context-length 1", "--force-context-length"),
    ("--aug-cfg use_timm=True", "--aug-cfg use_timm"),
    ("--aug-cfg scale=(0.5,1) --augment none", "--aug-cfg"),
    ("--opt lamb", "--opt lamb"),
    ("--caption-keys txt", "--caption-keys"),
    ("--dataset-type csv --caption-keys txt=1", "--caption-keys"),
    ("--dataset-type synthetic --model RN50 --caption-keys txt=1", "--caption-keys"),
    ("--momentum 0.9", "--momentum"),
    ("--opt lion --eps 1e-6", "--eps"),
    ("--opt lion --adam-stats fp16", "--adam-stats"),
    ("--opt muon --lock-text --lock-image", "--opt muon"),
    ("--layer-decay 1", "--layer-decay"),
    ("--scale 4", "--scale"),
    ("--train-data x --preset emoji --scale 4", "--scale"),
    ("--report-to mlflow", "--report-to mlflow"),
    ("--report-to tensorboard,none", "--report-to none"),
    ("--report-to tensorboard --wandb-project-name p", "--wandb-project-name"),
    ("--val-frequency 1", "--val-frequency"),
    ("--zeroshot-frequency 1", "--zeroshot-frequency"),
    ("--contamination c", "--contamination"),
    ("--zeroshot z --copies keep", "--contamination"),
    ("--zeroshot z --contamination c --copies keep --shuffle-window 5", "--copies"),
    ("--zeroshot z --contamination c --copies keep --dataset-type csv", "--copies"),
    ("--zeroshot z --contamination c --copies some", "some"),
    ("--val-data v --val-frequency 0", "--val-data"),
    ("--zeroshot z --zeroshot-frequency 0", "--zeroshot"),
    ("--epochs-cooldown 1", "--epochs-cooldown"),
    ("--lr-cooldown-end 0", "--lr-cooldown-end"),
    ("--lr-cooldown-power 1", "--lr-cooldown-power"),
    ("--lr-scheduler const-cooldown", "--epochs-cooldown"),
    ("--dist-url tcp://h:1", "--dist-url"),
    ("--dist-url tcp://h:1 --nproc 2", "--dist-url"),
    ("--dist-backend gloo", "--dist-backend"),
    ("--dist-timeout 5", "--dist-timeout"),
    ("--dataset-type synthetic", "--train-data"),
    ("--dataset-type synthetic --model RN50 --weight-column w", "--weight-column"),
    (
        "--dataset-type synthetic --model RN50 --train-data-upsampling-factors 2",
        "--train-data-upsampling-factors",
    ),
    ("--dataset-type synthetic --model RN50 --cache-mb 5", "--cache-mb"),
    ("--dataset-type synthetic --model RN50 --shuffle-window 4", "--shuffle-window"),
    ("--dataset-type synthetic --model RN50 --dataset-resampled", "--dataset-resampled"),
    ("--dataset-resampled --shuffle-window whole", "--shuffle-window"),
    ("--shuffle-window 0", "--shuffle-window"),
    ("--shuffle-window 8 --cache-mb 5", "--cache-mb"),
    ("--cache-dir d", "--cache-dir"),
    ("--cache-limit 5", "--cache-limit"),
    ("--train-data s3://b/{0..1}.tar --model RN50 --cache-limit 0", "--cache-limit"),
    ("--train-data s3://b/{0..1}.tar --model RN50 --shuffle-window whole", "--shuffle-window"),
    ("--val-num-samples 5", "--val-num-samples"),
    ("--csv-img-key a", "--csv-img-key"),
    ("--csv-caption-key a", "--csv-caption-key"),
    ("--csv-separator ,", "--csv-separator"),
    ("--dataset-type csv --csv-separator ,,", "--csv-separator"),
    ("--dataset-type csv --weight-column w", "--weight-column"),
    ("--dataset-type csv --shuffle-window 5", "--shuffle-window"),
    ("--dataset-type webdataset --model RN50", "--train-data"),
    ("--batch-size 1", "--batch-size"),
    ("--batch-size 0", "no pairs"),
    ("--accum-freq 0", "--accum-freq"),
    ("--keep 0", "--keep"),
    ("--workers 0", "--workers"),
    ("--log-every-n-steps 0", "--log-every-n-steps"),
    ("--max-minutes=-1", "--max-minutes"),
    ("--train-data x --preset paper/ViT-L-14-336", "--pretrained"),
];

fn parse(flags: &str) -> Result<Args, String> {
    let flags = flags.replace("COOLED", COOLED);
    let own = ["--model", "--preset"].iter().any(|flag| flags.contains(flag));
    let flags = if own { flags } else { format!("{VIT} {flags}") };
    let words = ["train"].into_iter().chain(flags.split_whitespace());
    Cli::try_parse_from(words).map(|cli| cli.args).map_err(|error| {
        // clap's code for usage, which is ours.
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    })
}

/// All that the flags decide, as text.
fn decided(flags: &str) -> Result<String, String> {
    let args = parse(flags)?;
    let (config, recipe, chunk) = args.resolve(1).map_err(|error| format!("{error:#}"))?;
    let data = if args.is_synthetic().unwrap() {
        "synthetic".to_owned()
    } else {
        format!("{:?}", args.sources().unwrap())
    };
    let (run, corpus) = (
        options(&args, chunk),
        corpus_options(&args, &config).map_err(|error| format!("{error:#}"))?,
    );
    let preprocess =
        crate::model::preprocess_fields(&args.preprocess).map_err(|error| format!("{error:#}"))?;
    let csv = args.csv().map_err(|error| format!("{error:#}"))?;
    Ok(format!("{config:?} {recipe:?} {run:?} {corpus:?} {preprocess:?} {data} {csv:?}"))
}

#[test]
fn every_flag_is_in_the_table_and_does_what_it_says() {
    let command = Cli::command();
    let flags: Vec<&str> = command.get_arguments().filter_map(|arg| arg.get_long()).collect();
    let flags: Vec<&str> =
        flags.into_iter().filter(|flag| !["help", "version"].contains(flag)).collect();
    for flag in &flags {
        assert!(TABLE.iter().any(|(name, _)| name == flag), "--{flag} is not in the table");
    }
    let runs = concat!(
        include_str!("../../../../tests/it/train_flags.rs"),
        include_str!("../../../../tests/it/labels.rs"),
        include_str!("../../../../tests/it/stream.rs"),
        include_str!("../../../../tests/it/retrain.rs"),
    );
    for (flag, effect) in TABLE {
        assert!(flags.contains(flag), "--{flag} is no flag");
        match effect {
            Changes(before, after) => {
                assert!(after.replace("COOLED", COOLED).contains(&format!("--{flag}")));
                let (before, after) = (decided(before).unwrap(), decided(after).unwrap());
                assert_ne!(before, after, "--{flag} changes nothing");
            }
            Runs => assert!(runs.contains(&format!("\"--{flag}\"")), "--{flag} is in no run"),
            Always(beside) => {
                let after = format!("{beside} --{flag}");
                assert_eq!(decided(beside).unwrap(), decided(&after).unwrap());
            }
        }
    }
}

#[test]
fn flags_without_effect_are_refused_by_name() {
    for (flags, word) in REFUSED {
        let message = decided(flags).err().unwrap_or_else(|| panic!("{flags}: accepted"));
        assert!(message.contains(word), "{flags}: {message}");
    }
}
