//! Shard specifications: braces, unions, globs and folders (`WebDataset`'s rules, `data` by
//! `data`).

use std::path::{Path, PathBuf};

use crate::shard::is_shard;
use crate::{Error, Result};

/// The files that a specification names, in order.
///
/// `a::b` is a union, `{000..012}` and `{x,y}` are braces, `${NAME}` is the environment's
/// `WDS_NAME`, `*` and `?` are globs, and a folder means its `*.tar` files sorted by name. `file:`
/// before a path is allowed. A plain path is given back as it is, whether it exists or not. What is
/// behind a URL (`s3:`, `gs:`, `az:`, `https:`) is copied into the cache first.
///
/// # Errors
/// `pipe:` runs commands and is refused; what is behind a URL may not be had; a shard of a folder
/// may be gone.
pub fn expand(spec: &str) -> Result<Vec<PathBuf>> {
    expand_in(Path::new(""), spec)
}

/// The same, with paths relative to a folder, whose own name is never a pattern.
pub fn expand_in(base: &Path, spec: &str) -> Result<Vec<PathBuf>> {
    let files = expand_present_in(base, spec)?;
    let folders = if base.join(spec).exists() { vec![spec.to_owned()] } else { names(spec)? };
    for folder in folders.iter().map(|name| base.join(name)).filter(|path| path.is_dir()) {
        crate::gone::require_shards(&folder)?;
    }
    Ok(files)
}

/// [`expand`], also where shards of a folder are gone.
///
/// # Errors
/// As those of [`expand`] but for that.
pub fn expand_present(spec: &str) -> Result<Vec<PathBuf>> {
    expand_present_in(Path::new(""), spec)
}

fn expand_present_in(base: &Path, spec: &str) -> Result<Vec<PathBuf>> {
    // What is there under this very name is meant, whatever signs are in it.
    if !spec.is_empty() && base.join(spec).exists() {
        return paths(base, spec, spec);
    }
    let mut files = Vec::new();
    for name in names(spec)? {
        if clip_store::is_remote(&name) {
            files.extend(crate::mirror::shards(&name)?);
        } else if name.starts_with("hf:") {
            let hint =
                "hint: https://huggingface.co/datasets/NAME/resolve/main/FILE is one that is";
            return Err(bad(spec, format!("hf: is no URL here\n{hint}")));
        } else {
            files.extend(paths(base, &name, spec)?);
        }
    }
    if files.is_empty() {
        return Err(bad(spec, "names no file".into()));
    }
    Ok(files)
}

/// The files, folders, patterns and URLs that a specification names: unions, variables and
/// braces expanded.
///
/// # Errors
/// When it is not closed, sets no variable, or has `pipe:`.
pub fn names(spec: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let set = variables(spec, |name| std::env::var(format!("WDS_{name}")).ok());
    let set = set.map_err(|reason| bad(spec, reason))?;
    for union in set.split("::").filter(|s| !s.is_empty()) {
        let union = match union.split_once(':') {
            Some(("file", path)) => path.strip_prefix("//").unwrap_or(path),
            Some(("pipe", _)) => {
                return Err(bad(spec, "pipe: runs commands and is not supported".into()));
            }
            _ => union,
        };
        names.extend(braces(union).map_err(|reason| bad(spec, reason))?);
    }
    Ok(names)
}

/// Puts the values of `${NAME}` in their place.
fn variables(
    spec: &str,
    value: impl Fn(&str) -> Option<String>,
) -> std::result::Result<String, String> {
    let mut parts = spec.split("${");
    let mut set = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').ok_or("a ${ is not closed")?;
        set.push_str(&value(name).ok_or_else(|| format!("WDS_{name} is not set"))?);
        set.push_str(rest);
    }
    Ok(set)
}

fn bad(spec: &str, reason: String) -> Error {
    Error::Spec { spec: spec.to_owned(), reason }
}

