//! What is served: the paths that were given, what is in them, and nothing outside.

use std::path::{Path, PathBuf};

use clip_corpus::below;
use clip_pipeline::RunLayout;

use crate::{Error, Result};

/// How deep below a path things are looked for.
const DEPTH: usize = 5;
/// Folders that are looked into below all paths.
const FOLDERS: usize = 20_000;
/// Folders of runs and training runs that have nothing of their own.
const INNER: [&str; 5] = ["checkpoints", "tensorboard", "parts", "img_emb", "text_emb"];

/// The paths that are served.
#[derive(Debug)]
pub(crate) struct Roots {
    /// With links resolved.
    paths: Vec<PathBuf>,
}

/// What something that is served is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ItemKind {
    /// The folder of a run, finished or not.
    Run,
    /// Shards or tables.
    Corpus,
    /// A training run.
    Training,
    /// A report on contamination.
    Contamination,
    /// An HTML page.
    Page,
}

/// Something that is served.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub kind: ItemKind,
    /// The number of its root, and its path there: see [`Roots::resolve`].
    pub of: String,
    /// Its name for people.
    pub name: String,
}

impl Roots {
    /// Serves these paths.
    ///
    /// # Errors
    /// When one is not there, or a file that has no page.
    pub fn new(paths: &[PathBuf]) -> Result<Self> {
        let real = |path: &PathBuf| {
            let bad = |reason: String| Error::Root { path: path.clone(), reason };
            let real = path.canonicalize().map_err(|e| bad(e.to_string()))?;
            if real.is_file() && kind_of_file(&real).is_none() {
                return Err(bad("neither a shard, a Parquet table nor an HTML page".into()));
            }
            Ok(real)
        };
        Ok(Self { paths: paths.iter().map(real).collect::<Result<_>>()? })
    }

    /// The path that the field `of` of a URL names: the number of a root, then a path below it.
    ///
    /// # Errors
    /// When nothing is there, or it is outside of the root, links resolved.
    pub fn resolve(&self, of: &str) -> Result<PathBuf> {
        let absent = || Error::absent(of);
        let (number, rest) = of.split_once('/').unwrap_or((of, ""));
        let root = number.parse().ok().and_then(|at: usize| self.paths.get(at));
        let root = root.ok_or_else(absent)?;
        if rest.is_empty() {
            return Ok(root.clone());
        }
        let path = below(root, rest).map_err(|_| absent())?;
        let real = path.canonicalize().map_err(|_| absent())?;
        // Links of runs to their shards are followed, links out of the root are not.
        if real.starts_with(root) { Ok(path) } else { Err(absent()) }
    }

    /// Whether a file that is opened is below what is served, links resolved.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self, path: &Path) -> Result<()> {
        let real = path.canonicalize().map_err(|e| clip_format::PathError::new(path, e))?;
        if self.paths.iter().any(|root| real.starts_with(root)) {
            return Ok(());
        }
        Err(Error::NotFound(format!("{}: a link out of what is served", path.display())))
    }

    /// The paths in which nothing has a page.
    pub fn empty(&self) -> Vec<PathBuf> {
        let all = self.by_root();
        let none = self.paths.iter().zip(&all).filter(|(_, found)| found.is_empty());
        none.map(|(path, _)| path.clone()).collect()
    }

    fn by_root(&self) -> Vec<Vec<Item>> {
        let mut left = FOLDERS;
        let items = |(number, root): (usize, &PathBuf)| {
            let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let mut found = Vec::new();
            look(root, &number.to_string(), &name, DEPTH, &mut left, &mut found);
            found
        };
        self.paths.iter().enumerate().map(items).collect()
    }

    /// Everything that has a page, by kind and then by name.
    pub fn items(&self) -> Vec<Item> {
        let mut found = self.by_root().concat();
        found.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        found
    }
}

