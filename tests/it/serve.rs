//! The web pages of `clip-data serve`, as a browser and as a stranger ask for them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch, StringArray, UInt32Array};

use crate::world::World;

/// A server that ends with this value.
struct Served {
    child: Child,
    /// `127.0.0.1:PORT`.
    host: String,
    token: String,
}

/// An answer, its headers in small letters.
struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Served {
    fn start(world: &World, paths: &[&str]) -> Self {
        let args: Vec<&str> = ["serve"].into_iter().chain(paths.iter().copied()).collect();
        let mut command = world.command(&args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("http://").unwrap_or_else(|| panic!("{line:?}"));
        let (host, token) = url.split_once("/?token=").unwrap();
        Self { child, host: host.to_owned(), token: token.to_owned() }
    }

    fn cookie(&self) -> String {
        let port = self.host.rsplit(':').next().unwrap();
        format!("Cookie: clip-data-{port}={}", self.token)
    }

    fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\n{lines}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let end = all.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(all[..end].to_vec()).unwrap();
        let (first, headers) = head.split_once("\r\n").unwrap();
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        let lower = |line: &str| match line.split_once(':') {
            Some((name, value)) => format!("{}:{value}\n", name.to_lowercase()),
            None => format!("{line}\n"),
        };
        Answer {
            status,
            headers: headers.lines().map(lower).collect(),
            body: all[end + 4..].to_vec(),
        }
    }

    /// As a browser that was let in.
    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[&format!("Host: {}", self.host), &self.cookie()], "")
    }

    /// A page that must be there.
    fn page(&self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text()
    }

    /// Most memory that the server has had, in MB.
    fn peak(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The part of a page between two texts.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("{before}: {text}")).1;
    rest.split_once(after).unwrap().0
}

/// The `href` of the link with this `rel`, as a URL.
fn linked(page: &str, rel: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("rel=\"{rel}\" href=\""))?;
    Some(rest.split_once('"')?.0.replace("&amp;", "&"))
}

#[test]
fn nothing_is_shown_without_the_token_to_other_sites_or_of_other_paths() {
    let world = World::new();
    world.good(&["build"]);
    std::fs::write(world.path("runs/secret.txt"), "what is not served").unwrap();
    std::os::unix::fs::symlink(world.path("toys"), world.path("runs/small/out")).unwrap();
    let served = Served::start(&world, &["runs/small"]);
    let (host, cookie) = (format!("Host: {}", served.host), served.cookie());
    let token = format!("/?token={}", served.token);
    // The first visit.
    let first = served.ask("GET", &token, &[&host], "");
    assert_eq!((first.status, first.header("location")), (303, Some("/")));
    let set = first.header("set-cookie").unwrap();
    assert!(set.contains("SameSite=Strict") && set.contains("HttpOnly"), "{set}");
    assert!(cookie.ends_with(set.split(';').next().unwrap()), "{set}");
    let index = served.page("/");
    assert!(index.contains("/build?of=0") && !index.contains(&served.token), "{index}");
    let port = served.host.rsplit(':').next().unwrap();
    for (status, path, headers) in [
        (403, "/", vec![host.clone()]),
        (403, "/serve.js", vec![host.clone()]),
        (403, "/?token=0123456789abcdef0123456789abcdef", vec![host.clone()]),
        (403, "/", vec![host.clone(), format!("Cookie: clip-data-{port}=0")]),
        (421, "/", vec![format!("Host: evil.example:{port}"), cookie.clone()]),
        (421, &token, vec![format!("Host: evil.example:{port}")]),
        (403, "/", vec![host.clone(), cookie.clone(), "Origin: http://evil.example".into()]),
        (403, "/", vec![host.clone(), cookie.clone(), "Sec-Fetch-Site: cross-site".into()]),
        (404, "/rows?of=1", vec![host.clone(), cookie.clone()]),
        (404, "/rows?of=0/..", vec![host.clone(), cookie.clone()]),
        (404, "/page?of=0/../secret.txt", vec![host.clone(), cookie.clone()]),
        (404, "/page?of=0/run.json", vec![host.clone(), cookie.clone()]),
        (404, "/rows?of=0/out", vec![host.clone(), cookie.clone()]),
        (404, "/../etc/passwd", vec![host.clone(), cookie.clone()]),
        (404, "/none", vec![host.clone(), cookie.clone()]),
        (400, "/rows", vec![host.clone(), cookie.clone()]),
        (400, "/rows?of=0&width=wide", vec![host.clone(), cookie.clone()]),
        (400, "/rows?of=0&where=colour+%3D+3", vec![host.clone(), cookie.clone()]),
    ] {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = served.ask("GET", path, &headers, "");
        assert_eq!(answer.status, status, "{path} {headers:?}: {}", answer.text());
        assert!(!answer.text().contains("what is not served"), "{path}");
    }
    let posted = served.ask("POST", "/rows", &[&host, &cookie], "of=0");
    assert_eq!(posted.status, 404);
    let long = served.ask("POST", "/rows", &[&host, &cookie], &"x".repeat(2 << 20));
    assert_eq!(long.status, 413);
    let policy = served.get("/").header("content-security-policy").unwrap().to_owned();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("script-src 'self'"),
        "{policy}"
    );
    world.fails(&["serve", "nowhere"], 2);
    let printed = world.fails(&["serve", "runs/secret.txt"], 2);
    assert!(printed.contains("neither a shard, a Parquet table nor an HTML page"), "{printed}");
    world.fails(&["serve", "runs/small", "--port", port], 2);
}

