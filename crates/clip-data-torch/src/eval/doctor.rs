//! `clip-data eval doctor`.

use std::process::ExitCode;

use anyhow::bail;
use clip_cli::torch::{DoctorArgs, ModelArgs, ModelPath};
use clip_datasets::Split;
use clip_eval::{Finding, ZeroShotOptions, diagnose, examine, zero_shot};

use super::inputs::{Model, open_set, progress};
use super::table;

/// Looks at the set; exit code 1 when something is wrong.
pub fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    if args.set.limit.is_some() && args.model.is_none() {
        anyhow::bail!("--limit is of what --model predicts: all items are looked at");
    }
    if args.options.is_given() && args.model.is_none() {
        bail!("--model-name, --image-size and the like are of --model, which is not given");
    }
    if args.set.skip_unreadable {
        bail!("--skip-unreadable: no effect, since the doctor lists such images in any case");
    }
    let set = open_set(&args.set, Split::Test)?;
    let of = set.subset.as_ref().map_or(String::new(), |subset| format!(" of {}", subset.of));
    println!(
        "{}: layout {} at {}, {}{of} classes, protocol {}",
        set.name,
        set.loader,
        set.root.display(),
        set.classes.len(),
        set.protocol.name()
    );
    let mut found = examine(&set, &progress(&set.name, set.len()))?;
    if let Some(model) = args.model {
        let weights = ModelPath::at(model).with(args.options);
        let model = Model::open(&ModelArgs { weights, device: args.device })?;
        let options = ZeroShotOptions {
            skip_unreadable: true,
            limit: args.set.limit,
            batch_size: Some(args.batch_size),
            ..ZeroShotOptions::default()
        };
        let shown = progress(&set.name, args.set.count(set.len()));
        let result = zero_shot(&model.clip, &model.tokenizer, &set, &options, &shown);
        let result = model.blame(result)?;
        print!("{}", table::sample(result.sample));
        found.extend(diagnose(&result.predictions, &result.class_names));
    }
    for Finding { check, good, about } in &found {
        println!("{:<5} {check:<14} {about}", if *good { "good" } else { "BAD" });
    }
    let bad = found.iter().filter(|finding| !finding.good).count();
    println!("{bad} of {} checks found something", found.len());
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
