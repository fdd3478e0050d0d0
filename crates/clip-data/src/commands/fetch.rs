//! `clip-data fetch`: a list of URLs to a data set, with img2dataset's options.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clip_cli::{ProgressArgs, counted};
use clip_crawl::dataset::{
    DatasetConfig, HashKind, HashMismatch, IncrementalMode, OutputFormat, Summary, Watch,
    diagnosis, dry_run, retry_command, run as make,
};
use clip_pipeline::Error;
use clip_pipeline::config::fetch::{
    EncodeFormat, FetchConfig, ImageConfig, Interpolation, ResizeMode,
};
use clip_pipeline::config::source::CaptionList;

use super::fire::{list, truth, word};
use super::politeness::PolitenessArgs;
use crate::counter::Counter;
use crate::exit;

/// Arguments of `clip-data fetch`: img2dataset's by its names, then those that it has not.
#[derive(clap::Args)]
pub struct Args {
    /// The list: a file, a folder, a pattern, or a URL (https, s3, gs)
    #[arg(value_name = "LIST")]
    list: Option<String>,
    /// The list, by img2dataset's name
    #[arg(long = "url_list", value_name = "LIST", conflicts_with = "list")]
    url_list: Option<String>,
    /// Pixels that the resize mode is about
    #[arg(long = "image_size", default_value_t = 256)]
    image_size: u32,
    /// Where the data set goes: a folder, or a URL of object storage (s3, gs, az)
    #[arg(
        short = 'o',
        long = "out",
        alias = "output_folder",
        value_name = "DIR",
        default_value = "images"
    )]
    output_folder: PathBuf,
    /// With thread_count, how many requests are in flight: there is one process in any case
    #[arg(long = "processes_count", default_value_t = 1, value_parser = clip_cli::at_least_one)]
    processes_count: usize,
    /// no | border | keep_ratio | keep_ratio_largest | center_crop
    #[arg(long = "resize_mode", default_value = "border", value_parser = word::<ResizeMode>)]
    resize_mode: ResizeMode,
    /// Leave images that are small already
    #[arg(long = "resize_only_if_bigger", num_args = 0..=1, default_value = "false", default_missing_value = "true", value_parser = truth, action = clap::ArgAction::Set)]
    resize_only_if_bigger: bool,
    /// nearest | linear | cubic | area | lanczos
    #[arg(long = "upscale_interpolation", default_value = "lanczos", value_parser = word::<Interpolation>)]
    upscale_interpolation: Interpolation,
    /// nearest | linear | cubic | area | lanczos
    #[arg(long = "downscale_interpolation", default_value = "area", value_parser = word::<Interpolation>)]
    downscale_interpolation: Interpolation,
    /// jpg and webp: 1 to 100; png: 0 to 9
    #[arg(long = "encode_quality", default_value_t = 95)]
    encode_quality: u8,
    /// jpg | png | webp
    #[arg(long = "encode_format", default_value = "jpg", value_parser = word::<EncodeFormat>)]
    encode_format: EncodeFormat,
    /// Store bytes as they came where they have the format and need no resize
    #[arg(long = "skip_reencode", num_args = 0..=1, default_value = "false", default_missing_value = "true", value_parser = truth, action = clap::ArgAction::Set)]
    skip_reencode: bool,
    /// files | webdataset | parquet | dummy
    #[arg(long = "output_format", default_value = "files", value_parser = word::<OutputFormat>)]
    output_format: OutputFormat,
    /// txt | csv | tsv | json | jsonl (each also with .gz) | parquet; without it, the list's name
    /// says
    #[arg(long = "input_format")]
    input_format: Option<String>,
    /// Column of the URL
    #[arg(long = "url_col", default_value = "url")]
    url_col: String,
    /// Column of the caption
    #[arg(long = "caption_col")]
    caption_col: Option<String>,
    /// Column of boxes to blur: [[left, top, right, bottom], …] from 0 to 1
    #[arg(long = "bbox_col")]
    bbox_col: Option<String>,
    /// Requests in flight at a time
    #[arg(long = "thread_count", default_value_t = 256, value_parser = clip_cli::at_least_one)]
    thread_count: usize,
    /// Rows of a shard
    #[arg(long = "number_sample_per_shard", default_value_t = 10_000)]
    number_sample_per_shard: usize,
    /// Keep EXIF tags
    #[arg(long = "extract_exif", num_args = 0..=1, default_value = "true", default_missing_value = "true", value_parser = truth, action = clap::ArgAction::Set)]
    extract_exif: bool,
    /// Columns of the list to keep, as a,b or a JSON list
    #[arg(long = "save_additional_columns", default_value = "[]")]
    save_additional_columns: String,
    /// Seconds to connect, and between two bytes
    #[arg(long, default_value_t = 10.0)]
    timeout: f64,
    /// Taken only as False: the numbers are in the _stats.json files
    #[arg(long = "enable_wandb", num_args = 0..=1, default_value = "false", default_missing_value = "true", value_parser = truth, action = clap::ArgAction::Set)]
    enable_wandb: bool,
    /// Taken, without effect
    #[arg(long = "wandb_project", hide = true)]
    wandb_project: Option<String>,
    /// Digits of a shard's number
    #[arg(long = "oom_shard_count", default_value_t = 5)]
    oom_shard_count: usize,
    /// md5 | sha256 | sha512 | None: hash of the bytes as they came
    #[arg(long = "compute_hash", default_value = "sha256")]
    compute_hash: String,
    /// Column and kind of a hash that the bytes must have, as sha256,sha256 or a JSON list
    #[arg(long = "verify_hash")]
    verify_hash: Option<String>,
    /// drop | keep: what happens to an image with another hash; kept, it is marked and counted
    #[arg(long = "hash_mismatch", default_value = "drop", value_parser = word::<HashMismatch>)]
    hash_mismatch: HashMismatch,
    /// Only multiprocessing: for many machines, run --part i/N on each
    #[arg(long, default_value = "multiprocessing")]
    distributor: String,
    /// Taken, without effect: rows are read as they are needed
    #[arg(long = "subjob_size", hide = true)]
    subjob_size: Option<u64>,
    /// Times that a request is repeated after a passing fault
    #[arg(long, default_value_t = 0)]
    retries: u32,
    /// Store bytes as they came, unseen
    #[arg(long = "disable_all_reencoding", num_args = 0..=1, default_value = "false", default_missing_value = "true", value_parser = truth, action = clap::ArgAction::Set)]
    disable_all_reencoding: bool,
    /// Least of width and height
    #[arg(long = "min_image_size", default_value_t = 0)]
    min_image_size: u32,
    /// Most pixels
    #[arg(long = "max_image_area", default_value_t = f64::INFINITY)]
    max_image_area: f64,
    /// Most of longer side over shorter side
    #[arg(long = "max_aspect_ratio", default_value_t = f64::INFINITY)]
    max_aspect_ratio: f64,
    /// incremental: shards that are there stay | overwrite | extend: new ones after them
    #[arg(long = "incremental_mode", default_value = "incremental", value_parser = mode)]
    incremental_mode: IncrementalMode,
    /// Taken, without effect: a shard fails only when the disk does
    #[arg(long = "max_shard_retry", hide = true)]
    max_shard_retry: Option<u64>,
    /// Who asks: the name that robots.txt and X-Robots-Tag may address
    #[arg(long = "user_agent_token")]
    user_agent_token: Option<String>,
    /// X-Robots-Tag directives that forbid an image; [] for none
    #[arg(
        long = "disallowed_header_directives",
        default_value = r#"["noai","noimageai","noml","noindex","noimageindex"]"#
    )]
    disallowed_header_directives: String,
    /// Taken only as False: certificates are verified
    #[arg(long = "ignore_ssl_certificate", num_args = 0..=1, default_value = "false", default_missing_value = "true", value_parser = truth, action = clap::ArgAction::Set, hide = true)]
    ignore_ssl_certificate: bool,
    /// Politeness, limits and what img2dataset does not have
    #[command(flatten)]
    more: More,
}

