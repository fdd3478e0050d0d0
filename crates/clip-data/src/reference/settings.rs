//! Every setting of `pipeline.toml`.

use clip_pipeline::Config;
use serde_json::Value;

use super::cell::cell;
use super::source::{Field, fields, values};

const HEAD: &str = "# The settings of pipeline.toml

Made from the types themselves by `scripts/reference`; a test fails when it is stale. `clip-data init` writes a file with \
the settings that most pipelines need. Paths are relative to the file. A section that is absent leaves its stage out, \
except `[fetch]`, `[image]`, `[shards]` and `[engine]`, which then have their defaults. An unknown setting is refused, with \
its line. `--set SECTION.KEY=VALUE` changes one for a command.
";

const CORPUS: &str = include_str!("../../../clip-pipeline/src/config/corpus.rs");
const FETCH: &str = include_str!("../../../clip-pipeline/src/config/fetch.rs");
const SCORE: &str = include_str!("../../../clip-pipeline/src/config/score.rs");
const SELECT: &str = include_str!("../../../clip-pipeline/src/config/select.rs");
const SEMANTIC: &str = include_str!("../../../clip-pipeline/src/config/semantic.rs");
const SOURCE: &str = include_str!("../../../clip-pipeline/src/config/source.rs");
const TEXT: &str = include_str!("../../../clip-pipeline/src/config/text.rs");
const TOP: &str = include_str!("../../../clip-pipeline/src/config/mod.rs");
const CAPTION: &str = include_str!("../../../clip-text/src/filter.rs");
const HEAD_TYPES: &str = include_str!("../../../clip-score/src/head.rs");

/// Sections: heading, where its struct is, its name, and the least that a file has of it.
const SECTIONS: [(&str, &str, &str, &str); 27] = [
    ("the file itself", TOP, "Config", ""),
    ("[source] kind = \"list\"", SOURCE, "List", "source = {kind = \"list\", paths = []}"),
    ("[source] kind = \"web\"", SOURCE, "Web", "source = {kind = \"web\", seeds = []}"),
    ("[source] kind = \"wat\"", SOURCE, "Archive", "source = {kind = \"wat\", paths = []}"),
    ("[source] kind = \"warc\"", SOURCE, "Archive", "source = {kind = \"warc\", paths = []}"),
    ("[source] kind = \"folder\"", SOURCE, "Corpus", "source = {kind = \"folder\", paths = []}"),
    (
        "[source] kind = \"webdataset\"",
        SOURCE,
        "Corpus",
        "source = {kind = \"webdataset\", paths = []}",
    ),
    ("[source] kind = \"coco\"", SOURCE, "Files", "source = {kind = \"coco\", paths = []}"),
    (
        "[source] kind = \"visual-genome\"",
        SOURCE,
        "VisualGenome",
        "source = {kind = \"visual-genome\", regions = \"r\", images = \"i\"}",
    ),
    ("[source] kind = \"yfcc100m\"", SOURCE, "Files", "source = {kind = \"yfcc100m\", paths = []}"),
    ("[source] kind = \"wit\"", SOURCE, "Files", "source = {kind = \"wit\", paths = []}"),
    ("[block]", CORPUS, "Block", "block = {hosts = [\"h\"]}"),
    ("[caption]", CAPTION, "CaptionFilter", "caption = {}"),
    ("[language]", TEXT, "Language", "language = {model = \"m\"}"),
    ("[[quality]]", TEXT, "Quality", "quality = [{name = \"n\", model = \"m\", label = \"l\"}]"),
    ("[queries]", TEXT, "Queries", "queries = {list = \"l\"}"),
    ("[balance]", TEXT, "Balance", "balance = {}\nqueries = {list = \"l\"}"),
    ("[fetch]", FETCH, "FetchConfig", ""),
    ("[image]", FETCH, "ImageConfig", ""),
    ("[dedup]", CORPUS, "Dedup", "dedup = {}"),
    ("[check]", CORPUS, "Check", "check = {against = {}}"),
    ("[[score]]", SCORE, "Score", "score = [{model = \"m\"}]"),
    (
        "[score.heads.NAME]",
        SCORE,
        "ScoreHead",
        "score = [{model = \"m\", heads = {n = {file = \"f\"}}}]",
    ),
    (
        "[semantic]",
        SEMANTIC,
        "Semantic",
        "semantic = {clusters = 2, semdedup = 0.1}\nscore = [{model = \"m\", embeddings = true}]",
    ),
    ("[select]", SELECT, "Select", "select = {top = {width = 0.5}}"),
    ("[shards]", CORPUS, "Shards", ""),
    ("[engine]", CORPUS, "EngineConfig", ""),
];

