//! `pipeline.toml`: every setting of a build, checked before anything runs.

pub mod corpus;
pub mod fetch;
pub mod proxy;
pub mod score;
pub mod select;
pub mod semantic;
pub mod source;
pub mod text;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};
use corpus::{Block, Check, Dedup, EngineConfig, Shards};
use text::{Balance, Language, Quality, Queries};

/// The demo's settings, annotated.
pub const EXAMPLE: &str = include_str!("../../../../pipeline.toml");

/// A whole `pipeline.toml`. A section that is absent leaves its stage out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of this format: 1.
    pub schema: u32,
    /// Name of the run, and of its folder under `workdir`.
    pub name: String,
    /// Where runs are, relative to the file.
    #[serde(default = "default_workdir")]
    pub workdir: PathBuf,
    /// Object storage that runs are in for all machines: `workdir` then holds a copy of what this
    /// one needs.
    pub store: Option<String>,
    /// Seed of every draw.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Where pairs come from.
    pub source: source::SourceConfig,
    /// What a row must not match.
    pub block: Option<Block>,
    /// Which captions may stay.
    pub caption: Option<clip_text::CaptionFilter>,
    /// Which languages may stay.
    pub language: Option<Language>,
    /// Which captions may stay by models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quality: Vec<Quality>,
    /// The query list to match against.
    pub queries: Option<Queries>,
    /// How many pairs a query may have.
    pub balance: Option<Balance>,
    /// How images are fetched.
    #[serde(default)]
    pub fetch: fetch::FetchConfig,
    /// How images are checked and stored.
    #[serde(default)]
    pub image: fetch::ImageConfig,
    /// Which images are the same.
    pub dedup: Option<Dedup>,
    /// Evaluation sets that the corpus must be checked against.
    pub check: Option<Check>,
    /// Models that score the pairs.
    #[serde(default)]
    pub score: Vec<score::Score>,
    /// Which pairs are kept, by embeddings of their images.
    pub semantic: Option<semantic::Semantic>,
    /// Which pairs are kept, by their columns.
    pub select: Option<select::Select>,
    /// How shards are written.
    #[serde(default)]
    pub shards: Shards,
    /// Who runs the parts.
    #[serde(default)]
    pub engine: EngineConfig,
    /// Folder of the file: what paths in it are relative to.
    #[serde(skip)]
    pub base: PathBuf,
}

fn default_workdir() -> PathBuf {
    "runs".into()
}

fn default_seed() -> u64 {
    2021
}