#[test]
fn a_run_is_shown_from_its_funnel_to_the_fate_of_a_pair() {
    let world = World::new();
    world.good(&["build"]);
    let served = Served::start(&world, &["."]);
    let build = served.page("/build?of=0/runs/small");
    assert!(
        build.contains("The build is complete") && build.contains("exact_duplicate"),
        "{build}"
    );
    let hosts = served.page("/hosts?of=0/runs/small");
    assert!(hosts.contains("no host") && hosts.contains("exact_duplicate"), "{hosts}");
    // The rows in the shards, with their images.
    let rows = served.page("/rows?of=0/runs/small");
    let first = between(&rows, "src=\"/image", "\"").replace("&amp;", "&");
    let image = served.get(&format!("/image{first}"));
    assert!(image.header("content-type").unwrap().starts_with("image/"), "{}", image.headers);
    assert!(clip_image::decode(&image.body, &clip_image::DecodeOptions::default()).is_ok());
    let found = served.page("/rows?of=0/runs/small&words=BOAT+quiet");
    assert!(found.contains("boat") && !found.contains("house in"), "{found}");
    // What was dropped, and why.
    let dropped = served.page("/rows?of=0/runs/small&rows=dedup:dropped");
    assert!(dropped.contains("exact_duplicate"), "{dropped}");
    let pair = between(&dropped, "href=\"/pair", "\"").replace("&amp;", "&");
    let pair = served.page(&format!("/pair{pair}"));
    assert!(
        pair.contains("Dropped in stage dedup: exact_duplicate.")
            && pair.contains("copy_of.caption"),
        "{pair}"
    );
    // One click leads to the pair that it is a copy of, and to all that a reason dropped.
    let kept = between(&pair, "It is a copy of <a href=\"", "\"").replace("&amp;", "&");
    assert!(served.page(&kept).contains("<b>In the corpus.</b>"), "{kept}");
    let reason = between(&build, "href=\"/rows?of=0%2Fruns%2Fsmall&amp;rows=dedup", "\"");
    let reason = reason.replace("&amp;", "&");
    let dropped = served.page(&format!("/rows?of=0%2Fruns%2Fsmall&rows=dedup{reason}"));
    assert!(dropped.contains("class=\"drop\">exact_duplicate"), "{dropped}");
    let none = served.page("/rows?of=0/runs/small&words=zeppelin");
    assert!(none.contains("0 matches") && none.contains("choose them above"), "{none}");
    let image = between(&pair, "src=\"/image", "\"").replace("&amp;", "&");
    assert!(
        clip_image::decode(
            &served.get(&format!("/image{image}")).body,
            &clip_image::DecodeOptions::default()
        )
        .is_ok()
    );
    let absent = served.get("/pair?of=0/runs/small&find=nowhere");
    assert!(
        absent.status == 404 && absent.text().contains("hint: give a uid"),
        "{}",
        absent.text()
    );
    let stage = served.get("/rows?of=0/runs/small&rows=none");
    assert!(
        stage.status == 404 && stage.text().contains("a stage &quot;none&quot;"),
        "{}",
        stage.text()
    );
    // Shards by themselves, and a report as its own origin.
    let shards = served.page("/rows?of=0/runs/small/shards&where=width+%3E+10");
    assert!(shards.contains("/image?of="), "{shards}");
    world.good(&["report"]);
    let report = served.get("/page?of=0/runs/small/report.html");
    assert!(report.header("content-security-policy").unwrap().contains("sandbox allow-scripts"));
}

