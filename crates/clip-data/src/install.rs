//! How this executable was installed, and so which command brings what is missing.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where fastText's model of 176 languages is published.
const LANGUAGES: &str = "https://dl.fbaipublicfiles.com/fasttext/supervised-models/lid.176.ftz";

/// How the executable came to this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Install {
    /// By pip (or pipx, uv, conda), into the environment of this root.
    Wheel(PathBuf),
    /// Built by cargo: there is a checkout with `scripts/`.
    Cargo,
    /// Unpacked from an archive, or copied.
    Archive,
}

impl Install {
    /// That of the running executable.
    pub fn find() -> Self {
        std::env::current_exe().map_or(Self::Archive, |exe| Self::of(&exe))
    }

    /// That of the executable `exe`, judged by what is around it.
    pub fn of(exe: &Path) -> Self {
        let Some(folder) = exe.parent() else { return Self::Archive };
        // What cargo leaves in each target folder.
        if folder.join("deps").is_dir() && folder.join("build").is_dir() {
            return Self::Cargo;
        }
        match folder.parent() {
            Some(root) if site_packages(root).iter().any(|site| has_metadata(site)) => {
                Self::Wheel(root.to_owned())
            }
            _ => Self::Archive,
        }
    }

    /// The command that brings libtorch of the series `series` (`2.11`).
    pub fn libtorch(&self, series: &str) -> String {
        match self {
            Self::Wheel(root) => {
                format!(
                    "{} -m pip install \"torch=={series}.*\"",
                    root.join("bin/python").display()
                )
            }
            Self::Cargo => "scripts/setup".to_owned(),
            Self::Archive => format!("python3 -m pip install \"torch=={series}.*\""),
        }
    }

    /// The command that brings the executable that links libtorch.
    pub fn torch_executable(&self) -> String {
        match self {
            Self::Wheel(root) => format!(
                "{} -m pip install --force-reinstall --no-deps clip-data",
                root.join("bin/python").display()
            ),
            Self::Cargo => "cargo build --release -p clip-data-torch".to_owned(),
            Self::Archive => "unpack the archive again: both executables are in it".to_owned(),
        }
    }

    /// The command that brings the model of `[language]` to `path`.
    pub fn language_model(&self, path: &Path) -> String {
        match self {
            Self::Cargo => "scripts/setup".to_owned(),
            _ => download_languages(path),
        }
    }
}

/// The command that downloads fastText's model of languages to `path`.
pub fn download_languages(path: &Path) -> String {
    format!("curl -L --create-dirs -o {} {LANGUAGES}", path.display())
}

impl fmt::Display for Install {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wheel(root) => write!(f, "as a wheel, in {}", root.display()),
            Self::Cargo => write!(f, "built by cargo in a checkout"),
            Self::Archive => write!(f, "as files, outside of a Python environment"),
        }
    }
}

/// The folders of packages of the Python environment at `root`, the newest Python's first.
pub fn site_packages(root: &Path) -> Vec<PathBuf> {
    let pythons = |lib: &str| -> Vec<(u32, PathBuf)> {
        let entries = std::fs::read_dir(root.join(lib)).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let name = entry.file_name();
                let minor = name.to_str()?.strip_prefix("python3.")?.parse().ok()?;
                Some((minor, entry.path()))
            })
            .collect()
    };
    let mut found: Vec<(u32, PathBuf)> = ["lib", "lib64"].into_iter().flat_map(pythons).collect();
    found.sort_by_key(|(minor, _)| std::cmp::Reverse(*minor));
    // Debian's own Python has `dist-packages`.
    let sites = found
        .into_iter()
        .flat_map(|(_, python)| ["site-packages", "dist-packages"].map(|name| python.join(name)));
    sites.filter(|site| site.is_dir()).collect()
}

/// Whether pip has put this package into the folder of packages `site`.
fn has_metadata(site: &Path) -> bool {
    let mut entries = std::fs::read_dir(site).into_iter().flatten().flatten();
    entries.any(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|n| n.starts_with("clip_data-") && n.ends_with(".dist-info"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_was_installed_is_seen_by_what_is_around_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let exe = root.join("bin/clip-data");
        assert_eq!(Install::of(&exe), Install::Archive);

        let site = root.join("lib/python3.9/site-packages");
        std::fs::create_dir_all(site.join("clip_data-0.1.0.dist-info")).unwrap();
        assert_eq!(Install::of(&exe), Install::Wheel(root.to_owned()));
        let torch = Install::of(&exe).libtorch("2.11");
        assert!(torch.ends_with("bin/python -m pip install \"torch==2.11.*\""), "{torch}");

        std::fs::create_dir_all(root.join("bin/deps")).unwrap();
        std::fs::create_dir_all(root.join("bin/build")).unwrap();
        assert_eq!(Install::of(&exe), Install::Cargo);
    }

    #[test]
    fn the_newest_python_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["lib/python3.9/site-packages", "lib/python3.12/dist-packages"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        std::fs::create_dir_all(folder.path().join("lib/python3/dist-packages")).unwrap();
        let found = site_packages(folder.path());
        let expected = ["lib/python3.12/dist-packages", "lib/python3.9/site-packages"];
        assert_eq!(found, expected.map(|name| folder.path().join(name)));
    }
}
