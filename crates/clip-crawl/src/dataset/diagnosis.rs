//! What went wrong, for people: causes, hosts, and what to do about them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use clip_pipeline::config::fetch::FetchConfig;
use clip_pipeline::config::proxy::ProxySetting;

use super::outcome::kind_of;
use super::stats::{HostStats, Stats};
use crate::error::{Kind, may_pass, not_asked};
use crate::web::PAGE;

/// Hosts that are shown.
const HOSTS: usize = 10;

/// What a cause means.
const ADVICE: [(&str, &str); 31] = [
    (
        "dns",
        "no address for the name: many are gone, but at a high rate the resolver may be too slow; a caching one on this machine helps",
    ),
    ("timeout", "too slow: a later time, a larger --timeout or a smaller --thread_count may help"),
    ("connect", "no server answered at the address"),
    ("tls", "no TLS with the server: its certificate does not hold, or it speaks none"),
    ("proxy", "the proxy did not answer, wants another password, or could not reach the host"),
    ("broken", "the connection broke"),
    ("http_429", "the host was asked too often: --per_host and --host_delay_ms make it slower"),
    ("http_5xx", "the host had trouble of its own"),
    ("host_given_up", "the host failed too often in a row and was left alone"),
    ("http_4xx", "the image is gone, or not for everyone"),
    ("http_other", "an answer that is no success"),
    ("robots_txt", "the host's robots.txt forbids it"),
    ("x_robots_tag", "the image's X-Robots-Tag forbids it"),
    ("meta_robots", "a meta tag of its page forbids it"),
    ("content_usage", "Content-Usage of the image or of robots.txt says: not for training"),
    ("tdm_reservation", "the rights of text and data mining are reserved"),
    ("ai_txt", "the host's ai.txt forbids it"),
    ("c2pa", "the image's own C2PA assertion forbids it"),
    ("redirects", "too many redirects"),
    ("too_large", "the body is longer than --max_bytes"),
    ("bad_url", "not a URL that can be asked"),
    ("blocked_address", "a private address: --allow_private true allows your own network"),
    ("hash_mismatch", "the bytes changed since the list was made"),
    ("not_an_image", "not an image, often a page that says so"),
    ("unsupported_format", "an image of a format that is not decoded: HEIC, JPEG 2000"),
    ("undecodable", "an image that is damaged"),
    ("too_many_pixels", "more pixels than --max_pixels"),
    ("image_too_small", "under --min_image_size"),
    ("image_area_too_large", "over --max_image_area"),
    ("aspect_ratio_too_large", "over --max_aspect_ratio"),
    ("unencodable", "it could not be encoded"),
];

/// The text that a run ends with; nothing when every row is there as it was expected. `command` is
/// `clip-data retry` with what it is about.
pub fn diagnosis(stats: &Stats, command: &str) -> String {
    causes(stats) + &retry_hint(&stats.error_kinds, command)
}

/// The text that a retry of the rows that `wanted` means ends with: causes, and how to ask for what
/// was not asked, by the same condition.
pub fn retry_diagnosis(stats: &Stats, command: &str, wanted: &str) -> String {
    if stats.count == 0 {
        return "no failed row meets the condition\n".into();
    }
    let asked = asked_alone(stats);
    let mut text = causes(&asked) + &retry_hint(&asked.error_kinds, command);
    let not_asked = stats.not_asked();
    if not_asked == 0 {
        return text;
    }
    let kinds = stats.error_kinds.iter().filter(|(kind, _)| !asked.error_kinds.contains_key(*kind));
    let kinds: Vec<String> = kinds.map(|(kind, count)| format!("{kind} {count}")).collect();
    let kinds = kinds.join(", ");
    let _ = writeln!(text, "not asked, with the errors that they had: {not_asked} ({kinds})");
    let wanted = quoted(wanted);
    let count = |kind: Kind| stats.error_kinds.get(kind.name()).copied().unwrap_or(0);
    if count(Kind::BlockedAddress) > 0 {
        let _ = writeln!(text, "{PRIVATE}\n  {command} --allow_private True --where {wanted}");
    }
    if count(Kind::HostGivenUp) > 0 {
        let _ = writeln!(text, "to ask hosts that were left alone, later:");
        let _ = writeln!(text, "  {command} --where {wanted}");
    }
    text
}

