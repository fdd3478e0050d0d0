//! What happened, counted: by status, by cause, by host.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

use super::outcome::{Done, HASH_MISMATCH, HASH_MISMATCH_KIND, Status};
use crate::error::not_asked;

/// Different messages that are counted: img2dataset's bound, so that a list of unique ones stays
/// small.
const MESSAGES: usize = 100_000;
/// Hosts that a shard lists, and that a run lists.
const HOSTS: usize = 1_000;
const ALL_HOSTS: usize = 100_000;

/// `_stats.json`: img2dataset's keys, then causes and hosts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Rows.
    pub count: u64,
    /// Different URLs among the rows of each shard: each is asked once for all its rows.
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
    /// Hosts with failures, the worst ones where there are many.
    #[serde(default)]
    pub hosts: BTreeMap<String, HostStats>,
}

/// A host's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStats {
    /// Rows.
    pub count: u64,
    /// Failed rows by cause.
    pub error_kinds: BTreeMap<String, u64>,
}

impl HostStats {
    /// Failed rows.
    pub fn failures(&self) -> u64 {
        self.error_kinds.values().sum()
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
        *self.status_dict.entry(message.to_owned()).or_default() += 1;
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

    /// Drops what a shard's file need not hold: hosts without failures, and all but the worst.
    pub(crate) fn trimmed(mut self) -> Self {
        self.hosts.retain(|_, host| host.failures() > 0);
        keep_most(&mut self.hosts, HOSTS, HostStats::failures);
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
            let mine = self.hosts.entry(name.clone()).or_default();
            mine.count += host.count;
            merge(&mut mine.error_kinds, &host.error_kinds);
        }
        keep_most(&mut self.hosts, ALL_HOSTS, HostStats::failures);
        keep_most(&mut self.status_dict, MESSAGES, |count| *count);
    }
}

fn merge(into: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>) {
    for (key, count) in from {
        *into.entry(key.clone()).or_default() += count;
    }
}

/// At the bound, the larger half stays.
fn keep_most<T>(map: &mut BTreeMap<String, T>, most: usize, size: impl Fn(&T) -> u64) {
    if map.len() <= most {
        return;
    }
    let mut sizes: Vec<u64> = map.values().map(&size).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let least = sizes[most / 2];
    let mut ties = most / 2 - sizes[..most / 2].iter().filter(|s| **s > least).count();
    map.retain(|_, value| {
        let size = size(value);
        let stays = size > least || (size == least && ties > 0);
        if stays && size == least {
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
        assert!(!all.hosts.contains_key("a.com"));
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
