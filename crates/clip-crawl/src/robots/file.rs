//! What a robots.txt says to one crawler (RFC 9309, section 2.2).

use std::time::Duration;

use super::pattern::{matches, normalized};
use crate::opt_out::train_ai;

/// Sitemaps that are read of one host, those that an index names among them.
pub(crate) const SITEMAPS: usize = 50;
/// The names of a line's field, and usual misspellings of them (those of Google's parser).
const USER_AGENT: [&str; 3] = ["user-agent", "useragent", "user agent"];
const DISALLOW: [&str; 6] =
    ["disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw"];
const CRAWL_DELAY: [&str; 3] = ["crawl-delay", "crawldelay", "crawl delay"];
const CONTENT_USAGE: [&str; 1] = ["content-usage"];
const SITEMAP: [&str; 3] = ["sitemap", "site-map", "site map"];

/// The rules for one crawler, with the sitemaps, which are for all.
#[derive(Debug, Default)]
pub struct File {
    /// The most specific first; of equally long ones, those that allow.
    rules: Vec<Rule>,
    /// Whether what they match may be used for training; of equally long ones, those that forbid
    /// come first (draft-ietf-aipref-attach, section 3.1).
    usage: Vec<Rule>,
    /// Seconds between two requests.
    pub delay: Option<f64>,
    /// URLs of sitemaps, in their order.
    pub sitemaps: Vec<String>,
}

#[derive(Debug, PartialEq)]
struct Rule {
    /// In one spelling.
    pattern: Box<[u8]>,
    allows: bool,
    line: u32,
}

/// What a rule says, and its line in the file, from 1.
pub(crate) struct Line {
    pub text: String,
    pub number: usize,
}

impl File {
    /// The groups that name the crawler, else those of `*`, as one.
    pub fn parse(agent: &str, text: &[u8]) -> Self {
        let agent = product(agent.as_bytes());
        let (mut own, mut general) = (Group::default(), Group::default());
        let (mut for_own, mut for_all, mut naming, mut named) = (false, false, false, false);
        let mut sitemaps = Vec::new();
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        for (number, line) in lines(text) {
            let Some((field, value)) = field(line) else { continue };
            let is = |names: &[&str]| {
                names.iter().any(|name| field.eq_ignore_ascii_case(name.as_bytes()))
            };
            if is(&USER_AGENT) {
                if !naming {
                    (for_own, for_all, naming) = (false, false, true);
                }
                let of_all = value.first() == Some(&b'*')
                    && value.get(1).is_none_or(u8::is_ascii_whitespace);
                let of_us = !agent.is_empty() && product(value).eq_ignore_ascii_case(agent);
                named |= of_us;
                for_own |= of_us;
                for_all |= of_all;
                continue;
            }
            if is(&SITEMAP) {
                // Sitemaps are for all crawlers, and end no group.
                if sitemaps.len() < SITEMAPS
                    && let Ok(sitemap) = String::from_utf8(value.to_vec())
                {
                    sitemaps.push(sitemap);
                }
                continue;
            }
            let (delay, allows) = (is(&CRAWL_DELAY), field.eq_ignore_ascii_case(b"allow"));
            let usage = is(&CONTENT_USAGE);
            if !delay && !allows && !usage && !is(&DISALLOW) {
                continue;
            }
            let rule = |path: &[u8], allows| Rule {
                pattern: normalized(path, true).into(),
                allows,
                line: number,
            };
            naming = false;
            let groups = [(for_own, &mut own), (for_all, &mut general)];
            for (_, group) in groups.into_iter().filter(|(applies, _)| *applies) {
                if delay {
                    group.delay = seconds(value).or(group.delay);
                } else if usage {
                    let (path, preference) = usage_of(value);
                    group.usage.extend(preference.map(|allows| rule(path, allows)));
                } else if value.starts_with(b"/") || value.starts_with(b"*") {
                    group.rules.push(rule(value, allows));
                }
            }
        }
        let Group { rules, usage, delay } = if named { own } else { general };
        Self { rules: sorted(rules, true), usage: sorted(usage, false), delay, sitemaps }
    }

    /// The rule that forbids to fetch a path with its query, if one does: the longest pattern that
    /// matches decides.
    pub(crate) fn forbids(&self, path: &str) -> Option<Line> {
        let path = normalized(path.as_bytes(), false);
        let rule = longest(&self.rules, &path).filter(|rule| !rule.allows)?;
        let text = format!("Disallow: {}", String::from_utf8_lossy(&rule.pattern));
        (path != b"/robots.txt").then_some(Line { text, number: rule.line as usize })
    }

