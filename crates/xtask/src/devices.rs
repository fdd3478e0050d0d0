//! Tensors of models, training and evaluation are made on the device of their inputs: on a machine
//! without a GPU nothing else shows one that is left on the processor.

/// What makes a tensor on the processor, or names it.
const MARKS: [&str; 3] = ["Device::Cpu", "Tensor::from_slice(", "Tensor::from("];

/// Where that is looked for.
const CRATES: [&str; 6] = [
    "crates/clip-data-torch/",
    "crates/clip-detector/",
    "crates/clip-eval/",
    "crates/clip-model/",
    "crates/clip-torch/",
    "crates/clip-train/",
];

/// Files with the number of such places in them, and why they are right.
const KNOWN: &[(&str, usize, &str)] = &[
    ("crates/clip-torch/src/npy.rs", 1, "a file's content"),
    ("crates/clip-data-torch/src/eval/probe/extract.rs", 1, "stored features are on the processor"),
    ("crates/clip-data-torch/src/eval/probe/files.rs", 2, "labels beside stored features"),
    ("crates/clip-data-torch/src/device.rs", 1, "what --device cpu means"),
    (
        "crates/clip-data-torch/src/train/score.rs",
        2,
        "a classifier is on the processor; tokens are moved below",
    ),
    (
        "crates/clip-detector/src/net.rs",
        2,
        "fresh weights, the same for any device; `Build::add` moves them",
    ),
    ("crates/clip-detector/src/serve.rs", 2, "bytes that `forward` moves, and the answer"),
    ("crates/clip-detector/src/train.rs", 1, "bytes that `forward` moves"),
    (
        "crates/clip-eval/src/classifier.rs",
        4,
        "a classifier is on the processor; tokens are moved below",
    ),
    ("crates/clip-eval/src/features.rs", 1, "features are collected on the processor"),
    ("crates/clip-eval/src/probe/objective.rs", 6, "probes are solved on the processor, in f64"),
    ("crates/clip-eval/src/probe/part.rs", 2, "the same"),
    ("crates/clip-eval/src/probe/problem.rs", 2, "the same"),
    ("crates/clip-model/src/clip.rs", 1, "shapes alone"),
    ("crates/clip-model/src/file.rs", 1, "a file's content"),
    (
        "crates/clip-model/src/init.rs",
        1,
        "fresh weights, the same for any device; `Params` moves them",
    ),
    ("crates/clip-model/src/layers.rs", 1, "asks for the device"),
    ("crates/clip-model/src/open.rs", 2, "a default that callers replace; a number of an archive"),
    ("crates/clip-model/src/params.rs", 2, "shapes alone"),
    ("crates/clip-model/src/pixels.rs", 1, "bytes that `Clip::pixels` moves"),
    ("crates/clip-model/src/training.rs", 1, "weights that are copied into the model's"),
    ("crates/clip-model/src/transformer.rs", 1, "asks for the device"),
    ("crates/clip-torch/src/dist.rs", 1, "numbers for the caller"),
    ("crates/clip-torch/src/finite.rs", 1, "a number for the caller"),
    ("crates/clip-torch/src/scaler.rs", 1, "no gradients at all"),
    ("crates/clip-torch/src/version.rs", 1, "whether libtorch works"),
    ("crates/clip-train/src/checkpoint.rs", 2, "files that are copied into the model's tensors"),
    (
        "crates/clip-train/src/distributed.rs",
        2,
        "a process alone; a group's agreement waits for no GPU",
    ),
    ("crates/clip-train/src/loader.rs", 1, "tokens, which a step moves with its images"),
    ("crates/clip-train/src/replicas.rs", 1, "moved in the line below"),
];

/// Files with more or fewer such places than are known.
pub fn faults(files: &[&str], read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| is_looked_at(file)) {
        let Some(text) = read(file) else { continue };
        let places = places(&text);
        let known = KNOWN.iter().find(|(name, ..)| name == file).map_or(0, |(_, count, _)| *count);
        if places.len() != known {
            let lines: Vec<String> = places.iter().map(usize::to_string).collect();
            faults.push(format!(
                "{file}: {} tensors are made on the processor, and {known} are known (lines {}): make \
                 them on the device of their inputs, or say in crates/xtask/src/devices.rs why not",
                places.len(),
                lines.join(", ")
            ));
        }
    }
    faults
}

fn is_looked_at(file: &str) -> bool {
    let is_test = file.contains("/tests/") || file.ends_with("/tests.rs");
    let is_source = file.contains("/src/") && file.ends_with(".rs");
    is_source && !is_test && CRATES.iter().any(|name| file.starts_with(name))
}

/// Lines outside of tests and comments that have a mark, where the statement moves nothing to a
/// device.
fn places(text: &str) -> Vec<usize> {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let is_place = |at: usize| {
        let line = lines[at].trim_start();
        let marked = MARKS.iter().any(|mark| line.contains(mark)) && !line.starts_with("//");
        let statement = |at: usize| {
            let end = (at..lines.len()).find(|&at| lines[at].trim_end().ends_with(';'));
            lines[at..=end.unwrap_or(at).min(at + 3)].concat()
        };
        let moved = !line.contains("Device::Cpu") && statement(at).contains(".to_device(");
        marked && !moved
    };
    (0..lines.len()).filter(|&at| is_place(at)).map(|at| at + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_that_stays_on_the_processor_is_a_place() {
        let text = "let a = Tensor::from_slice(&x).view([1])\n    .to_device(model.device());\n\
                    let b = Tensor::from_slice(&x);\nlet c = y.to_device(Device::Cpu);\n\
                    // Device::Cpu\nlet d = Tensor::zeros([1], (Kind::Float, y.device()));\n\
                    #[cfg(test)]\nmod tests { Device::Cpu }\n";
        assert_eq!(places(text), [3, 4]);
        let read = |_: &str| Some(text.to_owned());
        let found = faults(&["crates/clip-train/src/new.rs", "crates/clip-query/src/a.rs"], &read);
        assert!(
            found.len() == 1 && found[0].contains("2 tensors") && found[0].contains("lines 3, 4")
        );
        assert!(!is_looked_at("crates/clip-train/src/tests/mod.rs"));
    }
}
