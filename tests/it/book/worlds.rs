//! What the commands of each page find: a list and the site that it is about, a pool, shards,
//! weights.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int64Array, RecordBatch, StringArray};
use clip_corpus::{Sample, ShardWriter, write_parquet};
use clip_image::encode_jpeg;
use clip_testkit::files::FileSite;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::world::{FOLDERS, IMAGES, TINY_PRESET, World, smooth_image};

/// Pairs of the lists.
const PAIRS: usize = 60;

/// Where the blocks of a page are run.
pub struct Book {
    pub world: World,
    /// What stands in for the page's names: its text, and what is put in its place.
    pub replaced: Vec<(&'static str, String)>,
    /// Answers while the blocks run.
    _site: Option<FileSite>,
}

impl Book {
    fn new(world: World) -> Self {
        Self { world, replaced: Vec::new(), _site: None }
    }
}

fn caption(at: usize) -> String {
    let birds = ["red kite", "grey heron", "house sparrow", "barn owl"];
    format!("a photo of a {} on branch {at}", birds[at % birds.len()])
}

/// Images at `/N.jpg`, and a page that shows all of them.
fn site() -> FileSite {
    let mut page = "<html><body>".to_owned();
    let mut files = Vec::new();
    for at in 0..PAIRS {
        write!(page, "<img src=\"/{at}.jpg\" alt=\"{}\">", caption(at)).unwrap();
        files.push((
            format!("/{at}.jpg"),
            "image/jpeg",
            encode_jpeg(&smooth_image(at), 92).unwrap(),
        ));
    }
    files.push(("/".to_owned(), "text/html", page.into_bytes()));
    FileSite::start("127.0.0.1".parse().unwrap(), files).unwrap()
}

/// `pairs.csv` with the columns of LAION's tables.
pub fn list() -> Book {
    let (world, site) = (World::new(), site());
    let mut list = "SAMPLE_ID,URL,TEXT\n".to_owned();
    for at in 0..PAIRS {
        writeln!(list, "{at},{},{}", site.url(&format!("/{at}.jpg")), caption(at)).unwrap();
    }
    writeln!(list, "{PAIRS},{},a photo that is gone", site.url("/gone.jpg")).unwrap();
    std::fs::write(world.path("pairs.csv"), list).unwrap();
    let replaced = vec![("https://images.example", site.url(""))];
    Book { world, replaced, _site: Some(site) }
}

/// A site of birds, terms, and captions that are good and bad.
pub fn domain() -> Book {
    let (world, site) = (World::new(), site());
    std::fs::write(world.path("terms.txt"), "red kite\ngrey heron\nhouse sparrow\nbarn owl\n")
        .unwrap();
    let good: String = (0..PAIRS).map(|at| caption(at) + "\n").collect();
    let bad: String = (0..PAIRS).map(|at| format!("buy now, only {at} left in stock\n")).collect();
    std::fs::write(world.path("good.txt"), good).unwrap();
    std::fs::write(world.path("bad.txt"), bad).unwrap();
    let replaced = vec![("https://birds.example/", site.url("/"))];
    Book { world, replaced, _site: Some(site) }
}

/// `archive.wat.gz`, of one page.
pub fn wat() -> Book {
    let (world, site) = (World::new(), site());
    let links: Vec<String> = (0..PAIRS)
        .map(|at| {
            let alt = format!("a small boat and a house in photo {at}");
            let url = site.url(&format!("/{at}.jpg"));
            format!("{{\"path\": \"IMG@/src\", \"url\": \"{url}\", \"alt\": \"{alt}\"}}")
        })
        .collect();
    let json = format!(
        "{{\"Envelope\": {{\"WARC-Header-Metadata\": {{\"WARC-Target-URI\": \"http://e.example/\"}}, \
         \"Payload-Metadata\": {{\"HTTP-Response-Metadata\": {{\"HTML-Metadata\": {{\"Links\": [{}]}}}}}}}}}}",
        links.join(", ")
    );
    let record = format!(
        "WARC/1.0\r\nWARC-Type: metadata\r\nWARC-Target-URI: http://e.example/\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{json}\r\n\r\n",
        json.len()
    );
    let mut member = GzEncoder::new(Vec::new(), Compression::default());
    member.write_all(record.as_bytes()).unwrap();
    std::fs::write(world.path("archive.wat.gz"), member.finish().unwrap()).unwrap();
    Book { world, replaced: Vec::new(), _site: Some(site) }
}

/// Metadata in DataComp's columns, and weights.
pub fn pool() -> Book {
    let (world, site) = (with_weights("weights"), site());
    let texts = |of: &dyn Fn(usize) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..PAIRS).map(of)))
    };
    let sides =
        || -> ArrayRef { Arc::new((0..PAIRS as i64).map(|n| 40 + n).collect::<Int64Array>()) };
    let scores: ArrayRef =
        Arc::new((0..PAIRS as u16).map(|n| f32::from(n % 17) / 17.0).collect::<Float32Array>());
    let batch = RecordBatch::try_from_iter([
        ("uid", texts(&|n| format!("{n:032x}"))),
        ("url", texts(&|n| site.url(&format!("/{n}.jpg")))),
        ("text", texts(&caption)),
        ("original_width", sides()),
        ("original_height", sides()),
        ("clip_b32_similarity_score", scores.clone()),
        ("clip_l14_similarity_score", scores),
    ])
    .unwrap();
    let path = world.path("metadata/pool.parquet");
    write_parquet(&path, batch.schema(), &[batch]).unwrap();
    Book { _site: Some(site), ..Book::new(world) }
}

