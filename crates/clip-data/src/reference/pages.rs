//! The commands and settings that the documentation shows are ones that there are.

use std::path::{Path, PathBuf};

use clip_pipeline::Config;

use crate::examples::words;

/// README and the pages of the book, with their text.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = vec![root.join("README.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                files.push(path);
            }
        }
    }
    files.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The commands in the blocks of a page, lines that are continued joined.
fn commands(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let lines = text.lines().filter(|line| line.starts_with("    clip-data "));
    lines.map(|line| line.trim().to_owned()).collect()
}

#[test]
fn commands_of_the_documentation_are_commands() {
    let (mut faults, mut count) = (Vec::new(), 0);
    for (path, text) in pages() {
        for line in commands(&text) {
            // `…` is what a page leaves out; the variable is the number of a job.
            let line = line.replace("$SLURM_ARRAY_TASK_ID", "0");
            let words = words(&line).into_iter().filter(|word| word != "…").map(Into::into);
            let words = crate::commands::fetch::normalize_flags(words);
            count += 1;
            if let Err(error) = crate::command().try_get_matches_from(words) {
                let error = error.to_string();
                // What is left out may be what a command cannot do without.
                if !(line.contains('…') && error.contains("required")) {
                    faults.push(format!("{}: {line}: {error}", path.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 100, "{count} commands were found");
}

/// The settings in the blocks of a page: those that begin with a section.
fn settings(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(line) if open || line.starts_with('[') && line.ends_with(']') => {
                if !open {
                    found.push(String::new());
                }
                open = !line.starts_with("END");
                if let (Some(block), true) = (found.last_mut(), open) {
                    block.push_str(line);
                    block.push('\n');
                }
            }
            _ => open = open && line.is_empty(),
        }
    }
    found
}

#[test]
fn settings_of_the_documentation_are_settings() {
    let (mut faults, mut count) = (Vec::new(), 0);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pipeline.toml");
    for (path, text) in pages() {
        for block in settings(&text) {
            let mut whole = "schema = 1\nname = \"n\"\n".to_owned();
            if !block.contains("[source]") {
                whole.push_str("source = { kind = \"list\", paths = [] }\n");
            }
            if block.contains("[balance]") && !block.contains("[queries]") {
                whole.push_str("queries = { list = \"q\" }\n");
            }
            whole.push_str(&block);
            std::fs::write(&file, &whole).unwrap();
            count += 1;
            if let Err(error) = Config::load(&file, &[]) {
                faults.push(format!("{}: {error}\n{block}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 12, "{count} blocks were found");
}
