//! The barrier that balances pairs over queries.

use arrow::array::RecordBatch;
use clip_format::write_atomic;
use clip_pipeline::config::text::BalanceMode;
use clip_pipeline::{Barrier, Context, DecisionSink, PartInfo};
use clip_query::LanguageIds;

use crate::account::{account, summary};
use crate::limits::Limits;
use crate::realised::Realised;
use crate::{Result, Session, query, table_of};

/// How the limit is kept: `pipeline.toml`'s own words.
pub type Mode = BalanceMode;

/// Balances pairs over their queries; rows gain `query` (the rarest, or the one that drew) and
/// `keep_prob`.
///
/// Draws are hashes of the run's seed, the pair and the query. The account goes to
/// [`Balance::ACCOUNT`] in the stage's scratch folder.
#[derive(Debug, Clone)]
pub struct Balance {
    /// The rule.
    pub mode: Mode,
    /// Pairs per query; the paper's is 20,000.
    pub limit: u64,
    /// Whether a pair without any query is dropped, as `no_query`.
    pub require_match: bool,
    /// The ids of each language's queries, ascending, where languages have lists of their own: the
    /// limit is that of the first, and the others have limits at which their tails have its share.
    pub languages: Vec<LanguageIds>,
}

impl Balance {
    /// The query files that decide in this mode, with one limit or with one for each language.
    pub fn queries(mode: Mode, by_language: bool) -> [&'static str; 2] {
        let rule = match (mode, by_language) {
            (Mode::Assign, false) => "20_balance_assign",
            (Mode::Metaclip, false) => "20_balance_metaclip",
            (Mode::Strict, false) => "20_balance_strict",
            (Mode::Online, false) => "20_balance_online",
            (Mode::Assign, true) => "21_balance_assign",
            (Mode::Metaclip, true) => "21_balance_metaclip",
            (Mode::Strict, true) => "21_balance_strict",
            (Mode::Online, true) => "21_balance_online",
        };
        ["20_balance_counts", rule]
    }

    /// Name of the account, in the scratch folder.
    pub const ACCOUNT: &str = "balance.json";

    fn run(&self, inputs: &[PartInfo], cx: &Context, out: &mut DecisionSink) -> Result<()> {
        let session = Session::for_barrier(cx)?;
        let by_language = !self.languages.is_empty();
        let [counts, rule] = Self::queries(self.mode, by_language);
        let (counts, rule) = (query(counts)?, query(rule)?);
        session.table_for(&[&counts, &rule], "pairs", &table_of(inputs))?;
        let counted = session.run(&counts, &[])?;
        let limits = Limits::new(self.limit, &self.languages, &counted);
        let mut decided = Realised::new(&counted, inputs, &limits);
        let (schema, counted) =
            if by_language { limits.beside(&counted)? } else { (counts.outputs.clone(), counted) };
        session.rows("counts", schema, counted)?;
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
        let account = account(self.mode, self.limit, &decided, &limits);
        cx.note(summary(&account));
        let text = format!("{:#}\n", serde_json::Value::Object(account));
        write_atomic(&cx.scratch().join(Self::ACCOUNT), text.as_bytes())?;
        Ok(())
    }
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
