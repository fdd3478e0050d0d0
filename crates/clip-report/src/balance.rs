//! What the balance did: how flat it made the counts, query by query, and what another limit would
//! have done.

use std::path::Path;

use serde_json::Value;

use crate::Result;
use crate::chart::{Line, line_chart};
use crate::error::json;
use crate::page::{escape, grouped, percent, table};

/// Queries that are listed.
const HEAD: usize = 25;

/// The balance's account, from its `balance.json`; `name` is a query's text by its id.
pub fn balance(path: &Path, name: &dyn Fn(u32) -> String) -> Result<String> {
    let account = json(path)?;
    let number = |key: &str| grouped(account[key].as_u64().unwrap_or(0));
    let share = |key: &str| percent(account[key].as_f64().unwrap_or(0.0));
    let mut rows = vec![
        vec!["mode".into(), escape(account["mode"].as_str().unwrap_or_default())],
        vec!["limit".into(), number("limit")],
        vec!["queries with a match".into(), number("queries_matched")],
        vec!["queries over the limit, before".into(), number("queries_over_limit_before")],
        vec!["queries over the limit, after".into(), number("queries_over_limit_after")],
        vec!["share of matches in the tail, before".into(), share("tail_share_before")],
        vec!["share of matches in the tail, after".into(), share("tail_share_after")],
    ];
    if let Some(limit) = account["limit_of_6_percent"].as_u64() {
        rows.push(vec!["limit at which the tail has 6%".into(), grouped(limit)]);
    }
    let head = account["head"].as_array().into_iter().flatten().take(HEAD).map(|row| {
        let count = |key: &str| grouped(row[key].as_u64().unwrap_or(0));
        let query = row["query"].as_u64().and_then(|id| u32::try_from(id).ok());
        let query = query.map(name).unwrap_or_default();
        vec![escape(&query), count("before"), count("after"), count("charged")]
    });
    let head =
        table(&["query", "pairs before", "after", "charged to it"], &head.collect::<Vec<_>>());
    let pair = |point: &Value| Some((point.get(0)?.as_u64()?, point.get(1)?.as_f64()?));
    let points: Vec<_> =
        account["curve"].as_array().into_iter().flatten().filter_map(pair).collect();
    Ok(table(&["", ""], &rows) + &tail_chart(&points, account["limit"].as_u64()) + &head)
}

/// The share of matches that queries with fewer matches than a limit have, against the limit; the
/// limit in force is a vertical line in it.
pub fn tail_chart(points: &[(u64, f64)], limit: Option<u64>) -> String {
    let points = points.iter().map(|&(limit, mass)| (limit as f64, mass)).collect();
    let mut lines = vec![Line { name: "share of the tail".into(), points }];
    if let Some(limit) = limit {
        let limit = limit as f64;
        lines.push(Line { name: "limit".into(), points: vec![(limit, 0.0), (limit, 1.0)] });
    }
    line_chart(&lines, "limit per query", true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_names_its_queries_and_draws_the_curve() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("balance.json");
        let account = serde_json::json!({
            "mode": "assign", "limit": 2, "limit_of_6_percent": 5,
            "head": [{"query": 1, "before": 1234, "after": 2, "charged": 2}],
            "curve": [[1, 0.0], [2, 0.25], [5, 1.0]],
        });
        std::fs::write(&path, account.to_string()).unwrap();
        let html = balance(&path, &|id| format!("<query {id}>")).unwrap();
        assert!(html.contains("&lt;query 1&gt;"), "{html}");
        assert!(html.contains("1,234"), "{html}");
        assert_eq!(html.matches("<polyline").count(), 2);
    }
}
