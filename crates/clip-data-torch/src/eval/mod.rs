//! `clip-data eval`: what a model can do.

pub(crate) mod audit;
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

use clip_cli::torch::EvalTask;

/// Runs the evaluation.
pub fn run(task: EvalTask) -> anyhow::Result<ExitCode> {
    match task {
        EvalTask::ZeroShot(args) => zero_shot::run(args),
        EvalTask::Retrieval(args) => retrieval::run(args),
        EvalTask::Choice(args) => choice::run(args),
        EvalTask::LinearProbe(args) => probe::run(args),
        EvalTask::FewShot(args) => probe::run_few_shot(args),
        EvalTask::Robustness(args) => robustness::run(args),
        EvalTask::Geolocation(args) => geo::run(args),
        EvalTask::Suite(args) => suite::run(args),
        EvalTask::Doctor(args) => doctor::run(args),
        EvalTask::Datasets(args) => datasets::run(args),
        EvalTask::Export(args) => datasets::export(args),
    }
}
