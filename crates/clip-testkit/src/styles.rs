//! The emoji packages: which concepts each style draws, and drawing them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use clip_image::Rgb;
use resvg::{tiny_skia, usvg};
use serde::Deserialize;

/// The styles that are served, in the order of their hosts.
pub const TRAINING: [&str; 7] =
    ["noto", "noto-v1", "fluent-emoji-flat", "emojione", "emojione-v1", "fxemoji", "openmoji"];
/// The style that is held out.
pub const HELD_OUT: &str = "twemoji";
/// Side of a drawing, in pixels.
pub const SIDE: u32 = 128;

#[derive(Deserialize)]
struct Package {
    icons: BTreeMap<String, Icon>,
    width: Option<f32>,
    height: Option<f32>,
}

#[derive(Deserialize)]
struct Icon {
    body: String,
    width: Option<f32>,
    height: Option<f32>,
}

/// One style: its drawings by concept (`red-apple`).
pub struct Style {
    /// Name of its package.
    pub name: String,
    package: Package,
}

impl Style {
    /// Reads `<packages>/<name>/icons.json`.
    pub fn open(packages: &Path, name: &str) -> anyhow::Result<Self> {
        let path = packages.join(name).join("icons.json");
        let text = std::fs::read(&path)
            .with_context(|| format!("{}\nhint: run scripts/setup", path.display()))?;
        let package = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        Ok(Self { name: name.to_owned(), package })
    }

    /// The concepts that it draws, without those that differ in the tone of skin alone.
    pub fn concepts(&self) -> impl Iterator<Item = &str> {
        self.package.icons.keys().map(String::as_str).filter(|name| !is_tone(name))
    }

    /// The drawing on white, or nothing when the style has none of that name.
    pub fn draw(&self, concept: &str) -> Option<Rgb> {
        let icon = self.package.icons.get(concept)?;
        let size = |own: Option<f32>, all: Option<f32>| own.or(all).unwrap_or(16.0);
        let (width, height) =
            (size(icon.width, self.package.width), size(icon.height, self.package.height));
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
             width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">{}</svg>",
            icon.body
        );
        let tree = usvg::Tree::from_str(&svg, &usvg::Options::default()).ok()?;
        let mut pixmap = tiny_skia::Pixmap::new(SIDE, SIDE)?;
        pixmap.fill(tiny_skia::Color::WHITE);
        let scale = SIDE as f32 / width.max(height);
        let centre = |side: f32| (SIDE as f32 - side * scale) / 2.0;
        let transform = tiny_skia::Transform::from_scale(scale, scale)
            .post_translate(centre(width), centre(height));
        resvg::render(&tree, transform, &mut pixmap.as_mut());
        let data = pixmap.data().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
        Some(Rgb { width: SIDE, height: SIDE, data })
    }
}

fn is_tone(name: &str) -> bool {
    name.contains("skin-tone")
        || name.contains("tone-")
        || ["-light", "-medium-light", "-medium", "-medium-dark", "-dark"]
            .iter()
            .any(|tone| name.ends_with(tone))
}

/// The concept in words: `red-apple` is `red apple`.
pub fn words(concept: &str) -> String {
    concept.replace('-', " ")
}

/// Concepts that at least `least` of the styles draw.
pub fn common(styles: &[Style], least: usize) -> BTreeSet<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for style in styles {
        style.concepts().for_each(|concept| *counts.entry(concept).or_default() += 1);
    }
    let enough = counts.into_iter().filter(|(_, count)| *count >= least);
    enough.map(|(concept, _)| concept.to_owned()).collect()
}

/// Opens all training styles.
pub fn training(packages: &Path) -> anyhow::Result<Vec<Style>> {
    TRAINING.iter().map(|name| Style::open(packages, name)).collect()
}
