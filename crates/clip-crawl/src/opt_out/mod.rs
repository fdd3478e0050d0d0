//! Opt-outs: what a host, a page or an image says against its use for training, each with the
//! signal, the line and the place that decided.
//!
//! What is said in several places counts where it forbids: no place takes back what another
//! reserves.

mod c2pa;
mod content_usage;
mod directives;
mod policy;
mod tdm;

use std::fmt::Display;

use crate::error::{FetchError, Kind};

pub(crate) use content_usage::train_ai;
pub(crate) use policy::{Policy, product_token};
pub(crate) use tdm::TdmFile;

/// What forbids the use of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OptOut {
    pub kind: Kind,
    /// What was said, and where.
    pub decider: String,
}

impl OptOut {
    /// `text` was said on a line of a place, or in a place that has no lines.
    pub fn new(kind: Kind, text: impl Display, line: Option<usize>, place: impl Display) -> Self {
        let place =
            line.map_or_else(|| format!("of {place}"), |n| format!("(line {n} of {place})"));
        Self { kind, decider: format!("`{text}` {place}") }
    }

    /// The message of a rejected row: img2dataset's words, then what decided.
    pub fn message(&self) -> String {
        let signal = match self.kind {
            Kind::Robots => "robots.txt",
            Kind::XRobotsTag => "X-Robots-Tag directive",
            Kind::MetaRobots => "robots meta tag",
            Kind::ContentUsage => "Content-Usage",
            Kind::TdmReservation => "TDM reservation",
            Kind::AiTxt => "ai.txt",
            _ => "C2PA assertion",
        };
        format!("Use of image disallowed by {signal}: {}", self.decider)
    }
}

impl From<OptOut> for FetchError {
    fn from(opt_out: OptOut) -> Self {
        Self::new(opt_out.kind, opt_out.message())
    }
}

#[cfg(test)]
mod tests;
