//! `clip-data doctor`: what this machine has.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clip_format::{has_bf16, has_gpu_driver};
use clip_pipeline::Config;

use crate::exit;
use crate::install::Install;
use crate::recipe::{Needed, needed};
use crate::torch::{LIBRARY, Libtorch, SERIES, sibling};

/// Arguments of `clip-data doctor`.
#[derive(clap::Args)]
pub struct Args {
    /// A pipeline whose files should be there too
    #[arg(short, long)]
    config: Option<PathBuf>,
}

/// Prints a line for each thing looked for; exit 5 when something is missing.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut missing = false;
    let mut line = |good: bool, what: &str, found: String| {
        missing |= !good;
        println!("{} {what:<12} {found}", if good { "ok     " } else { "missing" });
    };
    let install = Install::find();
    line(true, "installed", install.to_string());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    line(true, "cores", cores.to_string());
    if let Ok(meminfo) = std::fs::read_to_string("/proc/meminfo") {
        let available = meminfo.lines().find_map(|l| l.strip_prefix("MemAvailable:"));
        let kib = available.and_then(|l| l.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        if let Some(kib) = kib {
            line(true, "memory", format!("{:.1} GB available", kib as f64 * 1024.0 / 1e9));
        }
    }
    let bf16 = if has_bf16() { "yes: training uses it" } else { "no: training uses f32" };
    line(true, "bf16", bf16.into());
    if let Some(named) = Libtorch::without_library() {
        let named = named.display();
        line(
            false,
            "libtorch",
            format!(
                "CLIP_DATA_LIBTORCH is {named}, which has no {LIBRARY}\nhint: of pip's torch it is the folder named torch"
            ),
        );
    }
    match Libtorch::find() {
        Some(libtorch) => {
            let version = libtorch.version().unwrap_or_else(|| "of unknown version".into());
            let mut found =
                format!("{version} at {} (from {})", libtorch.root.display(), libtorch.from);
            if !libtorch.fits() {
                found += &format!(", but {SERIES} is needed\nhint: {}", install.libtorch(SERIES));
            }
            line(libtorch.fits(), "libtorch", found);
            line(true, "cuda build", libtorch.cuda());
        }
        None => {
            let bring = install.libtorch(SERIES);
            line(
                false,
                "libtorch",
                format!("{SERIES} is needed to train, embed and evaluate\nhint: {bring}"),
            );
        }
    }
    let sibling = sibling()?;
    let shown = sibling.display();
    if sibling.is_file() {
        line(true, "torch half", shown.to_string());
    } else {
        line(false, "torch half", format!("{shown}\nhint: {}", install.torch_executable()));
    }
    line(true, "gpu driver", if has_gpu_driver() { "nvidia" } else { "none" }.into());
    let resolver = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers: Vec<_> = resolver.lines().filter_map(|l| l.strip_prefix("nameserver ")).collect();
    line(true, "resolver", if servers.is_empty() { "none".into() } else { servers.join(", ") });
    if let Ok(output) = Command::new("df").args(["-h", "--output=avail", "."]).output() {
        let text = String::from_utf8_lossy(&output.stdout);
        line(true, "disk", format!("{} free here", text.lines().nth(1).unwrap_or("?").trim()));
    }
    if let Some(path) = args.config {
        let config = Config::load(&path, &[])?;
        for Needed { name, path, hint } in needed(&config) {
            let shown = path.display();
            if path.exists() {
                line(true, &name, shown.to_string());
            } else {
                let of_language = name == "language.model";
                let hint = if of_language { install.language_model(&path) } else { hint };
                line(false, &name, format!("{shown}\nhint: {hint}"));
            }
        }
    }
    Ok(if missing { ExitCode::from(exit::ENVIRONMENT) } else { ExitCode::SUCCESS })
}