/// What img2dataset has no option for.
#[derive(clap::Args)]
#[command(next_help_heading = "Beyond img2dataset")]
struct More {
    #[command(flatten)]
    manners: PolitenessArgs,
    /// refuse | first | all: what a caption column that holds lists of captions means; all makes a
    /// row of each caption
    #[arg(long = "caption_list", default_value = "refuse", value_parser = word::<CaptionList>)]
    caption_list: CaptionList,
    /// Apply EXIF orientation; img2dataset stores such photographs sideways
    #[arg(long, num_args = 0..=1, default_value = "true", default_missing_value = "true", value_parser = truth, action = clap::ArgAction::Set)]
    orient: bool,
    /// Convert colours of an ICC profile to sRGB
    #[arg(long, num_args = 0..=1, default_value = "true", default_missing_value = "true", value_parser = truth, action = clap::ArgAction::Set)]
    icc: bool,
    /// Decode JPEGs that are far too large at a half, quarter or eighth
    #[arg(long = "fast_decode", num_args = 0..=1, default_value = "true", default_missing_value = "true", value_parser = truth, action = clap::ArgAction::Set)]
    fast_decode: bool,
    /// Most pixels that a header may announce before anything is decoded
    #[arg(long = "max_pixels", default_value_t = 64_000_000)]
    max_pixels: u64,
    /// Do only part i of N, as one of N jobs over one folder (i from 0)
    #[arg(long, value_name = "I/N", value_parser = clip_cli::part)]
    part: Option<(usize, usize)>,
    /// Print what would be fetched (rows, shards, hosts, what is there already), and ask no host
    #[arg(long = "dry_run")]
    dry_run: bool,
    #[command(flatten)]
    progress: ProgressArgs,
}

