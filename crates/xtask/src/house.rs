//! Files stay small, keep to the words and widths of the house, and link to what is there.

use std::process::Command;

use anyhow::Context;

use crate::{cookbook, cycles, devices, links, unused, words};

/// No source file is longer.
const LINES: usize = 450;
/// No file of tests is longer.
const LINES_OF_TESTS: usize = 800;

/// A path of a crate that leads out of the repository.
const OUTSIDE: (&str, &str) = ("CARGO_MANIFEST_DIR", "/../../../");

/// Files under version control that break a rule.
pub fn check() -> anyhow::Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .output()
        .context("git ls-files")?;
    let files = String::from_utf8(output.stdout).context("git ls-files")?;
    let mut faults = Vec::new();
    for file in files.lines() {
        if std::path::Path::new(file).is_symlink() {
            faults.push(format!("{file}: a symbolic link, which names a place of one machine"));
        }
        let Ok(text) = std::fs::read_to_string(file) else { continue };
        faults.extend(faults_of(file, &text));
        faults.extend(words::faults_of(file, &text));
    }
    let names: Vec<&str> = files.lines().collect();
    let text = |path: &std::path::Path| std::fs::read_to_string(path).ok();
    faults.extend(links::faults(&names, &text));
    faults.extend(cookbook::faults(&names, &text));
    faults.extend(cycles::faults(&names, &text));
    faults.extend(unused::faults(&names, &text));
    faults.extend(devices::faults(&names, &|path| std::fs::read_to_string(path).ok()));
    Ok(faults)
}

fn faults_of(file: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    let is_test = file.starts_with("tests/") || file.contains("/tests");
    if file.ends_with(".rs") && lines > if is_test { LINES_OF_TESTS } else { LINES } {
        faults.push(format!("{file}: {lines} lines: split it by idea"));
    }
    for (index, line) in text.lines().enumerate() {
        let stub = ["todo!(", "unimplemented!("].iter().any(|word| line.contains(word));
        if file.ends_with(".rs") && stub && !file.ends_with("house.rs") {
            faults.push(format!("{file}:{}: a stub", index + 1));
        }
        if file.ends_with(".rs")
            && !file.ends_with("house.rs")
            && line.contains(OUTSIDE.0)
            && line.contains(OUTSIDE.1)
        {
            faults.push(format!("{file}:{}: a path outside of the repository", index + 1));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_and_stubs_are_faults() {
        assert!(faults_of("a.rs", "fn a() {}\n").is_empty());
        assert_eq!(faults_of("a.rs", &"\n".repeat(501)).len(), 1);
        assert_eq!(faults_of("tests/it/a.rs", &"\n".repeat(501)).len(), 0);
        assert_eq!(faults_of("crates/a/src/tests.rs", &"\n".repeat(801)).len(), 1);
        assert_eq!(faults_of("a.rs", concat!("fn a() { to", "do!() }")).len(), 1);
        let path = |up: &str| format!("concat!(env!({:?}), {:?})", OUTSIDE.0, up);
        assert_eq!(faults_of("a.rs", &path("/../../../elsewhere")).len(), 1);
        assert!(faults_of("a.rs", &path("/../../testdata")).is_empty());
    }
}
