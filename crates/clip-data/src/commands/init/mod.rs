//! `clip-data init`: an annotated pipeline.toml to start from.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use clip_crawl::filled_columns;
use clip_report::{CAPTION_COLUMNS, URL_COLUMNS};

/// What is written, with places for the name and `[source]`.
const TEMPLATE: &str = include_str!("pipeline.toml");

/// Arguments of `clip-data init`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder to write it into
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// What pairs come from (list, folder, webdataset, web, wat), and its files, folders or, for
    /// web, pages
    #[arg(long, num_args = 2.., value_names = ["KIND", "PATHS"])]
    from: Vec<String>,
}

/// Kinds of sources that a template is written for.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    List,
    Folder,
    Webdataset,
    Web,
    Wat,
}

/// Writes a pipeline, never over another file.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let path = args.dir.join("pipeline.toml");
    if path.exists() {
        bail!("{}: it exists\nhint: name another folder", path.display());
    }
    let mut captions = true;
    let source = match args.from.split_first() {
        None => source(Kind::List, &["pairs.csv".into()], &Columns::default()),
        Some((kind, paths)) => {
            let kind = Kind::from_str(kind, true).map_err(|_| unknown(kind))?;
            let columns = Columns::of(kind, paths);
            captions = columns.captions;
            source(kind, &located(kind, paths, &args.dir)?, &columns)
        }
    };
    let text = filled(&name_of(&args.dir), &source, captions);
    std::fs::create_dir_all(&args.dir).with_context(|| args.dir.display().to_string())?;
    clip_format::write_atomic(&path, text.as_bytes()).context("the template was not written")?;
    println!("{}", path.display());
    if !captions {
        note!("no captions were found, so [caption] is left out: `caption_col` names their column");
    }
    Ok(ExitCode::SUCCESS)
}

fn unknown(kind: &str) -> anyhow::Error {
    let kinds: Vec<_> =
        Kind::value_variants().iter().filter_map(ValueEnum::to_possible_value).collect();
    let kinds: Vec<_> = kinds.iter().map(clap::builder::PossibleValue::get_name).collect();
    anyhow::anyhow!("--from {kind}: no such kind of source\nhint: one of {}", kinds.join(", "))
}

/// The template; without captions, the stage that would drop every row for it is left out.
fn filled(name: &str, source: &str, captions: bool) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let template = if captions {
        TEMPLATE.to_owned()
    } else {
        TEMPLATE.replace("\n[caption]\n", "\n#[caption]\n")
    };
    template.replace("{name}", name).replace("{source}", source).replace("{version}", version)
}

/// What the columns of a list are called, where they have other names than the defaults.
struct Columns {
    url: Option<&'static str>,
    caption: Option<&'static str>,
    /// Whether there are captions at all.
    captions: bool,
}

impl Default for Columns {
    fn default() -> Self {
        Self { url: None, caption: None, captions: true }
    }
}