    /// The rule that forbids to train on what has a path with its query, if one does.
    pub(crate) fn forbids_training(&self, path: &str) -> Option<Line> {
        let path = normalized(path.as_bytes(), false);
        let rule = longest(&self.usage, &path).filter(|rule| !rule.allows)?;
        let pattern = String::from_utf8_lossy(&rule.pattern);
        let space = if pattern.is_empty() { "" } else { " " };
        let text = format!("Content-Usage: {pattern}{space}train-ai=n");
        Some(Line { text, number: rule.line as usize })
    }

    /// The time between two requests.
    pub fn delay(&self) -> Option<Duration> {
        self.delay.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        let rules = self.rules.iter().chain(&self.usage);
        let rules: usize = rules.map(|rule| rule.pattern.len() + size_of::<Rule>()).sum();
        let sitemaps: usize = self.sitemaps.iter().map(String::len).sum();
        size_of::<Self>() + rules + sitemaps
    }
}

#[derive(Default)]
struct Group {
    rules: Vec<Rule>,
    usage: Vec<Rule>,
    delay: Option<f64>,
}

/// Rules in the order in which they are tried: the longest first, of equally long ones those that
/// allow or those that forbid. Of equal ones the first stays.
fn sorted(mut rules: Vec<Rule>, allowing_first: bool) -> Vec<Rule> {
    let key = |rule: &Rule| (rule.pattern.len(), rule.allows == allowing_first);
    rules.sort_by(|a, b| (key(b), &b.pattern).cmp(&(key(a), &a.pattern)));
    rules.dedup_by(|a, b| a.pattern == b.pattern && a.allows == b.allows);
    rules.shrink_to_fit();
    rules
}

fn longest<'a>(rules: &'a [Rule], path: &[u8]) -> Option<&'a Rule> {
    rules.iter().find(|rule| matches(&rule.pattern, path))
}

/// Path and preference of a `Content-Usage` rule; the path may be missing, which means all.
fn usage_of(value: &[u8]) -> (&[u8], Option<bool>) {
    let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
    let (path, preference) =
        if value.starts_with(b"/") { value.split_at(end) } else { (&b""[..], value) };
    (path, train_ai(&String::from_utf8_lossy(preference)))
}

/// Lines with their numbers, from 1; they end as Google's parser ends them.
fn lines(text: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let (mut at, mut number) = (0, 1);
    text.split(|byte| b"\n\r\0".contains(byte)).map(move |line| {
        let this = number;
        at += line.len() + 1;
        // The end of a line may be two bytes.
        let half = text.get(at - 1) == Some(&b'\r') && text.get(at) == Some(&b'\n');
        number += u32::from(!half);
        (this, line)
    })
}

/// Name and value of a line, without its comment; a colon may be missing.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.split(|&byte| byte == b'#').next().unwrap_or_default().trim_ascii();
    let colon = line.iter().position(|&byte| byte == b':');
    let at = colon.or_else(|| line.iter().position(u8::is_ascii_whitespace))?;
    Some((line[..at].trim_ascii(), line[at + 1..].trim_ascii()))
}

/// The product token that a crawler's name begins with.
fn product(name: &[u8]) -> &[u8] {
    let length =
        name.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    &name[..length.count()]
}

