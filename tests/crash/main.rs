//! The crash suite: everything that keeps state is killed at random moments, runs out of disk,
//! meets itself, and finds its files changed. Each time the same command must end with the result
//! of an undisturbed run, byte for byte, or with an error of the table of exit codes that names the
//! file.
//!
//!     scripts/crash [--kills N] [--seed S] [SCENARIO…]

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bed;
mod clock;
mod cluster;
mod damage;
mod disk;
mod kills;
mod process;
mod random;
mod tally;
mod together;
#[path = "../it/world.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod world;

use std::process::ExitCode;

use bed::Bed;
use random::Random;
use tally::Tally;

/// Kills of the short form, over all scenarios.
const SHORT: usize = 14;

struct Options {
    kills: usize,
    seed: u64,
    /// What the names of the scenarios contain; all where there is none.
    only: Vec<String>,
}

/// Words that are no option name scenarios, and options of the test harness are ignored: `cargo
/// test NAME` gives its arguments to every test.
fn options() -> Options {
    let mut options = Options { kills: SHORT, seed: 1, only: Vec::new() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = |name: &str| -> u64 {
            let value = args.next().and_then(|value| value.parse().ok());
            value.unwrap_or_else(|| panic!("{name}: a number is wanted"))
        };
        match arg.as_str() {
            "--kills" => options.kills = number("--kills") as usize,
            "--seed" => options.seed = number("--seed"),
            option if option.starts_with('-') => {}
            name => options.only.push(name.to_owned()),
        }
    }
    options
}

type Scenario = fn(&Bed, &bed::Job, usize, &mut Random, &mut Tally);

fn main() -> ExitCode {
    let Options { kills, seed, only } = options();
    let mut scenarios: Vec<(String, &bed::Job, Scenario)> = Vec::new();
    let stateful = &bed::JOBS;
    for job in stateful {
        scenarios.push((format!("{}, killed", job.name), job, kills::run));
    }
    scenarios.push(("scheduler and workers, killed".into(), &bed::BUILD, cluster::run));
    let kinds = scenarios.len();
    let others: [(&str, Scenario); 5] = [
        ("disk full", disk::full),
        ("disk read-only", disk::read_only),
        ("two at once", together::run),
        ("files changed", damage::run),
        ("clock set back", clock::run),
    ];
    for job in stateful.iter().filter(|job| job.alone) {
        for (name, scenario) in others {
            scenarios.push((format!("{}, {name}", job.name), job, scenario));
        }
    }
    let wanted = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part));
    scenarios.retain(|(name, ..)| wanted(name));
    if scenarios.is_empty() {
        return ExitCode::SUCCESS;
    }
    let bed = Bed::new();
    println!("seed {seed}");
    println!("{}", tally::HEAD);
    let mut all = Tally::default();
    for (at, (name, job, scenario)) in scenarios.iter().enumerate() {
        let mut random = Random::new(seed, name);
        let mut tally = Tally::default();
        // The kills are spread over the scenarios that kill; the others are repeated with them.
        let share = kills / kinds + usize::from(at < kills % kinds);
        scenario(&bed, job, share.max(1), &mut random, &mut tally);
        println!("{}", tally.row(name));
        for failure in &tally.failures {
            println!("    failed: {failure}");
        }
        all.add(tally);
    }
    println!("{}", all.row("all"));
    ExitCode::from(u8::from(!all.failures.is_empty()))
}
