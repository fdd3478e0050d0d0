//! What happened, counted: by status, by cause, by host.

use std::collections::BTreeMap;

use clip_corpus::status_key;
use serde::{Deserialize, Serialize};
use url::Url;

use super::outcome::{Done, HASH_MISMATCH, HASH_MISMATCH_KIND, Status};
use crate::error::not_asked;

/// Different messages that are counted: img2dataset's bound, so that a list of unique ones stays
/// small.
const MESSAGES: usize = 100_000;
/// Hosts that a shard lists, as many as it has rows by default, and that a run lists.
const HOSTS: usize = 10_000;
const ALL_HOSTS: usize = 100_000;

/// `_stats.json`: img2dataset's keys, then causes and hosts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Rows.
    pub count: u64,
    /// Different URLs that were asked for the rows of each shard: each once for all its rows.
    #[serde(default)]
    pub urls: u64,
    /// Rows in the data set.
    pub successes: u64,
    /// Rows that did not come.
    pub failed_to_download: u64,
    /// Rows that came but may not stay.
    pub failed_to_resize: u64,
    /// Seconds from the first row asked to the last written.
    pub duration: f64,
    /// Start, in seconds since 1970.
    pub start_time: f64,
    /// End, in seconds since 1970.
    pub end_time: f64,
    /// Rows by message, `success` among them.
    pub status_dict: BTreeMap<String, u64>,
    /// Failed rows by cause.
    #[serde(default)]
    pub error_kinds: BTreeMap<String, u64>,
    /// Hosts, those with the most failures where there are many.
    #[serde(default)]
    pub hosts: BTreeMap<String, HostStats>,
    /// Whether hosts were left out, of which more rows may have come since.
    #[serde(skip)]
    pub left_out: bool,
}

/// A host's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStats {
    /// Rows.
    pub count: u64,
    /// Failed rows by cause.
    pub error_kinds: BTreeMap<String, u64>,
    /// Whether it may have more rows than these: it came when hosts had been left out.
    #[serde(skip)]
    pub at_least: bool,
}

impl HostStats {
    /// Failed rows.
    pub fn failures(&self) -> u64 {
        self.error_kinds.values().sum()
    }

    /// Where not all hosts stay, those with the most failures do, and among these the largest.
    fn rank(&self) -> (u64, u64) {
        (self.failures(), self.count)
    }
}

impl Stats {
    /// Counts a row.
    pub(super) fn add(&mut self, url: Option<&str>, done: &Done) {
        *match done.status {
            Status::Success => &mut self.successes,
            Status::FailedToDownload => &mut self.failed_to_download,
            Status::FailedToResize => &mut self.failed_to_resize,
        } += 1;
        let message = done.message.as_deref().unwrap_or(Status::Success.name());
        *self.status_dict.entry(status_key(message).to_owned()).or_default() += 1;
        self.cause(url, done.kind.as_deref().filter(|_| done.status != Status::Success));
    }

    /// Counts a row of a build's fetch; `reason` is why it was dropped.
    pub(crate) fn add_built(&mut self, url: Option<&str>, reason: Option<&str>) {
        *match reason {
            None => &mut self.successes,
            Some(_) => &mut self.failed_to_download,
        } += 1;
        self.cause(url, reason);
    }

    fn cause(&mut self, url: Option<&str>, kind: Option<&str>) {
        self.count += 1;
        let host = url.and_then(|url| Url::parse(url.trim()).ok());
        let host = host.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        let host = self.hosts.entry(host).or_default();
        host.count += 1;
        if let Some(kind) = kind {
            *self.error_kinds.entry(kind.to_owned()).or_default() += 1;
            *host.error_kinds.entry(kind.to_owned()).or_default() += 1;
        }
    }

    /// Rows that were not asked: of a private network, or of a host that was left alone.
    pub fn not_asked(&self) -> u64 {
        let kinds = self.error_kinds.iter().filter(|(kind, _)| not_asked(kind));
        kinds.map(|(_, count)| count).sum()
    }

    /// Rows that are in the data set although their image is not the one that the list expects.
    pub(super) fn kept_mismatches(&self) -> u64 {
        let count = |counts: &BTreeMap<String, u64>, key| counts.get(key).copied().unwrap_or(0);
        let failed = count(&self.error_kinds, HASH_MISMATCH_KIND);
        count(&self.status_dict, HASH_MISMATCH).saturating_sub(failed)
    }