/// The statistics of the rows that were asked: what was not asked did not fail anew.
fn asked_alone(stats: &Stats) -> Stats {
    let mut asked = stats.clone();
    let skipped = stats.not_asked();
    asked.count -= skipped;
    asked.failed_to_download = asked.failed_to_download.saturating_sub(skipped);
    asked.error_kinds.retain(|kind, _| !not_asked(kind));
    for host in asked.hosts.values_mut() {
        host.count -= host
            .error_kinds
            .iter()
            .filter(|(kind, _)| not_asked(kind))
            .map(|(_, n)| n)
            .sum::<u64>();
        host.error_kinds.retain(|kind, _| !not_asked(kind));
    }
    asked
}

const PRIVATE: &str = "to ask for private addresses too, if the network is your own:";

/// `clip-data retry` of a data set that was fetched in this way.
pub fn retry_command(folder: &Path, fetch: &FetchConfig) -> String {
    format!("clip-data retry {}{}", shell_word(folder), access_flags(fetch))
}

/// A path on a shell's command line, in quotes where it needs them.
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let safe = |c: char| c.is_alphanumeric() || "_-./:=,@%+".contains(c);
    if text.chars().all(safe) { text } else { quoted(&text) }
}

/// The flags that must be given again: the settings of a data set do not decide which networks are
/// asked, and through whom.
pub fn access_flags(fetch: &FetchConfig) -> String {
    let mut flags = String::new();
    if fetch.allow_private {
        flags.push_str(" --allow_private True");
    }
    if !fetch.dns.is_empty() {
        let _ = write!(flags, " --dns {}", quoted(&fetch.dns.join(",")));
    }
    match &fetch.proxy {
        Some(proxy) if *proxy == ProxySetting::new("none") => flags.push_str(" --proxy none"),
        // It may hold a password, and is not printed.
        Some(_) => flags.push_str(" --proxy …"),
        None => {}
    }
    if let (Some(key), Some(url)) = (&fetch.identity_key, &fetch.identity_url) {
        let key = shell_word(key);
        let _ = write!(flags, " --identity_key {key} --identity_url {}", quoted(url));
    }
    flags
}

/// A word of a shell's command line.
fn quoted(text: &str) -> String {
    let mut word = String::from("\"");
    for c in text.chars() {
        if "\"\\$`".contains(c) {
            word.push('\\');
        }
        word.push(c);
    }
    word + "\""
}

