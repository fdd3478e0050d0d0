//! Which opt-outs a crawl follows, in headers, pages and images.

use std::borrow::Cow;

use clip_pipeline::config::fetch::{FetchConfig, OptOutSignal};

use super::{OptOut, c2pa, directives, tdm, train_ai};
use crate::error::Kind;
use crate::html::Extracted;

/// Which signals are followed, and by which name this crawler is addressed.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// The product token of the user agent, in lower case.
    agent: String,
    /// Directives of `X-Robots-Tag` and robots meta tags that forbid an image, in lower case.
    directives: Vec<String>,
    signals: Vec<OptOutSignal>,
}

/// The product token of an agent string.
pub(crate) fn product_token(agent: &str) -> &str {
    agent.split(['/', ' ']).next().unwrap_or_default()
}

impl Policy {
    /// The policy of `[fetch]`.
    pub fn new(config: &FetchConfig) -> Self {
        Self {
            agent: product_token(&config.user_agent).to_lowercase(),
            directives: config.x_robots_tag.iter().map(|word| word.to_lowercase()).collect(),
            signals: config.opt_out.clone(),
        }
    }

    /// Whether a signal is followed.
    pub fn follows(&self, signal: OptOutSignal) -> bool {
        self.signals.contains(&signal)
    }

    /// What the headers of an answer forbid; `values` gives those of a name.
    pub fn headers<'a>(
        &self,
        url: &str,
        values: impl Fn(&str) -> Vec<Cow<'a, str>>,
    ) -> Option<OptOut> {
        if let Some(word) =
            directives::forbidden(&values("x-robots-tag"), &self.agent, &self.directives)
        {
            let text = format!("X-Robots-Tag: {word}");
            return Some(OptOut::new(Kind::XRobotsTag, text, None, url));
        }
        let reserved = |value: &Cow<str>| tdm::is_reserved(value);
        if self.follows(OptOutSignal::TdmReservation)
            && values("tdm-reservation").iter().any(reserved)
        {
            return Some(OptOut::new(Kind::TdmReservation, "tdm-reservation: 1", None, url));
        }
        // Headers of a name are one list (RFC 9651 section 4.2).
        if self.follows(OptOutSignal::ContentUsage)
            && train_ai(&values("content-usage").join(", ")) == Some(false)
        {
            return Some(OptOut::new(Kind::ContentUsage, "Content-Usage: train-ai=n", None, url));
        }
        None
    }

    /// What the meta tags of a page forbid for its images, with the page to find the line in.
    pub fn page(&self, url: &str, html: &[u8], page: &Extracted) -> Option<OptOut> {
        let metas = page.metas.iter().map(|(name, content)| (name.as_str(), content.as_str()));
        let (kind, name, content, word) = self.metas(metas)?;
        let text = format!("<meta name=\"{name}\" content=\"{word}\">");
        Some(OptOut::new(kind, text, directives::line_of_meta(html, name, content), url))
    }

    /// What meta tags forbid, by name and content; for pages of which no more is known.
    pub fn only_metas<'a>(
        &self,
        url: &str,
        metas: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Option<OptOut> {
        let (kind, name, _, word) = self.metas(metas)?;
        Some(OptOut::new(kind, format!("<meta name=\"{name}\" content=\"{word}\">"), None, url))
    }

    /// Kind, name, content and the word that decides.
    fn metas<'a>(
        &self,
        metas: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Option<(Kind, &'a str, &'a str, String)> {
        for (name, content) in metas {
            let name = name.trim();
            if name.eq_ignore_ascii_case("robots") || name.eq_ignore_ascii_case(&self.agent) {
                let content_list = [Cow::Borrowed(content)];
                let word = directives::forbidden(&content_list, &self.agent, &self.directives);
                if let Some(word) = word {
                    return Some((Kind::MetaRobots, name, content, word));
                }
            } else if name.eq_ignore_ascii_case("tdm-reservation")
                && self.follows(OptOutSignal::TdmReservation)
                && tdm::is_reserved(content)
            {
                return Some((Kind::TdmReservation, name, content, "1".to_owned()));
            }
        }
        None
    }

    /// What an image says of itself.
    pub fn image(&self, url: &str, image: &[u8]) -> Option<OptOut> {
        if !self.follows(OptOutSignal::C2pa) {
            return None;
        }
        let (label, entry, value) = c2pa::forbidden(image)?;
        let decider = format!("`{entry}: {value}` (assertion {label} of {url})");
        Some(OptOut { kind: Kind::C2pa, decider })
    }
}
