//! ResNets of any size by the paper's rule (section 2.4, after Tan and Le 2019): width, depth and
//! resolution grow together with the compute of the image tower; of the text tower the width alone.

use crate::{Depth, Error, ModelConfig, Result, TextConfig, VisionConfig};

/// The paper's points on the way: compute, and the model.
const POINTS: [(f64, &str); 4] = [
    (1.0, "RN50-quickgelu"),
    (4.0, "RN50x4-quickgelu"),
    (16.0, "RN50x16-quickgelu"),
    (64.0, "RN50x64-quickgelu"),
];

impl ModelConfig {
    /// RN50x{k}: a ResNet-50 with some `k` times its compute. At 1, 4, 16 and 64 it is the paper's
    /// model; between them each size is on a straight line of logarithms; beyond them depth
    /// goes with k^(1/3), and width and resolution with k^(1/6), so that each takes a third of
    /// the compute.
    pub fn scaled_resnet(k: f64) -> Result<Self> {
        if !(0.05..=4096.0).contains(&k) {
            return Err(Error::Config(format!(
                "--scale {k}: a number from 0.05 to 4096 is wanted"
            )));
        }
        let at = POINTS.iter().position(|(point, _)| k <= *point).unwrap_or(POINTS.len());
        let (low, high) = (at.saturating_sub(1), at.min(POINTS.len() - 1));
        let (from, to) = (Self::find(POINTS[low].1)?, Self::find(POINTS[high].1)?);
        if POINTS[high].0 == k {
            return Ok(to);
        }
        let between = low != high;
        let share = if between {
            (k / POINTS[low].0).ln() / (POINTS[high].0 / POINTS[low].0).ln()
        } else {
            0.0
        };
        let beyond = if between { 1.0 } else { k / POINTS[low].0 };
        // A size between two, grown by a power of the compute beyond them, as a multiple of `unit`.
        let size = |a: i64, b: i64, power: f64, unit: i64| {
            let exact = (a as f64).powf(1.0 - share) * (b as f64).powf(share) * beyond.powf(power);
            ((exact / unit as f64).round() as i64).max(1) * unit
        };
        let (v, w) = (&from.vision_cfg, &to.vision_cfg);
        let (Depth::Stages(a), Depth::Stages(b)) = (v.layers, w.layers) else {
            return Err(Error::Config("the scaled models are ResNets".into()));
        };
        let stages = std::array::from_fn(|i| size(a[i], b[i], 1.0 / 3.0, 1));
        let width = size(v.width, w.width, 1.0 / 6.0, 16);
        let side = size(v.image_size, w.image_size, 1.0 / 6.0, 32);
        // The text tower's width follows the image tower's: eight channels for each of its first
        // stage's.
        let text = width * 8;
        Ok(Self {
            embed_dim: text,
            quick_gelu: true,
            vision_cfg: VisionConfig::resnet(side, stages, width),
            text_cfg: TextConfig::paper(text),
        })
    }

    /// The same model for images of another side, in pixels.
    pub fn with_image_size(mut self, side: i64) -> Result<Self> {
        let cell = self.vision_cfg.patch_size.unwrap_or(32);
        if side <= 0 || side % cell != 0 {
            return Err(Error::Config(format!(
                "image size {side}: a multiple of {cell} is wanted"
            )));
        }
        self.vision_cfg.image_size = side;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_models_come_back() {
        for (k, name) in POINTS {
            assert_eq!(ModelConfig::scaled_resnet(k).unwrap(), ModelConfig::find(name).unwrap());
        }
    }

    #[test]
    fn sizes_grow_with_compute() {
        let sizes = |k| {
            let config = ModelConfig::scaled_resnet(k).unwrap();
            let Depth::Stages(stages) = config.vision_cfg.layers else { unreachable!() };
            let v = &config.vision_cfg;
            (stages.iter().sum::<i64>(), v.width, v.image_size, config.text_cfg.width)
        };
        assert_eq!(sizes(2.0), (20, 64, 256, 512));
        let mut last = (0, 0, 0, 0);
        for k in [0.25, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 512.0] {
            let now = sizes(k);
            assert!(now.0 >= last.0 && now.1 >= last.1 && now.2 >= last.2, "{k}: {now:?} {last:?}");
            // Compute goes with depth, and the squares of width and side.
            let of = |s: (i64, i64, i64, i64)| s.0 as f64 * ((s.1 * s.2) as f64).powi(2);
            let ratio = of(now) / of(sizes(1.0)) / k;
            assert!((0.6..1.6).contains(&ratio), "{k}: {ratio}");
            last = now;
        }
        assert!(ModelConfig::scaled_resnet(0.0).is_err());
        assert!(ModelConfig::find("ViT-B-32").unwrap().with_image_size(225).is_err());
    }
}