/// Adds what is at a path, and below it.
fn look(path: &Path, of: &str, name: &str, depth: usize, left: &mut usize, found: &mut Vec<Item>) {
    let mut add = |kind| found.push(Item { kind, of: of.to_owned(), name: name.to_owned() });
    if path.is_file() {
        kind_of_file(path).into_iter().for_each(add);
        return;
    }
    let Some(rest) = left.checked_sub(1) else { return };
    *left = rest;
    let entries = std::fs::read_dir(path).into_iter().flatten().filter_map(|entry| entry.ok());
    // A link's own kind: what it leads to has a name of its own, or is not served.
    let mut entries: Vec<(PathBuf, bool)> = entries
        .filter_map(|entry| {
            let kind = entry.file_type().ok()?;
            (!kind.is_symlink()).then(|| (entry.path(), kind.is_dir()))
        })
        .collect();
    entries.sort();
    let is_run = is_run(path);
    let has = |name: &str| path.join(name).is_file();
    if is_run {
        add(ItemKind::Run);
    }
    if has("steps.jsonl") {
        add(ItemKind::Training);
    }
    if has("contamination.json") {
        add(ItemKind::Contamination);
    }
    let table = |(path, is_dir): &(PathBuf, bool)| {
        !is_dir && matches!(ending(path).as_str(), "tar" | "parquet")
    };
    // The list of pairs of a report on contamination is no corpus.
    if !is_run && !has("contamination.json") && entries.iter().any(table) {
        add(ItemKind::Corpus);
    }
    for (path, is_dir) in &entries {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let (of, name) = (format!("{of}/{file}"), format!("{name}/{file}"));
        if *is_dir {
            let inner = is_run || file.starts_with('.') || INNER.contains(&&*file);
            if depth > 0 && !inner {
                look(path, &of, &name, depth - 1, left, found);
            }
        } else if ending(path) == "html" {
            found.push(Item { kind: ItemKind::Page, of, name });
        }
    }
}

/// Whether a build was or is at work in a folder.
pub(crate) fn is_run(path: &Path) -> bool {
    let run = RunLayout::new(path);
    run.is_run() || run.stage_folders().is_ok_and(|all| all.iter().any(|stage| stage.is_stage()))
}

fn kind_of_file(path: &Path) -> Option<ItemKind> {
    match ending(path).as_str() {
        "html" => Some(ItemKind::Page),
        "parquet" | "tar" => Some(ItemKind::Corpus),
        _ => None,
    }
}

fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_served_is_found_and_nothing_outside_of_it() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret.parquet"), b"x").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("work");
        for inner in ["runs/a/00-collect-0123abcd", "runs/b", "logs/m/checkpoints", "shards", "c"] {
            std::fs::create_dir_all(root.join(inner)).unwrap();
        }
        for file in [
            "runs/a/00-collect-0123abcd/stage.json",
            "runs/a/00-collect-0123abcd/part-00000.parquet",
            "runs/a/report.html",
            "runs/b/run.json",
            "logs/m/steps.jsonl",
            "logs/m/checkpoints/x.parquet",
            "shards/0.tar",
            "c/contamination.json",
            "c/pairs.parquet",
        ] {
            std::fs::write(root.join(file), b"{}").unwrap();
        }
        symlink(outside.path(), root.join("out")).unwrap();
        symlink(root.join("shards"), root.join("runs/b/shards")).unwrap();
        let roots = Roots::new(std::slice::from_ref(&root)).unwrap();
        let items = roots.items();
        let found: Vec<(ItemKind, &str)> =
            items.iter().map(|item| (item.kind, item.of.as_str())).collect();
        let expected = [
            (ItemKind::Run, "0/runs/a"),
            (ItemKind::Run, "0/runs/b"),
            (ItemKind::Corpus, "0/shards"),
            (ItemKind::Training, "0/logs/m"),
            (ItemKind::Contamination, "0/c"),
            (ItemKind::Page, "0/runs/a/report.html"),
        ];
        assert_eq!(found, expected);
        assert!(items.iter().all(|item| roots.resolve(&item.of).is_ok()));
        assert!(roots.resolve("0/runs/b/shards").is_ok() && roots.resolve("0").is_ok());
        for of in [
            "",
            "1",
            "-1",
            "0/..",
            "0/runs/../..",
            "0//etc",
            "0/out",
            "0/out/secret.parquet",
            "0/none",
            "/etc",
            "0/runs\\a",
        ] {
            assert!(matches!(roots.resolve(of), Err(Error::NotFound(_))), "{of}");
        }
        assert!(roots.check(&root.join("shards/0.tar")).is_ok());
        assert!(roots.check(&root.join("out/secret.parquet")).is_err());
        assert!(roots.empty().is_empty());
        std::fs::create_dir(root.join("later")).unwrap();
        let later = Roots::new(&[root.join("later"), root.join("shards")]).unwrap();
        assert_eq!(later.empty(), [root.join("later").canonicalize().unwrap()]);
        let other = Roots::new(&[root.join("runs/b/run.json")]).unwrap_err().to_string();
        assert!(other.contains("run.json: neither a shard"), "{other}");
        let absent = Roots::new(&[root.join("none")]).unwrap_err().to_string();
        assert!(absent.contains("none: ") && absent.contains("\nhint: "), "{absent}");
    }
}
