//! What a person looks at: the report, and a contact sheet for each set.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use clip_overlap::{ContaminationReport, Decisions, Match};
use clip_report::{Images, Page, Section, borderline, contamination, escape, sheet, shown_copies};

/// What the file of a contact sheet begins with.
const SHEET: &str = "sheet-";

/// Removes sheets of earlier reports: their pairs may be none any more.
fn remove_sheets(out: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(out)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(SHEET) && name.ends_with(".html") {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Writes them and says where they are.
///
/// `sets` says where each evaluation set is; `stored` gives the images of the corpus, by place and
/// name.
pub fn write(
    out: &Path,
    sets: &BTreeMap<String, PathBuf>,
    account: &ContaminationReport,
    matches: &[Match],
    decided: &Decisions,
    stored: impl FnOnce(&HashSet<(String, String)>) -> anyhow::Result<Images>,
) -> anyhow::Result<()> {
    let open: BTreeMap<&str, Vec<&Match>> = account
        .sets
        .iter()
        .map(|set| (set.name.as_str(), borderline(&set.name, matches, set.threshold)))
        .collect();
    let mut wanted = shown_copies(account);
    wanted.extend(open.values().flatten().map(|pair| (pair.place.clone(), pair.id.clone())));
    let images = stored(&wanted)?;
    remove_sheets(out)?;
    let mut sheets = Vec::new();
    for (name, pairs) in open {
        let section = sheet(name, &sets[name], &pairs, &images, &decided.set(name))?;
        if !section.is_empty() {
            let mut page = Page::new(&format!("{name}: the same image?"));
            page.add(&section);
            let file = format!("{SHEET}{name}.html");
            page.write(&out.join(&file))?;
            println!("contact sheet: {}", out.join(&file).display());
            sheets.push(format!("<li><a href=\"{0}\">{0}</a></li>\n", escape(&file)));
        }
    }
    let mut page = Page::new("clip-data: contamination");
    page.add(&contamination(account, sets, &images)?);
    if !sheets.is_empty() {
        let about = "The pairs nearest to each threshold, to be accepted or rejected by eye.";
        let list = format!("<ul>\n{}</ul>\n", sheets.concat());
        page.add(&Section::new("Contact sheets", about).markup(&list));
    }
    let path = out.join("contamination.html");
    page.write(&path)?;
    println!("page: {}", path.display());
    Ok(())
}
