//! The held-out style in CLIP_benchmark's folder layout.

use std::path::Path;

use clip_corpus::{Sample, ShardWriter};
use clip_format::write_atomic;
use clip_image::encode_png;

use crate::styles::{HELD_OUT, Style, common, training, words};

/// Training styles that must draw a concept for it to be a class.
pub const LEAST: usize = 5;

const TEMPLATES: [&str; 5] = [
    "a drawing of a {c} on a white background",
    "an image of the {c} emoji",
    "an icon that shows {c} in colour",
    "vector art: {c} in a flat style",
    "free clip art of the {c}",
];

/// The classes: concepts of the held-out style that enough training styles draw, by name.
pub fn classes(packages: &Path) -> anyhow::Result<Vec<String>> {
    let common = common(&training(packages)?, LEAST);
    let held_out = Style::open(packages, HELD_OUT)?;
    let concepts = held_out.concepts().filter(|name| common.contains(*name));
    Ok(concepts.map(str::to_owned).collect())
}

/// Writes `test/nshards.txt`, `test/0.tar`, `classnames.txt` and
/// `zeroshot_classification_templates.txt`; returns the number of images.
pub fn write(packages: &Path, out: &Path) -> anyhow::Result<usize> {
    let classes = classes(packages)?;
    let style = Style::open(packages, HELD_OUT)?;
    let mut shard = ShardWriter::create(&out.join("test/0.tar"))?;
    for (label, concept) in classes.iter().enumerate() {
        let Some(image) = style.draw(concept) else {
            anyhow::bail!("{HELD_OUT} has no drawing of {concept}")
        };
        let fields = vec![
            ("cls".to_owned(), label.to_string().into_bytes()),
            ("png".to_owned(), encode_png(&image)?),
        ];
        shard.write(&Sample { key: format!("s{label:07}"), fields })?;
    }
    shard.finish()?;
    let names: String = classes.iter().map(|concept| words(concept) + "\n").collect();
    write_atomic(&out.join("classnames.txt"), names.as_bytes())?;
    let templates = TEMPLATES.join("\n") + "\n";
    write_atomic(&out.join("zeroshot_classification_templates.txt"), templates.as_bytes())?;
    write_atomic(&out.join("test/nshards.txt"), b"1\n")?;
    Ok(classes.len())
}
