//! `clip-data reshard` and `clip-data subset`: DataComp's way of taking a part of a corpus.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clip_cli::{Show, StatusLine, counted};
use clip_corpus::{Reshard, ShardReader, lock_file, read_subset, redacted, write_subset};
use clip_filter::{Pool, Select};
use clip_format::write_atomic;
use clip_overlap::Removal;
use serde_json::json;

/// The ids of a subset, beside the shards, as DataComp's resharder has them.
pub const SAMPLE_IDS: &str = "sample_ids.npy";
/// What was done, likewise.
pub const META: &str = "meta.json";

/// Arguments of `clip-data reshard`; the names are those of DataComp's resharder.
#[derive(clap::Args)]
pub struct Args {
    /// Shards to read: a folder, a::b, {000..012}, globs, URLs
    #[arg(short, long, value_name = "SHARDS", alias = "input-dir")]
    input: String,
    /// Folder to write to
    #[arg(short, long, value_name = "DIR", alias = "output-dir")]
    out: PathBuf,
    /// Keep only these uids: a NumPy file of u8,u8
    #[arg(short, long, value_name = "FILE")]
    subset_file: Option<PathBuf>,
    /// Leave out the copies of evaluation items in a pairs.parquet (images) or texts.parquet
    /// (captions) that `clip-data contamination` wrote of these shards; a report's folder means its
    /// pairs.parquet; may be given again
    #[arg(long, value_name = "FILE")]
    without: Vec<PathBuf>,
    /// Samples in a shard
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    shard_size: u32,
    /// Number of the first shard written
    #[arg(long, default_value_t = 0)]
    first_shard: usize,
    /// Digits of a shard's number
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=20))]
    digits: u8,
    /// Write the samples in another order, which depends on this number and on their uids alone;
    /// the folder needs space for them once more
    #[arg(long, value_name = "SEED")]
    shuffle: Option<u64>,
    /// Write sizes.json too, from which open_clip knows how many samples each shard has
    #[arg(long)]
    write_shard_table: bool,
    /// Write into a folder that has files already
    #[arg(long)]
    overwrite: bool,
    /// Say what would be read and written, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Refuses to write over what is still to be read.
fn apart(shards: &[PathBuf], out: &Path) -> anyhow::Result<()> {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let folder = whole(out);
    match shards.iter().find(|shard| whole(shard).parent() == Some(&folder)) {
        Some(shard) => bail!(
            "{}: this shard would be written over while it is read\nhint: another --out",
            shard.display()
        ),
        None => Ok(()),
    }
}

/// What is said of lists of captions whose texts stay.
fn captions_left(left: &[(PathBuf, usize)]) -> String {
    let said = left.iter().filter(|(_, texts)| *texts > 0).map(|(list, texts)| {
        let list = list.display();
        format!(
            "{} with captions of evaluation items, listed in {list}, not left out\n\
             hint: add --without {list} to leave them out as well\n",
            counted(*texts as u64, "text")
        )
    });
    said.collect()
}

/// Shards in the folder that this run did not write.
fn others(out: &Path, written: &[(String, u64)]) -> usize {
    let Ok(entries) = std::fs::read_dir(out) else { return 0 };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let shards = names.filter(|name| name.ends_with(".tar"));
    shards.filter(|name| written.iter().all(|(own, _)| own != name)).count()
}

