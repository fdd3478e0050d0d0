//! `clip-data filter`: which pairs of a pool are kept, by DataComp's baselines or by conditions and
//! exact fractions.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use clip_cli::{Show, StatusLine};
use clip_filter::{
    Clustering, Clusters, Cut, FilterReport, Keep, Pool, Preset, Select, Semantic, Settings, Top,
};
use clip_format::write_atomic;
use serde_json::json;

use crate::exit;

/// Arguments of `clip-data filter`; the names are those of DataComp's `baselines.py` where it has
/// one.
#[derive(clap::Args)]
pub struct Args {
    /// Parquet tables with a column `uid`, or folders of them: DataComp's metadata with its .npz
    /// files, the output of img2dataset or `clip-data fetch`, shards
    #[arg(required = true)]
    pool: Vec<PathBuf>,
    /// A baseline of DataComp's
    #[arg(long, alias = "name", value_name = "NAME", value_parser = presets(), conflicts_with_all = OTHERS)]
    preset: Option<String>,
    /// Pairs that meet a condition in SQL: "original_width >= 200 and text like '%dog%'"; given
    /// again, pairs must meet all, and the report has each by itself
    #[arg(short, long, value_name = "CONDITION")]
    r#where: Vec<String>,
    /// Exactly this fraction of the pairs that meet the conditions, the best by a column, then by
    /// uid; given again, pairs must be in both
    #[arg(long, value_name = "COLUMN=FRACTION")]
    top: Vec<String>,
    /// The subset file to write, .npy
    #[arg(short, long, alias = "save_path", value_name = "FILE")]
    out: PathBuf,
    /// Where the report goes, as JSON [default: beside the subset file]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    // `requires = "preset"` would be ignored beside what conflicts with it.
    /// Which score clip_score cuts: clip_b32_similarity_score or clip_l14_similarity_score
    #[arg(long, value_enum, conflicts_with_all = OTHERS)]
    arch: Option<Arch>,
    /// Keep the best by score, up to this fraction of the pool and what equals the last
    #[arg(long, conflicts_with_all = OTHERS, conflicts_with = "threshold")]
    fraction: Option<f64>,
    /// Keep scores of at least this
    #[arg(long, conflicts_with_all = OTHERS, allow_negative_numbers = true)]
    threshold: Option<f64>,
    /// fastText's model of languages, .bin or .ftz [default: lid.176.ftz in the cache]
    #[arg(long, value_name = "FILE", conflicts_with_all = OTHERS)]
    lid: Option<PathBuf>,
    /// WordNet 3.0's folder, for text_based [default: /usr/share/wordnet]
    #[arg(long, value_name = "DIR", conflicts_with_all = OTHERS)]
    wordnet: Option<PathBuf>,
    /// Synsets that text_based looks for, one a line: n01440764
    #[arg(long, value_name = "FILE", conflicts_with_all = OTHERS)]
    synsets: Option<PathBuf>,
    /// Centroids of the pool for image_based and --semdedup, .npy
    #[arg(long, value_name = "FILE", conflicts_with_all = ["where", "top"])]
    centroids: Option<PathBuf>,
    /// Embeddings of the images that image_based and --clusters want to be near to, .npy; for
    /// image_based also numbers of centroids; may be given again
    #[arg(long, value_name = "FILE", conflicts_with_all = ["where", "top"])]
    targets: Vec<PathBuf>,
    /// The array of the .npz files that has the embeddings [default: l14_img]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["where", "top"])]
    embedding: Option<String>,
    /// A column that says which captions are English for laion2b: "en", or true
    #[arg(long, value_name = "NAME", conflicts_with_all = OTHERS)]
    english_column: Option<String>,
    /// Make this many clusters of the embeddings by k-means, in place of --centroids: for
    /// --semdedup, and for --targets without a preset
    #[arg(long, value_name = "N", conflicts_with_all = ["where", "top", "centroids"])]
    clusters: Option<usize>,
    /// Drop an image whose cosine with one before it in its cluster is above 1 - EPSILON (SemDeDup)
    #[arg(long, value_name = "EPSILON", conflicts_with_all = ["where", "top"])]
    semdedup: Option<f64>,
    /// Which of several such images stays, by its distance to the centroid [default: hard]
    #[arg(long, value_enum, requires = "semdedup")]
    keep: Option<KeepArg>,
    /// Of k-means and of --keep random [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Write the centroids that k-means made, .npy
    #[arg(long, value_name = "FILE", requires = "clusters")]
    save_centroids: Option<PathBuf>,
}

