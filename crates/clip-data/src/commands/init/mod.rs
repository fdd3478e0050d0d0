//! `clip-data init`: an annotated pipeline.toml to start from.

mod columns;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use clip_crawl::is_text_list;
use columns::Columns;

/// What is written, with places for the name and `[source]`.
const TEMPLATE: &str = include_str!("pipeline.toml");

/// Arguments of `clip-data init`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder to write it into
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// What pairs come from (list, folder, webdataset, web, wat, warc), and its files, folders or,
    /// for web, pages
    #[arg(long, num_args = 1.., value_names = ["KIND", "PATHS"])]
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
    Warc,
}

/// Writes a pipeline, never over another file.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let dir = args.dir.display();
    if args.dir.is_file() {
        bail!(
            "{dir}: a file, and the pipeline's folder is wanted\nhint: `clip-data init --from list {dir}`"
        );
    }
    let path = args.dir.join("pipeline.toml");
    if path.exists() {
        bail!("{}: it exists\nhint: name another folder", path.display());
    }
    let (kind, paths, columns) = match args.from.split_first() {
        None => (Kind::List, vec!["pairs.csv".into()], Columns::default()),
        Some((kind, paths)) => {
            let kind = Kind::from_str(kind, true).map_err(|_| unknown(kind, paths))?;
            let found = located(kind, paths, &args.dir)?;
            paths.iter().try_for_each(|path| fits(kind, Path::new(path)))?;
            (kind, found, columns_of(kind, paths)?)
        }
    };
    let text = filled(&name_of(&args.dir), &source(kind, &paths, &columns), columns.captions);
    std::fs::create_dir_all(&args.dir).with_context(|| args.dir.display().to_string())?;
    clip_format::write_atomic(&path, text.as_bytes()).context("the template was not written")?;
    println!("{}", path.display());
    match columns.unnamed {
        Some(why) => note!("before it can run, [source] needs the names of its columns: {why}"),
        None if !columns.rows => note!("the list has no row yet"),
        None if !columns.captions => note!(
            "no captions were found, so [caption] is left out: `caption_col` names their column"
        ),
        None => {}
    }
    if columns.lists {
        note!(
            "the captions are lists: caption_list is \"first\", which leaves the others out; \"all\" makes a row of each"
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn unknown(kind: &str, paths: &[String]) -> anyhow::Error {
    // A path in the place of the kind, or the ending of one.
    let list = |name: &str| is_text_list(Path::new(name)) || name.ends_with(".parquet");
    if list(kind) || list(&format!("x.{kind}")) {
        let path = paths.first().map_or(kind, String::as_str);
        return anyhow::anyhow!("--from {kind}: no kind of source\nhint: `--from list {path}`");
    }
    let kinds: Vec<_> =
        Kind::value_variants().iter().filter_map(ValueEnum::to_possible_value).collect();
    let kinds: Vec<_> = kinds.iter().map(clap::builder::PossibleValue::get_name).collect();
    anyhow::anyhow!(
        "--from {kind}: no such kind of source\nhint: one of {}; img2dataset's shards are webdataset",
        kinds.join(", ")
    )
}

/// Refuses a folder that has what another kind of source reads; what is elsewhere, or a pattern, is
/// left to the build.
fn fits(kind: Kind, path: &Path) -> anyhow::Result<()> {
    if !path.is_dir() {
        return Ok(());
    }
    let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
    let files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let shards = files.iter().any(|file| clip_corpus::is_shard(file));
    let images = files.iter().any(|file| clip_format::ImageFormat::of_path(file).is_some());
    let inner = files.iter().any(|file| file.is_dir());
    let other = match kind {
        Kind::Webdataset if !shards => {
            let path = path.display();
            let hint = if images {
                "--from folder reads the images in it"
            } else {
                "shards are .tar files"
            };
            bail!("{path}: no shard is in this folder\nhint: {hint}");
        }
        Kind::Folder if shards && !images && !inner => "--from webdataset reads the images in them",
        Kind::Folder if !images && !inner => {
            let path = path.display();
            bail!(
                "{path}: no image is in this folder\nhint: images, or folders of images, with .txt or .json beside them"
            );
        }
        Kind::Folder if images && !files.iter().any(|file| is_caption(file)) => {
            note!(
                "{}: no caption is beside the images, and a build drops them as no_caption: a .txt of an image's name has its caption",
                path.display()
            );
            return Ok(());
        }
        Kind::List if shards => {
            "--from webdataset reads the images in them; their tables are a list as FOLDER/*.parquet"
        }
        Kind::List | Kind::Folder | Kind::Webdataset | Kind::Web | Kind::Wat | Kind::Warc => {
            return Ok(());
        }
    };
    bail!("{}: a folder of shards\nhint: {other}", path.display())
}

/// Whether a file may have the caption of an image beside it.
fn is_caption(file: &Path) -> bool {
    let ending = file.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ["txt", "caption", "json"].contains(&ending))
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

/// The columns of the first list. One elsewhere and a pattern are left to the build.
fn columns_of(kind: Kind, paths: &[String]) -> anyhow::Result<Columns> {
    let here = paths.first().map(Path::new).filter(|path| path.exists());
    match (kind, here) {
        (Kind::List, Some(path)) => Columns::of(path),
        _ => Ok(Columns::default()),
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
    if paths.is_empty() {
        bail!("--from: the kind, and then its paths\nhint: `--from list pairs.csv`");
    }
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
        setting("caption_list", columns.lists.then_some("first"), "refuse")
            + "       # of lists of captions: \"first\", or \"all\", a row of each",
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
             # json_key = \"caption\"          # the caption's field, where there is no .txt\n\
             # columns = []                  # further fields of the .json to keep, such as a score or a licence",
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
        Kind::Warc => (
            "warc",
            "paths",
            "# .warc.gz files of any crawler, or Common Crawl's warc.paths.gz\n# part_bytes = 67108864         # compressed bytes of a part",
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
            columns_of(Kind::List, &[path.display().to_string()]).unwrap()
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
        assert!(!plain.lists && !alt.lists);
        let lists = "{\"url\": \"http://x.org/1\", \"caption\": [\"a boat\", \"it\"]}\n";
        let text = source(Kind::List, &["l".into()], &of("lists.jsonl", lists));
        assert_eq!(loaded(&filled("mine", &text, true))["source"]["caption_list"], json!("first"));
        let urls = of("urls.txt", "http://x.org/1.jpg\nhttp://x.org/2.jpg\n");
        assert_eq!(settings(&urls), (json!("url"), json!("caption"), false));
        // A build reads what `init` wrote: without a column of captions none is asked for.
        let bare = of("bare.csv", "url\nhttp://x.org/1.jpg\n");
        assert_eq!(settings(&bare), (json!("url"), json!(""), false));
        let blank = of("blank.csv", "url,caption\nhttp://x.org/1.jpg,\n");
        assert_eq!(settings(&blank), (json!("url"), json!("caption"), true));
        let rowless = of("rowless.csv", "url,caption\n");
        assert_eq!((settings(&rowless).2, rowless.rows), (true, false));
        let later = columns_of(Kind::List, &["lists/*.csv".into()]).unwrap();
        assert_eq!(settings(&later), (json!("url"), json!("caption"), true));
    }

    #[test]
    fn a_list_that_no_build_could_read_is_refused_or_its_columns_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let of = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            columns_of(Kind::List, &[path.display().to_string()])
        };
        let unnamed = |name, text| of(name, text).unwrap().unnamed.unwrap_or_default();
        let other = unnamed("other.csv", "image_link,descr\nhttp://x.org/1.jpg,a red boat\n");
        assert!(other.contains("the columns are image_link, descr; url_col"), "{other}");
        let bare = unnamed("bare.csv", "http://x.org/1.jpg,a boat\nhttp://x.org/2.jpg,a car\n");
        assert!(bare.contains("hint: the first line should name the columns"), "{bare}");
        assert_eq!(unnamed("empty.csv", "url,caption\n"), "");
        let sheet = of("pairs.xlsx", "PK").err().unwrap().to_string();
        assert!(sheet.contains("pairs.xlsx: no list by its name\nhint: txt, csv"), "{sheet}");
        std::fs::create_dir(dir.path().join("images")).unwrap();
        let images = [dir.path().join("images").display().to_string()];
        let none = columns_of(Kind::List, &images).err().unwrap().to_string();
        assert!(none.contains("no list here"), "{none}");
    }

    #[test]
    fn a_forgotten_kind_is_named() {
        for (kind, paths) in [("csv", &["pairs.csv".to_owned()][..]), ("pairs.csv", &[])] {
            let error = unknown(kind, paths).to_string();
            assert!(error.ends_with("\nhint: `--from list pairs.csv`"), "{error}");
        }
        let error = unknown("warc", &[]).to_string();
        assert!(error.contains("hint: one of list, folder"), "{error}");
        assert!(located(Kind::List, &[], Path::new(".")).is_err());
    }

    #[test]
    fn a_folder_of_another_kind_is_refused_with_the_kind_that_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["shards", "images", "empty"] {
            std::fs::create_dir(at(folder)).unwrap();
        }
        for file in ["shards/00000.tar", "shards/00000.parquet", "images/a.jpg"] {
            std::fs::write(at(file), b"").unwrap();
        }
        for (kind, folder, hint) in [
            (Kind::Webdataset, "images", "--from folder"),
            (Kind::Webdataset, "empty", "shards are .tar files"),
            (Kind::Folder, "shards", "--from webdataset"),
            (Kind::Folder, "empty", "folders of images"),
            (Kind::List, "shards", "--from webdataset"),
        ] {
            let error = fits(kind, &at(folder)).unwrap_err().to_string();
            assert!(error.contains(&format!("{folder}: ")), "{error}");
            assert!(error.split_once("\nhint: ").unwrap().1.contains(hint), "{error}");
        }
        assert!(fits(Kind::Webdataset, &at("shards")).is_ok());
        assert!(fits(Kind::Folder, &at("images")).is_ok());
        assert!(fits(Kind::List, &at("none.csv")).is_ok());
        assert!(unknown("img2dataset", &[]).to_string().contains("shards are webdataset"));
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
