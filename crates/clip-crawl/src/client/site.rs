//! The files of a URL's origin that say what may be done with it: robots.txt, ai.txt, tdmrep.json.

use std::sync::Arc;

use clip_pipeline::config::fetch::OptOutSignal;
use url::Url;

use super::{Client, Hop, Result, Wanted, check_url};
use crate::error::{FetchError, Kind};
use crate::opt_out::{TdmFile, product_token};
use crate::robots::{Rules, Site, TDM_FILE, at_root};

impl Client {
    /// Follows what the files of the URL's origin say.
    pub(super) async fn check_site(&self, url: &Url, wanted: Wanted) -> Result<()> {
        let files = [OptOutSignal::AiTxt, OptOutSignal::TdmrepJson];
        let files = files.iter().any(|signal| self.policy.follows(*signal));
        if !self.config.robots && !files {
            return Ok(());
        }
        let site = self.site(url).await;
        if self.config.robots {
            site.robots.check(url)?;
            if let Some(delay) = site.robots.delay() {
                let host = self.hosts.get(url.host_str().unwrap_or_default());
                self.hosts.slow_down(&host, delay);
            }
        }
        if wanted == Wanted::Sitemap {
            return Ok(());
        }
        if self.config.robots && self.policy.follows(OptOutSignal::ContentUsage) {
            site.robots.check_usage(url)?;
        }
        site.check_files(url)
    }

    pub(super) async fn site(&self, url: &Url) -> Arc<Site> {
        self.sites.site(url, |robots| self.site_files(robots)).await
    }

    /// The files of an origin, which say what may be done with the rest.
    async fn site_files(&self, robots: Url) -> Site {
        let agent = product_token(&self.config.user_agent);
        let rules = match self.site_file(robots.clone()).await {
            Ok(text) => Rules::parse(agent, &text),
            // Redirects without an end are no file (RFC 9309 section 2.3.1.2).
            Err(fault) if matches!(fault.kind, Kind::Http4xx | Kind::Redirects) => Rules::All,
            Err(fault) => Rules::Nothing(fault),
        };
        let mut site = Site::new(rules);
        if matches!(site.robots, Rules::Nothing(_)) {
            return site;
        }
        // What cannot be had of the others says nothing.
        if self.policy.follows(OptOutSignal::AiTxt) {
            let text = self.site_file(at_root(&robots, "/ai.txt")).await.ok();
            site.ai_txt = text.map(|text| Rules::parse(agent, &text));
        }
        if self.policy.follows(OptOutSignal::TdmrepJson) {
            let json = self.site_file(at_root(&robots, TDM_FILE)).await.ok();
            site.tdm = json.map(|json| TdmFile::parse(&json));
        }
        site
    }

    async fn site_file(&self, mut url: Url) -> Result<Vec<u8>> {
        let mut left = self.timeout;
        for _ in 0..=5 {
            check_url(&url, self.config.allow_private)?;
            match self.one(&url, Wanted::SiteFile, &mut left).await? {
                Hop::Reply(reply) => return Ok(reply.body),
                Hop::To(next) => url = next,
            }
        }
        Err(FetchError::new(Kind::Redirects, "too many redirects"))
    }
}
