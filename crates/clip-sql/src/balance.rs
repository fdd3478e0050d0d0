//! The barrier that balances pairs over queries, and the account of what it did.

use arrow::array::RecordBatch;
use clip_format::write_atomic;
use clip_pipeline::config::text::BalanceMode;
use clip_pipeline::{Barrier, Context, DecisionSink, PartInfo};
use serde_json::{Value, json};

use crate::realised::Realised;
use crate::{Result, Session, query, table_of};

/// How the limit is kept: `pipeline.toml`'s own words.
pub type Mode = BalanceMode;

/// Queries in the account that are listed one by one.
const HEAD: usize = 100;

/// Balances pairs over their queries; rows gain `query` (the rarest, or the one that drew) and
/// `keep_prob`.
///
/// Draws are hashes of the run's seed, the pair and the query. The account goes to
/// [`Balance::ACCOUNT`] in the stage's scratch folder.
#[derive(Debug, Clone, Copy)]
pub struct Balance {
    /// The rule.
    pub mode: Mode,
    /// Pairs per query; the paper's is 20,000.
    pub limit: u64,
    /// Whether a pair without any query is dropped, as `no_query`.
    pub require_match: bool,
}

impl Balance {
    /// The query files that decide in this mode.
    pub fn queries(mode: Mode) -> [&'static str; 2] {
        let rule = match mode {
            Mode::Assign => "20_balance_assign",
            Mode::Metaclip => "20_balance_metaclip",
            Mode::Strict => "20_balance_strict",
            Mode::Online => "20_balance_online",
        };
        ["20_balance_counts", rule]
    }

    /// Name of the account, in the scratch folder.
    pub const ACCOUNT: &str = "balance.json";

    fn run(&self, inputs: &[PartInfo], cx: &Context, out: &mut DecisionSink) -> Result<()> {
        let session = Session::for_barrier(cx)?;
        let [counts, rule] = Self::queries(self.mode);
        let (counts, rule) = (query(counts)?, query(rule)?);
        session.table_for(&[&counts, &rule], "pairs", &table_of(inputs))?;
        let counted = session.run(&counts, &[])?;
        let mut decided = Realised::new(&counted, inputs);
        session.rows("counts", counts.outputs.clone(), counted)?;
        let all = [
            ("seed", cx.seed()),
            ("limit", self.limit),
            ("require_match", u64::from(self.require_match)),
        ];
        let known = |(name, _): &&(&str, u64)| rule.parameters.iter().any(|known| known == name);
        let values: Vec<(&str, u64)> = all.iter().filter(known).copied().collect();
        out.push(&RecordBatch::new_empty(rule.outputs.clone()))?;
        session.each(&rule, &values, |batch| {
            out.push(&batch)?;
            decided.add(&batch)
        })?;
        let account = self.account(&decided);
        cx.note(summary(&account));
        let text = format!("{account:#}\n");
        write_atomic(&cx.scratch().join(Self::ACCOUNT), text.as_bytes())?;
        Ok(())
    }

    /// What the balance did: realised counts of the head, the tail's share, and the share against
    /// the limit.
    fn account(&self, decided: &Realised) -> Value {
        let Realised { pairs, kept, queries, .. } = decided;
        let mut counts: Vec<(u32, u64, u64)> =
            queries.iter().map(|(&query, count)| (query, count.before, count.after)).collect();
        counts.sort_unstable_by_key(|&(query, before, _)| (std::cmp::Reverse(before), query));
        let head = counts.iter().take(HEAD).map(|&(query, before, after)| {
            let charged = queries.get(&query).map_or(0, |count| count.charged);
            json!({"query": query, "before": before, "after": after, "charged": charged})
        });
        let before: Vec<u64> = counts.iter().map(|&(_, before, _)| before).collect();
        let tail = |select: fn(&(u32, u64, u64)) -> u64| {
            let total: u64 = counts.iter().map(select).sum();
            let tail: u64 = counts.iter().filter(|c| c.1 <= self.limit).map(select).sum();
            if total == 0 { 0.0 } else { tail as f64 / total as f64 }
        };
        json!({
            "mode": self.mode,
            "limit": self.limit,
            "pairs": pairs,
            "kept": kept,
            "queries_matched": counts.len(),
            "queries_over_limit_before": counts.iter().filter(|c| c.1 > self.limit).count(),
            "queries_over_limit_after": counts.iter().filter(|c| c.2 > self.limit).count(),
            "most_after": counts.iter().map(|c| c.2).max().unwrap_or(0),
            "most_charged": queries.values().map(|count| count.charged).max().unwrap_or(0),
            "tail_share_before": tail(|c| c.1),
            "tail_share_after": tail(|c| c.2),
            "limit_of_6_percent": limit_of(&before, 0.06),
            "head": head.collect::<Vec<_>>(),
            "curve": curve(&before).iter().map(|(limit, mass)| json!([limit, mass])).collect::<Vec<_>>(),
        })
    }
}