#[test]
fn pairs_are_accepted_and_rejected_and_a_threshold_is_moved() {
    let world = World::new();
    world.good(&["build"]);
    let eval = ["--eval", "toys=toys"];
    let compare = ["contamination", "--corpus", "runs/small/shards", "--out", "audit"];
    world.good(&[&compare[..], &eval].concat());
    let served = Served::start(&world, &[&["audit"], &eval[..]].concat());
    let page = served.page("/contamination?of=0");
    let hidden = |page: &str, name: &str| {
        between(
            page.split("class=\"mark\"").nth(1).unwrap(),
            &format!("name=\"{name}\" value=\""),
            "\"",
        )
        .to_owned()
    };
    let (key, id) = (hidden(&page, "key"), hidden(&page, "id"));
    // Both images of the first pair.
    for image in page.split("src=\"/contamination/image").skip(1).take(2) {
        let path = image.split_once('"').unwrap().0.replace("&amp;", "&");
        let bytes = served.get(&format!("/contamination/image{path}")).body;
        assert!(
            clip_image::decode(&bytes, &clip_image::DecodeOptions::default()).is_ok(),
            "{path}"
        );
    }
    let (host, cookie) = (format!("Host: {}", served.host), served.cookie());
    let decide = |headers: &[&str], form: &str| {
        let headers: Vec<&str> =
            [&*host, &*cookie].into_iter().chain(headers.iter().copied()).collect();
        served.ask("POST", "/decide", &headers, form)
    };
    let stored = || std::fs::read_to_string(world.path("audit/decisions.json")).ok();
    let form = format!("of=0&set=toys&key={key}&id={id}");
    let reject = format!("{form}&verdict=reject");
    let script = ["Accept: application/json"];
    // Another site, an unknown pair, no verdict.
    assert_eq!(decide(&["Origin: http://evil.example"], &reject).status, 403);
    assert_eq!(served.ask("POST", "/decide", &[&host], &reject).status, 403);
    assert_eq!(decide(&[], "of=0&set=toys&key=none&id=none&verdict=accept").status, 404);
    assert_eq!(decide(&[], &format!("{form}&verdict=maybe")).status, 400);
    assert_eq!(decide(&[], "of=0&set=toys&threshold=7").status, 400);
    assert_eq!(stored(), None);
    let count = |page: &str| -> u64 {
        let row = between(page, "<div id=\"effect\">", "</tr>\n</tbody>").to_owned();
        between(&row, "data-column=\"items with a copy\">", "<").parse().unwrap()
    };
    let before = count(&page);
    assert!(before > 0, "{page}");
    let answer = decide(&script, &reject);
    assert_eq!((answer.status, answer.text().as_str()), (200, "{\"marks\":1}"));
    assert!(stored().unwrap().contains("\"reject\""));
    let page = served.page("/contamination?of=0");
    assert_eq!(count(&page), before - 1);
    assert!(page.contains("data-verdict=\"reject\""), "{page}");
    // Without a script the page comes again.
    let answer = decide(&[], &format!("{form}&verdict=accept&back=of%3D0%26from%3D0"));
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/contamination?of=0&from=0"))
    );
    assert_eq!(count(&served.page("/contamination?of=0")), before);
    assert_eq!(decide(&script, &format!("{form}&verdict=none")).text(), "{\"marks\":0}");
    // A threshold is shown, then stored; the command takes it.
    let page = served.page("/contamination?of=0&threshold=1");
    assert!(page.contains("as the report has it"), "{page}");
    let moved = count(&page);
    assert!(moved < before && !stored().unwrap().contains("threshold"), "{moved}");
    assert_eq!(decide(&[], "of=0&set=toys&threshold=1").status, 303);
    let again =
        world.good(&[&compare[..], &eval, &["--decisions", "audit/decisions.json"]].concat());
    let row = again.lines().find(|line| line.starts_with("toys ")).unwrap();
    assert_eq!(row.split_whitespace().nth(2), Some(&*moved.to_string()), "{again}");
    // A mark of a pair that the report has not can be taken back.
    let gone =
        r#"{"sets":{"toys":{"marks":[{"key":"gone","id":"1","verdict":"reject","score":0.9}]}}}"#;
    std::fs::write(world.path("audit/decisions.json"), gone).unwrap();
    let page = served.page("/contamination?of=0");
    assert!(page.contains("gone · 1: rejected, score 0.900"), "{page}");
    let back = decide(&script, "of=0&set=toys&key=gone&id=1&verdict=none");
    assert_eq!(back.text(), "{\"marks\":0}");
    assert!(!served.page("/contamination?of=0").contains("Other marks"));
    // A run's own check.
    world.good(&["contamination"]);
    let served = Served::start(&world, &["runs/small"]);
    let page = served.page("/contamination?of=0");
    assert!(
        page.contains("start `clip-data serve` with --eval toys=PATH") && count(&page) > 0,
        "{page}"
    );
}