/// What chooses pairs in place of a preset.
const OTHERS: [&str; 4] = ["where", "top", "clusters", "semdedup"];

/// Which of several images that are alike stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KeepArg {
    /// The one farthest from the centroid
    Hard,
    /// The one nearest to it
    Easy,
    /// One that is drawn
    Random,
}

/// DataComp's two models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Arch {
    B32,
    L14,
}

/// DataComp's embeddings of images by ViT-L/14.
const EMBEDDING: &str = "l14_img";

fn presets() -> PossibleValuesParser {
    PossibleValuesParser::new(Preset::ALL.map(|(name, _)| name))
}

impl Args {
    fn settings(&self, preset: Preset) -> Settings {
        let default = |needed: bool, path: Option<PathBuf>| path.filter(|_| needed);
        let model = clip_corpus::cache_folder("models/lid.176.ftz");
        let (text, images) = (preset == Preset::TextBased, preset.needs_images());
        let column = |arch| match arch {
            Arch::B32 => "clip_b32_similarity_score".to_owned(),
            Arch::L14 => "clip_l14_similarity_score".to_owned(),
        };
        Settings {
            preset,
            language_model: self.lid.clone().or(default(preset.needs_language(), model)),
            wordnet: self.wordnet.clone().or(default(text, Some("/usr/share/wordnet".into()))),
            synsets: self.synsets.clone(),
            centroids: self.centroids.clone(),
            targets: self.targets.clone(),
            embedding: self.embedding.clone().or(images.then(|| EMBEDDING.into())),
            score: self.arch.map(column),
            cut: self.fraction.map(Cut::Fraction).or(self.threshold.map(Cut::Threshold)),
            english_column: self.english_column.clone(),
        }
    }

    /// The selection by embeddings, where that is asked for.
    fn semantic(&self) -> anyhow::Result<Option<Semantic>> {
        let clusters = match (self.clusters, &self.centroids) {
            (Some(clusters), _) => Clusters::Train(clusters),
            (None, _) if self.semdedup.is_none() && !self.near_targets() => {
                self.refuse_seed()?;
                return Ok(None);
            }
            (None, Some(path)) => Clusters::File(path.clone()),
            (None, None) => {
                bail!("--semdedup needs --clusters or --centroids\nhint: --clusters 1000")
            }
        };
        let keep = match self.keep {
            None | Some(KeepArg::Hard) => Keep::Hard,
            Some(KeepArg::Easy) => Keep::Easy,
            Some(KeepArg::Random) => Keep::Random,
        };
        if self.clusters.is_none() && keep != Keep::Random {
            self.refuse_seed()?;
        }
        Ok(Some(Semantic {
            clusters,
            embedding: self.embedding.clone().unwrap_or_else(|| EMBEDDING.into()),
            targets: self.targets.clone(),
            epsilon: self.semdedup,
            keep,
            seed: self.seed.unwrap_or(0),
            save: self.save_centroids.clone(),
        }))
    }

    /// Whether the clusters of a file that are near to targets are wanted, by no preset.
    fn near_targets(&self) -> bool {
        self.preset.is_none() && self.centroids.is_some() && !self.targets.is_empty()
    }

    fn refuse_seed(&self) -> anyhow::Result<()> {
        if self.seed.is_some() {
            bail!("--seed has no effect without --clusters or --keep random\nhint: leave it out");
        }
        Ok(())
    }

    fn select(&self) -> anyhow::Result<Select> {
        let top = self.top.iter().map(|top| {
            let parsed = top.rsplit_once('=');
            let parsed = parsed.and_then(|(column, f)| Some((column, f.trim().parse().ok()?)));
            let hint = "hint: --top clip_l14_similarity_score=0.3";
            let (column, fraction) =
                parsed.with_context(|| format!("--top {top}: not COLUMN=FRACTION\n{hint}"))?;
            Ok(Top { column: column.trim().to_owned(), fraction })
        });
        let conditions = self.r#where.clone();
        Ok(Select { conditions, top: top.collect::<anyhow::Result<_>>()? })
    }
}

/// Of tables with statuses, the rows whose image is there; img2dataset's other tables have none.
const FETCHED: &str = "coalesce(status, 'success') = 'success'";

