//! `clip-data contamination`: which evaluation items the corpus holds, and what that does to a score.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clip_curate::Check;
use clip_overlap::{Account, SetAccount, copies, correct};
use clip_pipeline::{Config, Status};

use crate::recipe;

/// Arguments of `clip-data contamination`.
#[derive(clap::Args)]
pub struct Args {
    /// The pipeline whose corpus it is
    #[arg(short, long, default_value = "pipeline.toml")]
    config: PathBuf,
    /// Change a setting, as in the build
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Predictions of a model on a set, from `clip-data eval`; may be given for each set
    #[arg(long, value_name = "SET=FILE", value_parser = named)]
    predictions: Vec<(String, PathBuf)>,
    /// Sets that are judged at once (for Bonferroni's correction); all of the pipeline's when absent
    #[arg(long)]
    tests: Option<usize>,
    /// List at most so many copies of each set
    #[arg(long, default_value_t = 20)]
    list: usize,
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    let named = text.split_once('=').map(|(name, path)| (name.to_owned(), PathBuf::from(path)));
    named.ok_or_else(|| "must be SET=FILE, SET being a name in [check] against".to_owned())
}

/// Prints the tables and writes `contamination.json` into the run's folder.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config, &args.set)?;
    let Some(check) = &config.check else {
        let hint = "hint: name evaluation sets under [check] against, and build";
        bail!("{}: no [check] section\n{hint}", args.config.display());
    };
    let plan = recipe::plan(&config)?;
    let stage = &plan.stages[plan.find(Check::STAGE)?];
    if stage.status != Status::Reuse {
        let path = args.config.display();
        bail!("the corpus is not checked yet\nhint: run `clip-data build -c {path}` first");
    }
    let found = copies(&stage.dir)?;
    let predictions: BTreeMap<_, _> = args.predictions.into_iter().collect();
    if let Some(name) = predictions.keys().find(|name| !check.against.contains_key(*name)) {
        let known: Vec<_> = check.against.keys().map(String::as_str).collect();
        bail!("--predictions {name}: no such set\nhint: [check] has {}", known.join(", "));
    }
    let tests = args.tests.unwrap_or(check.against.len());
    let mut account = Account::default();
    for (name, path) in &check.against {
        let items = clip_datasets::open(&config.path(path))?.items().count() as u64;
        let mut set = SetAccount::new(name, items, &found)?;
        if let Some(path) = predictions.get(name) {
            set.judge(&correct(path)?, tests)?;
        }
        account.sets.push(set);
    }
    print!("{}", rates(&account));
    print!("{}", effects(&account));
    for set in &account.sets {
        print!("{}", listing(set, args.list));
    }
    let path = account.write(&plan.dir).context("the account was not written")?;
    println!("account: {}", path.display());
    Ok(ExitCode::SUCCESS)
}

fn rates(account: &Account) -> String {
    let mut text =
        format!("{:<16} {:>8} {:>8} {:>8}  99.5% interval\n", "set", "items", "overlap", "rate");
    for set in &account.sets {
        let (low, high) = (100.0 * set.interval.low, 100.0 * set.interval.high);
        let rate = 100.0 * set.rate;
        text.push_str(&format!(
            "{:<16} {:>8} {:>8} {rate:>7.2}%  [{low:.2}%, {high:.2}%]\n",
            set.name, set.items, set.overlap
        ));
    }
    text
}

/// The paper's table of section 5: accuracy on All, Clean and Overlap, and whether their difference counts.
fn effects(account: &Account) -> String {
    let judged: Vec<_> =
        account.sets.iter().filter_map(|set| Some((set, set.effect.as_ref()?))).collect();
    if judged.is_empty() {
        return String::new();
    }
    let share = |value: Option<f64>| value.map_or("-".into(), |v| format!("{:.2}%", 100.0 * v));
    let number = |value: Option<f64>| value.map_or("-".into(), |v| format!("{v:.3}"));
    let mut text = format!(
        "\n{:<16} {:>8} {:>8} {:>8} {:>10} {:>7} {:>7}  verdict\n",
        "set", "All", "Clean", "Overlap", "All-Clean", "p", "p corr."
    );
    for (set, effect) in judged {
        let verdict = match (&effect.detectable, effect.significant()) {
            (_, true) => "significant".to_owned(),
            (Some(seen), false) => {
                let least = 100.0 * seen.inflation;
                format!("not significant (an inflation from {least:.2}% on would have been)")
            }
            (None, false) => "too few overlap to tell".to_owned(),
        };
        text.push_str(&format!(
            "{:<16} {:>8} {:>8} {:>8} {:>10} {:>7} {:>7}  {verdict}\n",
            set.name,
            share(Some(effect.accuracy_all)),
            share(effect.accuracy_clean),
            share(effect.accuracy_overlap),
            share(effect.inflation),
            number(effect.p),
            number(effect.p_corrected),
        ));
    }
    text
}

fn listing(set: &SetAccount, most: usize) -> String {
    let mut text = String::new();
    if set.copies.is_empty() || most == 0 {
        return text;
    }
    let (shown, all) = (set.copies.len().min(most), set.copies.len());
    text.push_str(&format!("\ncopies of {} in the corpus ({shown} of {all}):\n", set.name));
    for copy in set.copies.iter().take(most) {
        let fate = if copy.kept { "kept" } else { "dropped" };
        text.push_str(&format!("  {:.3}  {}  {fate}  {}\n", copy.score, copy.key, copy.url));
    }
    text
}
