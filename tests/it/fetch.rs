//! `clip-data fetch` and `retry` against a real site that misbehaves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int32Type;
use clip_corpus::{Sample, ShardReader, read_parquet};
use clip_image::encode_jpeg;
use clip_testkit::faults::{FaultSite, Robots};
use serde_json::Value;

use crate::foreign_shards::img2dataset_shard;
use crate::world::{executable, smooth_image};

pub struct Place {
    folder: tempfile::TempDir,
    pub site: FaultSite,
}

fn site(ip: &str) -> FaultSite {
    let image = encode_jpeg(&smooth_image(1), 92).unwrap();
    FaultSite::start(ip.parse().unwrap(), image, Robots::Missing).unwrap()
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), site: site("127.0.0.1") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(executable("clip-data"));
        command.args(args).current_dir(self.folder.path());
        command
    }

    /// `clip-data fetch` that may ask this machine and as often as it likes.
    fn fetch(&self, args: &[&str]) -> Output {
        let mine = ["--allow_private=True", "--per_host", "64", "--host_delay_ms", "0"];
        self.command(&[&["fetch"], args, &mine].concat()).output().unwrap()
    }

    pub fn good(&self, args: &[&str]) -> String {
        let output = self.fetch(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}\n{errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn bad(&self, args: &[&str]) -> String {
        let output = self.fetch(args);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}\n{errors}");
        assert!(errors.contains("hint:"), "{args:?}\n{errors}");
        errors
    }
}

