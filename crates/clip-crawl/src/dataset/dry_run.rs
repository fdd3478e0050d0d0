//! What a fetch would do, from its list and its output alone: no host is asked, nothing is written.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use clip_pipeline::Result;
use url::Url;

use super::DatasetConfig;
use super::asks::{asks, spool_path};
use super::output::Output;
use super::prepare::{Planned, planned};
use super::run::listed;
use super::shards::{Shards, Skip};
use crate::client::check_url;
use crate::error::Kind;

/// Hosts that are counted one by one.
const HOSTS: usize = 1_000_000;
/// Hosts that are shown.
const SHOWN: usize = 5;

/// Shards and their rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Shards.
    pub shards: usize,
    /// Rows.
    pub rows: u64,
}

impl Amount {
    fn add(&mut self, rows: usize) {
        self.shards += 1;
        self.rows += rows as u64;
    }
}

/// What a fetch would do.
#[derive(Debug, Clone, Default)]
pub struct DryRun {
    /// The whole list.
    pub list: Amount,
    /// What is there already.
    pub there: Amount,
    /// What other jobs of the array do.
    pub other_jobs: Amount,
    /// What this run would fetch.
    pub left: Amount,
    /// Shards among these that an interrupted run began: what came of them is kept.
    pub begun: usize,
    /// URLs that would be asked, once for all rows of a shard.
    pub urls: u64,
    /// Rows without a URL that can be asked.
    pub without_url: u64,
    /// Rows of private networks, which are not asked without leave.
    pub private: u64,
    /// Rows of each host; hosts beyond a million are left out.
    pub hosts: HashMap<String, u64>,
    /// Whether there are more hosts.
    pub more_hosts: bool,
    /// Whether the whole list was read.
    pub interrupted: bool,
}

/// Reads the list to its end and compares it with what is there.
///
/// # Errors
/// As a fetch would: for settings that cannot work or differ from those of what is there, and for
/// a list that cannot be read.
pub fn dry_run(config: &DatasetConfig, cancel: &AtomicBool) -> Result<DryRun> {
    let (files, columns) = listed(config)?;
    let output = Output::open(&config.output_folder, config.job)?;
    let Planned { done, first, end, .. } = planned(config, &files, &columns, &output)?;
    let here = output.folder().to_path_buf();
    let config = &DatasetConfig { output_folder: here, ..config.clone() };
    let skip = Skip { done: done.clone(), job: config.job };
    let all = Skip { done: [].into(), job: None };
    let rows = config.number_sample_per_shard;
    let shards = Shards { files, columns, rows, first, end, skip: all };
    let mut plan = DryRun::default();
    shards.each(&mut |shard| {
        let rows = shard.rows.num_rows();
        plan.list.add(rows);
        if done.contains(&shard.id) {
            plan.there.add(rows);
        } else if skip.wants(shard.id) {
            plan.left.add(rows);
            plan.begun += usize::from(spool_path(config, shard.id).exists());
            for ask in asks(config, &shard, 0..rows) {
                let rows: usize = ask.variants.iter().map(|variant| variant.rows.len()).sum();
                let url = ask.url.filter(|_| ask.fault.is_none());
                let url = url.and_then(|url| Url::parse(&url).ok());
                let checked = url.map(|url| (check_url(&url, config.fetch.allow_private), url));
                match checked {
                    Some((Ok(()), url)) => plan.count(&url, rows as u64),
                    Some((Err(fault), _)) if fault.kind == Kind::BlockedAddress => {
                        plan.private += rows as u64;
                    }
                    Some((Err(_), _)) | None => plan.without_url += rows as u64,
                }
            }
        } else {
            plan.other_jobs.add(rows);
        }
        !cancel.load(Ordering::Relaxed)
    })?;
    plan.interrupted = cancel.load(Ordering::Relaxed);
    Ok(plan)
}

impl DryRun {
    /// Counts a URL that would be asked, and its rows.
    fn count(&mut self, url: &Url, rows: u64) {
        let host = url.host_str().unwrap_or_default();
        self.urls += 1;
        if let Some(count) = self.hosts.get_mut(host) {
            *count += rows;
        } else if self.hosts.len() < HOSTS {
            self.hosts.insert(host.to_owned(), rows);
        } else {
            self.more_hosts = true;
        }
    }
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let line = |f: &mut fmt::Formatter, name: &str, amount: Amount| {
            writeln!(f, "{name:<12} {:>9} rows in {} shards", amount.rows, amount.shards)
        };
        line(f, "list", self.list)?;
        line(f, "there", self.there)?;
        if self.other_jobs.shards > 0 {
            line(f, "other jobs", self.other_jobs)?;
        }
        line(f, "to fetch", self.left)?;
        if self.begun > 0 {
            let begun = "begun by an interrupted run: what came is kept";
            writeln!(f, "{:<12} {:>9} shards {begun}", "", self.begun)?;
        }
        if self.without_url > 0 {
            writeln!(f, "{:<12} {:>9} rows without a URL that can be asked", "", self.without_url)?;
        }
        if self.private > 0 {
            let private = "rows of private networks: not asked without --allow_private True";
            writeln!(f, "{:<12} {:>9} {private}", "", self.private)?;
        }
        let more = if self.more_hosts { "more than " } else { "" };
        writeln!(f, "{:<12} {:>9} URLs of {more}{} hosts", "to ask", self.urls, self.hosts.len())?;
        let mut hosts: Vec<(&String, &u64)> = self.hosts.iter().collect();
        hosts.sort_by_key(|(host, rows)| (std::cmp::Reverse(**rows), host.as_str()));
        for (host, rows) in hosts.into_iter().take(SHOWN) {
            writeln!(f, "{:<12} {rows:>9} rows of {host}", "")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_counted_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("list.csv");
        // Fourteen rows: four shards of 4, 4, 4 and 2.
        let mut text = "url\n".to_owned();
        for row in 0..10 {
            text += &format!("http://{}.example/{}\n", ["a", "b"][row % 2], row / 4);
        }
        let others = "http://127.0.0.1/\nftp://a.example/x\nhttp://\nnot a URL\n";
        std::fs::write(&list, text + others).unwrap();
        let out = dir.path().join("out");
        let config = DatasetConfig {
            url_list: list,
            output_folder: out.clone(),
            number_sample_per_shard: 4,
            job: Some((0, 2)),
            ..Default::default()
        };
        let cancel = AtomicBool::new(false);
        let plan = dry_run(&config, &cancel).unwrap();
        let amount = |shards, rows| Amount { shards, rows };
        assert_eq!((plan.list, plan.there), (amount(4, 14), amount(0, 0)));
        assert_eq!((plan.other_jobs, plan.left), (amount(2, 6), amount(2, 8)));
        // Two URLs in each shard: their rows repeat them.
        assert_eq!((plan.urls, plan.without_url, plan.private, plan.hosts.len()), (4, 1, 1, 2));
        assert_eq!(plan.hosts["a.example"], 3);
        assert!(!out.exists());
        std::fs::create_dir(&out).unwrap();
        std::fs::write(out.join("00000_stats.json"), "{}").unwrap();
        let plan = dry_run(&config, &cancel).unwrap();
        assert_eq!((plan.there, plan.left), (amount(1, 4), amount(1, 4)));
        let shown = plan.to_string();
        assert!(shown.contains(&format!("{:<12} {:>9} URLs of 2 hosts", "to ask", 2)), "{shown}");
        assert!(shown.contains("1 rows without a URL"), "{shown}");
        let private = "1 rows of private networks: not asked without --allow_private True";
        assert!(shown.contains(private), "{shown}");
    }
}
