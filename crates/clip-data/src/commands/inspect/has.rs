//! Whether an image is in a corpus: as the same file, or by its perceptual hash.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use arrow::array::{Array, AsArray};
use clip_corpus::{Sample, ShardReader, columns};
use clip_image::{DecodeOptions, HammingIndex, decode, hash};
use rayon::prelude::*;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::commands::hash::each_image;

/// Images that are hashed at a time.
const BATCH: usize = 256;

/// How an image of a corpus is called: its uid or key, and its URL.
type Named = (String, String);

/// The images of a corpus.
#[derive(Default)]
struct Known {
    /// Those with a perceptual hash.
    near: Vec<(u64, Named)>,
    /// By the SHA-256 of the file that was fetched, where tables have it. What is stored of it may
    /// look otherwise: resized, or with a border.
    files: HashMap<String, Named>,
}

impl Known {
    /// Adds the images of a file: by the hashes of its table, else by those of its images.
    fn add(&mut self, file: &Path) -> anyhow::Result<()> {
        let tables = [file.with_extension("parquet"), file.to_path_buf()];
        let is_table = |t: &&PathBuf| t.is_file() && t.extension().is_some_and(|e| e == "parquet");
        let table = tables.iter().find(is_table);
        let hashed = table.map(|table| self.add_table(table)).transpose()?;
        if hashed == Some(true) {
            return Ok(());
        }
        if clip_corpus::is_shard(file) {
            return self.add_images(file);
        }
        let before = self.near.len();
        self.add_stored(file)?;
        if self.near.len() == before {
            bail!(
                "{}: no shard, and neither images nor a column `phash` in it\n\
                 hint: a build's fetch stage adds the column; images in shards (.tar) and in tables are hashed; of folders of images, `clip-data hash`",
                file.display()
            );
        }
        Ok(())
    }

    /// Adds the images in a table, as img2dataset's `parquet` format has them.
    fn add_stored(&mut self, table: &Path) -> anyhow::Result<()> {
        each_image(table, |id, bytes| {
            if let Ok(image) = decode(&bytes, &DecodeOptions::default())
                && !hash::is_flat(&image)
            {
                self.near.push((hash::phash(&image), (id, String::new())));
            }
            Ok(())
        })
    }

    /// Adds those of a table; says whether it has their perceptual hashes.
    fn add_table(&mut self, table: &Path) -> anyhow::Result<bool> {
        let mut hashed = true;
        let wanted = ["phash", "flat", "uid", "url", "key", "sha256", "status"];
        for batch in clip_corpus::scan(table, &wanted, 8192)? {
            let batch = batch?;
            let cell = |name: &str, at: usize| {
                let column = columns::text(&batch, name).filter(|column| column.is_valid(at));
                column.map(|column| column.value(at).to_owned()).unwrap_or_default()
            };
            let named = |at: usize| -> Named {
                let name = [cell("uid", at), cell("key", at)].into_iter().find(|n| !n.is_empty());
                (name.unwrap_or_default(), cell("url", at))
            };
            for at in 0..batch.num_rows() {
                let sha = cell("sha256", at);
                let stored = ["", "success"].contains(&&*cell("status", at));
                if stored && !sha.is_empty() {
                    self.files.entry(sha.to_lowercase()).or_insert_with(|| named(at));
                }
            }
            let Some(phash) = columns::uint64(&batch, "phash") else {
                hashed = false;
                continue;
            };
            let flat = batch.column_by_name("flat").and_then(|c| c.as_boolean_opt());
            for (at, phash) in phash.iter().enumerate() {
                let flat = flat.is_some_and(|flat| flat.is_valid(at) && flat.value(at));
                self.near.extend(phash.filter(|_| !flat).map(|phash| (phash, named(at))));
            }
        }
        Ok(hashed)
    }

    /// Adds those of a shard, which are decoded and hashed; what shows next to nothing has no hash.
    fn add_images(&mut self, shard: &Path) -> anyhow::Result<()> {
        let (mut reader, mut undecodable) = (ShardReader::open(shard)?, 0);
        loop {
            let samples: Vec<_> = reader.by_ref().take(BATCH).collect::<Result<_, _>>()?;
            if samples.is_empty() {
                break;
            }
            let hashed: Vec<Option<(bool, (u64, Named))>> =
                samples.par_iter().map(hashed).collect();
            undecodable += hashed.iter().filter(|image| image.is_none()).count();
            let shown = hashed.into_iter().flatten().filter(|(flat, _)| !flat);
            self.near.extend(shown.map(|(_, image)| image));
        }
        if undecodable > 0 {
            eprintln!("{}: {undecodable} samples without a readable image", shard.display());
        }
        Ok(())
    }
}

/// A sample's image, and whether it shows next to nothing; nothing where it has none that can be
/// decoded.
fn hashed(sample: &Sample) -> Option<(bool, (u64, Named))> {
    let image = decode(sample.image()?.1, &DecodeOptions::default()).ok()?;
    let json = sample.get("json").and_then(|text| serde_json::from_slice(text).ok());
    let json: serde_json::Value = json.unwrap_or_default();
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    let name = text("uid").unwrap_or_else(|| sample.key.clone());
    Some((hash::is_flat(&image), (hash::phash(&image), (name, text("url").unwrap_or_default()))))
}

/// For each image the same file of the corpus, and the nearest by perceptual hash.
pub fn run(
    images: &[PathBuf],
    files: &[PathBuf],
    radius: u32,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let mut known = Known::default();
    files.iter().try_for_each(|file| known.add(file))?;
    let index = HammingIndex::new(known.near.iter().map(|(hash, _)| *hash).collect(), radius);
    let mut answers = Vec::new();
    for path in images {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let same = known.files.get(&format!("{:x}", Sha256::digest(&bytes)));
        let image = decode(&bytes, &DecodeOptions::default())
            .with_context(|| format!("{}: not an image", path.display()))?;
        let flat = hash::is_flat(&image);
        let mut near = if flat { Vec::new() } else { index.query(hash::phash(&image)) };
        near.sort_by_key(|&(at, distance)| (distance, at));
        if as_json {
            let near = near.iter().map(|&(at, distance)| {
                let (_, (uid, url)) = &known.near[at as usize];
                json!({"distance": distance, "uid": uid, "url": url})
            });
            let near: Vec<_> = near.collect();
            let same = same.map(|(uid, url)| json!({"uid": uid, "url": url}));
            answers.push(json!({"image": path, "flat": flat, "same_file": same, "near": near}));
            continue;
        }
        let shown = path.display();
        if let Some((uid, url)) = same {
            println!("{shown}  the same file  {uid}  {url}");
        } else if near.is_empty() {
            let why = if flat { ": it shows next to nothing, and has no hash" } else { "" };
            println!("{shown}  not in the corpus{why}");
        }
        for (at, distance) in near.iter().take(10) {
            let (_, (uid, url)) = &known.near[*at as usize];
            println!("{shown}  {distance} bits  {uid}  {url}");
        }
    }
    if as_json {
        println!("{:#}", serde_json::Value::Array(answers));
    }
    Ok(ExitCode::SUCCESS)
}