pub fn table(path: &Path) -> RecordBatch {
    let batches = read_parquet(path).unwrap();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

pub fn texts(table: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let column = table.column_by_name(name).unwrap().as_string::<i32>();
    column.iter().map(|cell| cell.map(str::to_owned)).collect()
}

pub fn samples(path: &Path) -> Vec<Sample> {
    ShardReader::open(path).unwrap().map(Result::unwrap).collect()
}

pub fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

#[test]
fn a_command_of_img2dataset_gives_its_layout_with_every_row_in_order() {
    let place = Place::new();
    let mut list = "ID,TEXT,URL\n".to_owned();
    for row in 0..7 {
        let path = if row % 3 == 1 { "/status/404" } else { "/ok.jpg" };
        list += &format!("{row},\"caption \u{e9} {row}\",{}\n", place.site.url(path));
    }
    place.write("list.csv", &list);
    let shown = place.good(&[
        "--url_list=list.csv",
        "--input_format",
        "csv",
        "--url_col",
        "URL",
        "--caption_col=TEXT",
        "--output-format",
        "webdataset",
        "--output_folder",
        "out",
        "--processes_count",
        "2",
        "--thread_count=8",
        "--image_size",
        "48",
        "--resize_only_if_bigger=True",
        "--resize_mode=keep_ratio",
        "--skip_reencode",
        "True",
        "--number_sample_per_shard",
        "4",
        "--save_additional_columns",
        r#"["ID"]"#,
        "--enable_wandb",
        "False",
    ]);
    let expected = [
        "00000.parquet",
        "00000.tar",
        "00000_stats.json",
        "00001.parquet",
        "00001.tar",
        "00001_stats.json",
        "clip-data-fetch.toml",
    ];
    assert_eq!(names(&place.path("out")), expected);
    let first = table(&place.path("out/00000.parquet"));
    let columns: Vec<_> = first.schema().fields().iter().map(|f| f.name().clone()).collect();
    let img2datasets = [
        "ID",
        "caption",
        "url",
        "key",
        "status",
        "error_message",
        "width",
        "height",
        "original_width",
        "original_height",
        "exif",
        "sha256",
    ];
    assert_eq!(columns[..12], img2datasets);
    assert_eq!(columns[12..], ["error_kind"]);
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(texts(&first, "ID"), [some("0"), some("1"), some("2"), some("3")]);
    assert_eq!(texts(&first, "key")[3], some("000003"));
    assert_eq!(texts(&first, "status")[1], some("failed_to_download"));
    assert_eq!(texts(&first, "error_message")[..2], [None, some("HTTP Error 404: Not Found")]);
    assert_eq!(texts(&first, "error_kind")[..2], [None, some("http_4xx")]);
    let widths = first.column_by_name("width").unwrap().as_primitive::<Int32Type>();
    assert!(widths.is_null(1) && widths.value(0) == 48);
    let samples = samples(&place.path("out/00000.tar"));
    let keys: Vec<_> = samples.iter().map(|sample| sample.key.as_str()).collect();
    assert_eq!(keys, ["000000", "000002", "000003"]);
    assert_eq!(samples[0].get("txt").unwrap(), "caption \u{e9} 0".as_bytes());
    let meta: Value = serde_json::from_slice(samples[0].get("json").unwrap()).unwrap();
    assert_eq!((&meta["original_width"], &meta["status"]), (&96.into(), &"success".into()));
    let image = clip_image::ImageHeader::read(samples[0].get("jpg").unwrap()).unwrap();
    assert_eq!((image.width, image.height), (48, 48));
    let stats = json(&place.path("out/00001_stats.json"));
    assert_eq!((&stats["count"], &stats["successes"]), (&3.into(), &2.into()));
    assert_eq!(stats["status_dict"]["HTTP Error 404: Not Found"], 1);
    assert_eq!(stats["hosts"]["127.0.0.1"]["error_kinds"]["http_4xx"], 1);
    assert!(shown.contains("total   - success: 0.714 - failed to download: 0.286"), "{shown}");
    assert!(shown.contains("http_4xx"), "{shown}");
}

#[test]
fn what_was_asked_is_counted_over_all_shards_and_of_each_host() {
    let place = Place::new();
    let paths = ["/status/404", "/n/1", "/n/2", "/n/3", "/n/4", "/n/5", "/n/6"];
    let mut list: Vec<String> = paths.iter().map(|path| place.site.url(path)).collect();
    list.push("ftp://x.example/1.jpg".into());
    place.write("list.csv", &format!("url\n{}\n", list.join("\n")));
    let fetch = ["list.csv", "--output_format=webdataset", "--number_sample_per_shard=4"];
    let fetch = [&fetch[..], &["--output_folder", "out"]].concat();
    let shown = place.good(&[&fetch[..], &["--dry-run"]].concat());
    assert!(shown.contains("7 URLs of 1 hosts"), "{shown}");
    assert!(shown.contains("1 rows without a URL that can be asked"), "{shown}");
    let shown = place.good(&fetch);
    assert!(shown.contains("8 rows, 7 URLs asked"), "{shown}");
    // The second shard has rows of the host, and no failure of it.
    assert!(shown.contains(" 1 of 7        127.0.0.1"), "{shown}");
    let stats = json(&place.path("out/00001_stats.json"));
    assert_eq!((&stats["urls"], &stats["hosts"]["127.0.0.1"]["count"]), (&3.into(), &3.into()));
    // What the name of the list says is no other setting.
    let shown = place.good(&[&fetch[..], &["--input_format", "csv"]].concat());
    assert!(shown.contains("2 shards skipped"), "{shown}");
    let run = |args: &[&str]| {
        let output = place.command(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (_, shown, _) = run(&["verify", "out"]);
    assert!(shown.contains("6 samples, 8 rows in tables"), "{shown}");
    let (_, shown, errors) = run(&["reshard", "-i", "out", "-o", "new"]);
    assert!(shown.contains("2 rows without an image left out"), "{shown}{errors}");
    // Of a fetch that was stopped in its first shard.
    let settings = std::fs::read_to_string(place.path("out/clip-data-fetch.toml")).unwrap();
    place.write("begun/clip-data-fetch.toml", &settings);
    place.write("begun/_tmp/00000.spool", "");
    for command in ["inspect", "verify"] {
        let (code, _, errors) = run(&[command, "begun"]);
        assert_eq!(code, Some(3), "{errors}");
        assert!(errors.contains("begun: unfinished") && errors.contains("hint: run"), "{errors}");
    }
    // The flag is given: it is not asked for.
    let retry = ["retry", "out", "--allow_private", "True", "--where", "error_kind = 'bad_url'"];
    let (code, _, errors) = run(&retry);
    assert!(code == Some(0) && !errors.contains("allow_private"), "{errors}");
}

#[test]
fn every_format_of_output_holds_the_same_rows() {
    let place = Place::new();
    let urls: Vec<String> = (0..5).map(|row| place.site.url(&format!("/n/{row}"))).collect();
    place.write("urls.txt", &urls.join("\n"));
    for format in ["files", "webdataset", "parquet", "dummy"] {
        place.good(&["urls.txt", "--output_format", format, "--output_folder", format]);
    }
    let expected = ["000000000.jpg", "000000000.json", "000000001.jpg", "000000001.json"];
    assert_eq!(names(&place.path("files/00000"))[..4], expected);
    assert_eq!(names(&place.path("dummy")), ["00000_stats.json", "clip-data-fetch.toml"]);
    let images = table(&place.path("parquet/00000.parquet"));
    let images = images.column_by_name("jpg").unwrap().as_binary::<i32>();
    let samples = samples(&place.path("webdataset/00000.tar"));
    assert_eq!(samples.len(), 5);
    for (row, sample) in samples.iter().enumerate() {
        assert_eq!(images.value(row), sample.get("jpg").unwrap());
        let file = place.path("files/00000").join(format!("{}.jpg", sample.key));
        assert_eq!(std::fs::read(file).unwrap(), images.value(row));
    }
}

#[test]
fn every_format_of_input_is_read() {
    let place = Place::new();
    let url = |row: usize| place.site.url(&format!("/n/{row}"));
    let rows = |line: &dyn Fn(usize) -> String| (0..3).map(line).collect::<Vec<_>>();
    let column = |cell: &dyn Fn(usize) -> String| {
        rows(&|row| format!("\"{row}\":\"{}\"", cell(row))).join(",")
    };
    let files = [
        ("txt", rows(&url).join("\n")),
        (
            "csv",
            format!("url,caption\n{}\n", rows(&|row| format!("{},c{row}", url(row))).join("\n")),
        ),
        (
            "tsv",
            format!("url\tcaption\n{}\n", rows(&|row| format!("{}\tc{row}", url(row))).join("\n")),
        ),
        (
            "jsonl",
            rows(&|row| format!(r#"{{"url":"{}","caption":"c{row}"}}"#, url(row))).join("\n"),
        ),
        (
            "json",
            format!(
                r#"{{"url":{{{}}},"caption":{{{}}}}}"#,
                column(&url),
                column(&|row| format!("c{row}"))
            ),
        ),
    ];
    for (format, content) in files {
        // A folder is its files with that ending; the name of a shard says nothing of the file.
        std::fs::create_dir(place.path(format)).unwrap();
        place.write(&format!("{format}/a.{format}"), &content);
        place.write(&format!("{format}/b.{format}"), &content);
        let mut args =
            vec!["--url_list", format, "--input_format", format, "--output_format", "webdataset"];
        let out = format!("out-{format}");
        args.extend(["--output_folder", &out]);
        if format != "txt" {
            args.extend(["--caption_col", "caption"]);
        }
        place.good(&args);
        for shard in ["00000", "00001"] {
            let samples = samples(&place.path(&format!("{out}/{shard}.tar")));
            assert_eq!(samples.len(), 3, "{format}");
            assert_eq!(samples[2].get("txt").is_some(), format != "txt", "{format}");
        }
    }
}

#[test]
fn a_bad_row_of_a_list_fails_alone() {
    let place = Place::new();
    let url = |row: usize| place.site.url(&format!("/n/{row}"));
    // Rows 0 to 39 in shards of ten; row 26 is no JSON, row 3 is what Python writes.
    let rows: Vec<String> = (0..40)
        .map(|row| match row {
            26 => "{\"url\": broken".to_owned(),
            3 => format!(r#"{{"url":"{}","caption":"a \ud83d","similarity":NaN}}"#, url(row)),
            _ => format!(r#"{{"url":"{}","caption":"c{row}"}}"#, url(row)),
        })
        .collect();
    place.write("list.jsonl", &format!("\u{feff}{}\n", rows.join("\n")));
    let args = ["list.jsonl", "--caption_col=caption", "--number_sample_per_shard=10"];
    place.good(&[&args[..], &["--output_format=webdataset", "--output_folder=out"]].concat());
    let found: Vec<Vec<Sample>> =
        (0..4).map(|shard| samples(&place.path(&format!("out/{shard:05}.tar")))).collect();
    let counts: Vec<usize> = found.iter().map(Vec::len).collect();
    assert_eq!(counts, [10, 10, 9, 10]);
    assert_eq!(found[0][3].get("txt").unwrap(), "a \u{fffd}".as_bytes());
    let table = table(&place.path("out/00002.parquet"));
    assert_eq!(texts(&table, "error_kind")[6].as_deref(), Some("bad_row"));
    let message = texts(&table, "error_message")[6].clone().unwrap();
    assert!(message.starts_with("line 27: "), "{message}");
    assert!(table.column_by_name("row fault").is_none());

    // What Python's csv.writer makes of tabs, ends of lines and quotes.
    let cells = ["\"left\tright\"", "\"one\ntwo\"", "\"say \"\"hi\"\"\"", "plain"];
    let rows = cells.iter().enumerate().map(|(row, cell)| format!("{cell}\t{}\r\n", url(row)));
    place.write("list.tsv", &format!("caption\turl\r\n{}", rows.collect::<String>()));
    let args = ["list.tsv", "--caption_col=caption", "--output_format=webdataset"];
    place.good(&[&args[..], &["--output_folder=tsv"]].concat());
    let found = samples(&place.path("tsv/00000.tar"));
    let captions: Vec<&[u8]> = found.iter().map(|sample| sample.get("txt").unwrap()).collect();
    assert_eq!(captions, [&b"left\tright"[..], b"one\ntwo", b"say \"hi\"", b"plain"]);

    // A list of captions means what is asked for.
    let line = format!(r#"{{"url":"{}","caption":["a cat","the cat"]}}"#, url(1));
    place.write("lists.jsonl", &line);
    let args = ["lists.jsonl", "--caption_col=caption", "--output_format=webdataset"];
    let shown = place.bad(&[&args[..], &["--output_folder=refused"]].concat());
    assert!(shown.contains("\"caption\" holds lists") && shown.contains("caption_list"), "{shown}");
    place.good(&[&args[..], &["--output_folder=all", "--caption_list=all"]].concat());
    let found = samples(&place.path("all/00000.tar"));
    let captions: Vec<&[u8]> = found.iter().map(|sample| sample.get("txt").unwrap()).collect();
    assert_eq!(captions, [&b"a cat"[..], b"the cat"]);
    let shown = place.bad(&["lists.jsonl", "--caption_list=first", "--output_folder=refused"]);
    assert!(shown.contains("caption_list has no effect without caption_col"), "{shown}");
}

#[test]
fn each_fault_has_its_cause_the_rest_is_complete_and_the_run_ends() {
    let place = Place::new();
    let rows = [
        ("/ok.jpg", None),
        ("/gzip", None),
        ("/status/404", Some("http_4xx")),
        ("/status/503", Some("http_5xx")),
        ("/loop", Some("redirects")),
        ("/to-file", Some("bad_url")),
        ("/drip", Some("timeout")),
        ("/slow/60000", Some("timeout")),
        ("/endless", Some("too_large")),
        ("/big", Some("too_large")),
        ("/truncated", Some("broken")),
        ("/reset", Some("broken")),
        ("/html", Some("not_an_image")),
        ("/empty", Some("not_an_image")),
        ("/huge.png", Some("too_many_pixels")),
        ("/tag?noai", Some("x_robots_tag")),
        ("/hops/3", None),
        ("/busy/1/x", Some("http_429")),
    ];
    let mut lines: Vec<String> = rows.iter().map(|(path, _)| place.site.url(path)).collect();
    lines.push("http://no-such-host.invalid/a.jpg".into());
    lines.push("no address".into());
    // Twenty hosts, one of which never answers.
    let hosts: Vec<FaultSite> = (0..20).map(|i| site(&format!("127.0.2.{}", i + 1))).collect();
    for (number, host) in hosts.iter().enumerate() {
        let path = if number == 7 { "/slow/60000" } else { "/n/x" };
        lines.extend((0..30).map(|row| {
            host.url(&format!(
                "{path}{}",
                if number == 7 { String::new() } else { row.to_string() }
            ))
        }));
    }
    place.write("urls.txt", &lines.join("\n"));
    let started = Instant::now();
    let shown = place.good(&[
        "urls.txt",
        "--output_format",
        "webdataset",
        "--output_folder",
        "out",
        "--timeout",
        "1",
        "--total_timeout",
        "2",
        "--max_bytes",
        "1000000",
        "--host_faults",
        "20",
        "--resize_mode",
        "no",
    ]);
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    let table = table(&place.path("out/00000.parquet"));
    let kinds = texts(&table, "error_kind");
    for ((path, expected), kind) in rows.iter().zip(&kinds) {
        assert_eq!(kind.as_deref(), *expected, "{path}");
    }
    assert_eq!(kinds[rows.len()].as_deref(), Some("dns"));
    assert_eq!(kinds[rows.len() + 1].as_deref(), Some("bad_url"));
    let mut of_hosts: BTreeMap<Option<String>, usize> = BTreeMap::new();
    kinds[rows.len() + 2..].iter().for_each(|kind| *of_hosts.entry(kind.clone()).or_default() += 1);
    assert_eq!(of_hosts[&None], 19 * 30);
    let stalled: usize = of_hosts.iter().filter(|(kind, _)| kind.is_some()).map(|(_, n)| n).sum();
    assert_eq!(stalled, 30, "{of_hosts:?}");
    assert_eq!(samples(&place.path("out/00000.tar")).len(), 19 * 30 + 3);
    assert!(
        shown.contains("127.0.2.8")
            && shown.contains("clip-data retry out --allow_private True --where"),
        "{shown}"
    );
}

#[test]
fn private_addresses_and_robots_are_respected_unless_asked_otherwise() {
    let place = Place::new();
    place.write("urls.txt", &place.site.url("/ok.jpg"));
    let output = place.command(&["fetch", "urls.txt", "--output_folder", "a"]).output().unwrap();
    assert!(output.status.success());
    let kinds = texts(&table(&place.path("a/00000.parquet")), "error_kind");
    assert_eq!(kinds, [Some("blocked_address".to_owned())]);
    assert_eq!(place.site.hits("/ok.jpg"), 0);
    let forbids = FaultSite::start(
        "127.0.0.1".parse().unwrap(),
        encode_jpeg(&smooth_image(1), 92).unwrap(),
        Robots::Text("User-agent: clip-data\nDisallow: /\n".into()),
    );
    let forbids = forbids.unwrap();
    place.write("forbidden.txt", &forbids.url("/ok.jpg"));
    place.good(&["forbidden.txt", "--output_folder", "b"]);
    let kinds = texts(&table(&place.path("b/00000.parquet")), "error_kind");
    assert_eq!(kinds, [Some("robots_txt".to_owned())]);
    place.good(&["forbidden.txt", "--output_folder", "c", "--robots", "False"]);
    assert_eq!(json(&place.path("c/00000_stats.json"))["successes"], 1);
}

#[test]
fn killed_it_goes_on_and_the_bytes_are_the_same() {
    let place = Place::new();
    let urls: Vec<String> = (0..40).map(|row| place.site.url(&format!("/n/{row}"))).collect();
    place.write("urls.txt", &urls.join("\n"));
    let args = |out: &'static str| {
        [
            "urls.txt",
            "--output_format",
            "webdataset",
            "--number_sample_per_shard",
            "5",
            "--output_folder",
            out,
        ]
    };
    place.good(&args("whole"));
    let mut all = vec!["fetch"];
    all.extend(args("killed"));
    all.extend(["--allow_private", "--per_host", "1", "--host_delay_ms", "30"]);
    let mut child =
        place.command(&all).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !place.path("killed/00002_stats.json").exists() {
        std::thread::sleep(Duration::from_millis(5));
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // Shards end in any order: one that waits for a slow row is passed by the next.
    let finished = |shard: &usize| place.path(&format!("killed/{shard:05}_stats.json")).exists();
    let finished: Vec<usize> = (0..8).filter(finished).collect();
    let asked = || -> Vec<usize> {
        let rows = finished.iter().flat_map(|shard| shard * 5..shard * 5 + 5);
        rows.map(|row| place.site.hits(&format!("/n/{row}"))).collect()
    };
    let before = asked();
    let shown = place.good(&args("killed"));
    assert!(shown.contains("skipped: there already"), "{shown}");
    assert_eq!(asked(), before, "a finished shard was asked again");
    for shard in 0..8 {
        for ending in ["tar", "parquet"] {
            let name = format!("{shard:05}.{ending}");
            let read = |folder: &str| std::fs::read(place.path(folder).join(&name)).unwrap();
            assert!(read("whole") == read("killed"), "{name}");
        }
    }
    assert!(!place.path("killed/_tmp").exists());
    let mut other = args("killed").to_vec();
    other.extend(["--image_size", "64"]);
    assert!(place.bad(&other).contains("image_size 256 -> 64"));
    other.extend(["--incremental_mode", "extend"]);
    place.good(&other);
    assert!(place.path("killed/00015_stats.json").exists());
    let last = other.len() - 1;
    other[last] = "overwrite";
    place.good(&other);
    assert!(!place.path("killed/00008_stats.json").exists());
}

/// Shards are skipped by their number: with another list that would lose its rows in silence.
#[test]
fn a_list_that_changed_is_not_taken_for_the_one_that_was_fetched() {
    let place = Place::new();
    let list = |name: &str, rows: std::ops::Range<usize>| {
        let urls: Vec<String> = rows.map(|row| place.site.url(&format!("/n/{row}"))).collect();
        place.write(name, &urls.join("\n"));
    };
    let args = |list: &'static str| {
        let sizes = ["--number_sample_per_shard", "5", "--output_format", "webdataset"];
        [&["--url_list", list, "--output_folder", "out"][..], &sizes].concat()
    };
    let extend = |list| [args(list), vec!["--incremental_mode", "extend"]].concat();
    let rows = |shard: usize| table(&place.path(&format!("out/{shard:05}.parquet"))).num_rows();
    list("a.txt", 0..7);
    place.good(&args("a.txt"));
    list("a.txt", 7..14);
    let refused = place.bad(&args("a.txt"));
    assert!(refused.contains("a.txt has other rows than the list"), "{refused}");
    assert!(refused.contains("extend adds to it"), "{refused}");
    assert!(place.bad(&[args("a.txt"), vec!["--dry_run"]].concat()).contains("has other rows"));

    place.good(&extend("a.txt"));
    assert_eq!([rows(2), rows(3)], [5, 2]);
    // What an interrupted extension lacks is made under its number.
    for ending in [".tar", ".parquet", "_stats.json"] {
        std::fs::remove_file(place.path(&format!("out/00003{ending}"))).unwrap();
    }
    place.good(&args("a.txt"));
    assert_eq!(rows(3), 2);

    // The first list again, and rows that came to it when its numbers were used up.
    list("folder/a.txt", 0..7);
    place.good(&args("folder"));
    list("folder/b.txt", 20..24);
    let refused = place.bad(&args("folder"));
    assert!(refused.contains("its shard 2 is another list's"), "{refused}");
}

/// A folder to which files are added is the same list.
#[test]
fn files_that_came_to_a_folder_of_lists_are_fetched_alone() {
    let place = Place::new();
    let args = ["--url_list", "lists", "--output_folder", "out"];
    place.write("lists/a.txt", &place.site.url("/n/1"));
    place.good(&args);
    place.write("lists/b.txt", &place.site.url("/n/2"));
    place.good(&args);
    assert_eq!([place.site.hits("/n/1"), place.site.hits("/n/2")], [1, 1]);
}

#[test]
fn failed_rows_are_fetched_again_in_place_in_every_format() {
    for format in ["webdataset", "files", "parquet"] {
        let place = Place::new();
        let urls: Vec<String> = (0..9)
            .map(|row| match row % 3 {
                0 => place.site.url(&format!("/n/{row}")),
                1 => place.site.url(&format!("/busy/1/{row}")),
                _ => place.site.url("/status/404"),
            })
            .collect();
        place.write("urls.txt", &urls.join("\n"));
        place.good(&[
            "urls.txt",
            "--output_format",
            format,
            "--output_folder",
            "out",
            "--number_sample_per_shard",
            "5",
        ]);
        let before = json(&place.path("out/00000_stats.json"));
        let first = place.site.hits("/n/0");
        let shown = place
            .command(&[
                "retry",
                "out",
                "--where",
                "error_kind in ('http_429','timeout')",
                "--allow_private=True",
            ])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&shown.stderr);
        assert!(shown.status.success(), "{format}: {errors}");
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains("asked again: 3, there now: 3"), "{shown}");
        assert_eq!(place.site.hits("/n/0"), first, "{format}: a good row was asked again");
        let table = table(&place.path("out/00000.parquet"));
        let status: Vec<_> = texts(&table, "status").into_iter().flatten().collect();
        assert_eq!(status, ["success", "success", "failed_to_download", "success", "success"]);
        let after = json(&place.path("out/00000_stats.json"));
        assert_eq!(before["successes"].as_u64().unwrap() + 2, after["successes"].as_u64().unwrap());
        let keys: Vec<String> = match format {
            "webdataset" => {
                samples(&place.path("out/00000.tar")).into_iter().map(|sample| sample.key).collect()
            }
            "files" => {
                let files = names(&place.path("out/00000")).into_iter();
                files.filter_map(|name| Some(name.strip_suffix(".jpg")?.to_owned())).collect()
            }
            _ => {
                let images = table.column_by_name("jpg").unwrap().clone();
                let keys = texts(&table, "key").into_iter().enumerate();
                keys.filter(|(row, _)| images.is_valid(*row)).filter_map(|(_, key)| key).collect()
            }
        };
        assert_eq!(keys, ["000000", "000001", "000003", "000004"], "{format}");
        // The condition is SQL over all columns of the table.
        let again = |wanted: &str| {
            place.command(&["retry", "out", "--allow_private=True", "--where", wanted]).output()
        };
        let gone = again("original_width is null and key = '000002'").unwrap();
        assert!(String::from_utf8_lossy(&gone.stdout).contains("asked again: 1, there now: 0"));
        for wrong in ["error_kind = \"http_4xx\"", "no_such_column = 1", "error_kind ="] {
            let wrong = again(wrong).unwrap();
            let errors = String::from_utf8_lossy(&wrong.stderr);
            assert_eq!(wrong.status.code(), Some(2), "{errors}");
            assert!(
                errors.contains("hint: ") && errors.contains("texts are in single quotes"),
                "{errors}"
            );
        }
    }
}

#[test]
fn rows_of_an_img2dataset_set_keep_their_keys_which_are_not_their_places() {
    let place = Place::new();
    let urls: Vec<String> = (0..4).map(|row| place.site.url(&format!("/n/{row}"))).collect();
    place.write("urls.txt", &urls.join("\n"));
    let why = [None, None, Some("HTTP Error 404: Not Found"), Some("<urlopen error timed out>")];
    let keys = ["000002", "000000", "000003", "000001"];
    let rows: Vec<_> = keys
        .iter()
        .zip(why)
        .map(|(key, why)| (*key, urls[key[5..].parse::<usize>().unwrap()].clone(), why))
        .collect();
    img2dataset_shard(&place.path("out"), "00000", &rows);
    let before = samples(&place.path("out/00000.tar"));
    let webdataset = ["--output_format", "webdataset", "--number_sample_per_shard", "4"];
    let shown = place.good(&[&["urls.txt", "--out", "out"], &webdataset[..]].concat());
    assert!(shown.contains("0 shards written"), "{shown}");
    let wanted = ["--allow_private=True", "--where", "error_message like '%timed out%'"];
    let output = place.command(&[&["retry", "out"][..], &wanted].concat()).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("asked again: 1, there now: 1"), "{shown}");
    let table = table(&place.path("out/00000.parquet"));
    assert_eq!(texts(&table, "key"), keys.map(|key| Some(key.to_owned())));
    let url = |(_, url, _): &(&str, String, Option<&str>)| Some(url.clone());
    assert_eq!(texts(&table, "url"), rows.iter().map(url).collect::<Vec<_>>());
    let after = samples(&place.path("out/00000.tar"));
    let found: Vec<&str> = after.iter().map(|sample| sample.key.as_str()).collect();
    assert_eq!(found, ["000002", "000000", "000001"]);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.get("jpg"), after.get("jpg"));
    }
    let output = place.command(&["verify", "out"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn rows_that_were_not_asked_keep_their_errors_and_the_reason_is_printed() {
    let place = Place::new();
    let url = place.site.url("/ok.jpg");
    place.write("urls.txt", &url);
    let why = Some("HTTP Error 404: Not Found");
    img2dataset_shard(&place.path("out"), "00000", &[("00000", url.clone(), why)]);
    let webdataset = ["--output_format", "webdataset", "--number_sample_per_shard", "1"];
    place.good(&[&["urls.txt", "--out", "out"], &webdataset[..]].concat());
    let before = std::fs::read(place.path("out/00000.parquet")).unwrap();
    let wanted = "error_message like '%404%'";
    let retry = |more: &[&str]| {
        let retry = ["retry", "out", "--where", wanted];
        let output = place.command(&[&retry[..], more].concat()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = retry(&[]);
    for words in [
        "asked again: 0, there now: 0\nnot asked, with the errors that they had: 1 (blocked_address 1)\n",
        "  clip-data retry out --allow_private True --where \"error_message like '%404%'\"\n",
    ] {
        assert!(shown.contains(words), "{words}:\n{shown}");
    }
    assert!(before == std::fs::read(place.path("out/00000.parquet")).unwrap());
    assert_eq!(place.site.hits("/ok.jpg"), 0);
    assert_eq!(retry(&["--allow_private=True"]), "asked again: 1, there now: 1\n");
    let shown = retry(&["--allow_private=True"]);
    assert_eq!(shown, "asked again: 0, there now: 0\nno failed row meets the condition\n");

    // A build's are in its rejects.
    place.write("pairs.csv", &format!("url,caption\n{},a dog\n", place.site.url("/status/404")));
    place.write(
        "pipeline.toml",
        "schema = 1\nname = \"r\"\n[source]\nkind = \"list\"\npaths = [\"pairs.csv\"]\n\
         [fetch]\nallow_private = true\nhost_delay_ms = 0\n",
    );
    place.command(&["build"]).output().unwrap();
    let retry = ["retry", "--where", "reason = 'http_4xx'", "--allow_private"];
    let again = |private: &str| {
        let output = place.command(&[&retry[..], &[private]].concat()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = again("False");
    assert!(shown.contains("asked again: 0, there now: 0\nnot asked, with the errors"), "{shown}");
    let shown = again("True");
    assert!(shown.contains("asked again: 1, there now: 0\n1 of 1 rows failed"), "{shown}");
    assert!(shown.contains("http_4xx               the image is gone"), "{shown}");
}

#[test]
fn a_list_behind_an_address_is_read_over_a_bad_line() {
    let place = Place::new();
    let urls: Vec<String> = (0..300).map(|row| place.site.url(&format!("/n/{row}"))).collect();
    let list = FaultSite::start(
        "127.0.0.1".parse().unwrap(),
        urls.join("\n").into_bytes(),
        Robots::Missing,
    );
    let list = list.unwrap();
    place.good(&[
        &list.url("/ranged/3000"),
        "--input_format",
        "txt",
        "--output_folder",
        "out",
        "--output_format",
        "dummy",
    ]);
    assert_eq!(json(&place.path("out/00000_stats.json"))["successes"], 300);
    assert!(list.hits("/ranged/3000") > 2);
}

#[test]
fn what_cannot_work_is_reported_with_a_hint() {
    let place = Place::new();
    place.write("list.csv", "link,text\nhttp://e.com/,x\n");
    for (args, words) in [
        (vec!["list.csv"], "no column \"url\""),
        (vec!["nothing.txt"], "nothing.txt: no such file"),
        (vec!["list.csv", "--input_format", "xml"], "\"xml\""),
        (vec!["list.csv", "--distributor", "pyspark"], "--part i/N"),
        (
            vec!["list.csv", "--url_col", "link", "--save_additional_columns", "['width']"],
            "\"width\"",
        ),
        (vec!["list.csv", "--encode_format", "png"], "0 to 9"),
        (vec!["list.csv", "--compute_hash", "crc32"], "crc32"),
        (vec![], "no list given"),
    ] {
        let shown = place.bad(&args);
        assert!(shown.contains(words), "{args:?}: {shown}");
        assert!(!place.path("images").exists(), "{args:?}");
    }
    let output = place.command(&["retry", ".", "--where", "error_kind ="]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn private_addresses_have_the_line_that_asks_for_them_and_it_works_and_a_log_has_no_carriage_return()
 {
    let place = Place::new();
    place.write("list.txt", &format!("{}\n", place.site.url("/ok.jpg")));
    let output = place.command(&["fetch", "list.txt", "--out", "out"]).output().unwrap();
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    let line =
        "  clip-data retry out --allow_private True --where \"error_kind = 'blocked_address'\"\n";
    assert!(printed.contains(line), "{printed}");
    assert!(!output.stderr.contains(&b'\r'));
    let wanted = ["--allow_private", "True", "--where", "error_kind = 'blocked_address'"];
    let output = place.command(&[&["retry", "out"][..], &wanted].concat()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed, "asked again: 1, there now: 1\n");
}