/// Writes shards and prints what came of the subset.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let shards = super::shards(&args.input)?;
    let bare = shards.iter().find(|shard| !shard.with_extension("parquet").is_file());
    let tables = shards.iter().any(|shard| shard.with_extension("parquet").is_file());
    if let Some(bare) = bare.filter(|_| tables) {
        bail!(
            "{}: no table is beside it, and others have theirs, whose columns would be lost\n\
             hint: get it again, or take the tables away to go without them",
            bare.display()
        );
    }
    let out = &args.out;
    let files =
        |entry: std::io::Result<std::fs::DirEntry>| entry.is_ok_and(|e| e.file_name() != ".lock");
    let used = std::fs::read_dir(out).is_ok_and(|mut entries| entries.any(files));
    if used && !args.overwrite {
        bail!("{}: the folder has files\nhint: choose another, or give --overwrite", out.display());
    }
    let subset = args.subset_file.as_deref().map(read_subset).transpose()?;
    // What is no shard is named for what it is, before tables beside shards are looked for.
    for shard in &shards {
        ShardReader::open(shard)?.next().transpose()?;
    }
    let Removal { lists, rows: without, elsewhere, texts_left } =
        Removal::open(&args.without, &shards)?;
    if args.dry_run {
        let wanted = subset.map_or("all".into(), |ids| format!("{} wanted", ids.len()));
        let copies: usize = without.values().map(HashSet::len).sum();
        let less = match (copies, &args.subset_file) {
            (0, _) => String::new(),
            (_, None) => format!(" less {copies} copies"),
            (_, Some(_)) => format!(" less those that are among {copies} copies"),
        };
        println!("{} shards, samples: {wanted}{less}, to {}", shards.len(), out.display());
        return Ok(ExitCode::SUCCESS);
    }
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    apart(&shards, out)?;
    let lock = out.join(".lock");
    let lock = lock_file(&lock, false).with_context(|| lock.display().to_string())?;
    let Some(_lock) = lock else {
        bail!(
            "{}: another process writes shards there\nhint: give each its own folder",
            out.display()
        );
    };
    let unfinished = out.join(clip_corpus::RESHARDING);
    write_atomic(&unfinished, b"")?;
    let (shard_size, first_shard, digits) =
        (args.shard_size as usize, args.first_shard, usize::from(args.digits));
    let shuffle = args.shuffle;
    let reshard = Reshard { shard_size, first_shard, digits, subset, without, shuffle };
    let status = StatusLine::new(Show::default_here(), "reshard", Some(shards.len() as u64));
    let mut count = 0;
    let done = reshard.run(&shards, out, |read| {
        count += 1;
        status.update(count, || {
            (format!("{read} samples"), json!({"event": "read", "shards": count, "samples": read}))
        });
    })?;
    status.clear();
    // Before anything is written, so that the folder can be used again.
    if done.read > 0 && done.without_uid == done.read {
        std::fs::remove_file(&unfinished).with_context(|| unfinished.display().to_string())?;
        bail!(
            "{}: no sample has a uid in its json, so none is in the subset\n\
             hint: img2dataset stores the list's uids with --save_additional_columns '[\"uid\"]'; the shards of a build have them",
            redacted(&args.input)
        );
    }
    if let Some(ids) = &reshard.subset {
        write_subset(&out.join(SAMPLE_IDS), ids)?;
    }
    if args.write_shard_table {
        let sizes: serde_json::Map<_, _> =
            done.shards.iter().map(|(name, count)| (name.clone(), json!(count))).collect();
        write_atomic(&out.join("sizes.json"), format!("{:#}\n", json!(sizes)).as_bytes())?;
    }
    let meta = json!({
        "input_dir": redacted(&args.input), "subset_file": args.subset_file, "without": lists,
        "left_out": done.left_out, "shard_size": shard_size,
        "first_shard": first_shard, "shuffle": shuffle, "processed_count": done.read, "output_count": done.written,
        "output_shard_count": done.shards.len(), "rows_without_image": done.without_image,
    });
    write_atomic(&out.join(META), format!("{meta:#}\n").as_bytes())?;
    std::fs::remove_file(&unfinished).with_context(|| unfinished.display().to_string())?;
    println!("{} of {} samples in {} shards", done.written, done.read, done.shards.len());
    if done.written == 0 {
        eprintln!("warning: no sample was written");
    }
    if done.renamed > 0 {
        println!(
            "{} had the key of another of the new shard, and have -1, -2 and so on after it",
            counted(done.renamed, "sample")
        );
    }
    if done.without_image > 0 {
        println!(
            "{} without an image left out: their fetch failed, and `clip-data retry` asks for them only where they are, in {}",
            counted(done.without_image, "row"),
            redacted(&args.input)
        );
    }
    let others = others(out, &done.shards);
    if others > 0 {
        println!("{others} other shards were in {} already, and are still there", out.display());
    }
    if done.without_uid > 0 {
        println!("{} samples have no uid in their json and are in no subset", done.without_uid);
    }
    if !lists.is_empty() {
        println!("{} copies of evaluation items left out", done.left_out);
    }
    print!("{}", captions_left(&texts_left));
    let missing = elsewhere as u64 + done.keys_not_found;
    if missing > 0 {
        println!("{missing} copies of the report are not in these shards");
    }
    if done.not_found > 0 {
        println!("{} ids of the subset were not found", done.not_found);
    }
    println!("shards: {}", out.display());
    Ok(ExitCode::SUCCESS)
}

/// Arguments of `clip-data subset`.
#[derive(clap::Args)]
pub struct SubsetArgs {
    /// Parquet tables with a column `uid`, or folders of them
    #[arg(required = true)]
    tables: Vec<PathBuf>,
    /// Which rows, in SQL: "clip_b32_similarity_score > 0.3 and original_width >= 200"
    #[arg(short, long, value_name = "CONDITION", default_value = "true")]
    r#where: String,
    /// The file to write, .npy
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
}

/// Writes the uids of the rows that meet the condition.
pub fn subset(args: SubsetArgs) -> anyhow::Result<ExitCode> {
    super::require_parts(args.tables.iter().map(PathBuf::as_path))?;
    let scratch = tempfile::tempdir().context("a temporary folder")?;
    let select = Select { conditions: vec![args.r#where], top: Vec::new() };
    let report = select.run(&Pool::open(&args.tables)?, scratch.path(), &args.out)?;
    println!("{} uids", report.kept);
    for gate in report.dropped.iter().filter(|gate| gate.pairs > 0) {
        println!("{} rows: {}", gate.pairs, gate.gate);
    }
    println!("subset: {}", args.out.display());
    Ok(ExitCode::SUCCESS)
}