impl Config {
    /// Reads a file and applies `key.path=value` overrides.
    ///
    /// # Errors
    /// With the file's name, line, column and a hint.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::Config(format!(
                "{}: no such file\nhint: `clip-data init` writes an annotated pipeline.toml",
                path.display()
            )),
            _ => Error::io(path, e),
        })?;
        let base = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Self::parse(&text, overrides)
            .and_then(|config| config.checked())
            .map(|config| config.below(base))
            .map_err(|reason| Error::Config(format!("{}: {reason}", path.display())))
    }

    /// With paths that are relative to `base`.
    fn below(mut self, base: PathBuf) -> Self {
        self.fetch.identity_key = self.fetch.identity_key.map(|key| base.join(key));
        Self { base, ..self }
    }

    fn parse(text: &str, overrides: &[String]) -> std::result::Result<Self, String> {
        // Parsed as a whole first: only that gives line and column.
        let config: Self = toml::from_str(text).map_err(|e| located(text, &e))?;
        if overrides.is_empty() {
            return Ok(config);
        }
        let mut table: toml::Table = toml::from_str(text).map_err(|e| located(text, &e))?;
        for item in overrides {
            set(&mut table, item)?;
        }
        table.try_into().map_err(|e: toml::de::Error| format!("with --set: {}", e.message()))
    }

    fn checked(self) -> std::result::Result<Self, String> {
        let must =
            |holds: bool, message: &str| if holds { Ok(()) } else { Err(message.to_owned()) };
        must(self.schema == 1, "`schema` must be 1\nhint: this version reads only that format")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        must(
            !self.name.is_empty() && self.name.chars().all(plain) && !self.name.starts_with('.'),
            "`name` must be letters, digits, '-', '_' and '.'\nhint: it names a folder",
        )?;
        must(
            self.balance.is_none() || self.queries.is_some(),
            "[balance] needs [queries]\nhint: pairs are balanced over the queries that they match",
        )?;
        must(
            self.balance.as_ref().is_none_or(|balance| balance.limit > 0),
            "`balance.limit` must be at least 1",
        )?;
        must(self.shards.rows > 0, "`shards.rows` must be at least 1")?;
        must(
            self.dedup.as_ref().is_none_or(|dedup| dedup.max_captions > 0),
            "`dedup.max_captions` must be at least 1\nhint: `keep_captions = false` keeps the image's own alone",
        )?;
        must(
            self.dedup.as_ref().is_none_or(|dedup| dedup.radius <= 16),
            "`dedup.radius` must be at most 16\nhint: beyond 10 of 64 bits most pairs are not copies",
        )?;
        must(
            self.dedup.as_ref().is_none_or(|d| d.likeness.is_none_or(|l| (0.0..=1.0).contains(&l))),
            "`dedup.likeness` must be between 0 and 1\nhint: 0 trusts the hashes",
        )?;
        self.caption.as_ref().and_then(clip_text::CaptionFilter::fault).map_or(Ok(()), Err)?;
        must(
            self.image.resize_mode != fetch::ResizeMode::No
                || self.image.image_size == fetch::ImageConfig::default().image_size,
            "`image.image_size` has no effect with `resize_mode = \"no\"`\nhint: leave one of them out",
        )?;
        must(
            self.language.as_ref().is_none_or(|l| (0.0..=1.0).contains(&l.min_prob)),
            "`language.min_prob` must be between 0 and 1",
        )?;
        must(
            self.language.as_ref().is_none_or(|l| !l.keep.is_empty()),
            "`language.keep` names no language: every caption would be dropped\nhint: [\"en\"]",
        )?;
        self.block.as_ref().and_then(Block::fault).map_or(Ok(()), Err)?;
        Quality::fault(&self.quality).map_or(Ok(()), Err)?;
        let queries = self.queries.as_ref();
        queries.and_then(|q| q.fault(self.language.as_ref())).map_or(Ok(()), Err)?;
        self.check.as_ref().and_then(Check::fault).map_or(Ok(()), Err)?;
        let scores = score::fault(&self.score, self.source.columns());
        scores.map_or(Ok(()), Err)?;
        let semantic = self.semantic.as_ref().and_then(|semantic| semantic.fault(&self.score));
        semantic.map_or(Ok(()), Err)?;
        self.select.as_ref().and_then(select::Select::fault).map_or(Ok(()), Err)?;
        let fault = self.fetch.fault().or_else(|| self.image.fault());
        fault.map_or(Ok(()), |fault| Err(format!("[fetch] or [image]: {fault}")))?;
        Ok(self)
    }

    /// A path of the file, made absolute or relative to the working folder.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    /// Every file and folder that the settings name, those of `[source]` apart: the run's own comes
    /// first.
    pub fn files(&self) -> Vec<PathBuf> {
        // Each field is here by name, so that a new one cannot be forgotten.
        let Self {
            schema: _,
            name: _,
            workdir: _,
            store,
            seed: _,
            source: _,
            block,
            caption: _,
            language,
            quality,
            queries,
            balance: _,
            fetch: _,
            image: _,
            dedup,
            check,
            score,
            semantic,
            select: _,
            shards: _,
            engine: _,
            base: _,
        } = self;
        let mut files = vec![self.run_dir()];
        let folder = store.iter().filter_map(|store| store.strip_prefix("file://"));
        files.extend(folder.map(PathBuf::from));
        let lists = block.iter().flat_map(|block| block.before_fetch().chain(block.after_fetch()));
        files.extend(lists.map(|(_, path)| self.path(path)));
        files.extend(language.iter().map(|language| self.path(&language.model)));
        files.extend(quality.iter().map(|quality| self.path(&quality.model)));
        let lists = queries.iter().flat_map(Queries::lists);
        files.extend(lists.map(|(_, path)| self.path(path)));
        files.extend(dedup.iter().flat_map(|dedup| &dedup.against).map(|path| self.path(path)));
        let sets = check.iter().flat_map(|check| check.against.values().chain(&check.decisions));
        files.extend(sets.map(|path| self.path(path)));
        for score in score {
            let heads = score.heads.values().map(|head| head.file.as_path());
            let named = [score.model.as_path()].into_iter().chain(heads);
            files.extend(named.chain(score.model_config()).map(|path| self.path(path)));
        }
        let named = semantic.iter().flat_map(semantic::Semantic::files);
        files.extend(named.map(|(_, path)| self.path(path)));
        files
    }

    /// The run's folder.
    pub fn run_dir(&self) -> PathBuf {
        self.path(&self.workdir).join(&self.name)
    }
}

/// Least likeness of a name that is offered for a misspelt one, in thousandths.
const ALIKE: u32 = 800;

/// Of the names that serde expects, the one that is spelt most like the one that it found: both are
/// in backquotes, what was found first.
fn nearest_name(message: &str) -> Option<&str> {
    let mut names = message.split('`').skip(1).step_by(2);
    let found = names.next()?;
    let likeness = |name: &&str| (strsim::jaro_winkler(found, name) * 1000.0) as u32;
    names.max_by_key(likeness).filter(|name| likeness(name) >= ALIKE)
}

fn located(text: &str, error: &toml::de::Error) -> String {
    let message = error.message();
    let unknown = message.contains("unknown field") || message.contains("unknown variant");
    let hint = if let Some(name) = nearest_name(message).filter(|_| unknown) {
        format!("hint: did you mean {name}?")
    } else if unknown {
        "hint: check the spelling; `clip-data init` writes a file with the usual settings".into()
    } else if message.contains("duplicate key") {
        "hint: a setting, and a section, is written once: leave one of them out".into()
    } else if message.contains("missing field") {
        "hint: `clip-data init` writes a file with the usual settings".into()
    } else {
        "hint: strings are quoted, numbers and booleans are not".into()
    };
    let Some(span) = error.span() else { return format!("{message}\n{hint}") };
    let before = &text[..span.start.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
    let shown = text.lines().nth(line - 1).unwrap_or_default();
    format!("line {line} column {column}: {message}\n    {shown}\n{hint}")
}

fn set(table: &mut toml::Table, item: &str) -> std::result::Result<(), String> {
    let (path, value) = item
        .split_once('=')
        .ok_or_else(|| format!("--set {item}: not key=value\nhint: --set balance.limit=500"))?;
    // What does not parse as a TOML value is meant as a string.
    let parsed: std::result::Result<toml::Table, _> = toml::from_str(&format!("v = {value}"));
    let value = parsed
        .ok()
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut keys: Vec<&str> = path.split('.').collect();
    let last = keys.pop().unwrap_or_default();
    let mut at = table;
    for key in keys {
        let next = at.entry(key).or_insert_with(|| toml::Table::new().into());
        at = next.as_table_mut().ok_or_else(|| format!("--set {item}: {key} is no section"))?;
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests;