fn paths(base: &Path, path: &str, spec: &str) -> Result<Vec<PathBuf>> {
    let whole = base.join(path);
    let escaped = |path: &Path| glob::Pattern::escape(&path.to_string_lossy());
    let pattern = if whole.is_dir() {
        format!("{}/*.tar", escaped(&whole).trim_end_matches('/'))
    } else if path.contains(['*', '?', '[']) && !whole.exists() {
        Path::new(&escaped(base)).join(path).to_string_lossy().into_owned()
    } else {
        return Ok(vec![whole]);
    };
    let found = glob::glob(&pattern).map_err(|e| bad(spec, e.to_string()))?;
    let mut found: Vec<PathBuf> = found.filter_map(std::result::Result::ok).collect();
    found.sort();
    if found.is_empty() {
        let of = |ending: &str| {
            entries(&whole).any(|path| path.extension().is_some_and(|e| e == ending))
        };
        let hint = match shards_below(&whole) {
            Some(folder) => format!("\nhint: shards are in {}", folder.display()),
            None if of("parquet") => "\nhint: shards (.tar) are wanted, as `clip-data fetch` and img2dataset write them with --output_format webdataset".into(),
            None => String::new(),
        };
        return Err(bad(spec, format!("no file matches {pattern}{hint}")));
    }
    Ok(found)
}

/// Levels and folders that [`shards_below`] looks at.
const LEVELS: usize = 3;
const FOLDERS: usize = 1000;

