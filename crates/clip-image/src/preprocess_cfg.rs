//! open_clip's `preprocess_cfg`: what happens to an image before the model sees it.

use serde_json::{Map, Value, json};

use crate::{Preprocess, Resampling, ResizeMode};

/// CLIP's pixel mean and standard deviation (OpenAI CLIP, `clip.py`).
pub const MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// See [`MEAN`].
pub const STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

/// open_clip's `interpolation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Interpolation {
    /// Pillow's BICUBIC.
    #[default]
    Bicubic,
    /// Pillow's BILINEAR.
    Bilinear,
    /// Either, drawn for each image of training; bicubic for evaluation.
    Random,
}

/// open_clip's `preprocess_cfg`, without the size: as in open_clip that is the model's
/// `image_size`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PreprocessCfg {
    /// Mean of each channel, of values from 0 to 1.
    pub mean: [f64; 3],
    /// Standard deviation of each channel, above 0.
    pub std: [f64; 3],
    /// The kernel of resizing.
    pub interpolation: Interpolation,
    /// How an image becomes a square, for evaluation.
    pub resize_mode: ResizeMode,
    /// The level around the image, of `longest` only.
    pub fill_color: u8,
}

impl Default for PreprocessCfg {
    /// OpenAI's, which is open_clip's for all models of the paper.
    fn default() -> Self {
        Self {
            mean: MEAN,
            std: STD,
            interpolation: Interpolation::default(),
            resize_mode: ResizeMode::default(),
            fill_color: 0,
        }
    }
}

const INTERPOLATIONS: [(&str, Interpolation); 3] = [
    ("bicubic", Interpolation::Bicubic),
    ("bilinear", Interpolation::Bilinear),
    ("random", Interpolation::Random),
];
const RESIZE_MODES: [(&str, ResizeMode); 3] = [
    ("shortest", ResizeMode::Shortest),
    ("longest", ResizeMode::Longest),
    ("squash", ResizeMode::Squash),
];

impl PreprocessCfg {
    /// With the fields of `overlay` in the place of its own (open_clip's `merge_preprocess_dict`);
    /// null leaves a field as it is.
    ///
    /// # Errors
    /// The field, its value and what is known, for what is not one of `preprocess_cfg`.
    pub fn merged(mut self, overlay: &Map<String, Value>) -> Result<Self, String> {
        for (field, value) in overlay.iter().filter(|(_, value)| !value.is_null()) {
            self.set(field, value).map_err(|wanted| format!("{field} {value}: {wanted}"))?;
        }
        Ok(self)
    }

    /// The `preprocess_cfg` of an `open_clip_config.json`; none where it has none.
    ///
    /// # Errors
    /// As [`PreprocessCfg::merged`].
    pub fn of_config(json: &Value) -> Result<Option<Self>, String> {
        match json.get("preprocess_cfg") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(fields)) => {
                let found = Self::default().merged(fields);
                found.map(Some).map_err(|reason| format!("preprocess_cfg: {reason}"))
            }
            Some(other) => Err(format!("preprocess_cfg {other}: fields by their names are wanted")),
        }
    }

    fn set(&mut self, field: &str, value: &Value) -> Result<(), String> {
        match field {
            "mean" => self.mean = triple(value)?,
            "std" => {
                let std = triple(value)?;
                if std.iter().any(|&std| std <= 0.0) {
                    return Err("three numbers above 0 are wanted".into());
                }
                self.std = std;
            }
            "interpolation" => self.interpolation = named(&INTERPOLATIONS, value)?,
            "resize_mode" => self.resize_mode = named(&RESIZE_MODES, value)?,
            "fill_color" => {
                let level = value.as_u64().and_then(|level| u8::try_from(level).ok());
                self.fill_color = level.ok_or("a whole number from 0 to 255 is wanted")?;
            }
            // The model's own image_size decides.
            "size" => {
                let side = |value: &Value| value.as_u64().is_some_and(|side| side > 0);
                let sides =
                    |values: &Vec<Value>| matches!(values.len(), 1 | 2) && values.iter().all(side);
                if !side(value) && !value.as_array().is_some_and(sides) {
                    return Err("pixels, or height and width, are wanted".into());
                }
            }
            "mode" if value == "RGB" => {}
            "mode" => return Err("RGB is known".into()),
            _ => {
                let known = "mean, std, interpolation, resize_mode, fill_color, size, mode";
                return Err(format!("no such field\nhint: {known} are known"));
            }
        }
        Ok(())
    }

    /// As open_clip writes it.
    pub fn to_json(&self) -> Value {
        json!({
            "mean": self.mean,
            "std": self.std,
            "interpolation": name_of(&INTERPOLATIONS, self.interpolation),
            "resize_mode": name_of(&RESIZE_MODES, self.resize_mode),
            "fill_color": self.fill_color,
        })
    }

    /// The transform of evaluation for images of `size` x `size` pixels, up to the normalisation.
    pub fn transform(&self, size: i64) -> Preprocess {
        let resampling = match self.interpolation {
            Interpolation::Bilinear => Resampling::Bilinear,
            Interpolation::Bicubic | Interpolation::Random => Resampling::Bicubic,
        };
        let (resize_mode, fill_color) = (self.resize_mode, self.fill_color);
        Preprocess { size: size.max(1) as u32, resize_mode, resampling, fill_color }
    }
}

