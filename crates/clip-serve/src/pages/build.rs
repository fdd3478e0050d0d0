//! A build, finished or at work.

use std::time::SystemTime;

use clip_pipeline::{RunLayout, StageReader};
use clip_report::{Section, Table, escape, funnel_with, grouped};

use crate::http::{Reply, Request};
use crate::page::{of_reason, page, tabs};
use crate::stages::{stages, written};
use crate::state::{State, name_of};
use crate::{Error, Result};

/// A build counts as at work when something was committed within this many seconds.
const LATELY: u64 = 120;

/// The stages with their parts, and the funnel.
pub(crate) fn build(state: &State, request: &Request) -> Result<Reply> {
    let path = state.path(request)?;
    let stages = stages(&path)?;
    if stages.is_empty() {
        return Err(Error::absent(format!("{}: a run", name_of(&path))));
    }
    let of = request.query.need("of")?;
    let mut body = run_tabs(of, "build");
    body.push_str(&format!(
        "<form class=\"filters\" action=\"/pair\"><input type=\"hidden\" name=\"of\" value=\"{}\">\
         <label>what became of <input type=\"search\" name=\"find\" required \
         placeholder=\"uid, URL, key or row\"></label><button>explain</button></form>\n",
        escape(of)
    ));
    let ages: Vec<u64> = stages.iter().map(|stage| age(written(&stage.layout))).collect();
    let last = ages.iter().copied().min().unwrap_or(u64::MAX);
    let mut table = Table::new(["stage", "parts done", "of", "pairs out", "dropped", "changed"]);
    let mut open = false;
    for (stage, age) in stages.iter().zip(&ages) {
        let (done, parts) = parts(stage)?;
        open |= done < parts;
        table.push([
            stage.name.as_str().into(),
            done.into(),
            parts.into(),
            stage.counts.rows_out.into(),
            stage.counts.rejected().into(),
            ago(*age).into(),
        ]);
    }
    let summary = RunLayout::new(&path).is_run();
    let what = match (open || !summary, last <= LATELY) {
        (true, true) => "The build is at work.",
        (true, false) => {
            "The build is not complete; nothing was committed lately. The same command resumes it."
        }
        (false, _) => "The build is complete.",
    };
    let about = format!("{what} Parts that are committed of each stage.");
    let progress = Section::new("Progress", about).table(&table);
    body.push_str(&format!(
        "<div id=\"live\">\n{}{}</div>\n",
        progress.html(),
        funnel_with(&stages, |stage, reason| of_reason(of, stage, reason)).html()
    ));
    Ok(page(&name_of(&path), &body))
}

/// Links to the pages of a run.
pub(crate) fn run_tabs(of: &str, shown: &str) -> String {
    let pages = [
        ("/build", "build"),
        ("/rows", "pairs"),
        ("/search", "search"),
        ("/duplicates", "duplicates"),
        ("/hosts", "hosts and errors"),
    ];
    tabs(of, &pages, shown)
}

/// Parts that are committed, and all.
fn parts(stage: &StageReader) -> Result<(u64, u64)> {
    let done = clip_corpus::Manifest::open(stage.layout.dir())?.commits().count() as u64;
    Ok((done, (stage.file()?.parts as u64).max(done)))
}

fn age(at: SystemTime) -> u64 {
    at.elapsed().map_or(0, |age| age.as_secs())
}

fn ago(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", grouped(seconds / 86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let texts = [7, 600, 7300, 200_000].map(ago);
        assert_eq!(texts, ["7 s ago", "10 min ago", "2 h ago", "2 days ago"]);
    }
}