impl Columns {
    /// Those of the first list, by the names that are usual. A list elsewhere, and one that cannot
    /// be read, is left to the build, whose errors name the columns.
    fn of(kind: Kind, paths: &[String]) -> Self {
        let own = Self::default();
        let Some(path) = paths.first().filter(|path| !path.contains("://")) else { return own };
        if !matches!(kind, Kind::List) {
            return own;
        }
        let names = [&URL_COLUMNS[..], &CAPTION_COLUMNS].concat();
        let Ok(found) = filled_columns(Path::new(path), &names) else { return own };
        let first = |names: &[&'static str]| names.iter().copied().find(|n| found.contains(n));
        let (url, caption) = (first(&URL_COLUMNS), first(&CAPTION_COLUMNS));
        let other = |name: &&str| *name != "url" && *name != "caption";
        let captions = caption.is_some();
        Self { url: url.filter(other), caption: caption.filter(other), captions }
    }
}

/// A name for the run: the folder's, as far as it can name a run.
fn name_of(dir: &Path) -> String {
    let full = std::path::absolute(dir).unwrap_or_default();
    let folder = full.file_name().unwrap_or_default().to_string_lossy();
    let name: String =
        folder.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    if name.is_empty() { "corpus".into() } else { name }
}

/// The paths as they are found from the pipeline's folder. Those that are missing are an error that
/// names all of them.
fn located(kind: Kind, paths: &[String], dir: &Path) -> anyhow::Result<Vec<String>> {
    if matches!(kind, Kind::Web) {
        let odd = paths.iter().find(|page| !page.starts_with("http"));
        if let Some(page) = odd {
            bail!("--from web {page}: no URL\nhint: https://example.org/");
        }
        return Ok(paths.to_vec());
    }
    // URLs, and patterns, which may match later.
    let open = |path: &str| path.contains("://") || path.contains(['*', '?', '[', '{']);
    let missing: Vec<&str> =
        paths.iter().map(String::as_str).filter(|p| !open(p) && !Path::new(p).exists()).collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        bail!("--from: no such file or folder: {missing}\nhint: check the path");
    }
    let here = dir == Path::new(".");
    let found = |path: &String| {
        if here || path.contains("://") {
            return Ok(path.clone());
        }
        let path = std::path::absolute(path).with_context(|| path.clone())?;
        Ok(path.display().to_string())
    };
    paths.iter().map(found).collect()
}