/// The page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for (heading, source, name, least) in SECTIONS {
        page.push_str(&format!("\n## {heading}\n\n| setting | | default |\n|---|---|---|\n"));
        let defaults = defaults(heading, least);
        if heading == "[caption]" {
            let presets = values(CAPTION, "CaptionPreset");
            let meaning =
                format!("A filter by name, which the other settings change: {}", listed(&presets));
            page.push_str(&row("preset", &meaning, "`\"standard\"`"));
        }
        for field in fields(source, name).iter().filter(|field| of_its_own(heading, field)) {
            let meaning = meaning(source, field);
            let given = least.contains(&format!(" {} = ", field.name))
                || least.contains(&format!("{{{} = ", field.name));
            // What the least of a section gives is no default.
            let value = defaults.get(&field.name).filter(|_| !given);
            let default = default(field, value, heading == "[caption]");
            page.push_str(&row(&field.name, &meaning, &default));
        }
    }
    page
}

fn row(name: &str, meaning: &str, default: &str) -> String {
    format!("| `{name}` | {} | {} |\n", cell(meaning), cell(default))
}

/// Of the file itself, what is no section.
fn of_its_own(heading: &str, field: &Field) -> bool {
    heading != "the file itself"
        || ["schema", "name", "workdir", "store", "seed"].contains(&&*field.name)
}

/// What the doc comment says, with links as plain code, and the values of an enum.
fn meaning(source: &str, field: &Field) -> String {
    let kind =
        field.kind.trim_start_matches("Option<").trim_start_matches("Vec<").trim_end_matches('>');
    let values = [source, HEAD_TYPES].map(|source| values(source, kind)).concat();
    let doc = field.doc.replace("[`", "`").replace("`]", "`");
    // What refers to code says nothing to who writes a file.
    let doc = doc.split("; see `Self").next().unwrap_or_default().trim_end_matches('.');
    if values.is_empty() { format!("{doc}.") } else { format!("{doc}: {}", listed(&values)) }
}

fn listed(values: &[(String, String)]) -> String {
    let each = values.iter().map(|(value, doc)| match doc.trim_end_matches('.') {
        "" => format!("`\"{value}\"`"),
        doc => format!("`\"{value}\"` ({doc})"),
    });
    each.collect::<Vec<_>>().join(", ")
}

/// The section as a file with the least of it is read.
fn defaults(heading: &str, least: &str) -> Value {
    let source = "source = {kind = \"list\", paths = []}";
    let source = if least.starts_with("source") { "" } else { source };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipeline.toml");
    std::fs::write(&path, format!("schema = 1\nname = \"n\"\n{source}\n{least}\n")).unwrap();
    let config = Config::load(&path, &[]).unwrap_or_else(|error| panic!("{heading}: {error}"));
    let config = serde_json::json!(config);
    let section = heading.trim_matches(['[', ']']);
    match section.split([']', '.']).next().unwrap_or_default() {
        "the file itself" => config,
        "score" if section != "score" => config["score"][0]["heads"]["n"].clone(),
        array @ ("score" | "quality") => config[array][0].clone(),
        name => config[name].clone(),
    }
}

fn default(field: &Field, value: Option<&Value>, all_optional: bool) -> String {
    if !field.optional && !all_optional {
        return "required".to_owned();
    }
    match value {
        None | Some(Value::Null) if field.kind == "bool" => "`false`".to_owned(),
        None | Some(Value::Null) if field.kind.starts_with("Vec<") => "`[]`".to_owned(),
        None | Some(Value::Null) if field.kind.starts_with("BTreeMap<") => "`{}`".to_owned(),
        None | Some(Value::Null) => "none".to_owned(),
        // The largest number stands for no limit. JSON's notation of all else is TOML's.
        Some(Value::Number(number)) if number.as_f64().is_some_and(|n| n > 4e9) => {
            "none".to_owned()
        }
        Some(Value::Number(number)) => format!("`{}`", rounded(number)),
        Some(value) => format!("`{value}`"),
    }
}

/// A number of f32 without the digits that f64 adds.
fn rounded(number: &serde_json::Number) -> String {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(value) => (value as f32).to_string(),
        None => number.to_string(),
    }
}
