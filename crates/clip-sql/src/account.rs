//! The account of what a balance did: realised counts of the head, the tail's share, and the share
//! against the limit, over all queries and by language.

use clip_pipeline::config::text::BalanceMode;
use serde_json::{Map, Value, json};

use crate::limits::Limits;
use crate::realised::{QueryCount, Realised};
use crate::tail::{curve, limit_of};

/// Queries in the account that are listed one by one.
const HEAD: usize = 100;

/// What was decided, in numbers. With languages, each has the numbers of its own queries.
pub(crate) fn account(
    mode: BalanceMode,
    limit: u64,
    decided: &Realised,
    limits: &Limits,
) -> Map<String, Value> {
    let mut account = Map::new();
    account.insert("mode".into(), json!(mode));
    account.insert("limit".into(), limit.into());
    account.insert("pairs".into(), decided.pairs.into());
    account.insert("kept".into(), decided.kept.into());
    let all = decided.queries.iter().map(|(&query, count)| (query, count)).collect();
    account.extend(of_queries(all, limits));
    let languages =
        limits.languages().iter().zip(&decided.languages).map(|((own, limit), pairs)| {
            let mut account = Map::new();
            account.insert("language".into(), own.language.as_str().into());
            account.insert("first_query".into(), own.ids.start.into());
            account.insert("queries".into(), own.ids.len().into());
            account.insert("limit".into(), (*limit).into());
            account.insert("pairs".into(), pairs.before.into());
            account.insert("kept".into(), pairs.after.into());
            let of = decided.queries.iter().filter(|(query, _)| own.ids.contains(query));
            account.extend(of_queries(of.map(|(&query, count)| (query, count)).collect(), limits));
            Value::Object(account)
        });
    let languages: Vec<Value> = languages.collect();
    if !languages.is_empty() {
        account.insert("languages".into(), languages.into());
    }
    account
}

/// The numbers of some queries.
fn of_queries(mut counts: Vec<(u32, &QueryCount)>, limits: &Limits) -> Map<String, Value> {
    counts.sort_unstable_by_key(|&(query, count)| (std::cmp::Reverse(count.before), query));
    let head = counts.iter().take(HEAD).map(|(query, count)| {
        let (before, after, charged) = (count.before, count.after, count.charged);
        json!({"query": query, "before": before, "after": after, "charged": charged})
    });
    let before: Vec<u64> = counts.iter().map(|(_, count)| count.before).collect();
    let tail = |select: fn(&QueryCount) -> u64| {
        let total: u64 = counts.iter().map(|(_, count)| select(count)).sum();
        // As on the curve, and after by the same queries as before.
        let tail = counts.iter().filter(|(query, count)| count.before < limits.of(*query));
        let tail: u64 = tail.map(|(_, count)| select(count)).sum();
        if total == 0 { 0.0 } else { tail as f64 / total as f64 }
    };
    let over = |select: fn(&QueryCount) -> u64| {
        counts.iter().filter(|(query, count)| select(count) > limits.of(*query)).count()
    };
    let numbers = json!({
        "queries_matched": counts.len(),
        "queries_over_limit_before": over(|c| c.before),
        "queries_over_limit_after": over(|c| c.after),
        "most_after": counts.iter().map(|(_, c)| c.after).max().unwrap_or(0),
        "most_charged": counts.iter().map(|(_, c)| c.charged).max().unwrap_or(0),
        "tail_share_before": tail(|c| c.before),
        "tail_share_after": tail(|c| c.after),
        "limit_of_6_percent": limit_of(&before, 0.06),
        "head": head.collect::<Vec<_>>(),
        "curve": curve(&before).iter().map(|(limit, mass)| json!([limit, mass])).collect::<Vec<_>>(),
    });
    if let Value::Object(numbers) = numbers { numbers } else { Map::new() }
}

/// The account in a line.
pub(crate) fn summary(account: &Map<String, Value>) -> String {
    let account = Value::Object(account.clone());
    let share = |key: &str| 100.0 * account[key].as_f64().unwrap_or(0.0);
    let languages = account["languages"].as_array().into_iter().flatten();
    let limits = languages
        .map(|own| format!("{} {}", own["language"].as_str().unwrap_or_default(), own["limit"]));
    let limits: Vec<String> = limits.collect();
    let limit = if limits.is_empty() {
        format!("the limit is {}", account["limit"])
    } else {
        format!("the limits are {}", limits.join(", "))
    };
    format!(
        "{} of {} pairs are kept; the most frequent query has {} pairs before, none has more than {} after (a pair counts for all its queries; at most {} are charged to one, {limit}); queries below the limit have {:.1}% of the matches before, and {:.1}% after",
        account["kept"],
        account["pairs"],
        account["head"][0]["before"].as_u64().unwrap_or(0),
        account["most_after"],
        account["most_charged"],
        share("tail_share_before"),
        share("tail_share_after"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_how_pairs_of_several_queries_count() {
        let mut account = json!({"kept": 7, "pairs": 9, "head": [{"before": 6}], "most_after": 5,
            "most_charged": 3, "limit": 3, "tail_share_before": 0.25, "tail_share_after": 0.5});
        let account = account.as_object_mut().unwrap();
        let wanted = "7 of 9 pairs are kept; the most frequent query has 6 pairs before, none has \
            more than 5 after (a pair counts for all its queries; at most 3 are charged to one, \
            the limit is 3); queries below the limit have 25.0% of the matches before, and 50.0% \
            after";
        assert_eq!(summary(account), wanted);
        let own = json!([{"language": "en", "limit": 3}, {"language": "ja", "limit": 2}]);
        account.insert("languages".into(), own);
        assert!(summary(account).contains("to one, the limits are en 3, ja 2);"));
    }
}
