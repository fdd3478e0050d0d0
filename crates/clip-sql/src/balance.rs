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
        let limits = Limits::new(self.limit, &self.languages, &counted);
        let mut decided = Realised::new(&counted, inputs, &limits);
        let (schema, counted) = limits.beside(&counted)?;
        session.rows("counts", schema, counted)?;
        let all = [("seed", cx.seed()), ("require_match", u64::from(self.require_match))];
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
