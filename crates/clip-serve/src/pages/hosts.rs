//! The hosts of a run's pairs, and why pairs were dropped.

use clip_report::{Cell, hosts as hosts_table, reasons};
use clip_sql::run_hosts;

use super::build::run_tabs;
use crate::http::{Reply, Request};
use crate::page::{of_host, of_reason, page};
use crate::stages::stages;
use crate::state::{State, name_of};
use crate::{Error, Result};

/// Hosts with the most pairs, and reasons by stage.
pub(crate) fn hosts(state: &State, request: &Request) -> Result<Reply> {
    let path = state.path(request)?;
    let stages = stages(&path)?;
    let Some(last) = stages.iter().rfind(|stage| stage.counts.rows_out > 0) else {
        return Err(Error::absent(format!("{}: a run with pairs", name_of(&path))));
    };
    let scratch =
        tempfile::tempdir().map_err(|e| clip_format::PathError::new(&std::env::temp_dir(), e))?;
    let (why, from) = run_hosts(&stages, last, scratch.path())?;
    let of = request.query.need("of")?;
    let reason = |stage: &str, reason: &str| Cell::Markup(of_reason(of, stage, reason));
    let body = run_tabs(of, "hosts and errors")
        + &reasons(&why, stages.iter().map(|stage| &*stage.name), reason).html()
        + &hosts_table(&from, |host| Cell::Markup(of_host(of, host))).html();
    Ok(page(&name_of(&path), &body))
}