/// Filters, prints what each condition dropped, and writes subset and report.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let report_path = args.report.clone().unwrap_or_else(|| args.out.with_extension("json"));
    if report_path == args.out {
        bail!("{}: subset and report would be one file\nhint: --report", args.out.display());
    }
    super::require_parts(args.pool.iter().map(PathBuf::as_path))?;
    let pool = Pool::open(&args.pool)?;
    super::refuse_twice(pool.tables().iter().map(PathBuf::as_path))?;
    let semantic = args.semantic()?;
    let report = match (&args.preset, semantic) {
        (_, Some(semantic)) => {
            // SemDeDup's scratch is as large as the embeddings: beside the subset, not in /tmp.
            let beside = args.out.parent().filter(|folder| !folder.as_os_str().is_empty());
            let beside = beside.unwrap_or_else(|| std::path::Path::new("."));
            let scratch = tempfile::tempdir_in(beside);
            let scratch = scratch.with_context(|| beside.display().to_string())?;
            semantic.run(&pool, scratch.path(), &args.out)?
        }
        (Some(name), None) => {
            let settings = args.settings(name.parse()?);
            let stop = clip_cli::stop_flag(exit::STOPPING)?;
            let status = StatusLine::new(Show::default_here(), "filter", None);
            let rows = AtomicU64::new(0);
            let report = clip_filter::run(&pool, &settings, &args.out, &|done| {
                let rows = rows.fetch_add(done, Ordering::Relaxed) + done;
                status.update(rows, || {
                    (format!("{rows} pairs"), json!({"event": "filtered", "pairs": rows}))
                });
                !stop.load(Ordering::Relaxed)
            })?;
            status.clear();
            let Some(report) = report else { return Ok(ExitCode::from(exit::INTERRUPTED)) };
            report
        }
        (None, None) => {
            let scratch = tempfile::tempdir().context("a temporary folder")?;
            let mut select = args.select()?;
            if select.conditions.is_empty() && select.top.is_empty() {
                bail!(
                    "no rule says which pairs are kept\nhint: --preset, --where, --top, --clusters or --semdedup"
                );
            }
            // As the presets do: what was not fetched is in no shard.
            if pool.has_status()? {
                select.conditions.insert(0, FETCHED.to_owned());
            }
            select.run(&pool, scratch.path(), &args.out)?
        }
    };
    print!("{}", text(&report));
    if report.kept == 0 {
        eprintln!("warning: no pair is kept");
    }
    let mut document = json!(report);
    document["subset"] = json!(args.out);
    document["blake3"] = json!(clip_corpus::hash_file(&args.out)?.0);
    write_atomic(&report_path, format!("{document:#}\n").as_bytes())?;
    println!("subset: {}\nreport: {}", args.out.display(), report_path.display());
    Ok(ExitCode::SUCCESS)
}

/// The funnel, a line for each gate that dropped something, and what clusters there are.
fn text(report: &FilterReport) -> String {
    funnel(report) + &report.clustering.as_ref().map_or_else(String::new, clusters)
}

fn clusters(clustering: &Clustering) -> String {
    let largest = clustering.largest;
    let wanted = clustering.wanted.map_or_else(String::new, |n| format!(", {n} of the targets"));
    let trained = clustering.iterations.zip(clustering.inertia).zip(clustering.trained_on);
    let trained = trained.map_or_else(String::new, |((iterations, inertia), rows)| {
        format!(", inertia {inertia:.4} of {rows} rows after {iterations} iterations")
    });
    format!("clusters: {}, the largest of {largest} pairs{wanted}{trained}\n", clustering.clusters)
}

fn funnel(report: &FilterReport) -> String {
    let mut lines = vec![("pairs".to_owned(), report.pairs)];
    // Each gate's entry is behind that of rows without a uid.
    let gates = std::iter::repeat_n(None, report.dropped.len() - report.gates.len());
    let gates = gates.chain(report.gates.iter().map(Some));
    for (dropped, gate) in report.dropped.iter().zip(gates).filter(|(d, _)| d.pairs > 0) {
        lines.push((format!("  {}", dropped.gate), dropped.pairs));
        let missing = gate
            .map_or([("null", 0), ("NaN", 0)], |gate| [("null", gate.missing), ("NaN", gate.nan)]);
        let missing = missing.into_iter().filter(|(_, pairs)| *pairs > 0);
        lines.extend(missing.map(|(what, pairs)| (format!("    of them {what}"), pairs)));
    }
    lines.push(("kept".into(), report.kept));
    let name = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let digits = report.pairs.to_string().len();
    let line = |(text, pairs): &(String, u64)| format!("{text:name$}  {pairs:>digits$}\n");
    lines.iter().map(line).collect()
}
