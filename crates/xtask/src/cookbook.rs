//! The cookbook of CONTRIBUTING.md names only what is there.

use std::path::Path;

use crate::links::any_name;

const PAGE: &str = "CONTRIBUTING.md";

/// Names in backticks of the cookbook's rows that no file of their row has.
pub fn faults(files: &[&str], text: &dyn Fn(&Path) -> Option<String>) -> Vec<String> {
    let page = text(Path::new(PAGE)).unwrap_or_default();
    let rows = page.lines().filter(|line| line.starts_with("| a"));
    rows.flat_map(|row| unknown(row, files, text)).collect()
}

fn unknown(row: &str, files: &[&str], text: &dyn Fn(&Path) -> Option<String>) -> Vec<String> {
    let codes: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
    let paths: Vec<&str> = codes.iter().copied().filter(|code| is_path(code)).collect();
    let named = |file: &&&str| {
        paths.iter().any(|path| {
            let inner = format!("/{path}");
            **file == *path || file.ends_with(&inner) || path.ends_with('/') && file.contains(path)
        })
    };
    let texts: Vec<String> =
        files.iter().filter(named).filter_map(|file| text(Path::new(file))).collect();
    let lost = |path: &&&str| !any_name(path) && !files.iter().any(|file| file.contains(**path));
    let lost_paths = paths.iter().filter(lost).map(|path| format!("{PAGE}: there is no {path}"));
    let names = codes.iter().filter(|code| !is_path(code));
    let names = names.filter(|name| !texts.iter().any(|text| text.contains(**name)));
    let names = names.map(|name| format!("{PAGE}: no file of its row has `{name}`"));
    lost_paths.chain(names).collect()
}

fn is_path(code: &str) -> bool {
    code.contains(['/', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_must_be_in_a_file_of_its_row() {
        let page =
            "| a stage | `Map` in `crates/a/src/map.rs` | `resources`, `gone.rs` | `tests/it/` |";
        let text = |path: &Path| match path.to_str() {
            Some(PAGE) => Some(page.to_owned()),
            Some("crates/a/src/map.rs") => Some("trait Map {}".to_owned()),
            _ => Some("fn resources() {}".to_owned()),
        };
        let files = [PAGE, "crates/a/src/map.rs", "crates/b/src/other.rs"];
        assert_eq!(
            faults(&files, &text),
            [
                "CONTRIBUTING.md: there is no gone.rs",
                "CONTRIBUTING.md: there is no tests/it/",
                "CONTRIBUTING.md: no file of its row has `resources`",
            ]
        );
        let files = [PAGE, "crates/a/src/map.rs", "gone.rs", "tests/it/main.rs"];
        assert_eq!(faults(&files, &text), [] as [&str; 0]);
    }
}