/// The account in a line.
fn summary(account: &Value) -> String {
    let share = |key: &str| 100.0 * account[key].as_f64().unwrap_or(0.0);
    format!(
        "{} of {} pairs are kept; the most frequent query has {} pairs before, none has more than {} after (a pair counts for all its queries; at most {} are charged to one, the limit is {}); share of the tail: {:.1}% before, {:.1}% after",
        account["kept"],
        account["pairs"],
        account["head"][0]["before"].as_u64().unwrap_or(0),
        account["most_after"],
        account["most_charged"],
        account["limit"],
        share("tail_share_before"),
        share("tail_share_after"),
    )
}

impl Barrier for Balance {
    fn decide(
        &self,
        inputs: &[PartInfo],
        cx: &Context,
        out: &mut DecisionSink,
    ) -> clip_pipeline::Result<()> {
        self.run(inputs, cx, out).map_err(|e| e.into_stage_error(cx.stage()))
    }
}

/// For limits 1, 2, 5, 10, … up to the largest count: the share of all matches that queries with
/// fewer matches than the limit have (MetaCLIP, section 3.2: its limit is where the tail has 6 %).
pub fn curve(counts: &[u64]) -> Vec<(u64, f64)> {
    let total: u64 = counts.iter().sum();
    let largest = counts.iter().copied().max().unwrap_or(0);
    let mut points = Vec::new();
    for scale in (0..19).map(|power| 10_u64.pow(power)) {
        for limit in [scale, 2 * scale, 5 * scale] {
            let tail: u64 = counts.iter().filter(|&&count| count < limit).sum();
            points.push((limit, if total == 0 { 0.0 } else { tail as f64 / total as f64 }));
            if limit > largest {
                return points;
            }
        }
    }
    points
}

/// The limit at which queries up to it have about this share of all matches: how MetaCLIP carries a
/// limit over to a pool of another size (section 3.2; metaclip's `p_to_t`).
pub fn limit_of(counts: &[u64], share: f64) -> Option<u64> {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable();
    let total = sorted.iter().sum::<u64>() as f64;
    let mut mass = 0;
    let distance = sorted.iter().map(|&count| {
        mass += count;
        ((mass as f64 / total - share).abs(), count)
    });
    distance.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, count)| count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_ends_where_all_queries_are_tail() {
        assert_eq!(curve(&[1, 1, 8]), [(1, 0.0), (2, 0.2), (5, 0.2), (10, 1.0)]);
        assert_eq!(curve(&[]), [(1, 0.0)]);
    }

    #[test]
    fn the_summary_says_how_pairs_of_several_queries_count() {
        let account = json!({"kept": 7, "pairs": 9, "head": [{"before": 6}], "most_after": 5,
            "most_charged": 3, "limit": 3, "tail_share_before": 0.25, "tail_share_after": 0.5});
        let wanted = "7 of 9 pairs are kept; the most frequent query has 6 pairs before, none has \
            more than 5 after (a pair counts for all its queries; at most 3 are charged to one, \
            the limit is 3); share of the tail: 25.0% before, 50.0% after";
        assert_eq!(summary(&account), wanted);
    }

    #[test]
    fn a_share_of_the_tail_names_its_limit() {
        let counts = [1, 2, 3, 94, 300];
        assert_eq!(limit_of(&counts, 6.0 / 400.0), Some(3));
        assert_eq!(limit_of(&counts, 0.25), Some(94));
        assert_eq!(limit_of(&[], 0.06), None);
    }
}