fn mode(text: &str) -> Result<IncrementalMode, String> {
    match text {
        "incremental" => Ok(IncrementalMode::Incremental),
        "overwrite" => Ok(IncrementalMode::Overwrite),
        "extend" => Ok(IncrementalMode::Extend),
        _ => Err("must be incremental, overwrite or extend".into()),
    }
}

/// Arguments as they are written, with `--url-list` for `--url_list`: Python Fire takes both.
pub fn normalize_flags(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.collect();
    if args.get(1).is_none_or(|command| command != "fetch" && command != "retry") {
        return args;
    }
    for arg in args.iter_mut().skip(2) {
        let Some(text) = arg.to_str().filter(|text| text.starts_with("--") && text.len() > 2)
        else {
            continue;
        };
        let (name, value) =
            text[2..].split_once('=').map_or((&text[2..], None), |(n, v)| (n, Some(v)));
        let name = name.replace('-', "_");
        *arg = value.map_or(format!("--{name}"), |value| format!("--{name}={value}")).into();
    }
    args
}

fn named(text: Option<String>) -> Option<String> {
    text.filter(|name| !name.is_empty() && name != "None")
}

/// Makes the data set, says how it went and what to do about it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let show = args.more.progress.show();
    let dry = args.more.dry_run;
    let config = config(args)?;
    crate::open_files::open_many_files();
    let cancel = clip_cli::stop_flag(exit::STOPPING)?;
    if dry {
        let plan = dry_run(&config, &cancel)?;
        print!("{plan}");
        return Ok(if plan.interrupted {
            ExitCode::from(exit::INTERRUPTED)
        } else {
            ExitCode::SUCCESS
        });
    }
    let counter = Arc::new(Counter::new(show));
    let watch: Arc<dyn Watch> = counter.clone();
    let summary = make(&config, &watch, &cancel);
    counter.finish();
    let summary = summary?;
    print!("{}", summary_lines(&summary, &config));
    if summary.interrupted {
        eprintln!("interrupted: run the same command again to resume");
        return Ok(ExitCode::from(exit::INTERRUPTED));
    }
    Ok(ExitCode::SUCCESS)
}

fn summary_lines(summary: &Summary, config: &DatasetConfig) -> String {
    let mut text = String::new();
    if summary.skipped > 0 {
        let why =
            if config.job.is_some() { "there already or other jobs'" } else { "there already" };
        text.push_str(&format!("{} skipped: {why}\n", counted(summary.skipped, "shard")));
        text.push_str("their failed rows are not asked again: `clip-data retry` does that\n");
    }
    text.push_str(&crate::counter::line(&summary.stats, summary.seconds));
    let (rows, urls) = (summary.stats.count, summary.stats.urls);
    if urls < rows {
        text.push_str(&format!("{rows} rows, {urls} URLs asked, each once in a shard\n"));
    }
    let again = retry_command(&config.output_folder, &config.fetch);
    text.push_str(&diagnosis(&summary.stats, &again));
    let folder = config.output_folder.display();
    text.push_str(&format!("{} written to {folder}\n", counted(summary.shards, "shard")));
    text
}

