//! `clip-data hash`: perceptual hashes of images, and which are near copies.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::builder::PossibleValuesParser;
use clip_cli::Printable;
use clip_corpus::{ShardReader, expand};
use clip_image::hash::{self, Algorithm};
use clip_image::{DecodeOptions, decode, near_pairs};
use rayon::prelude::*;

/// Images that are hashed side by side.
const BATCH: usize = 512;

/// Arguments of `clip-data hash`.
#[derive(clap::Args)]
pub struct Args {
    /// Images, folders of images or shards, shards (a::b, {000..012}, globs, URLs), tables with
    /// images inside (.parquet)
    #[arg(required = true)]
    paths: Vec<String>,
    /// Which hash
    #[arg(long, default_value = Algorithm::KINDS[0], value_parser = PossibleValuesParser::new(Algorithm::KINDS))]
    kind: String,
    /// Whose bits
    #[arg(long, default_value = Algorithm::TOOLS[0], value_parser = PossibleValuesParser::new(Algorithm::TOOLS))]
    compat: String,
    /// Decode JPEG at a fraction: several times faster, and a bit or two off
    #[arg(long)]
    fast: bool,
    /// Print pairs within this many bits in place of hashes
    #[arg(long, value_name = "BITS")]
    near: Option<u32>,
}

/// An image to be hashed: its name and its bytes.
type Named = (String, Vec<u8>);

/// Prints `hash<TAB>name` lines, or `distance<TAB>name<TAB>name` for near pairs.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.kind == "pdq" && args.near.is_some() {
        bail!("--near compares hashes of 64 bits\nhint: choose another --kind");
    }
    let algorithm = Algorithm::named(&args.kind, &args.compat).map_err(anyhow::Error::msg)?;
    let mut out = Printable(BufWriter::new(std::io::stdout().lock()));
    let (mut names, mut hashes, mut failed) = (Vec::new(), Vec::new(), 0);
    let mut work = |batch: &mut Vec<Named>| -> anyhow::Result<()> {
        let found: Vec<_> =
            batch.par_iter().map(|(_, bytes)| args.hash(algorithm, bytes)).collect();
        for ((name, _), found) in batch.drain(..).zip(found) {
            match found {
                Ok((hash, flat)) if args.near.is_some() => {
                    // A flat image has a hash of chance, which is near to that of any other.
                    if !flat {
                        names.push(name);
                        hashes.push(hash[0]);
                    }
                }
                Ok((hash, _)) => {
                    let hex: String = hash.iter().map(|word| hash::hex(*word)).collect();
                    writeln!(out, "{hex}\t{name}")?;
                }
                Err(error) => {
                    failed += 1;
                    eprintln!("{name}: {error}");
                }
            }
        }
        Ok(())
    };
    let mut batch: Vec<Named> = Vec::new();
    for spec in &args.paths {
        let mut count = 0;
        let path = Path::new(spec);
        let paths = if path.exists() { vec![path.to_path_buf()] } else { expand(spec)? };
        for path in &paths {
            visit(path, &mut |named| {
                count += 1;
                batch.push(named);
                if batch.len() == BATCH { work(&mut batch) } else { Ok(()) }
            })?;
        }
        if count == 0 {
            bail!("{spec}: no image is in it\nhint: images, and shards (.tar) of them, are hashed");
        }
    }
    work(&mut batch)?;
    if let Some(radius) = args.near {
        for (a, b, distance) in near_pairs(&hashes, radius) {
            writeln!(out, "{distance}\t{}\t{}", names[a as usize], names[b as usize])?;
        }
    }
    out.flush()?;
    if failed > 0 {
        eprintln!("{failed} images could not be decoded");
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// The hash of an encoded image, and whether the image is flat (known where pairs are asked
    /// for).
    fn hash(&self, algorithm: Algorithm, bytes: &[u8]) -> clip_image::Result<(Vec<u64>, bool)> {
        let min_side = self.fast.then_some(hash::FAST_SIDE);
        // The Python tools hash what the file holds, as it is stored there.
        let image = decode(bytes, &DecodeOptions { min_side, ..DecodeOptions::stored() })?;
        Ok((algorithm.hash(&image), self.near.is_some() && hash::is_flat(&image)))
    }
}

/// Every image of a file, a folder (with the folders and shards in it, sorted) or a shard.
fn visit(path: &Path, found: &mut dyn FnMut(Named) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let shown = path.display().to_string();
    if path.is_dir() {
        let unreadable = |(path, e): (PathBuf, _)| anyhow::anyhow!("{}: {e}", path.display());
        let files = clip_guard::files(path).map_err(unreadable)?;
        let has = |file: &&PathBuf| is_image(file) || clip_corpus::is_shard(file);
        let (images, others): (Vec<_>, Vec<_>) = files.iter().partition(has);
        // Tables beside shards and images are about these.
        let alone = others.into_iter().filter(|file| images.is_empty() && is_table(file));
        let mut all = images.iter().copied().chain(alone);
        return all.try_for_each(|file| visit(file, found));
    }
    if clip_corpus::is_shard(path) {
        for sample in ShardReader::open(path)? {
            let sample = sample?;
            if let Some((_, bytes)) = sample.image() {
                // Keys of two shards may be the same.
                found((format!("{shown}/{}", sample.key), bytes.to_vec()))?;
            }
        }
        return Ok(());
    }
    if is_table(path) {
        return each_image(path, |id, bytes| found((format!("{shown}/{id}"), bytes)));
    }
    let bytes = std::fs::read(path).with_context(|| shown.clone())?;
    found((shown, bytes))
}

/// The images in a table, each with its key, uid or row.
pub fn each_image(
    table: &Path,
    mut visit: impl FnMut(String, Vec<u8>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for unit in clip_overlap::corpus::units(&table.display().to_string())? {
        let mut failed = None;
        unit.each(&mut |row| {
            let visited = row.image.map_or(Ok(()), |image| visit(row.id, image));
            failed = visited.err();
            Ok(failed.is_none())
        })?;
        failed.map_or(Ok(()), Err)?;
    }
    Ok(())
}

fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "parquet")
}

fn is_image(path: &Path) -> bool {
    clip_format::ImageFormat::of_path(path).is_some()
}
