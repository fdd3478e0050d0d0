//! transformers' `preprocessor_config.json` (`CLIPImageProcessor`, `SiglipImageProcessor`).

use clip_image::ResizeMode;
use serde_json::{Map, Value, json};

use crate::{Interpolation, PreprocessCfg};

/// The processor's file in a folder of transformers.
pub(crate) const PROCESSOR_FILE: &str = "preprocessor_config.json";

/// What a processor does, where open_clip has the same transform. `side` is the model's image size,
/// where it is known.
///
/// # Errors
/// The field, its value and what is known.
pub(crate) fn read_processor(json: &Value, side: Option<i64>) -> Result<PreprocessCfg, String> {
    let on = |key: &str| json.get(key).and_then(Value::as_bool).unwrap_or(true);
    for key in ["do_resize", "do_rescale"] {
        if !on(key) {
            return Err(format!("{key} false: open_clip has no transform without it"));
        }
    }
    let factor = json.get("rescale_factor").and_then(Value::as_f64);
    if let Some(factor) = factor.filter(|factor| (factor * 255.0 - 1.0).abs() > 1e-6) {
        return Err(format!("rescale_factor {factor}: 1/255 is known"));
    }
    let mut fields = Map::new();
    if let Some(resize_mode) = resize_mode(json, side)? {
        fields.insert("resize_mode".into(), resize_mode.into());
    }
    match json.get("resample") {
        None | Some(Value::Null) => {}
        Some(resample) => {
            let name = match resample.as_i64() {
                Some(2) => "bilinear",
                Some(3) => "bicubic",
                _ => {
                    return Err(format!(
                        "resample {resample}: 2 (bilinear) and 3 (bicubic) are known"
                    ));
                }
            };
            fields.insert("interpolation".into(), name.into());
        }
    }
    let normalised = on("do_normalize");
    for (theirs, ours, none) in [("image_mean", "mean", 0.0), ("image_std", "std", 1.0)] {
        let value = json.get(theirs).cloned().unwrap_or(Value::Null);
        fields.insert(ours.into(), if normalised { value } else { json!([none]) });
    }
    PreprocessCfg::default().merged(&fields)
}

/// open_clip's name of what `size` and `crop_size` do together; none where nothing is said.
fn resize_mode(json: &Value, side: Option<i64>) -> Result<Option<&'static str>, String> {
    let Some(size) = json.get("size").filter(|size| !size.is_null()) else { return Ok(None) };
    let shortest = size.as_i64().or_else(|| size.get("shortest_edge")?.as_i64());
    let (pixels, name) = match (shortest, both_sides(size)) {
        (Some(pixels), _) => (pixels, "shortest"),
        (None, Some(pixels)) => (pixels, "squash"),
        (None, None) => {
            return Err(format!(
                "size {size}: shortest_edge, or equal height and width, are known"
            ));
        }
    };
    let crops = json.get("do_center_crop").and_then(Value::as_bool);
    let crop = json.get("crop_size").filter(|crop| !crop.is_null() && crops != Some(false));
    let cropped = crop.and_then(|crop| crop.as_i64().or_else(|| both_sides(crop)));
    let is_square = name == "squash" || crops != Some(false);
    if !is_square
        || crop.is_some() && cropped != Some(pixels)
        || side.is_some_and(|side| side != pixels)
    {
        let crop = crop.map_or(String::new(), |crop| format!(", crop_size {crop}"));
        let side = side.map_or("the model's".to_owned(), |side| format!("the model's {side}"));
        return Err(format!(
            "size {size}{crop}: open_clip resizes to {side} pixels and crops to the same square"
        ));
    }
    Ok(Some(name))
}

/// The side of a square that is given as height and width.
fn both_sides(size: &Value) -> Option<i64> {
    let [height, width] = ["height", "width"].map(|key| size.get(key)?.as_i64());
    height.filter(|_| height == width)
}

/// The processor of a model of `side` x `side` pixels. It has no `longest`: such a model's becomes
/// `shortest`.
pub(crate) fn write_processor(cfg: &PreprocessCfg, side: i64) -> Value {
    let both = json!({"height": side, "width": side});
    let squash = cfg.resize_mode == ResizeMode::Squash;
    json!({
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": true,
        "do_resize": true,
        "size": if squash { both.clone() } else { json!({"shortest_edge": side}) },
        "resample": if cfg.interpolation == Interpolation::Bilinear { 2 } else { 3 },
        "do_center_crop": !squash,
        "crop_size": both,
        "do_rescale": true,
        "do_normalize": true,
        "image_mean": cfg.mean,
        "image_std": cfg.std,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_have_goes_there_and_back() {
        for resize_mode in [ResizeMode::Shortest, ResizeMode::Squash] {
            for interpolation in [Interpolation::Bicubic, Interpolation::Bilinear] {
                let (mean, std) = ([0.5, 0.25, 0.125], [0.5, 0.5, 1.0]);
                let cfg = PreprocessCfg { mean, std, interpolation, resize_mode, fill_color: 0 };
                let json = write_processor(&cfg, 224);
                assert_eq!(read_processor(&json, Some(224)), Ok(cfg));
                assert_eq!(read_processor(&json, None), Ok(cfg));
            }
        }
    }

    #[test]
    fn older_files_and_what_is_left_out() {
        let old = json!({"size": 224, "crop_size": 224, "resample": 3, "do_normalize": false});
        let found = read_processor(&old, Some(224)).unwrap();
        assert_eq!((found.mean, found.std), ([0.0; 3], [1.0; 3]));
        assert_eq!(read_processor(&json!({}), Some(8)), Ok(PreprocessCfg::default()));
    }

    #[test]
    fn what_open_clip_does_not_have_is_named() {
        for (json, words) in [
            (json!({"resample": 1}), "resample 1: 2 (bilinear)"),
            (json!({"do_rescale": false}), "do_rescale false"),
            (json!({"rescale_factor": 0.5}), "rescale_factor 0.5"),
            (json!({"size": {"longest_edge": 8}}), "size {\"longest_edge\":8}: shortest_edge"),
            (json!({"size": {"height": 8, "width": 9}}), "size"),
            (json!({"size": 256, "crop_size": 224}), "size 256, crop_size 224: open_clip resizes"),
            (json!({"size": 256}), "size 256: open_clip resizes to the model's 224 pixels"),
            (json!({"size": 224, "do_center_crop": false}), "size 224"),
            (json!({"image_std": [0, 0, 0]}), "std [0,0,0]"),
        ] {
            let message = read_processor(&json, Some(224)).unwrap_err();
            assert!(message.starts_with(words), "{message}");
        }
    }
}
