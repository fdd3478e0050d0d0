//! What training computes in, under open_clip's names.

use std::fmt;
use std::str::FromStr;

use clip_format::has_bf16;
use clip_torch::Precision;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `--precision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrainPrecision {
    /// bfloat16 where the machine multiplies it, else float32.
    #[default]
    Auto,
    /// float32.
    Fp32,
    /// Autocast to float16, with loss scaling.
    Amp,
    /// Autocast to bfloat16.
    AmpBf16,
}

impl TrainPrecision {
    /// What that is on a GPU, or on this processor.
    pub fn resolve(self, cuda: bool) -> Precision {
        match self {
            Self::Auto if cuda || has_bf16() => Precision::Bf16,
            Self::Auto | Self::Fp32 => Precision::F32,
            Self::Amp => Precision::F16,
            Self::AmpBf16 => Precision::Bf16,
        }
    }

    /// The same under its name: what `auto` has become.
    #[must_use]
    pub fn resolved(self, cuda: bool) -> Self {
        match self.resolve(cuda) {
            Precision::F32 => Self::Fp32,
            Precision::F16 => Self::Amp,
            Precision::Bf16 => Self::AmpBf16,
        }
    }
}

impl fmt::Display for TrainPrecision {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Fp32 => "fp32",
            Self::Amp => "amp",
            Self::AmpBf16 => "amp_bf16",
        })
    }
}

impl FromStr for TrainPrecision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "auto" => Self::Auto,
            "fp32" => Self::Fp32,
            "amp" | "amp_fp16" => Self::Amp,
            "amp_bf16" | "amp_bfloat16" => Self::AmpBf16,
            other => return Err(format!("{other:?}: one of auto, amp, amp_bf16 or fp32")),
        })
    }
}

impl Serialize for TrainPrecision {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TrainPrecision {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        String::deserialize(input)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_open_clips() {
        for (name, shown, on_gpu) in [
            ("auto", "auto", Precision::Bf16),
            ("fp32", "fp32", Precision::F32),
            ("amp", "amp", Precision::F16),
            ("amp_bfloat16", "amp_bf16", Precision::Bf16),
        ] {
            let json = serde_json::Value::from(name);
            let precision: TrainPrecision = serde_json::from_value(json).unwrap();
            assert_eq!((precision.to_string().as_str(), precision.resolve(true)), (shown, on_gpu));
        }
        let message = "fp8".parse::<TrainPrecision>().unwrap_err();
        assert!(message.contains("\"fp8\": one of auto"), "{message}");
    }
}
