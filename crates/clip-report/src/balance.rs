//! What the balance did: how flat it made the counts, query by query, and what another limit would
//! have done.

use std::path::Path;

use serde::Deserialize;

use crate::chart::{Axis, Line, Scale, line_chart};
use crate::error::json;
use crate::{Cell, Result, Section, Table};

/// Queries that are listed.
const HEAD: usize = 25;

/// The account that the stage leaves.
#[derive(Deserialize)]
struct Account {
    mode: String,
    limit: u64,
    #[serde(default)]
    queries_matched: u64,
    #[serde(default)]
    queries_over_limit_before: u64,
    #[serde(default)]
    queries_over_limit_after: u64,
    #[serde(default)]
    most_charged: u64,
    #[serde(default)]
    tail_share_before: f64,
    #[serde(default)]
    tail_share_after: f64,
    #[serde(default)]
    limit_of_6_percent: Option<u64>,
    #[serde(default)]
    head: Vec<Frequent>,
    #[serde(default)]
    curve: Vec<(u64, f64)>,
    #[serde(default)]
    languages: Vec<OwnList>,
}

/// What the balance did with the queries of a language.
#[derive(Deserialize)]
struct OwnList {
    language: String,
    limit: u64,
    pairs: u64,
    kept: u64,
    queries_matched: u64,
    queries_over_limit_before: u64,
    tail_share_before: f64,
    tail_share_after: f64,
}

/// One of the most frequent queries.
#[derive(Deserialize)]
struct Frequent {
    query: u32,
    before: u64,
    after: u64,
    charged: u64,
}

/// The balance's account, from its `balance.json`; `name` is a query's text by its id.
///
/// # Errors
/// When the file is no such account.
pub fn balance(path: &Path, name: &dyn Fn(u32) -> String) -> Result<Section> {
    let account: Account = json(path)?;
    let mut facts: Vec<(&str, Cell)> = vec![
        ("mode", account.mode.into()),
        ("limit, pairs a query", account.limit.into()),
        ("queries with a match", account.queries_matched.into()),
        ("most pairs charged to one query", account.most_charged.into()),
        ("queries in more pairs than the limit, before", account.queries_over_limit_before.into()),
        ("queries in more pairs than the limit, after", account.queries_over_limit_after.into()),
        (
            "share of matches in the tail (queries below the limit), before",
            Cell::Share(account.tail_share_before),
        ),
        ("share of matches of the same queries, after", Cell::Share(account.tail_share_after)),
    ];
    if let Some(limit) = account.limit_of_6_percent {
        facts.push(("limit whose tail, itself included, has nearest to 6%", limit.into()));
    }
    let mut head = Table::new(["query", "pairs before", "after", "charged to it"]);
    head.extend(account.head.iter().take(HEAD).map(|query| {
        [name(query.query).into(), query.before.into(), query.after.into(), query.charged.into()]
    }));
    let languages = languages(&account.languages);
    let about = "How the limit per query flattens the counts: the smaller it is, the more of the matches \
                 are in the tail. A pair counts for all its queries and is charged to one of them; the \
                 limit holds for what is charged, so that a query may have more pairs after.";
    let section = Section::new("Balance", about).table(&Table::of_facts(facts));
    let section = if account.languages.is_empty() { section } else { section.table(&languages) };
    Ok(section.markup(&tail_chart(&account.curve, Some(account.limit))).table(&head))
}

/// A row for each language that has a list of its own: its limit is where its tail has the share of
/// the first's.
fn languages(languages: &[OwnList]) -> Table {
    let head = ["language", "limit", "pairs with a query", "kept", "queries with a match"];
    let head = head.into_iter().chain(["over the limit", "tail, before", "tail, after"]);
    let mut table = Table::new(head);
    table.extend(languages.iter().map(|own| -> [Cell; 8] {
        [
            own.language.as_str().into(),
            own.limit.into(),
            own.pairs.into(),
            own.kept.into(),
            own.queries_matched.into(),
            own.queries_over_limit_before.into(),
            Cell::Share(own.tail_share_before),
            Cell::Share(own.tail_share_after),
        ]
    }));
    table
}

/// The share of matches that queries with fewer matches than a limit have, against the limit; the
/// limit in force is a vertical line in it.
pub fn tail_chart(points: &[(u64, f64)], limit: Option<u64>) -> String {
    let points = points.iter().map(|&(limit, mass)| (limit as f64, mass)).collect();
    let mut lines = vec![Line { name: "queries below it".into(), points }];
    if let Some(limit) = limit {
        let limit = limit as f64;
        lines.push(Line { name: "limit".into(), points: vec![(limit, 0.0), (limit, 1.0)] });
    }
    let x = Axis { name: "limit, pairs a query", scale: Scale::Log };
    line_chart(&lines, x, Axis { name: "share of all matches", scale: Scale::Share })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_names_its_queries_and_draws_the_curve() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("balance.json");
        let account = serde_json::json!({
            "mode": "assign", "limit": 2, "limit_of_6_percent": 5, "most_charged": 2,
            "head": [{"query": 1, "before": 1234, "after": 2, "charged": 2}],
            "curve": [[1, 0.0], [2, 0.25], [5, 1.0]],
        });
        std::fs::write(&path, account.to_string()).unwrap();
        let html = balance(&path, &|id| format!("<query {id}>")).unwrap().html();
        assert!(html.contains("&lt;query 1&gt;"), "{html}");
        assert!(html.contains("1,234"), "{html}");
        assert!(html.contains("most pairs charged to one query</td>"), "{html}");
        assert_eq!(html.matches("<polyline").count(), 2);
        assert!(!html.contains("pairs with a query"));
        let own = serde_json::json!({"language": "ja", "limit": 3, "pairs": 4321, "kept": 2,
            "queries_matched": 1, "queries_over_limit_before": 1, "tail_share_before": 0.25,
            "tail_share_after": 0.5});
        let mut account = account;
        account["languages"] = [own].into();
        std::fs::write(&path, account.to_string()).unwrap();
        let html = balance(&path, &|id| id.to_string()).unwrap().html();
        assert!(html.contains("4,321") && html.contains("pairs with a query"), "{html}");
        std::fs::write(&path, "{\"limit\": \"few\"}").unwrap();
        let error = balance(&path, &|_| String::new()).unwrap_err().to_string();
        assert!(error.contains("balance.json: "), "{error}");
    }
}
