//! The shape of a detector.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How a residual block is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Two 3 x 3 convolutions.
    Basic,
    /// 1 x 1, 3 x 3, 1 x 1, four times as wide at the end (ResNet-50's).
    Bottleneck,
}

/// `detector.json`: what the network is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorConfig {
    /// Side of the square image in pixels.
    pub size: i64,
    /// Channels of the stem.
    pub stem: i64,
    /// Width of each stage's inner convolutions; each halves the image's side.
    pub widths: Vec<i64>,
    /// Blocks of each stage.
    pub blocks: Vec<usize>,
    /// The blocks.
    pub kind: Kind,
    /// Length of the vector.
    pub dim: i64,
}

impl DetectorConfig {
    /// `small` trains on two cores in half an hour; `resnet50` is the paper's, for a GPU.
    pub fn preset(name: &str) -> Result<Self> {
        match name {
            "small" => Ok(Self {
                size: 64,
                stem: 24,
                widths: vec![32, 64, 128, 192],
                blocks: vec![1, 1, 1, 1],
                kind: Kind::Basic,
                dim: 128,
            }),
            "resnet50" => Ok(Self {
                size: 224,
                stem: 64,
                widths: vec![64, 128, 256, 512],
                blocks: vec![3, 4, 6, 3],
                kind: Kind::Bottleneck,
                dim: 1024,
            }),
            other => Err(Error::Config(format!("{other:?} is no preset: small or resnet50"))),
        }
    }

    /// Whether a network can be made of it.
    pub fn check(&self) -> Result<()> {
        let fault = |reason: &str| Err(Error::Config(reason.to_owned()));
        if self.widths.is_empty() || self.widths.len() != self.blocks.len() {
            return fault("`widths` and `blocks` must name the same stages");
        }
        if self.blocks.contains(&0)
            || self.widths.iter().any(|&w| w < 1)
            || self.stem < 1
            || self.dim < 1
        {
            return fault("every width, number of blocks and `dim` must be at least 1");
        }
        if self.size >> (self.widths.len() + 1) < 1 {
            return fault("`size` is too small for this many stages");
        }
        Ok(())
    }
}
