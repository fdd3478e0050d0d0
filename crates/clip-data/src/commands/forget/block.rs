//! Lists for `[block]` of what was removed.

use std::collections::BTreeSet;
use std::io::ErrorKind::NotFound;
use std::path::Path;

use anyhow::Context;
use clip_pipeline::BlockEntries;

/// Adds entries to the lists of a folder, each once, and prints the section that names them.
pub fn write(folder: &Path, entries: &BlockEntries) -> anyhow::Result<()> {
    if entries.urls.is_empty() {
        return Ok(());
    }
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    println!("[block]");
    // A list of `[block]` takes no text that is no URL, which a source may have had.
    let urls = entries.urls.iter().filter(|url| url::Url::parse(url).is_ok());
    let urls: BTreeSet<String> = urls.cloned().collect();
    for (setting, entries) in [("urls", &urls), ("sha256", &entries.sha256)] {
        let path = folder.join(format!("{setting}.txt"));
        let added = add(&path, entries)?;
        let shown = std::path::absolute(&path).with_context(|| path.display().to_string())?;
        let shown = toml::Value::from(vec![shown.display().to_string()]);
        println!("{setting} = {shown}  # {added} added");
    }
    Ok(())
}

/// Adds the lines that a list does not have; returns their number.
fn add(path: &Path, entries: &BTreeSet<String>) -> anyhow::Result<usize> {
    let mut text = match std::fs::read_to_string(path) {
        Err(e) if e.kind() == NotFound => String::new(),
        read => read.with_context(|| path.display().to_string())?,
    };
    let known: BTreeSet<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let new: Vec<&String> = entries.iter().filter(|entry| !known.contains(*entry)).collect();
    new.iter().for_each(|entry| text.push_str(&format!("{entry}\n")));
    clip_format::write_atomic(path, text.as_bytes())?;
    Ok(new.len())
}
