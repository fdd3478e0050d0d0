//! `--retrain`: the same training with and without the copies, by `clip-data-torch train`.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use clip_overlap::training::Evaluation;
use clip_overlap::{ArmRuns, ContaminationReport, RetrainRuns};

use super::Args;
use crate::{exit, torch};

/// Options that this command gives to every run.
const OWN: [&str; 8] = [
    "--train-data",
    "--zeroshot",
    "--contamination",
    "--copies",
    "--seed",
    "--name",
    "--logs",
    "--resume",
];
/// What it gives where the user does not: an evaluation after every epoch, and one checkpoint.
const DEFAULTS: [(&str, &str); 3] =
    [("--zeroshot-frequency", "1"), ("--save-frequency", "0"), ("--keep", "1")];
/// How often a run is looked at.
const POLL: Duration = Duration::from_millis(50);
/// Set for processes whose standard input ends when they are to stop.
const LAUNCHED: &str = "CLIP_DATA_LAUNCHED";

/// Refuses options that cannot work, before anything is compared.
pub fn check(args: &Args) -> anyhow::Result<()> {
    if !args.retrain {
        return Ok(());
    }
    for own in OWN {
        let given = |text: &String| text == own || text.starts_with(&format!("{own}="));
        if args.train.iter().any(given) {
            bail!("{own} after --: --retrain sets it for each run");
        }
    }
    if args.train.is_empty() {
        let hint =
            "hint: --retrain -- --preset emoji --epochs 8, and whatever else the runs are to have";
        bail!("--retrain: no options of `clip-data train` after --\n{hint}");
    }
    shards(args).map(drop)
}

/// Trains every arm with every seed, and adds what that shows to the report, which is in `--out`.
///
/// Gives the exit code of a run that did not end well.
pub fn run(args: &Args, account: &mut ContaminationReport) -> anyhow::Result<Option<u8>> {
    if account.sets.iter().all(|set| set.overlap == 0) {
        bail!("--retrain: the corpus has no copy, so there is nothing to train without");
    }
    let stop = clip_cli::stop_flag(exit::STOPPING)?;
    let logs = args.out().join("retrain");
    let mut runs = RetrainRuns::default();
    for seed in 0..args.seeds.unwrap_or(SEEDS) {
        for arm in ["keep", "replace", "placebo"] {
            let name = format!("{arm}-{seed}");
            note!("training {}", logs.join(&name).display());
            let status = train(args, arm, seed, &logs, &stop)?;
            if !status.success() {
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                return Ok(Some(code.unwrap_or(exit::INCOMPLETE)));
            }
            let found = Evaluation::read(&logs.join(&name))?;
            let arm: &mut ArmRuns = match arm {
                "keep" => &mut runs.keep,
                "replace" => &mut runs.replace,
                _ => &mut runs.placebo,
            };
            arm.push(found);
        }
    }
    for set in account.sets.iter_mut().filter(|set| set.overlap > 0) {
        set.retrain(&runs)?;
    }
    Ok(None)
}

/// Seeds unless `--seeds` says otherwise.
const SEEDS: u64 = 3;

/// One run to its end; it stops when this process does.
fn train(
    args: &Args,
    arm: &str,
    seed: u64,
    logs: &Path,
    stop: &AtomicBool,
) -> anyhow::Result<ExitStatus> {
    let mut command = torch::program("contamination --retrain")?;
    command.arg("train").args(&args.train);
    for (option, value) in DEFAULTS {
        let given = |text: &String| text == option || text.starts_with(&format!("{option}="));
        if !args.train.iter().any(given) {
            command.args([option, value]);
        }
    }
    for (name, path) in &args.eval {
        command.arg("--zeroshot").arg(format!("{name}={}", path.display()));
    }
    let mut child = command
        .arg("--train-data")
        .arg(shards(args)?.join("::"))
        .arg("--contamination")
        .arg(report(args))
        .args(["--copies", arm, "--seed", &seed.to_string()])
        .arg("--name")
        .arg(format!("{arm}-{seed}"))
        .arg("--logs")
        .arg(logs)
        .env(LAUNCHED, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("{}", command.get_program().display()))?;
    loop {
        if stop.load(Ordering::Relaxed) {
            // The end of its standard input asks it to stop.
            drop(child.stdin.take());
        }
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(POLL);
    }
}

/// The report that the runs read.
fn report(args: &Args) -> PathBuf {
    args.out().join(ContaminationReport::FILE)
}

/// The shards of the corpus, which are what `clip-data train` reads.
fn shards(args: &Args) -> anyhow::Result<Vec<String>> {
    let mut shards = Vec::new();
    for spec in &args.corpus {
        for unit in clip_overlap::corpus::units(spec)? {
            if !unit.place.ends_with(".tar") {
                let hint = "hint: give shards (.tar) as --corpus";
                bail!("{}: --retrain trains on shards\n{hint}", unit.place);
            }
            shards.push(unit.place);
        }
    }
    Ok(shards)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(more: &[&str]) -> Result<Args, String> {
        let first = ["contamination", "--corpus", "no/such/corpus", "--eval", "s=s"];
        let words = first.iter().chain(more);
        Cli::try_parse_from(words).map(|cli| cli.args).map_err(|error| error.to_string())
    }

    #[test]
    fn options_of_the_runs_are_checked_first() {
        check(&parse(&[]).unwrap()).unwrap();
        for (more, word) in [
            (&["--retrain", "--", "--preset", "emoji"][..], "no/such/corpus"),
            (&["--retrain"], "no options of `clip-data train`"),
            (&["--retrain", "--", "--preset", "emoji", "--seed", "3"], "--seed after --"),
            (&["--retrain", "--", "--name=x"], "--name after --"),
        ] {
            let message = check(&parse(more).unwrap()).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
        for (more, word) in [
            (&["--seeds", "2"][..], "--retrain"),
            (&["--", "--preset", "emoji"], "--retrain"),
            (&["--retrain", "--without", "x", "--", "--epochs", "1"], "--without"),
            (&["--retrain", "--seeds", "0", "--", "--epochs", "1"], "0"),
        ] {
            let message = parse(more).err().unwrap();
            assert!(message.contains(word), "{message}");
        }
    }
}