/// A delay that is one, and at most a year, so that it may be added to a moment.
fn seconds(value: &[u8]) -> Option<f64> {
    let seconds: f64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    (seconds > 0.0).then(|| seconds.min(366.0 * 86_400.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(text: &str, agent: &str, path: &str) -> bool {
        File::parse(agent, text.as_bytes()).forbids(path).is_none()
    }

    /// RFC 9309, section 5.1.
    #[test]
    fn the_simple_example_of_the_rfc_is_read_as_it_says() {
        let text = "User-Agent: *\nDisallow: *.gif$\nDisallow: /example/\nAllow: /publications/\n\n\
                    User-Agent: foobot\nDisallow:/\nAllow:/example/page.html\nAllow:/example/allowed.gif\n\n\
                    User-Agent: barbot\nUser-Agent: bazbot\nDisallow: /example/page.html\n\n\
                    User-Agent: quxbot\n\nEOF\n";
        for (agent, path, allowed) in [
            ("other", "/a.gif", false),
            ("other", "/a.gif?x", true),
            ("other", "/example/x", false),
            ("other", "/publications/a", true),
            ("other", "/a", true),
            ("foobot", "/a", false),
            ("FooBot/1.0", "/example/page.html", true),
            ("foobot", "/example/allowed.gif", true),
            ("foobot", "/publications/", false),
            ("barbot", "/example/page.html", false),
            ("bazbot", "/example/page.html", false),
            ("barbot", "/a.gif", true),
            ("quxbot", "/a.gif", true),
            ("quxbot", "/example/", true),
        ] {
            assert_eq!(allows(text, agent, path), allowed, "{agent} {path}");
        }
    }

    /// RFC 9309, section 5.2, and "Order of precedence for rules" in Google's description.
    #[test]
    fn the_longest_match_decides_and_allow_wins_a_tie() {
        for (rules, path, allowed) in [
            (
                "Allow: /example/page/\nDisallow: /example/page/disallowed.gif",
                "/example/page/disallowed.gif",
                false,
            ),
            ("allow: /p\ndisallow: /", "/page", true),
            ("allow: /folder\ndisallow: /folder", "/folder/page", true),
            ("allow: /page\ndisallow: /*.htm", "/page.htm", false),
            ("allow: /page\ndisallow: /*.ph", "/page.php5", true),
            ("allow: /$\ndisallow: /", "/", true),
            ("allow: /$\ndisallow: /", "/page.htm", false),
            ("disallow:", "/a", true),
            ("disallow: a", "/a", true),
            ("disallow: /", "/robots.txt", true),
        ] {
            let text = format!("user-agent: *\n{rules}\n");
            assert_eq!(allows(&text, "foobot", path), allowed, "{rules} {path}");
        }
    }

    #[test]
    fn groups_are_found_as_google_finds_them() {
        // Groups of the same crawler are one; `*` counts only where no group names it.
        let text = "user-agent: a\ndisallow: /c\n\nuser-agent: *\ndisallow: /d\n\nuser-agent: A\ndisallow: /g\n";
        assert!(!allows(text, "a", "/c") && !allows(text, "a", "/g") && allows(text, "a", "/d"));
        assert!(!allows(text, "b", "/d") && allows(text, "b", "/c"));
        // A field that is no rule ends no list of names.
        let text = "user-agent: a\nsitemap: https://example.com/sitemap.xml\n\nuser-agent: b\ndisallow: /\n";
        assert!(!allows(text, "a", "/x") && !allows(text, "b", "/x"));
        assert_eq!(File::parse("c", text.as_bytes()).sitemaps, ["https://example.com/sitemap.xml"]);
        // The name is a whole token; what follows it is not compared.
        let text = "user-agent: googlebot-news (x)\ndisallow: /\n";
        assert!(!allows(text, "Googlebot-News/2", "/a") && allows(text, "googlebot", "/a"));
        // Byte order mark, line ends of all kinds, comments, a missing colon, a misspelt field.
        let text = "\u{feff}User-agent * # all\r\nDissallow /a#b\rAllow: /a/c";
        assert!(!allows(text, "x", "/a") && allows(text, "x", "/a/c"));
        assert!(allows("<html>not found</html>", "x", "/a"));
        assert!(allows("disallow: /\n", "x", "/a"), "a rule before any group is for none");
    }

    #[test]
    fn a_delay_is_a_number_of_the_crawlers_group() {
        let delay =
            |text: &str| File::parse("x", format!("user-agent: x\n{text}").as_bytes()).delay();
        assert_eq!(delay("crawl-delay: 2.5"), Some(Duration::from_millis(2500)));
        for nothing in
            ["crawl-delay: nan", "crawl-delay: -1", "crawl-delay: 0", "crawl-delay: soon", ""]
        {
            assert_eq!(delay(nothing), None, "{nothing}");
        }
        assert!(delay("crawl-delay: inf") == delay("crawl-delay: 99999999999999999999999"));
    }

    /// 51,000 rules of the kind that were a regular expression each: 550 MB for one host.
    #[test]
    fn a_file_of_patterns_takes_no_more_memory_than_itself_several_times() {
        let rules = |rule: &dyn Fn(usize) -> String| -> String { (0..35_000).map(rule).collect() };
        for text in [rules(&|n| format!("allow:{n:x}*$\n")), rules(&|n| format!("allow:*{n:x}$\n"))]
        {
            let file = File::parse("x", format!("user-agent: *\n{text}").as_bytes());
            assert!(file.bytes() < 6 * text.len(), "{} of {}", file.bytes(), text.len());
            assert!(file.forbids("/a").is_none());
        }
        assert!(
            File::parse("x", format!("user-agent: *\n{}", "allow:*$\n".repeat(51_000)).as_bytes())
                .bytes()
                < 1000
        );
    }
}