/// `[source]` of a kind, with all its settings.
fn source(kind: Kind, paths: &[String], columns: &Columns) -> String {
    let setting = |name: &str, value: Option<&str>, default: &str| match value {
        Some(value) => format!("{name} = \"{value}\""),
        None => format!("# {name} = \"{default}\""),
    };
    let columns = [
        setting("url_col", columns.url, "url"),
        setting("caption_col", columns.caption, "caption"),
        "# columns = []                  # further columns to keep".to_owned(),
    ];
    let list = toml::Value::from(paths.to_vec());
    let (kind, paths, rest) = match kind {
        Kind::List => (
            "list",
            "paths",
            &*format!(
                "# .txt .csv .tsv .json .jsonl (each also .gz) .parquet; files, folders, patterns, URLs\n{}",
                columns.join("\n")
            ),
        ),
        Kind::Folder => (
            "folder",
            "paths",
            "# images with .txt, .caption or .json beside them\n\
             # json_key = \"caption\"          # the caption's field, where there is no .txt",
        ),
        Kind::Webdataset => (
            "webdataset",
            "paths",
            "# shards as files, folders, patterns or braces: shards/{00000..00012}.tar\n\
             # json_key = \"caption\"          # the caption's field, where there is no .txt",
        ),
        Kind::Web => (
            "web",
            "seeds",
            "# depth = 3                     # links to follow from a seed\n# max_pages_per_host = 10000\n\
             # sitemaps = false              # begin with the pages of the sitemaps in robots.txt, too\n\
             # follow = \"host\"               # or \"site\": links to hosts under the seed's as well\n\
             # allow = []                    # further hosts to follow; \".example.org\" means all under it",
        ),
        Kind::Wat => (
            "wat",
            "paths",
            "# Common Crawl's .wat.gz files, or wat.paths.gz\n# part_bytes = 67108864         # compressed bytes of a part",
        ),
    };
    format!(
        "# Where pairs come from (docs/sources.md has every kind).\n[source]\nkind = \"{kind}\"\n{paths} = {list}\n{rest}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_pipeline::Config;
    use serde_json::json;

    fn loaded(text: &str) -> serde_json::Value {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipeline.toml");
        std::fs::write(&path, text).unwrap();
        json!(Config::load(&path, &[]).unwrap_or_else(|e| panic!("{e}\n{text}")))
    }

    /// The template with the settings that are commented out in sections that are there.
    fn spelled_out(text: &str) -> String {
        let line = |line: &str| match line.strip_prefix("# ") {
            Some(setting)
                if setting.split(" = ").next().is_some_and(is_key) && setting.contains(" = ") =>
            {
                setting.to_owned()
            }
            _ => line.to_owned(),
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    fn is_key(word: &str) -> bool {
        word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    }

    #[test]
    fn what_is_commented_out_are_the_defaults_for_every_kind() {
        for kind in Kind::value_variants() {
            let paths = ["https://example.org/".to_owned()];
            let text = filled("mine", &source(*kind, &paths, &Columns::default()), true);
            let short = text.split("\n# Which captions").next().unwrap();
            let bare = format!("{short}\n[caption]\n[dedup]\nradius = 4\n");
            let settings = loaded(&text);
            assert_eq!(settings, loaded(&bare));
            assert_eq!(settings, loaded(&spelled_out(&text)), "{}", spelled_out(&text));
            assert_eq!(settings["fetch"]["allow_private"], json!(false));
        }
        // The sections that need a file of the user's have their defaults, too.
        let text =
            filled("mine", &source(Kind::List, &["x.csv".into()], &Columns::default()), true);
        let sections: String = text
            .lines()
            .map(|line| {
                let section = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
                section.unwrap_or(line).to_owned() + "\n"
            })
            .collect();
        let full = loaded(&sections);
        assert_eq!(
            full["balance"],
            json!({"mode": "assign", "limit": 20000, "require_match": true})
        );
        assert_eq!(full["language"]["min_prob"], json!(0.0));
        assert_eq!(full["check"]["action"], json!("drop"));
    }

    #[test]
    fn a_lists_columns_are_found_by_their_usual_names() {
        let dir = tempfile::tempdir().unwrap();
        let of = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            Columns::of(Kind::List, &[path.display().to_string()])
        };
        let settings = |columns: &Columns| {
            let text = source(Kind::List, &["l".into()], columns);
            let config = loaded(&filled("mine", &text, columns.captions));
            let source = &config["source"];
            let caption = config["caption"].is_object();
            (source["url_col"].clone(), source["caption_col"].clone(), caption)
        };
        let laion = of("laion.csv", "SAMPLE_ID,URL,TEXT\n1,http://x.org/1.jpg,a red boat\n");
        assert_eq!(settings(&laion), (json!("url"), json!("text"), true));
        let plain = of("plain.tsv", "url\tcaption\nhttp://x.org/1.jpg\ta red boat\n");
        assert_eq!(settings(&plain), (json!("url"), json!("caption"), true));
        let alt =
            of("alt.jsonl", "{\"image_url\": \"http://x.org/1\", \"alt_text\": \"a boat\"}\n");
        assert_eq!(settings(&alt), (json!("image_url"), json!("alt_text"), true));
        let urls = of("urls.txt", "http://x.org/1.jpg\nhttp://x.org/2.jpg\n");
        assert_eq!(settings(&urls), (json!("url"), json!("caption"), false));
        let missing = Columns::of(Kind::List, &["nowhere.csv".into()]);
        assert_eq!(settings(&missing), (json!("url"), json!("caption"), true));
    }

    #[test]
    fn paths_are_found_from_the_pipeline_and_all_missing_ones_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing =
            [dir.path().join("a.csv"), dir.path().join("b.csv")].map(|p| p.display().to_string());
        let error = located(Kind::List, &missing, Path::new("new")).unwrap_err().to_string();
        assert!(error.contains("a.csv") && error.contains("b.csv"), "{error}");
        std::fs::write(&missing[0], "").unwrap();
        assert_eq!(located(Kind::List, &missing[..1], Path::new("new")).unwrap(), missing[..1]);
        let far = ["s3://x/y.parquet".to_owned(), "shards/*.tar".to_owned()];
        assert_eq!(located(Kind::List, &far, Path::new(".")).unwrap(), far);
        assert!(located(Kind::Web, &["example.org".into()], Path::new(".")).is_err());
    }
}