fn config(args: Args) -> anyhow::Result<DatasetConfig> {
    let bad = |message: String| anyhow::Error::from(Error::Config(message));
    let url_list = args
        .list
        .or(args.url_list)
        .ok_or_else(|| bad("no list given\nhint: clip-data fetch --url_list urls.txt".into()))?;
    if args.distributor != "multiprocessing" {
        return Err(bad(format!(
            "there is no distributor {:?}\nhint: run the same command with --part i/N on each machine, over one folder",
            args.distributor
        )));
    }
    if args.enable_wandb {
        let hint = "hint: leave it out: the numbers are in the _stats.json files";
        return Err(bad(format!("enable_wandb: there is no Weights & Biases here\n{hint}")));
    }
    if args.ignore_ssl_certificate {
        return Err(bad(
            "ignore_ssl_certificate: certificates are always verified\nhint: leave it out".into(),
        ));
    }
    if args.encode_format == EncodeFormat::Png && args.encode_quality > 9 {
        return Err(bad(format!(
            "encode_quality {} is no compression of png\nhint: 0 to 9",
            args.encode_quality
        )));
    }
    let hash = |name: &str| {
        word::<HashKind>(name).map_err(|_| {
            bad(format!("there is no hash {name:?}\nhint: md5, sha256, sha512 or None"))
        })
    };
    let compute_hash = named(Some(args.compute_hash)).map(|name| hash(&name)).transpose()?;
    let verify_hash = match named(args.verify_hash).map(|text| list(&text)).as_deref() {
        None => None,
        Some([column, kind]) => Some((column.clone(), hash(kind)?)),
        Some(_) => {
            return Err(bad("verify_hash is no pair\nhint: '[\"sha256\",\"sha256\"]'".into()));
        }
    };
    let hash_mismatch = args.hash_mismatch;
    if verify_hash.is_none() && hash_mismatch != HashMismatch::Drop {
        let hint = "hint: --verify_hash names the column of the hashes";
        return Err(bad(format!("hash_mismatch has no effect without verify_hash\n{hint}")));
    }
    let version = env!("CARGO_PKG_VERSION");
    let user_agent = match named(args.user_agent_token) {
        Some(token) => format!("{token} (compatible; clip-data/{version})"),
        None => format!("clip-data/{version}"),
    };
    let mut fetch = FetchConfig {
        user_agent,
        concurrency: args.processes_count * args.thread_count,
        connect_timeout: args.timeout,
        idle_timeout: args.timeout,
        timeout: (3.0 * args.timeout).max(30.0),
        retries: args.retries,
        bytes_in_flight: 128_000_000,
        x_robots_tag: list(&args.disallowed_header_directives),
        ..FetchConfig::default()
    };
    args.more.manners.apply(&mut fetch)?;
    if !(1..=20).contains(&args.oom_shard_count) {
        return Err(bad("oom_shard_count is the digits of a shard's number\nhint: 1 to 20".into()));
    }
    let defaults = ImageConfig::default();
    let image = ImageConfig {
        min_image_size: args.min_image_size,
        max_image_area: (args.max_image_area as u64).min(defaults.max_image_area),
        max_aspect_ratio: (args.max_aspect_ratio as f32).min(f32::MAX),
        max_pixels: args.more.max_pixels,
        orient: args.more.orient,
        icc: args.more.icc,
        fast_decode: args.more.fast_decode,
        image_size: args.image_size,
        resize_mode: args.resize_mode,
        resize_only_if_bigger: args.resize_only_if_bigger,
        upscale_interpolation: args.upscale_interpolation,
        downscale_interpolation: args.downscale_interpolation,
        encode_format: args.encode_format,
        encode_quality: args.encode_quality,
        skip_reencode: args.skip_reencode,
    };
    if let Some(fault) = image.fault() {
        return Err(bad(fault));
    }
    Ok(DatasetConfig {
        url_list: url_list.into(),
        input_format: named(args.input_format),
        url_col: args.url_col,
        caption_col: named(args.caption_col),
        caption_list: args.more.caption_list,
        bbox_col: named(args.bbox_col),
        save_additional_columns: list(&args.save_additional_columns),
        verify_hash,
        hash_mismatch,
        output_folder: args.output_folder,
        output_format: args.output_format,
        number_sample_per_shard: args.number_sample_per_shard,
        oom_shard_count: args.oom_shard_count,
        extract_exif: args.extract_exif,
        compute_hash,
        disable_all_reencoding: args.disable_all_reencoding,
        incremental_mode: args.incremental_mode,
        job: args.more.part,
        fetch,
        image,
        lists: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyphens_are_underscores_in_names_only() {
        let args = ["clip-data", "fetch", "--url-list=a-b.txt", "--resize-mode", "no", "-x"];
        let normal = normalize_flags(args.map(OsString::from).into_iter());
        assert_eq!(normal[2..], ["--url_list=a-b.txt", "--resize_mode", "no", "-x"]);
    }
}
