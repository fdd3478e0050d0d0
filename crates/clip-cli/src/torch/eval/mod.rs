//! Arguments of `clip-data eval`.

mod compare;
mod inputs;
mod probe;
mod scores;
mod sets;

use clap::Subcommand;

pub use compare::{RobustnessArgs, SuiteArgs};
pub use inputs::{BatchArgs, ModelArgs, PromptArgs, SetArgs};
pub use probe::{FewShotArgs, FitArgs, LinearProbeArgs, ProbeSource};
pub use scores::{ChoiceArgs, GeolocationArgs, RetrievalArgs, ScoreFiles, ZeroShotArgs};
pub use sets::{DatasetsArgs, DoctorArgs, ExportArgs};

/// The evaluations.
#[derive(Subcommand)]
pub enum EvalTask {
    /// Zero-shot classification (paper, section 3.1)
    ZeroShot(ZeroShotArgs),
    /// Image-text retrieval: recall at K both ways (paper, appendix E.1)
    Retrieval(RetrievalArgs),
    /// Compositional choices: SugarCrepe, Winoground, WinoGAViL
    Choice(ChoiceArgs),
    /// Logistic regression on frozen features (paper, section 3.2, appendix A.3)
    LinearProbe(LinearProbeArgs),
    /// Accuracy against the number of labelled examples a class (paper, section 3.1.5)
    FewShot(FewShotArgs),
    /// Effective robustness, and zero-shot beside supervised probes, from scores that are there
    Robustness(RobustnessArgs),
    /// Geolocalisation by nearest neighbours (paper, appendix E.4)
    Geolocation(GeolocationArgs),
    /// Many datasets and checkpoints; the same command again continues where it stopped
    Suite(SuiteArgs),
    /// What may be wrong with an evaluation set
    Doctor(DoctorArgs),
    /// The datasets that are known: classes, sizes, metrics, layouts, the paper's figures
    Datasets(DatasetsArgs),
    /// Write a set in CLIP_benchmark's WebDataset layout
    Export(ExportArgs),
}
