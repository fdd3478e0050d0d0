//! Pages that other commands wrote.

use crate::http::{Reply, Request};
use crate::state::State;
use crate::{Error, Result};

/// Such a page has its style, script and images inside. It may be anyone's, so it runs as a page of
/// no origin: it reads nothing that is served.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      img-src data:; base-uri 'none'; form-action 'none'; \
                      sandbox allow-scripts allow-downloads";
/// Bytes of the longest page.
const LONGEST: u64 = 256 << 20;

/// An HTML file as it is.
pub(crate) fn static_page(state: &State, request: &Request) -> Result<Reply> {
    let path = state.path(request)?;
    let is_page = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("html"));
    let failed = |e| clip_format::PathError::new(&path, e);
    let about = std::fs::metadata(&path).map_err(failed)?;
    if !is_page || !about.is_file() || about.len() > LONGEST {
        return Err(Error::NotFound(format!("{}: not a page", path.display())));
    }
    let bytes = std::fs::read(&path).map_err(failed)?;
    Ok(Reply { policy: Some(POLICY), ..Reply::new("text/html; charset=utf-8", bytes) })
}
