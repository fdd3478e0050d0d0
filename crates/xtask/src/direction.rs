//! Arrows between crates point down, and heavy libraries are seen by one crate each.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

/// The floors of the house, listed in `crates/README.md`. A crate may use those on lower
/// floors only.
const FLOORS: [(&str, u8); 32] = [
    ("clip-format", 0),
    ("clip-guard", 0),
    ("clip-random", 0),
    ("clip-text", 1),
    ("clip-image", 1),
    ("clip-score", 1),
    ("clip-stats", 1),
    ("clip-store", 1),
    ("clip-torch", 1),
    ("clip-corpus", 2),
    ("clip-model", 2),
    ("clip-pipeline", 3),
    ("clip-query", 3),
    ("clip-datasets", 3),
    ("clip-loader", 3),
    ("clip-crawl", 4),
    ("clip-sql", 4),
    ("clip-overlap", 4),
    ("clip-train", 4),
    ("clip-embed", 4),
    ("clip-cluster", 5),
    ("clip-curate", 5),
    ("clip-filter", 5),
    ("clip-report", 5),
    ("clip-eval", 5),
    ("clip-detector", 5),
    ("clip-cli", 6),
    ("clip-serve", 6),
    ("clip-data", 7),
    ("clip-data-torch", 7),
    ("clip-testkit", 7),
    ("clip-fuzz", 7),
];

/// Who may see a heavy library.
const ALONE: [(&str, &[&str]); 10] = [
    ("tch", &["clip-torch"]),
    ("torch-sys", &["clip-torch"]),
    ("datafusion", &["clip-sql", "clip-cluster"]),
    ("ballista", &["clip-cluster"]),
    ("ballista-core", &["clip-cluster"]),
    ("ballista-executor", &["clip-cluster"]),
    ("ballista-scheduler", &["clip-cluster"]),
    ("arrow-flight", &["clip-cluster"]),
    ("reqwest", &["clip-crawl", "clip-store"]),
    ("object_store", &["clip-store"]),
];

/// Crates that link libtorch, directly or not: the plain executable may use none of them.
const TORCH: [&str; 6] =
    ["clip-torch", "clip-model", "clip-embed", "clip-train", "clip-eval", "clip-detector"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

/// Every arrow that points up or sideways, and every library that is seen by the wrong crate.
pub fn check() -> anyhow::Result<Vec<String>> {
    let output = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .context("cargo metadata")?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    Ok(faults(&metadata.packages))
}

fn faults(packages: &[Package]) -> Vec<String> {
    let floors: BTreeMap<&str, u8> = FLOORS.into();
    let mut faults = Vec::new();
    for package in packages {
        let from = package.name.as_str();
        // Tests and developer tasks are outside the house.
        if from == "xtask" || from == "clip-data-tests" {
            continue;
        }
        let Some(floor) = floors.get(from) else {
            faults.push(format!("{from} has no floor: add it to xtask and crates/README.md"));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|d| d.kind.is_none()) {
            let to = dependency.name.as_str();
            if floors.get(to).is_some_and(|below| below >= floor) {
                faults.push(format!("{from} -> {to} does not point down"));
            }
            if let Some((_, seen)) = ALONE.iter().find(|(name, _)| *name == to)
                && !seen.contains(&from)
            {
                faults.push(format!("{from} sees {to}, which only {} may", seen.join(", ")));
            }
            if from == "clip-data" && TORCH.contains(&to) {
                faults.push(format!("{from} -> {to} would link libtorch"));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[&str]) -> Package {
        let dependency = |name: &&str| Dependency { name: (*name).into(), kind: None };
        Package { name: name.into(), dependencies: dependencies.iter().map(dependency).collect() }
    }

    #[test]
    fn arrows_up_and_stray_libraries_are_faults() {
        assert!(faults(&[package("clip-pipeline", &["clip-corpus", "serde"])]).is_empty());
        assert_eq!(faults(&[package("clip-corpus", &["clip-pipeline"])]).len(), 1);
        assert_eq!(faults(&[package("clip-eval", &["tch"])]).len(), 1);
        assert_eq!(faults(&[package("clip-data", &["clip-model"])]).len(), 1);
        assert_eq!(faults(&[package("clip-new", &[])]).len(), 1);
    }
}