/// The first folder with shards below a folder, the nearest one first: where a folder above it was
/// given, it is what was meant.
pub fn shards_below(folder: &Path) -> Option<PathBuf> {
    let mut level = vec![folder.to_path_buf()];
    for _ in 0..LEVELS {
        let mut next: Vec<PathBuf> = level.iter().flat_map(|folder| entries(folder)).collect();
        next.retain(|path| path.is_dir());
        next.sort();
        next.truncate(FOLDERS);
        if let Some(found) = next.iter().find(|folder| entries(folder).any(|path| is_shard(&path)))
        {
            return Some(found.clone());
        }
        level = next;
    }
    None
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Expands every brace, left to right, the last one fastest, as a shell does; braces may be in
/// braces.
fn braces(text: &str) -> std::result::Result<Vec<String>, String> {
    let Some(open) = text.find('{') else { return Ok(vec![text.to_owned()]) };
    let mut depth = 0;
    let end = text[open..].bytes().position(|byte| {
        depth += i32::from(byte == b'{') - i32::from(byte == b'}');
        depth == 0
    });
    let close = open + end.ok_or("a brace is not closed")?;
    let rest = braces(&text[close + 1..])?;
    let mut all = Vec::new();
    for middle in alternatives(&text[open + 1..close])? {
        all.extend(rest.iter().map(|rest| format!("{}{middle}{rest}", &text[..open])));
    }
    Ok(all)
}

fn alternatives(body: &str) -> std::result::Result<Vec<String>, String> {
    let choices = choices(body);
    if choices.len() > 1 || body.contains('{') {
        let expanded: std::result::Result<Vec<_>, String> =
            choices.into_iter().map(braces).collect();
        return Ok(expanded?.concat());
    }
    let Some((from, to)) = body.split_once("..") else { return Ok(vec![body.to_owned()]) };
    let number = |s: &str| s.parse::<u64>().map_err(|_| format!("{s:?} is not a number"));
    let (first, last) = (number(from)?, number(to)?);
    if last < first || last - first > 10_000_000 {
        return Err(format!("the range {body} is empty or too long"));
    }
    Ok((first..=last).map(|n| format!("{n:0width$}", width = from.len())).collect())
}

/// Cuts at the commas that are in no inner brace.
fn choices(body: &str) -> Vec<&str> {
    let (mut choices, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, byte) in body.bytes().enumerate() {
        depth += i32::from(byte == b'{') - i32::from(byte == b'}');
        if byte == b',' && depth == 0 {
            choices.push(&body[start..at]);
            start = at + 1;
        }
    }
    choices.push(&body[start..]);
    choices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(spec: &str) -> Vec<String> {
        expand(spec).unwrap().iter().map(|p| p.display().to_string()).collect()
    }

    #[test]
    fn braces_keep_their_width_and_unions_their_order() {
        assert_eq!(
            names("b{x,y}::a-{08..10}.tar"),
            ["bx", "by", "a-08.tar", "a-09.tar", "a-10.tar"]
        );
        assert_eq!(names("{0..1}{a,b}"), ["0a", "0b", "1a", "1b"]);
        assert_eq!(names("x{a{0..1},b,}.tar"), ["xa0.tar", "xa1.tar", "xb.tar", "x.tar"]);
        assert_eq!(names("file:///data/{00..01}.tar"), ["/data/00.tar", "/data/01.tar"]);
    }

    #[test]
    fn variables_come_from_the_environment() {
        let value = |name: &str| (name == "ROOT").then(|| "/data".to_owned());
        assert_eq!(variables("${ROOT}/{0..1}.tar", value).unwrap(), "/data/{0..1}.tar");
        assert_eq!(variables("${NONE}/x", value).unwrap_err(), "WDS_NONE is not set");
    }

    #[test]
    fn bad_specifications_say_why() {
        for (spec, reason) in [
            ("{1..", "not closed"),
            ("{5..2}", "empty"),
            ("", "no file"),
            ("pipe:cat x.tar", "runs commands"),
            ("hf://datasets/a/{0..3}.tar", "hint: https"),
        ] {
            assert!(expand(spec).unwrap_err().to_string().contains(reason), "{spec}");
        }
    }

    #[test]
    fn a_folder_means_its_tars_sorted() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["00001.tar", "00000.tar", "00000.parquet"] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        let found = expand(&folder.path().display().to_string()).unwrap();
        let found: Vec<_> =
            found.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(found, ["00000.tar", "00001.tar"]);
        // A third was written, and is not there.
        std::fs::write(folder.path().join("00002_stats.json"), r#"{"successes": 7}"#).unwrap();
        let spec = folder.path().display().to_string();
        let error = expand(&spec).unwrap_err();
        assert!(
            error.is_damage() && error.to_string().contains("00002.tar: it is gone"),
            "{error}"
        );
        assert_eq!(expand_present(&spec).unwrap().len(), 2);
        assert_eq!(expand(&format!("{spec}/0000{{0..1}}.tar")).unwrap().len(), 2);
    }

    #[test]
    fn a_folder_above_the_shards_has_a_hint_at_them() {
        let dir = tempfile::tempdir().unwrap();
        let shards = dir.path().join("runs/mine/shards");
        std::fs::create_dir_all(&shards).unwrap();
        let spec = dir.path().to_str().unwrap();
        assert!(!expand(spec).unwrap_err().to_string().contains("hint"));
        std::fs::write(shards.join("00000.tar"), b"").unwrap();
        std::fs::create_dir_all(dir.path().join("runs/mine/04-shards/shards")).unwrap();
        std::fs::write(dir.path().join("runs/mine/04-shards/shards/00000.tar"), b"").unwrap();
        let message = expand(spec).unwrap_err().to_string();
        assert!(
            message.ends_with(&format!("\nhint: shards are in {}", shards.display())),
            "{message}"
        );
    }

    #[test]
    fn what_is_there_is_no_pattern() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("a#b? [1] {x,y}");
        std::fs::create_dir(&odd).unwrap();
        for name in ["0.tar", "1.tar", "[z].tar"] {
            std::fs::write(odd.join(name), b"").unwrap();
        }
        let text = odd.to_str().unwrap();
        assert_eq!(expand(text).unwrap(), ["0.tar", "1.tar", "[z].tar"].map(|name| odd.join(name)));
        assert_eq!(expand(&format!("{text}/[z].tar")).unwrap(), [odd.join("[z].tar")]);
        assert_eq!(expand_in(&odd, "{0,1}.tar").unwrap(), [odd.join("0.tar"), odd.join("1.tar")]);
        assert_eq!(expand_in(&odd, "?.tar").unwrap(), [odd.join("0.tar"), odd.join("1.tar")]);
    }
}