/// A world whose build is in `shards`, with copies of evaluation images.
fn with_shards() -> World {
    let world = World::new();
    world.good(&["build", "--set", "check.action=flag"]);
    world.good(&["reshard", "--input", "runs/small/shards", "--out", "shards"]);
    std::fs::write(world.path("tiny.json"), TINY_PRESET).unwrap();
    world
}

/// The same with the run of a small model.
fn trained() -> World {
    let world = with_shards();
    let data = ["--train-data", "shards", "--preset", "tiny.json", "--batch-size", "16"];
    world.good(&[&["train"], &data[..], &["--name", "base", "--logs", "base"]].concat());
    world
}

/// The same with its weights in a folder of open_clip's layout.
fn with_weights(name: &str) -> World {
    let world = trained();
    world.good(&["convert", "--model", "base/base", "--to", "open-clip", "--out", name]);
    std::fs::remove_dir_all(world.path("shards")).unwrap();
    world
}

/// Shards with tables as img2dataset writes them, in which an image failed, and some are copies of
/// each other and of an evaluation set.
pub fn foreign() -> Book {
    let world = World::new();
    std::fs::create_dir_all(world.path("laion")).unwrap();
    for shard in 0..3 {
        let name = format!("{shard:05}");
        let path = world.path(&format!("laion/{name}.tar"));
        let mut writer = ShardWriter::create(&path).unwrap();
        let mut rows = Vec::new();
        for at in 0..IMAGES {
            let (key, url) =
                (format!("{name}{at:04}"), format!("https://images.example/{shard}/{at}.jpg"));
            let caption = caption(shard * IMAGES + at);
            let json = serde_json::json!({
                "key": key, "url": url, "caption": caption, "status": "success", "error_message": null,
                "license": "CC0", "score": at as f64 / 10.0,
            });
            let image =
                std::fs::read(world.path(&format!("images/{shard:02}/{at:03}.jpg"))).unwrap();
            let fields = vec![
                ("jpg".into(), image),
                ("json".into(), json.to_string().into_bytes()),
                ("txt".into(), caption.clone().into_bytes()),
            ];
            writer.write(&Sample { key: key.clone(), fields }).unwrap();
            rows.push([key, url, caption, "success".into(), String::new()]);
        }
        if shard == 0 {
            let gone = ["000009999", "https://images.example/gone.jpg", "a photo that is gone"];
            let why = ["failed_to_download", "HTTP Error 404: Not Found"];
            rows.push([gone[0], gone[1], gone[2], why[0], why[1]].map(str::to_owned));
        }
        writer.finish().unwrap();
        let names = ["key", "url", "caption", "status", "error_message"];
        let column = |at: usize| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row[at])))
        };
        let columns = names.into_iter().enumerate().map(|(at, name)| (name, column(at)));
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        write_parquet(&path.with_extension("parquet"), batch.schema(), &[batch]).unwrap();
    }
    Book::new(world)
}

/// Shards, an evaluation set that they hold copies of, and weights.
pub fn audit() -> Book {
    let world = trained();
    world.good(&["convert", "--model", "base/base", "--to", "open-clip", "--out", "weights"]);
    Book::new(world)
}

/// A training checkpoint of open_clip's kind, shards, and a set with a train part.
pub fn checkpoint() -> Book {
    let world = trained();
    std::fs::copy(world.path("base/base/checkpoints/epoch_2.pt"), world.path("epoch_2.pt"))
        .unwrap();
    for (part, first) in [("train", 20_000), ("test", 30_000)] {
        for class in 0..FOLDERS {
            let folder = world.path(&format!("classes/{part}/class_{class}"));
            std::fs::create_dir_all(&folder).unwrap();
            for at in 0..4 {
                let image = smooth_image(first + 10 * class + at);
                std::fs::write(folder.join(format!("{at}.jpg")), encode_jpeg(&image, 92).unwrap())
                    .unwrap();
            }
        }
    }
    Book::new(world)
}

/// Shards and the preset of a small model.
pub fn processes() -> Book {
    Book::new(with_shards())
}
