//! How hosts that cannot keep up are backed off from, by their own logs.

use std::path::Path;
use std::process::Command;

use clip_image::encode_jpeg;
use clip_testkit::limited::{Asked, Behaviour, LimitedHost};

use crate::world::{executable, smooth_image};

/// Requests in a second that the limited hosts bear: the first rate is 20.
const BEARS: usize = 30;
/// How long a host may be silent, in seconds.
const TIMEOUT: u32 = 1;
/// Failed requests in a row after which a host is left alone.
const FAULTS: usize = 5;

/// A host that keeps up, and hosts that do not, with the rows of each.
struct Hosts {
    all: [(LimitedHost, usize); 5],
}

impl Hosts {
    fn start(subnet: u8) -> Self {
        let image = encode_jpeg(&smooth_image(1), 80).unwrap();
        let mut next = 0;
        let mut start = |behaviour, rows| {
            next += 1;
            let ip = format!("127.0.{subnet}.{next}").parse().unwrap();
            (LimitedHost::start(ip, behaviour, image.clone()).unwrap(), rows)
        };
        let too_many = |retry_after| Behaviour::TooMany { bears: BEARS, retry_after };
        let all = [
            start(Behaviour::Steady, 1200),
            start(Behaviour::Slows { bears: BEARS }, 250),
            start(too_many(None), 200),
            start(too_many(Some(1)), 200),
            start(Behaviour::Silent, 30),
        ];
        Self { all }
    }

    /// URLs of all rows, mixed.
    fn urls(&self) -> Vec<String> {
        let rows = |row: usize| {
            let some = self.all.iter().filter(move |(_, rows)| row < *rows);
            some.map(move |(host, _)| host.url(&format!("/{row}.jpg")))
        };
        (0..1200).flat_map(rows).collect()
    }

    fn check(&self) {
        let logs: Vec<Vec<Asked>> = self.all.iter().map(|(host, _)| host.log()).collect();
        let [steady, slow, busy, later, silent] = logs.as_slice() else { unreachable!() };
        let first_bad = |log: &[Asked]| log.iter().find(|asked| asked.bad).unwrap().at;
        let second_before = |log: &[Asked]| {
            let at = first_bad(log);
            count(log, at - 1.0, at)
        };
        let after = |log: &[Asked], from: f64, to: f64| {
            let at = first_bad(log);
            count(log, at + from, at + to)
        };
        // Too many: in two seconds less than was asked before in one and a third.
        for log in [busy, later] {
            let (before, after) = (second_before(log), after(log, 0.0, 2.0));
            assert!(before > BEARS && 3 * after <= 4 * before, "{before} {after}");
        }
        // What is asked to be left alone for a second is, but for what was sent before that came.
        let early = after(later, 0.0, 0.9);
        assert!(early <= 2, "{early}");
        // One that slows down is asked as much as it answers in time.
        let at = first_bad(slow) + 2.0;
        let then: Vec<&Asked> = slow.iter().filter(|asked| asked.at > at).collect();
        let late = then.iter().filter(|asked| asked.bad).count();
        assert!(then.len() >= 20 && 2 * late < then.len(), "{late} of {}", then.len());
        // One that never answers costs a request, then two, then one at a time, and is left alone.
        let in_two = after(silent, 0.0, f64::from(TIMEOUT) + 2.0);
        assert!(in_two <= 4 && silent.len() <= FAULTS + 1, "{in_two} {}", silent.len());
        // Meanwhile the host that keeps up is asked at its first rate and more.
        for log in [slow, busy, later, silent] {
            let at = first_bad(log);
            let asked = count(steady, at, at + 2.0);
            assert!(asked >= 30, "{asked} requests in two seconds");
        }
        let last = steady.last().unwrap().at;
        assert!(count(steady, last - 1.0, last) > 2 * BEARS, "its rate rises");
    }
}

fn count(log: &[Asked], from: f64, to: f64) -> usize {
    log.iter().filter(|asked| asked.at > from && asked.at <= to).count()
}

fn run(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new(executable("clip-data"));
    let output = command.args(args).current_dir(folder).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn fetch_backs_off_from_hosts_that_cannot_keep_up_and_from_no_other() {
    let hosts = Hosts::start(5);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("urls.txt"), hosts.urls().join("\n")).unwrap();
    let (timeout, faults) = (TIMEOUT.to_string(), FAULTS.to_string());
    let args = ["fetch", "urls.txt", "--output_folder=out", "--output_format=dummy"];
    let args = [&args[..], &["--allow_private", "--number_sample_per_shard=200"]].concat();
    let more = ["--timeout", &timeout, "--host_faults", &faults, "--retries", "5"];
    let printed = run(folder.path(), &[&args[..], &more].concat());
    hosts.check();
    hosts.check();
    assert!(printed.contains("30 of 1880 rows failed"), "only those of the silent host: {printed}");
}

#[test]
fn a_build_backs_off_from_hosts_that_cannot_keep_up_and_from_no_other() {
    let hosts = Hosts::start(6);
    let folder = tempfile::tempdir().unwrap();
    let rows = hosts.urls().into_iter().enumerate();
    let rows: String = rows.map(|(row, url)| format!("{url},caption {row}\n")).collect();
    std::fs::write(folder.path().join("list.csv"), format!("url,caption\n{rows}")).unwrap();
    let pipeline = format!(
        "schema = 1\nname = \"r\"\n[source]\nkind = \"list\"\npaths = [\"list.csv\"]\n\
         part_rows = 200\n[fetch]\nallow_private = true\nretries = 5\nhost_faults = {FAULTS}\n\
         idle_timeout = {TIMEOUT}.0\n"
    );
    std::fs::write(folder.path().join("pipeline.toml"), pipeline).unwrap();
    let printed = run(folder.path(), &["build"]);
    hosts.check();
    hosts.check();
    let fetched = printed.lines().find(|line| line.starts_with("fetch")).unwrap();
    let counts: Vec<&str> = fetched.split_whitespace().skip(1).collect();
    assert_eq!(counts, ["1880", "1850", "30"], "only those of the silent host");
}
