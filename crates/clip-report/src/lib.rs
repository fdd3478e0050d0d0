//! HTML reports, charts and contact sheets.
