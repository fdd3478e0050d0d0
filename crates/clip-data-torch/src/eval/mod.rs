//! `clip-data eval`: what a model can do.

mod choice;
mod confusion;
mod datasets;
mod doctor;
mod geo;
pub(crate) mod inputs;
mod page;
mod plot;
mod probe;
mod results;
mod retrieval;
mod robustness;
mod score_files;
mod suite;
mod table;
mod zero_shot;

use std::process::ExitCode;

use clap::Subcommand;

/// The evaluations.
#[derive(Subcommand)]
pub enum Task {
    /// Zero-shot classification (paper, section 3.1)
    ZeroShot(zero_shot::Args),
    /// Image-text retrieval: recall at K both ways (paper, appendix E.1)
    Retrieval(retrieval::Args),
    /// Compositional choices: SugarCrepe, Winoground, WinoGAViL
    Choice(choice::Args),
    /// Logistic regression on frozen features (paper, section 3.2, appendix A.3)
    LinearProbe(probe::Args),
    /// Accuracy against the number of labelled examples a class (paper, section 3.1.5)
    FewShot(probe::FewShotArgs),
    /// Effective robustness, and zero-shot beside supervised probes, from scores that are there
    Robustness(robustness::Args),
    /// Geolocalisation by nearest neighbours (paper, appendix E.4)
    Geolocation(geo::Args),
    /// Many datasets and checkpoints; the same command again continues where it stopped
    Suite(suite::Args),
    /// What may be wrong with an evaluation set
    Doctor(doctor::Args),
    /// The datasets that are known: classes, sizes, metrics, layouts, the paper's figures
    Datasets(datasets::Args),
    /// Write a set in CLIP_benchmark's WebDataset layout
    Export(datasets::ExportArgs),
}

/// Runs the evaluation.
pub fn run(task: Task) -> anyhow::Result<ExitCode> {
    match task {
        Task::ZeroShot(args) => zero_shot::run(args),
        Task::Retrieval(args) => retrieval::run(args),
        Task::Choice(args) => choice::run(args),
        Task::LinearProbe(args) => probe::run(args),
        Task::FewShot(args) => probe::run_few_shot(args),
        Task::Robustness(args) => robustness::run(args),
        Task::Geolocation(args) => geo::run(args),
        Task::Suite(args) => suite::run(args),
        Task::Doctor(args) => doctor::run(args),
        Task::Datasets(args) => datasets::run(args),
        Task::Export(args) => datasets::export(args),
    }
}
