//! What is asked of hosts: a URL once for all its rows, and after a kill only what is not on disk
//! yet.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use arrow::array::{Array, AsArray};
use clip_corpus::{ShardReader, read_parquet};
use clip_image::encode_jpeg;
use clip_testkit::faults::{FaultSite, Robots};
use serde_json::Value;

use crate::world::{content, executable, smooth_image};

struct Place {
    folder: tempfile::TempDir,
    site: FaultSite,
}

impl Place {
    fn new() -> Self {
        let image = encode_jpeg(&smooth_image(1), 92).unwrap();
        let site = FaultSite::start("127.0.0.1".parse().unwrap(), image, Robots::Missing).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), site }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A list of these paths of the site, each with a caption.
    fn list(&self, paths: impl Iterator<Item = String>) {
        let row = |(row, path): (usize, String)| {
            format!("{},a caption of its own {row}\n", self.site.url(&path))
        };
        let rows: String = paths.enumerate().map(row).collect();
        std::fs::write(self.path("list.csv"), format!("url,caption\n{rows}")).unwrap();
    }

    /// A build of the list in one part.
    fn pipeline(&self, delay: u32) {
        let text = format!(
            "schema = 1\nname = \"r\"\n[source]\nkind = \"list\"\npaths = [\"list.csv\"]\n\
             [fetch]\nallow_private = true\nper_host = 1\nhost_delay_ms = {delay}\nretries = 0\n"
        );
        std::fs::write(self.path("pipeline.toml"), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(executable("clip-data"));
        command.args(args).current_dir(self.folder.path());
        command
    }

    fn good(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}\n{errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command until `enough` of the rows were asked, and kills it.
    fn killed(&self, args: &[&str], enough: usize, rows: usize) {
        let mut command = self.command(args);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while self.hits(rows).iter().sum::<usize>() < enough {
            std::thread::sleep(Duration::from_millis(2));
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn hits(&self, rows: usize) -> Vec<usize> {
        (0..rows).map(|row| self.site.hits(&format!("/n/{row}"))).collect()
    }
}

/// Numbers in the JSON of a spool's whole records: rows of a shard, or asks of a part.
fn spooled(path: &Path) -> HashSet<usize> {
    let bytes = std::fs::read(path).unwrap();
    let mut found = HashSet::new();
    let mut at = 32;
    while let Some(head) = bytes.get(at..at + 32) {
        let number = |from: usize| u64::from_le_bytes(head[from..from + 8].try_into().unwrap());
        let (all, meta) = (number(0) as usize, number(8) as usize);
        if bytes.len() < at + 32 + all {
            break;
        }
        let json: Value = serde_json::from_slice(&bytes[at + 32..at + 32 + meta]).unwrap();
        let rows = json["rows"].as_array().cloned().unwrap_or_else(|| vec![json["ask"].clone()]);
        found.extend(rows.iter().map(|row| row.as_u64().unwrap() as usize));
        at += 32 + all;
    }
    found
}

const MANNERS: [&str; 5] = ["--allow_private=True", "--per_host", "1", "--retries", "0"];

#[test]
fn a_url_with_several_captions_is_asked_once_and_its_rows_share_the_answer() {
    let place = Place::new();
    // Each of four images with three captions, one that is gone, and one of a host in trouble.
    let paths = ["/n/0", "/n/1", "/status/404", "/n/2", "/status/503", "/n/3"];
    place.list((0..18).map(|row| paths[row % 6].to_owned()));
    let fetch = ["fetch", "list.csv", "--caption_col", "caption", "--output_format", "webdataset"];
    let printed = place.good(&[&fetch[..], &["--output_folder", "out"], &MANNERS].concat());
    assert!(printed.contains("18 rows, 6 URLs"), "{printed}");
    for path in paths {
        assert_eq!(place.site.hits(path), 1, "{path}");
    }
    let stats = std::fs::read(place.path("out/00000_stats.json")).unwrap();
    let stats: Value = serde_json::from_slice(&stats).unwrap();
    let counts =
        ["count", "urls", "successes", "failed_to_download"].map(|name| stats[name].as_u64());
    assert_eq!(counts, [Some(18), Some(6), Some(12), Some(6)]);
    assert_eq!(stats["error_kinds"], serde_json::json!({"http_4xx": 3, "http_5xx": 3}));
    let samples: Vec<_> =
        ShardReader::open(&place.path("out/00000.tar")).unwrap().map(Result::unwrap).collect();
    assert_eq!(samples.len(), 12);
    for sample in &samples {
        let row: usize = sample.key.parse().unwrap();
        let caption = format!("a caption of its own {row}");
        assert_eq!(sample.get("txt"), Some(caption.as_bytes()));
        assert_eq!(sample.get("jpg"), samples[0].get("jpg"));
    }
    // A retry asks once as well, and so does a build, with retries of what may pass.
    let again = ["retry", "out", "--where", "error_kind in ('http_5xx')", "--allow_private=True"];
    assert!(place.good(&again).contains("asked again: 3"));
    assert_eq!(place.site.hits("/status/404"), 1);
    let troubled = place.site.hits("/status/503");
    place.pipeline(0);
    let funnel = place.good(&["build"]);
    for path in paths {
        let before = if path == "/status/503" { troubled } else { 1 };
        assert_eq!(place.site.hits(path), before + 1, "{path}");
    }
    assert!(funnel.contains("6 URLs asked") && funnel.contains("3  http_5xx"), "{funnel}");
    let table = read_parquet(&place.path("runs/r/shards/00000.parquet")).unwrap().remove(0);
    let captions = table.column_by_name("caption").unwrap().as_string::<i32>();
    assert_eq!(captions.len(), 12);
    let urls_asked = || {
        let run = std::fs::read(place.path("runs/r/run.json")).unwrap();
        let run: Value = serde_json::from_slice(&run).unwrap();
        let mut stages = run["stages"].as_array().unwrap().iter();
        let fetch = stages.find(|stage| stage["stage"] == "fetch").unwrap();
        ["rows_in", "rows_out", "urls"].map(|name| fetch["tally"][name].as_u64())
    };
    assert_eq!(urls_asked(), [Some(18), Some(12), Some(6)]);
    place.good(&["retry", "--where", "error_kind = 'http_5xx'"]);
    assert_eq!(urls_asked(), [Some(18), Some(12), Some(6)], "a retry keeps what was asked before");
}

#[test]
fn a_fetch_that_was_killed_within_a_shard_asks_for_the_rest_of_it_only() {
    let place = Place::new();
    place.list((0..40).map(|row| format!("/n/{row}")));
    let args = |out: &'static str| {
        let list = ["fetch", "list.csv", "--caption_col", "caption", "--output_folder", out];
        [&list[..], &["--output_format", "webdataset"], &MANNERS].concat()
    };
    place.good(&[&args("whole")[..], &["--host_delay_ms", "0"]].concat());
    let slowly = [&args("killed")[..], &["--host_delay_ms", "20"]].concat();
    place.killed(&slowly, 40 + 15, 40);
    let kept = spooled(&place.path("killed/_tmp/00000.spool"));
    assert!((5..40).contains(&kept.len()), "{}", kept.len());
    let before = place.hits(40);
    place.good(&slowly);
    for (row, (before, after)) in before.into_iter().zip(place.hits(40)).enumerate() {
        assert_eq!(after - before, usize::from(!kept.contains(&row)), "row {row}");
    }
    for name in ["00000.tar", "00000.parquet"] {
        let read = |folder: &str| std::fs::read(place.path(folder).join(name)).unwrap();
        assert!(read("whole") == read("killed"), "{name}");
    }
    assert!(!place.path("killed/_tmp").exists());
    // Other settings or another list: nothing of it is used.
    place.killed(&[&args("other")[..], &["--host_delay_ms", "20"]].concat(), 95, 40);
    let before = place.hits(40);
    place.good(&[&args("other")[..], &["--host_delay_ms", "0", "--image_size", "32"]].concat());
    assert!(before.into_iter().zip(place.hits(40)).all(|(before, after)| after == before + 1));
}

#[test]
fn a_build_that_was_killed_within_a_part_asks_for_the_rest_of_it_only() {
    let place = Place::new();
    place.list((0..40).map(|row| format!("/n/{row}")));
    place.pipeline(20);
    place.good(&["build", "--set", "workdir=whole", "--set", "fetch.host_delay_ms=0"]);
    place.killed(&["build"], 40 + 15, 40);
    let stages = std::fs::read_dir(place.path("runs/r")).unwrap().map(|e| e.unwrap().path());
    let stage = stages.into_iter().find(|p| p.to_string_lossy().contains("-fetch-")).unwrap();
    let spool = stage.join("scratch/part-00000.spool");
    let kept = spooled(&spool);
    assert!((5..40).contains(&kept.len()), "{}", kept.len());
    // What a crash tears off the last record is fetched again.
    let mut torn = std::fs::OpenOptions::new().append(true).open(&spool).unwrap();
    std::io::Write::write_all(&mut torn, &[9; 57]).unwrap();
    let before = place.hits(40);
    place.good(&["build"]);
    for (row, (before, after)) in before.into_iter().zip(place.hits(40)).enumerate() {
        assert_eq!(after - before, usize::from(!kept.contains(&row)), "row {row}");
    }
    assert!(content(&place.path("runs/r/shards")) == content(&place.path("whole/r/shards")));
    assert!(!spool.exists(), "it is removed when the part is committed");
}
