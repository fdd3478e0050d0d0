//! The pages `docs/reference-commands.md` and `docs/reference-pipeline.md`, made of what the
//! commands and the settings are.

mod cell;
mod commands;
mod pages;
mod settings;
mod source;

use std::path::Path;

/// Compares a page with what is committed, or with `CLIP_DATA_WRITE_REFERENCE` writes it.
fn check(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var_os("CLIP_DATA_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = committed.lines().zip(page.lines()).find(|(a, b)| a != b);
    assert!(committed == page, "docs/{name} is stale, at {differs:?}: run scripts/reference");
}

#[test]
fn the_commands_reference_is_what_the_commands_are() {
    check("reference-commands.md", &commands::page());
}

#[test]
fn the_settings_reference_is_what_the_settings_are() {
    check("reference-pipeline.md", &settings::page());
}
