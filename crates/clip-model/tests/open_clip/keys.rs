//! Names, shapes and order of parameters and buffers of the nine models.

use clip_model::{Clip, ModelConfig, NAMES};

use crate::formula::unpacked;

#[test]
fn the_nine_models_have_open_clips_keys() {
    let golden = String::from_utf8(unpacked("keys.txt.gz")).unwrap();
    let mut models = golden.split("# ").skip(1);
    for name in NAMES {
        let mut lines = models.next().unwrap().lines();
        let config = ModelConfig::find(name).unwrap();
        // Tensors of shapes alone: RN50x64 would take 2.5 GB and a minute to draw.
        let (state, parameters) = Clip::shapes(&config);
        let count: i64 = state
            .iter()
            .filter(|(key, _)| parameters.contains(key))
            .map(|(_, shape)| shape.iter().product::<i64>())
            .sum();
        assert_eq!(lines.next().unwrap(), format!("{name} {count}"));
        let mine: Vec<String> = state
            .iter()
            .map(|(key, shape)| {
                let kind = if parameters.contains(key) { 'p' } else { 'b' };
                format!("{kind} {key} {shape:?}")
            })
            .collect();
        let theirs: Vec<&str> = lines.collect();
        assert_eq!(mine, theirs, "{name}");
    }
    assert!(models.next().is_none());
}
