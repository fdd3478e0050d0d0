//! Style and script, which are inside the executable.

use clip_report::{PAIR_KEYS, STYLE};

use crate::http::Reply;

const OWN_STYLE: &str = include_str!("../../assets/serve.css");
const SCRIPT: &str = include_str!("../../assets/serve.js");
/// Seconds for which a browser keeps them.
const KEPT: u32 = 60;

/// The style of reports, and what pages have besides.
pub(crate) fn style() -> Reply {
    Reply::new("text/css; charset=utf-8", [STYLE, OWN_STYLE].concat()).kept_for(KEPT)
}

/// What pages do better with a script than without.
pub(crate) fn script() -> Reply {
    Reply::new("text/javascript; charset=utf-8", [PAIR_KEYS, SCRIPT].concat()).kept_for(KEPT)
}
