//! `clip-data eval geolocation`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clip_cli::torch::GeolocationArgs;
use clip_eval::{
    GeoScores, Place, ProbeItem, Space, check_disjoint, embed, geolocate, prepare_image,
    shared_items,
};
use clip_torch::tch::Tensor;
use serde::Serialize;
use serde_json::Value;

use super::inputs::{Model, progress, write_json};
use super::table::cell;

/// The result file.
#[derive(Serialize)]
struct GeoResult<'a> {
    task: &'static str,
    model: String,
    model_hash: &'a str,
    preprocess: Value,
    scores: &'a GeoScores,
    /// Images of the gallery that are queries.
    dropped: usize,
}

/// Runs the evaluation.
pub fn run(args: GeolocationArgs) -> anyhow::Result<ExitCode> {
    let (mut gallery, queries) = (rows(&args.gallery)?, rows(&args.queries)?);
    // A query that is in the gallery finds itself.
    let (known, asked) = (items(&gallery)?, items(&queries)?);
    let shared: HashSet<usize> =
        shared_items(&known, &asked).into_iter().map(|(row, _)| row).collect();
    if args.drop_shared {
        let mut row = 0..;
        gallery.retain(|_| row.next().is_none_or(|row| !shared.contains(&row)));
        println!("left out: {} images of the gallery that are queries", shared.len());
        if gallery.is_empty() {
            bail!("{}: all its images are queries", args.gallery.display());
        }
    } else {
        check_disjoint(("gallery", &known), ("queries", &asked))?;
    }
    let model = Model::open(&args.model)?;
    let embedded = |rows: &[(PathBuf, Place)]| features(&model, rows, args.batch.batch_size);
    let (known, guessed) = (embedded(&gallery)?, embedded(&queries)?);
    let places = |rows: &[(PathBuf, Place)]| rows.iter().map(|row| row.1).collect::<Vec<_>>();
    let (_, scores) = geolocate((&known, &places(&gallery)), (&guessed, &places(&queries)))?;
    println!("{} queries, {} images with places", queries.len(), gallery.len());
    for (km, accuracy) in &scores.within {
        println!("within {km:>5} km {}", cell(Some(*accuracy)));
    }
    println!("median {:.1} km", scores.median_km);
    println!("the paper on IM2GPS, a gallery of a million: 13.9, 32.9, 43.0, 62.0, 79.3%");
    if let Some(path) = &args.out {
        let result = GeoResult {
            task: "geolocation",
            model: model.name(),
            model_hash: &model.hash,
            preprocess: model.preprocess(),
            scores: &scores,
            dropped: shared.len(),
        };
        write_json(path, &result)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(path: &Path) -> anyhow::Result<Vec<(PathBuf, Place)>> {
    let place = || path.display().to_string();
    let mut reader = csv::Reader::from_path(path).with_context(place)?;
    let header = reader.headers().with_context(place)?.clone();
    let column = |names: &[&str]| {
        let found = header.iter().position(|h| names.contains(&h.trim().to_lowercase().as_str()));
        found.with_context(|| {
            format!("{}: no column {}\nhint: one of {}", path.display(), names[0], names.join(", "))
        })
    };
    let (image, latitude, longitude) = (
        column(&["image", "path", "filename"])?,
        column(&["latitude", "lat"])?,
        column(&["longitude", "lon", "lng"])?,
    );
    let root = path.parent().unwrap_or(Path::new(""));
    let mut rows = Vec::new();
    for (number, record) in reader.records().enumerate() {
        let record = record.with_context(place)?;
        let number_of = |at: usize, most: f64| {
            let value = record.get(at).and_then(|cell| cell.trim().parse::<f64>().ok());
            value.filter(|value| value.abs() <= most)
        };
        let place = number_of(latitude, 90.0).zip(number_of(longitude, 180.0));
        let Some((latitude, longitude)) = place else {
            bail!(
                "{}: row {}: not a latitude and longitude in degrees",
                path.display(),
                number + 1
            );
        };
        rows.push((
            root.join(record.get(image).unwrap_or_default()),
            Place { latitude, longitude },
        ));
    }
    if rows.is_empty() {
        bail!("{}: no rows", path.display());
    }
    Ok(rows)
}

/// The images by path and content.
fn items(rows: &[(PathBuf, Place)]) -> anyhow::Result<Vec<ProbeItem>> {
    let item = |(path, _): &(PathBuf, Place)| {
        let (hash, _) = clip_corpus::hash_file(path).with_context(|| path.display().to_string())?;
        let content = blake3::Hash::from_hex(hash)?;
        Ok(ProbeItem { key: path.display().to_string(), content: *content.as_bytes() })
    };
    rows.iter().map(item).collect()
}

fn features(model: &Model, rows: &[(PathBuf, Place)], batch: usize) -> anyhow::Result<Tensor> {
    let transform = model.clip.transform();
    let shown = progress("places", Some(rows.len() as u64));
    let (mut tensors, mut done) = (Vec::new(), 0);
    for batch in rows.chunks(batch) {
        let mut decoded = Vec::with_capacity(batch.len());
        for (path, _) in batch {
            let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
            let image = prepare_image(&bytes, &transform)
                .map_err(|reason| anyhow::anyhow!("{}: {reason}", path.display()))?;
            decoded.push(image);
        }
        let item = |row: usize| batch[row].0.display().to_string();
        tensors.push(model.blame(embed(&model.clip, &decoded, Space::Joint, item))?);
        done += batch.len();
        shown(done);
    }
    Ok(Tensor::cat(&tensors, 0))
}