/// A table of rows whose texts try to break out.
fn table(path: &Path, rows: std::ops::Range<u32>) {
    let caption = |n: u32| match n % 10_000 {
        0 => format!("a \"rare\" <script>alert({n})</script> & </p> fox"),
        _ => format!("number {n} of a plain house by the old river"),
    };
    let url = |n: u32| match n % 10_000 {
        0 => "javascript:alert(1)".to_owned(),
        _ => format!("https://img{}.example/{n}.jpg?a=\"><img src=x>", n % 977),
    };
    let columns: [(&str, ArrayRef); 4] = [
        ("caption", Arc::new(StringArray::from_iter_values(rows.clone().map(caption)))),
        ("url", Arc::new(StringArray::from_iter_values(rows.clone().map(url)))),
        ("width", Arc::new(UInt32Array::from_iter_values(rows.clone()))),
        ("clip_similarity", Arc::new(Float32Array::from_iter_values(rows.map(|n| n as f32 / 1e6)))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    clip_corpus::write_parquet(path, batch.schema(), &[batch]).unwrap();
}

#[test]
fn half_a_million_rows_are_paged_and_filtered_in_bounded_memory_and_texts_stay_texts() {
    let world = World::new();
    std::fs::create_dir(world.path("tables")).unwrap();
    for (name, rows) in [("0.parquet", 0..250_000), ("1.parquet", 250_000..500_000)] {
        table(&world.path("tables").join(name), rows);
    }
    let served = Served::start(&world, &["tables"]);
    let page = served.page("/rows?of=0");
    assert!(page.contains("Rows 1 to 48 of 500,000."), "{page}");
    assert!(page.contains("&lt;script&gt;alert(0)&lt;/script&gt;"), "{page}");
    assert!(!page.contains("<script>alert") && !page.contains("href=\"javascript:"), "{page}");
    assert!(!page.contains("<img src=x"), "{page}");
    let last = served.page(&linked(&page, "last").unwrap());
    assert!(last.contains("of 500,000.") && last.contains("number 499999"), "{last}");
    assert!(linked(&last, "next").is_none() && linked(&last, "prev").is_some());
    // All that a filter finds, page by page, each once and in order.
    for (filter, expected) in [
        ("words=FOX+%22rare%22", 50),
        ("domain=img5.example", (0..500_000).filter(|n| n % 977 == 5 && n % 10_000 != 0).count()),
        ("score=clip_similarity&least=0.4999", 101),
        ("width=499990", 10),
        ("words=%3Cscript%3E+%27+OR+true", 0),
        ("where=caption+LIKE+%27%25number+77777+%25%27", 1),
    ] {
        let (mut path, mut seen, mut pages) = (Some(format!("/rows?of=0&{filter}")), Vec::new(), 0);
        while let Some(at) = path {
            let page = served.page(&at);
            let rows = page.match_indices("alt=\"image of row ").map(|(at, before)| {
                let rest = &page[at + before.len()..];
                rest.split_once('"').unwrap().0.parse::<u64>().unwrap()
            });
            seen.extend(rows);
            path = linked(&page, "next");
            pages += 1;
        }
        assert!(
            seen.len().abs_diff(expected) <= usize::from(filter.starts_with("score")),
            "{filter}: {}",
            seen.len()
        );
        assert!(seen.is_sorted_by(|a, b| a < b) && pages >= expected.div_ceil(48), "{filter}");
    }
    let row = served.page("/pair?of=0&at=10000");
    assert!(row.contains("alert(10000)&lt;/script&gt;") && !row.contains("<script>alert"), "{row}");
    assert!(served.peak() < 500, "{} MB", served.peak());
}

#[test]
fn images_are_found_by_a_sentence_and_by_an_image_and_copies_are_side_by_side() {
    let world = crate::score::world();
    crate::score::add(&world, "[[score]]\nmodel = \"model\"\nembeddings = true\n");
    world.good(&["build"]);
    let served = Served::start(&world, &["runs/small", "--model", "model"]);
    let page = served.page("/search?of=0");
    assert!(page.contains("like=0\""), "{page}");
    // An image is nearest to itself.
    let page = served.page("/search?of=0&rows=score&like=7");
    let first = between(&page, "<figure>", "</figure>");
    assert!(first.contains("image of row 7\"") && first.contains("<b>1.0000</b>"), "{first}");
    let page = served.page("/search?of=0&text=a+red+boat");
    let figures: Vec<&str> = page.split("<figure>").skip(1).collect();
    let cosines: Vec<f32> =
        figures.iter().map(|figure| between(figure, "<b>", "</b>").parse().unwrap()).collect();
    assert!(cosines.len() == 48 && cosines.is_sorted_by(|a, b| a >= b), "{cosines:?}");
    // Of a row that its own caption finds, the cosine is the one that the build stored.
    let of_own_caption = |figure: &&str| {
        let caption = between(figure, "class=\"words\">", "<").replace(' ', "+");
        let name = format!("image of row {}\"", between(figure, "alt=\"image of row ", "\""));
        let page = served.page(&format!("/search?of=0&text={caption}"));
        let found = page.split("<figure>").skip(1).find(|figure| figure.contains(&name))?;
        let stored = between(found, "clip_similarity ", " ").parse::<f32>().unwrap();
        Some((stored, between(found, "<b>", "</b>").parse::<f32>().unwrap()))
    };
    let (stored, cosine) = figures.iter().find_map(of_own_caption).unwrap();
    assert!((stored - cosine).abs() < 2e-3, "{stored} {cosine}");
    let copies = served.page("/duplicates?of=0");
    assert!(copies.contains("stayed") && copies.contains("exact_duplicate"), "{copies}");
    // Without a model, and without libtorch, it says so.
    let served = Served::start(&world, &["runs/small"]);
    let page = served.page("/search?of=0&text=boat");
    assert!(page.contains("Texts need a model.") && page.contains("hint: start"), "{page}");
    // Of another model the cosines mean nothing.
    let weights = world.path("model/open_clip_model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::create_dir(world.path("other")).unwrap();
    std::fs::copy(
        world.path("model/open_clip_config.json"),
        world.path("other/open_clip_config.json"),
    )
    .unwrap();
    std::fs::write(world.path("other/open_clip_model.safetensors"), bytes).unwrap();
    let served = Served::start(&world, &["runs/small", "--model", "other"]);
    let page = served.page("/search?of=0&text=boat");
    assert!(page.contains("The stored embeddings are of another model."), "{page}");
    for (option, value) in [("--model", "nowhere"), ("--eval", "toys=nowhere")] {
        let printed = world.fails(&["serve", "runs/small", option, value], 2);
        assert!(printed.contains("nowhere: no such file or folder\nhint: "), "{printed}");
    }
}

#[test]
fn two_training_runs_are_compared() {
    let world = World::new();
    for (name, lr, loss) in [("first", "0.1", 3.0), ("<second>", "0.2", 2.0)] {
        let folder = world.path("logs").join(name);
        std::fs::create_dir_all(folder.join("checkpoints")).unwrap();
        let line = |step: u32| {
            format!(
                "{{\"step\": {step}, \"epoch\": 0, \"loss\": {}, \"seconds\": 1.0, \"samples_per_second\": 64.0}}\n",
                loss / f64::from(step + 1)
            )
        };
        let lines: String = (0..50).map(line).collect();
        std::fs::write(folder.join("steps.jsonl"), lines + "{\"step\": 5").unwrap();
        let results = "{\"epoch\": 1, \"toys-zeroshot-val-top1\": 0.25}\n{\"epoch\": 2, \"toys-zeroshot-val-top1\": 0.75}\n";
        std::fs::write(folder.join("checkpoints/results.jsonl"), results).unwrap();
        std::fs::write(folder.join("params.txt"), format!("lr: {lr}\nseed: 0\n")).unwrap();
    }
    let served = Served::start(&world, &["logs"]);
    let one = served.page("/training?of=0/first");
    for part in ["0.0600", "64.0", "toys-zeroshot-val-top1", "0.7500", "<polyline", "seed"] {
        assert!(one.contains(part), "{part}: {one}");
    }
    let both = served.page("/training?of=0/first&with=0/%3Csecond%3E");
    for part in ["0.0400", "0.0600", "&lt;second&gt;", "Settings that differ"] {
        assert!(both.contains(part), "{part}: {both}");
    }
    assert!(!both.contains(">seed<") && !both.contains("<second>"), "{both}");
    assert_eq!(served.get("/training?of=0/none").status, 404);
}

#[test]
fn a_port_in_use_is_a_fault_of_the_command() {
    let world = World::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let printed = world.fails(&["serve", "images", "--port", &port], 2);
    assert!(printed.contains(&port) && printed.contains("\nhint: another --port"), "{printed}");
}