/// How many of `rows` rows failed, and why: kinds, or messages of img2dataset's tables, the most
/// frequent first; nothing where none failed.
pub fn failures(causes: &[(&str, u64)], failed: u64, rows: u64) -> String {
    let mut text = String::new();
    if failed == 0 {
        return text;
    }
    let share = |count: u64| 100.0 * count as f64 / rows.max(1) as f64;
    let _ = writeln!(text, "{failed} of {rows} rows failed ({:.1}%):", share(failed));
    let advice = |cause: &str| {
        let known = |kind: &str| ADVICE.iter().find(|(known, _)| *known == kind);
        known(cause).or_else(|| known(kind_of(cause)?)).map_or("", |(_, text)| text)
    };
    for (cause, count) in causes {
        let line = format!("{count:>10} {:>5.1}%  {cause:<22} {}", share(*count), advice(cause));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn causes(stats: &Stats) -> String {
    let mut text = String::new();
    let (kept, count) = (stats.kept_mismatches(), stats.count);
    if kept > 0 {
        let _ = writeln!(
            text,
            "{kept} of {count} rows have another image than the list expects, and were kept: their error_kind is hash_mismatch"
        );
    }
    let failed = stats.failed_to_download + stats.failed_to_resize;
    let mut kinds: Vec<(&str, u64)> =
        stats.error_kinds.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    kinds.sort_by_key(|(kind, count)| (Reverse(*count), *kind));
    text.push_str(&failures(&kinds, failed, stats.count));
    let mut hosts: Vec<(&String, &HostStats)> = stats.hosts.iter().collect();
    hosts.sort_by_key(|(name, host)| (Reverse(host.failures()), name.as_str()));
    hosts.retain(|(_, host)| host.failures() > 0);
    if !hosts.is_empty() {
        let _ = writeln!(text, "hosts with the most failures ({} have any):", hosts.len());
    }
    hosts.truncate(HOSTS);
    for (name, host) in &hosts {
        let mut kinds: Vec<_> = host.error_kinds.iter().collect();
        kinds.sort_by_key(|(kind, count)| (Reverse(**count), kind.as_str()));
        let kinds: Vec<String> =
            kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let name = if name.is_empty() { "(no host)" } else { name.as_str() };
        let failures = host.failures();
        let count = format!("{}{}", host.count, if host.at_least { "+" } else { "" });
        let _ = writeln!(text, "{failures:>10} of {count:<8} {name:<30} {}", kinds.join(", "));
    }
    if hosts.iter().any(|(_, host)| host.at_least) {
        let _ = writeln!(text, "+: at least, there were too many hosts to count all of them");
    }
    text
}

/// How to ask again for what may pass, and for addresses of the user's own network; `command` is
/// `clip-data retry` with what it is about. Nothing where no row failed for such a reason.
pub fn retry_hint(kinds: &BTreeMap<String, u64>, command: &str) -> String {
    let mut text = String::new();
    let mut again: Vec<_> =
        kinds.iter().filter(|(kind, count)| **count > 0 && may_pass(kind)).collect();
    again.sort_by_key(|(kind, count)| (Reverse(**count), kind.as_str()));
    if !again.is_empty() {
        let again: Vec<String> = again.iter().map(|(kind, _)| format!("'{kind}'")).collect();
        let again = again.join(", ");
        let _ = writeln!(text, "to ask again for what may pass:");
        let _ = writeln!(text, "  {command} --where \"error_kind in ({again})\"");
    }
    let blocked = Kind::BlockedAddress.name();
    if kinds.get(blocked).is_some_and(|count| *count > 0) {
        let _ = writeln!(text, "{PRIVATE}");
        let _ =
            writeln!(text, "  {command} --allow_private True --where \"error_kind = '{blocked}'\"");
    }
    text
}

/// How to ask again for pages of a crawl that may answer another time. `dropped` are counts by
/// reason of the stage that collects, and `command` is the build's that does this stage again.
pub fn pages_hint(dropped: &BTreeMap<String, u64>, command: &str) -> String {
    let may = |reason: &str| reason.strip_prefix(PAGE).is_some_and(may_pass);
    match dropped.iter().filter(|(reason, _)| may(reason)).map(|(_, count)| count).sum::<u64>() {
        0 => String::new(),
        pages => format!("to ask again for pages that gave no answer ({pages}):\n  {command}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_reasons_in_the_docs_has_every_cause() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats.md");
        let docs = std::fs::read_to_string(docs).unwrap();
        for (kind, _) in ADVICE {
            assert!(docs.contains(&format!("`{kind}`")), "{kind}");
        }
    }

    #[test]
    fn pages_that_may_answer_are_asked_again_by_a_build() {
        let hint = |dropped: &[(&str, u64)]| {
            let dropped = dropped.iter().map(|&(reason, count)| (reason.to_owned(), count));
            pages_hint(&dropped.collect(), "clip-data build --from collect")
        };
        assert_eq!(hint(&[("page_http_4xx", 3), ("connect", 2), ("few_words", 1)]), "");
        assert_eq!(
            hint(&[("page_connect", 1), ("page_timeout", 2), ("page_robots_txt", 4)]),
            "to ask again for pages that gave no answer (3):\n  clip-data build --from collect\n"
        );
    }

    #[test]
    fn rows_with_another_image_that_were_kept_are_counted() {
        let mut stats = Stats { count: 10, successes: 9, ..Default::default() };
        stats.status_dict = [("success".into(), 6), ("hash mismatch".into(), 3)].into();
        let text = diagnosis(&stats, "clip-data retry out");
        assert!(text.starts_with("3 of 10 rows have another image"), "{text}");
        stats.failed_to_download = 3;
        stats.error_kinds = [("hash_mismatch".into(), 3)].into();
        assert!(!diagnosis(&stats, "clip-data retry out").contains("were kept"));
    }

    #[test]
    fn causes_hosts_and_the_next_command_are_named() {
        let mut stats =
            Stats { count: 10, successes: 7, failed_to_download: 3, ..Default::default() };
        stats.error_kinds = [("timeout".into(), 2), ("http_4xx".into(), 1)].into();
        let host = HostStats { count: 4, error_kinds: stats.error_kinds.clone(), at_least: false };
        stats.hosts = [("slow.example".into(), host)].into();
        let text = diagnosis(&stats, "clip-data retry out");
        for words in [
            "3 of 10 rows failed (30.0%)",
            "slow.example",
            "timeout 2, http_4xx 1",
            "clip-data retry out --where \"error_kind in ('timeout')\"",
        ] {
            assert!(text.contains(words), "{words}:\n{text}");
        }
        assert!(!text.contains("allow_private"), "{text}");
        stats.error_kinds.insert("blocked_address".into(), 2);
        let text = diagnosis(&stats, "clip-data retry out");
        let line = "  clip-data retry out --allow_private True --where \"error_kind = 'blocked_address'\"\n";
        assert!(text.contains(line), "{text}");
        assert_eq!(
            diagnosis(&Stats { count: 3, successes: 3, ..Default::default() }, "clip-data retry o"),
            ""
        );
    }

    #[test]
    fn a_retry_has_the_flags_of_the_run_and_its_condition_where_rows_were_not_asked() {
        let mut fetch = FetchConfig::default();
        assert_eq!(retry_command(Path::new("a/out"), &fetch), "clip-data retry a/out");
        fetch.allow_private = true;
        fetch.dns = vec!["1.1.1.1".into(), "[::1]:5353".into()];
        fetch.proxy = Some(ProxySetting::new("http://me:secret@proxy:1"));
        (fetch.identity_key, fetch.identity_url) = (Some("k.pem".into()), Some("https://e".into()));
        let command = retry_command(Path::new("my $set"), &fetch);
        let expected = "clip-data retry \"my \\$set\" --allow_private True --dns \"1.1.1.1,[::1]:5353\" --proxy … --identity_key k.pem --identity_url \"https://e\"";
        assert_eq!(command, expected);
        let wanted = "error_message like '%404%'";
        let mut stats = Stats { count: 3, failed_to_download: 3, ..Default::default() };
        stats.error_kinds = [("blocked_address".into(), 2), ("timeout".into(), 1)].into();
        let text = retry_diagnosis(&stats, "R", wanted);
        for words in [
            "1 of 1 rows failed",
            "  R --where \"error_kind in ('timeout')\"\n",
            "not asked, with the errors that they had: 2 (blocked_address 2)\n",
            "  R --allow_private True --where \"error_message like '%404%'\"\n",
        ] {
            assert!(text.contains(words), "{words}:\n{text}");
        }
        assert!(retry_diagnosis(&Stats::default(), "R", wanted).starts_with("no failed row"));
    }
}
