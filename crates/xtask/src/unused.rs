//! Dependencies that no source of their crate names.

use std::path::Path;

/// Packages whose library has another name.
const NAMED: [(&str, &str); 2] = [("kamadak-exif", "exif"), ("md-5", "md5")];

/// Named for their features alone, by the tests: see there.
const FOR_FEATURES: (&str, [&str; 3]) =
    ("tests/Cargo.toml", ["instant-clip-tokenizer", "proptest", "sqllogictest"]);

/// Dependencies in these files' manifests that are not needed. `text` gives the text of a file.
pub fn faults(files: &[&str], text: &dyn Fn(&Path) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for manifest in files.iter().filter(|file| file.ends_with("/Cargo.toml")) {
        let folder = manifest.trim_end_matches("Cargo.toml");
        let own = files.iter().filter(|file| file.starts_with(folder) && file.ends_with(".rs"));
        let sources: Vec<String> = own.filter_map(|file| text(Path::new(file))).collect();
        let known = |name: &str| *manifest == FOR_FEATURES.0 && FOR_FEATURES.1.contains(&name);
        let unused = dependencies(&text(Path::new(manifest)).unwrap_or_default())
            .into_iter()
            .filter(|name| !sources.iter().any(|source| names(source, &library(name))))
            .filter(|name| !known(name));
        faults.extend(unused.map(|name| format!("{manifest}: {name} is not used")));
    }
    faults
}

/// The names of the dependencies of each kind.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut section = "";
    let mut found = Vec::new();
    for line in manifest.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if section.ends_with("dependencies")
            && let Some((name, _)) = line.split_once(['.', ' ', '='])
            && !name.is_empty()
            && !line.starts_with('#')
        {
            found.push(name.to_owned());
        }
    }
    found
}

fn library(package: &str) -> String {
    let named = NAMED.iter().find(|(known, _)| *known == package);
    named.map_or(package, |(_, name)| name).replace('-', "_")
}

/// Whether a source has a name as a word of its own.
fn names(source: &str, name: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    source.match_indices(name).any(|(at, _)| {
        !source[..at].ends_with(letter) && !source[at + name.len()..].starts_with(letter)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_source_names_is_a_fault() {
        let manifest = "[package]\nname = \"a\"\n[dependencies]\nmd-5.workspace = true\n\
                        serde = \"1\"\n# note = 1\n[dev-dependencies]\nclip-b = { path = \"b\" }\n";
        let source = "use md5::Md5;\nuse serde_json::Value;\n";
        let text = |path: &Path| {
            Some(if path.ends_with("Cargo.toml") { manifest } else { source }.to_owned())
        };
        let found = faults(&["crates/a/Cargo.toml", "crates/a/src/lib.rs"], &text);
        let expected = ["serde", "clip-b"].map(|n| format!("crates/a/Cargo.toml: {n} is not used"));
        assert_eq!(found, expected);
    }
}
