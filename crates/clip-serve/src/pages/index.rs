//! The first page: everything that is served.

use crate::Result;
use crate::http::Reply;
use crate::page::{anchor, page};
use crate::roots::ItemKind;
use crate::state::State;

const KINDS: [(ItemKind, &str, &str, &str); 5] = [
    (ItemKind::Run, "Runs", "Builds, finished or at work: their funnel, and every pair.", "/build"),
    (ItemKind::Corpus, "Corpora", "Shards and Parquet tables: rows with their images.", "/rows"),
    (ItemKind::Training, "Training runs", "Loss, speed and scores over the steps.", "/training"),
    (
        ItemKind::Contamination,
        "Contamination",
        "Pairs of evaluation items and the corpus, to be accepted or rejected.",
        "/contamination",
    ),
    (ItemKind::Page, "Reports", "Pages that other commands wrote.", "/page"),
];

/// What is served, by kind.
pub(crate) fn index(state: &State) -> Result<Reply> {
    let items = state.roots.items();
    let mut body = String::new();
    for (kind, title, about, path) in KINDS {
        let own = items.iter().filter(|item| item.kind == kind);
        let list: String = own
            .map(|item| format!("<li>{}</li>\n", anchor(path, &[("of", &item.of)], &item.name)))
            .collect();
        if !list.is_empty() {
            body.push_str(&format!(
                "<section><h2>{title}</h2><p class=\"about\">{about}</p><ul>\n{list}</ul></section>\n"
            ));
        }
    }
    if body.is_empty() {
        body.push_str(
            "<p>Nothing that has a page is here yet: no run, shard, table, training run or report.</p>\n",
        );
    }
    Ok(page("What is served", &body))
}
