//! How large a model may be: a configuration comes from a file, and what it says is allocated.

use crate::config::{Depth, ModelConfig};
use crate::{Error, Result};

/// The most blocks of a tower, or bottlenecks of a ResNet's stage.
const LAYERS: i64 = 1_000;
/// The most channels, heads, and tokens of a text.
const WIDTH: i64 = 65_536;
/// The longest side of an image, in pixels.
const SIDE: i64 = 16_384;
/// The most patches along a side: each square of them has a position.
const GRID: i64 = 512;
/// The largest vocabulary.
const WORDS: i64 = 16_777_216;
/// The most hidden channels of a perceptron, as a multiple of its width.
const RATIO: f64 = 256.0;
/// The most parameters: five times those of the largest CLIP that there is (EVA-CLIP, 18 billion).
const PARAMETERS: f64 = 1e11;

impl ModelConfig {
    /// The configuration, where it is one of a model.
    ///
    /// # Errors
    /// [`Error::Config`] with what does not fit.
    pub fn checked(self) -> Result<Self> {
        check(&self)?;
        let (v, t) = (&self.vision_cfg, &self.text_cfg);
        let must = |holds: bool, message: &str| {
            if holds { Ok(()) } else { Err(Error::Config(message.to_owned())) }
        };
        match (v.layers, v.patch_size) {
            (Depth::Blocks(_), Some(patch)) => {
                must(v.image_size >= patch, "image_size must hold a patch")?;
                must(v.width % v.head_width == 0, "vision width must be a multiple of head_width")?;
            }
            (Depth::Stages(_), None) => {
                must(v.image_size % 32 == 0, "a ResNet's image_size must be a multiple of 32")?;
                must(v.width % 2 == 0, "a ResNet's width must be even")?;
                let fits = v.feature_width() % v.head_width == 0;
                must(fits, "a ResNet's width x 32 must be a multiple of head_width")?;
            }
            (Depth::Blocks(_), None) => must(false, "a vision transformer needs a patch_size")?,
            (Depth::Stages(_), Some(_)) => must(false, "a ResNet has no patch_size")?,
        }
        must(t.width % t.heads == 0, "text width must be a multiple of its heads")?;
        must(t.context_length >= 3, "context_length must hold start, a token and end")?;
        Ok(self)
    }
}

/// Whether each field is within what models have.
///
/// # Errors
/// [`Error::Config`] with the field, what it says and its limits.
fn check(config: &ModelConfig) -> Result<()> {
    let (v, t) = (&config.vision_cfg, &config.text_cfg);
    let mut fields = vec![
        ("embed_dim", config.embed_dim, WIDTH),
        ("vision_cfg.image_size", v.image_size, SIDE),
        ("vision_cfg.width", v.width, WIDTH),
        ("vision_cfg.head_width", v.head_width, WIDTH),
        ("text_cfg.context_length", t.context_length, WIDTH),
        ("text_cfg.vocab_size", t.vocab_size, WORDS),
        ("text_cfg.width", t.width, WIDTH),
        ("text_cfg.heads", t.heads, WIDTH),
        ("text_cfg.layers", t.layers, LAYERS),
    ];
    match v.layers {
        Depth::Blocks(layers) => fields.push(("vision_cfg.layers", layers, LAYERS)),
        Depth::Stages(stages) => {
            fields.extend(stages.map(|stage| ("vision_cfg.layers", stage, LAYERS)));
        }
    }
    fields.extend(v.patch_size.map(|patch| ("vision_cfg.patch_size", patch, SIDE)));
    for (field, value, most) in fields {
        if !(1..=most).contains(&value) {
            return Err(Error::Config(format!("{field} is {value}, and must be from 1 to {most}")));
        }
    }
    for (field, ratio) in
        [("vision_cfg.mlp_ratio", v.mlp_ratio), ("text_cfg.mlp_ratio", t.mlp_ratio)]
    {
        if !(ratio > 0.0 && ratio <= RATIO) {
            return Err(Error::Config(format!(
                "{field} is {ratio}, and must be above 0 and at most {RATIO}"
            )));
        }
    }
    if v.grid() > GRID {
        return Err(Error::Config(format!(
            "vision_cfg.image_size is {} patches of vision_cfg.patch_size, and at most {GRID} fit along a side",
            v.grid()
        )));
    }
    for (tower, parameters) in [("vision_cfg", vision(config)), ("text_cfg", text(config))] {
        if parameters > PARAMETERS {
            return Err(Error::Config(format!(
                "{tower} (layers, width, mlp_ratio) is of some {parameters:.1e} parameters, and {PARAMETERS:.0e} are the most"
            )));
        }
    }
    Ok(())
}

/// Weights of the blocks of a transformer: four projections and a perceptron each.
fn blocks(layers: i64, width: i64, ratio: f64) -> f64 {
    layers as f64 * (width as f64).powi(2) * (4.0 + 2.0 * ratio)
}