/// Three numbers, or one for all channels.
fn triple(value: &Value) -> Result<[f64; 3], String> {
    let numbers: Option<Vec<f64>> =
        value.as_array().and_then(|all| all.iter().map(Value::as_f64).collect());
    match numbers.as_deref() {
        // JSON has neither infinity nor NaN.
        Some(&[x]) => Ok([x; 3]),
        Some(&[r, g, b]) => Ok([r, g, b]),
        _ => Err("three numbers are wanted".into()),
    }
}

fn named<T: Copy>(known: &[(&str, T)], value: &Value) -> Result<T, String> {
    let found = known.iter().find(|(name, _)| value.as_str() == Some(name));
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        format!("one of {} is wanted", names.join(", "))
    })
}

fn name_of<T: PartialEq>(known: &[(&'static str, T)], choice: T) -> &'static str {
    known.iter().find(|(_, other)| *other == choice).map_or("", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(fields: &Value) -> Result<PreprocessCfg, String> {
        PreprocessCfg::default().merged(fields.as_object().unwrap())
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (_, interpolation) in INTERPOLATIONS {
            for (_, resize_mode) in RESIZE_MODES {
                let cfg = PreprocessCfg {
                    mean: [0.5, 0.25, 0.0],
                    std: [0.5, 1.0, 2.0],
                    interpolation,
                    resize_mode,
                    fill_color: 127,
                };
                assert_eq!(merged(&cfg.to_json()), Ok(cfg));
            }
        }
    }

    #[test]
    fn what_is_not_given_is_openais() {
        let cfg = merged(&json!({"size": [224, 224], "mode": "RGB", "mean": null})).unwrap();
        assert_eq!(cfg, PreprocessCfg::default());
        let cfg = merged(&json!({"mean": [0.5], "interpolation": "random"})).unwrap();
        assert_eq!((cfg.mean, cfg.std), ([0.5; 3], STD));
        assert_eq!(cfg.transform(8).resampling, Resampling::Bicubic);
    }

    #[test]
    fn mistakes_name_the_field_the_value_and_what_is_known() {
        for (fields, words) in [
            (
                json!({"resize_mode": "crop"}),
                "resize_mode \"crop\": one of shortest, longest, squash",
            ),
            (json!({"interpolation": 3}), "interpolation 3: one of bicubic, bilinear, random"),
            (json!({"mean": [0.5, 0.5]}), "mean [0.5,0.5]: three numbers"),
            (json!({"mean": 0.5}), "mean 0.5: three numbers"),
            (json!({"std": [1, 0, 1]}), "std [1,0,1]: three numbers above 0"),
            (json!({"fill_color": 256}), "fill_color 256: a whole number from 0 to 255"),
            (json!({"size": "224"}), "size \"224\": pixels"),
            (json!({"mode": "L"}), "mode \"L\": RGB"),
            (json!({"crop_pct": 0.9}), "crop_pct 0.9: no such field"),
        ] {
            let message = merged(&fields).unwrap_err();
            assert!(message.starts_with(words), "{message}");
        }
        let bad = json!({"preprocess_cfg": [1]});
        assert!(PreprocessCfg::of_config(&bad).unwrap_err().contains("fields by their names"));
    }
}
