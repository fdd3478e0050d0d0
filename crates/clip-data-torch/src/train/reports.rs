//! Where scalars are written beside the run's own files: `--report-to`.

use anyhow::bail;

/// What `--report-to` asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reports {
    /// Event files.
    pub tensorboard: bool,
    /// A file for `wandb sync`.
    pub wandb: bool,
}

impl Reports {
    /// Reads open_clip's names, with commas between them.
    pub fn parse(report_to: &str) -> anyhow::Result<Self> {
        let mut reports = Self::default();
        for place in report_to.split(',').map(str::trim).filter(|place| !place.is_empty()) {
            match place {
                "tensorboard" => reports.tensorboard = true,
                "wandb" => reports.wandb = true,
                "all" => reports = Self { tensorboard: true, wandb: true },
                other => bail!("--report-to {other}: tensorboard, wandb or all"),
            }
        }
        Ok(reports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_open_clips() {
        let parse = |text: &str| Reports::parse(text).map(|r| (r.tensorboard, r.wandb)).ok();
        assert_eq!(
            ["", "wandb", " tensorboard, wandb", "all"].map(parse).map(Option::unwrap),
            [(false, false), (false, true), (true, true), (true, true),]
        );
        assert_eq!(parse("wandb,mlflow"), None);
    }
}