fn vision(config: &ModelConfig) -> f64 {
    let v = &config.vision_cfg;
    let (width, patch) = (v.width as f64, v.patch_size.unwrap_or(1) as f64);
    match v.layers {
        Depth::Blocks(layers) => {
            let ends =
                width * (3.0 * patch.powi(2) + config.embed_dim as f64 + (v.grid() as f64).powi(2));
            blocks(layers, v.width, v.mlp_ratio) + ends
        }
        // A bottleneck of the stage of width w has 4w x w, 9 w x w and w x 4w weights; attention
        // has 32 times the first width.
        Depth::Stages(stages) => {
            let stage =
                |(at, &stage): (i32, &i64)| stage as f64 * (width * 2f64.powi(at)).powi(2) * 17.0;
            (0..).zip(&stages).map(stage).sum::<f64>() + 3.0 * (32.0 * width).powi(2)
        }
    }
}

fn text(config: &ModelConfig) -> f64 {
    let t = &config.text_cfg;
    let ends = t.width as f64 * (t.vocab_size + t.context_length + config.embed_dim) as f64;
    blocks(t.layers, t.width, t.mlp_ratio) + ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_of_the_paper_and_the_largest_since_are_within() {
        for name in crate::NAMES {
            check(&ModelConfig::find(name).unwrap()).unwrap();
        }
        // EVA02-CLIP-bigE-14-plus (open_clip's EVA02-E-14-plus): 5 billion parameters.
        let mut large = ModelConfig::find("ViT-L-14").unwrap();
        (large.vision_cfg.width, large.vision_cfg.layers) = (1792, Depth::Blocks(64));
        (large.text_cfg.width, large.text_cfg.heads, large.text_cfg.layers) = (1280, 20, 32);
        check(&large).unwrap();
    }

    #[test]
    fn a_field_beyond_its_limit_is_named() {
        let parse = |top: &str, vision: &str, text: &str| {
            let fields = |own: &str, all: &[(&str, &str)]| {
                let own: Vec<&str> = own.split(',').filter(|own| !own.is_empty()).collect();
                let named =
                    |name: &str| own.iter().any(|own| own.starts_with(&format!("\"{name}\"")));
                let rest = all.iter().filter(|(name, _)| !named(name));
                let rest = rest.map(|(name, value)| format!("\"{name}\": {value}"));
                own.iter()
                    .map(|own| (*own).replace(';', ","))
                    .chain(rest)
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let vision = fields(
                vision,
                &[("image_size", "32"), ("layers", "1"), ("width", "64"), ("patch_size", "16")],
            );
            let text = fields(
                text,
                &[
                    ("context_length", "8"),
                    ("vocab_size", "30"),
                    ("width", "8"),
                    ("heads", "1"),
                    ("layers", "1"),
                ],
            );
            let top = fields(top, &[("embed_dim", "8")]);
            let json = format!(r#"{{{top}, "vision_cfg": {{{vision}}}, "text_cfg": {{{text}}}}}"#);
            ModelConfig::parse(&json)
        };
        assert!(parse("", "", "").is_ok());
        for (top, vision, text, field) in [
            (r#""embed_dim": 9223372036854775807"#, "", "", "embed_dim is 9223372036854775807"),
            (r#""embed_dim": 0"#, "", "", "embed_dim is 0"),
            ("", r#""layers": 1000000"#, "", "vision_cfg.layers is 1000000"),
            (
                "",
                r#""layers": [1;1;1000000000;1],"patch_size": null"#,
                "",
                "vision_cfg.layers is 1000000000",
            ),
            ("", r#""width": 4611686018427387904"#, "", "vision_cfg.width is"),
            ("", r#""image_size": 4611686018427387904"#, "", "vision_cfg.image_size is"),
            (
                "",
                r#""image_size": 16384,"patch_size": 1"#,
                "",
                "vision_cfg.image_size is 16384 patches",
            ),
            ("", r#""mlp_ratio": 1e300"#, "", "vision_cfg.mlp_ratio is"),
            ("", r#""head_width": -3"#, "", "vision_cfg.head_width is -3"),
            ("", r#""width": 65536,"layers": 1000"#, "", "vision_cfg (layers, width, mlp_ratio)"),
            (
                "",
                "",
                r#""layers": 1000000"#,
                "text_cfg.layers is 1000000, and must be from 1 to 1000",
            ),
            ("", "", r#""heads": 0"#, "text_cfg.heads is 0"),
            ("", "", r#""vocab_size": 999999999999"#, "text_cfg.vocab_size is"),
            ("", "", r#""context_length": 9223372036854775807"#, "text_cfg.context_length is"),
            ("", "", r#""width": 65536,"layers": 1000"#, "text_cfg (layers, width, mlp_ratio)"),
        ] {
            let message = parse(top, vision, text).unwrap_err().to_string();
            assert!(message.contains(field), "{field}: {message}");
        }
    }
}