    /// Drops what a shard's file need not hold: hosts and messages beyond a bound.
    pub(crate) fn trimmed(mut self) -> Self {
        keep_most(&mut self.hosts, HOSTS, HostStats::rank);
        keep_most(&mut self.status_dict, MESSAGES, |count| *count);
        self
    }

    /// Adds a shard's.
    pub fn merge(&mut self, other: &Stats) {
        self.count += other.count;
        self.urls += other.urls;
        self.successes += other.successes;
        self.failed_to_download += other.failed_to_download;
        self.failed_to_resize += other.failed_to_resize;
        merge(&mut self.status_dict, &other.status_dict);
        merge(&mut self.error_kinds, &other.error_kinds);
        for (name, host) in &other.hosts {
            let at_least = self.left_out;
            let new = || HostStats { at_least, ..HostStats::default() };
            let mine = self.hosts.entry(name.clone()).or_insert_with(new);
            mine.count += host.count;
            merge(&mut mine.error_kinds, &host.error_kinds);
        }
        self.left_out |= self.hosts.len() > ALL_HOSTS;
        keep_most(&mut self.hosts, ALL_HOSTS, HostStats::rank);
        keep_most(&mut self.status_dict, MESSAGES, |count| *count);
    }
}

fn merge(into: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>) {
    for (key, count) in from {
        *into.entry(key.clone()).or_default() += count;
    }
}

/// At the bound, the larger half stays.
fn keep_most<T, S: Ord>(map: &mut BTreeMap<String, T>, most: usize, size: impl Fn(&T) -> S) {
    if map.len() <= most {
        return;
    }
    let mut sizes: Vec<S> = map.values().map(&size).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let least = &sizes[most / 2];
    let mut ties = most / 2 - sizes[..most / 2].iter().filter(|s| *s > least).count();
    map.retain(|_, value| {
        let size = size(value);
        let stays = size > *least || (size == *least && ties > 0);
        if stays && size == *least {
            ties -= 1;
        }
        stays
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_by_status_cause_and_host() {
        let done = |status, kind: Option<&'static str>, message: Option<&str>| Done {
            status,
            message: message.map(str::to_owned),
            kind: kind.map(Into::into),
            size: None,
            original: None,
            exif: None,
            hash: None,
        };
        let mut stats = Stats::default();
        stats.add(Some("http://a.com/1"), &done(Status::Success, None, None));
        let failed = done(Status::FailedToDownload, Some("dns"), Some("no name"));
        stats.add(Some("http://b.com/1"), &failed);
        stats.add(None, &failed);
        let mut all = Stats::default();
        let shard = stats.trimmed();
        all.merge(&shard);
        all.merge(&shard);
        assert_eq!((all.count, all.successes, all.failed_to_download), (6, 2, 4));
        assert_eq!(all.status_dict["success"], 2);
        assert_eq!(all.error_kinds["dns"], 4);
        assert_eq!(all.hosts["b.com"].failures(), 2);
        assert_eq!((all.hosts["a.com"].count, all.hosts["a.com"].failures()), (2, 0));
    }

    #[test]
    fn the_rows_of_a_host_are_those_of_all_shards_and_at_least_those_where_hosts_were_left_out() {
        let shard = |url: &str, reason| {
            let mut stats = Stats::default();
            stats.add_built(Some(url), reason);
            stats
        };
        let mut all = Stats::default();
        all.merge(&shard("http://a.com/1", None));
        all.merge(&shard("http://a.com/2", Some("dns")));
        assert_eq!((all.hosts["a.com"].count, all.hosts["a.com"].failures()), (2, 1));
        let mut many = Stats::default();
        for host in 0..ALL_HOSTS {
            many.add_built(Some(&format!("http://h{host}.com/")), None);
        }
        all.merge(&many);
        assert!(all.hosts.len() <= ALL_HOSTS);
        all.merge(&shard("http://late.com/", Some("dns")));
        assert!(all.hosts["late.com"].at_least && !all.hosts["a.com"].at_least);
    }

    #[test]
    fn the_most_frequent_half_stays() {
        let mut map: BTreeMap<String, u64> =
            (0..100).map(|i| (i.to_string(), if i < 3 { 9 } else { 1 })).collect();
        keep_most(&mut map, 20, |count| *count);
        assert_eq!(map.len(), 10);
        assert!(["0", "1", "2"].iter().all(|key| map.contains_key(*key)));
    }
}
