//! What a build knows of its pairs: columns of lists, fields of other tools' shards, and identities
//! that do not depend on where a corpus is.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow::compute::concat_batches;
use clip_corpus::{Sample, ShardReader, ShardWriter, read_parquet, write_parquet};
use clip_image::encode_jpeg;
use clip_testkit::faults::{FaultSite, Robots};
use serde_json::{Value, json};

use crate::world::{World, content, smooth_image};

fn table(path: &Path) -> RecordBatch {
    let batches = read_parquet(path).unwrap();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn texts(table: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let column = table.column_by_name(name).unwrap().as_string::<i32>();
    column.iter().map(|cell| cell.map(str::to_owned)).collect()
}

fn some(texts: &[&str]) -> Vec<Option<String>> {
    texts.iter().map(|text| Some((*text).to_owned())).collect()
}

#[test]
fn columns_of_a_list_come_to_the_table_and_the_json_of_the_shards() {
    let world = World::new();
    let image = encode_jpeg(&smooth_image(1), 92).unwrap();
    let site = FaultSite::start("127.0.0.1".parse().unwrap(), image, Robots::Missing).unwrap();
    let urls: Vec<String> = (0..3).map(|row| site.url(&format!("/n/{row}"))).collect();
    let uids: Vec<String> = (0..3).map(|row| format!("{:032x}", row + 7)).collect();
    let list = RecordBatch::try_from_iter([
        ("url", Arc::new(StringArray::from(urls)) as ArrayRef),
        ("caption", Arc::new(StringArray::from(vec!["one", "two", "three"])) as ArrayRef),
        ("uid", Arc::new(StringArray::from(uids.clone())) as ArrayRef),
        ("score", Arc::new(Float64Array::from(vec![Some(0.5), None, Some(-1.25)])) as ArrayRef),
        ("views", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef),
        ("safe", Arc::new(BooleanArray::from(vec![true, false, true])) as ArrayRef),
        ("licence", Arc::new(StringArray::from(vec!["CC0", "CC BY", "MIT"])) as ArrayRef),
    ]);
    let list = list.unwrap();
    write_parquet(&world.path("list.parquet"), list.schema(), std::slice::from_ref(&list)).unwrap();
    let pipeline = |name: &str, columns: &str| {
        let text = format!(
            "schema = 1\nname = \"{name}\"\n[source]\nkind = \"list\"\npaths = [\"list.parquet\"]\n{columns}\n\
             [fetch]\nallow_private = true\nhost_delay_ms = 0\n"
        );
        std::fs::write(world.path(&format!("{name}.toml")), text).unwrap();
        world.run(&["build", "-c", &format!("{name}.toml")])
    };
    let kept = r#"columns = ["uid", "score", "views", "safe", "licence"]"#;
    assert!(pipeline("kept", kept).status.success());
    let rows = table(&world.path("runs/kept/shards/00000.parquet"));
    assert_eq!(texts(&rows, "uid"), some(&uids.iter().map(|uid| &**uid).collect::<Vec<_>>()));
    assert_eq!(texts(&rows, "licence"), some(&["CC0", "CC BY", "MIT"]));
    for name in ["score", "views", "safe"] {
        let (found, given) =
            (rows.column_by_name(name).unwrap(), list.column_by_name(name).unwrap());
        assert_eq!(found, given, "{name}");
    }
    let sample = ShardReader::open(&world.path("runs/kept/shards/00000.tar")).unwrap().next();
    let json: Value =
        serde_json::from_slice(sample.unwrap().unwrap().get("json").unwrap()).unwrap();
    let fields = ["uid", "score", "views", "safe", "licence"].map(|name| json[name].clone());
    assert_eq!(json!(fields), json!([uids[0], 0.5, 1, true, "CC0"]));
    // Without the setting the list's other columns are not there, and the identity is made of the
    // pair.
    assert!(pipeline("bare", "").status.success());
    let rows = table(&world.path("runs/bare/shards/00000.parquet"));
    assert!(
        rows.column_by_name("licence").is_none() && texts(&rows, "uid")[0] != Some(uids[0].clone())
    );
    for (columns, reason) in [
        (r#"columns = ["caption"]"#, "\"caption\" is a column that a build has of its own"),
        (r#"columns = ["likes"]"#, "no column \"likes\""),
    ] {
        let output = pipeline("refused", columns);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.contains(reason) && errors.contains("\nhint: "), "{errors}");
        assert_eq!(output.status.code(), Some(2), "{errors}");
    }
}

/// A shard as img2dataset writes it, its last sample without JSON.
fn foreign(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let mut writer = ShardWriter::create(&folder.join("00000.tar")).unwrap();
    for at in 0..3 {
        let key = format!("{at:09}");
        let mut fields = vec![
            ("jpg".to_owned(), encode_jpeg(&smooth_image(at), 90).unwrap()),
            ("txt".to_owned(), format!("caption {at}").into_bytes()),
        ];
        if at < 2 {
            let json = json!({
                "url": format!("https://a.example/{at}.jpg"), "key": key, "caption": "of the json",
                "sha256": format!("{:064x}", at + 1), "original_width": 640, "original_height": 480,
                "exif": "{\"Image Make\": \"x\"}", "status": "success", "similarity": 0.25,
            });
            fields.push(("json".to_owned(), json.to_string().into_bytes()));
        }
        writer.write(&Sample { key, fields }).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn fields_of_img2datasets_shards_stay_and_a_moved_corpus_gives_the_same_bytes() {
    let world = World::new();
    for folder in ["here", "there/moved/twice"] {
        foreign(&world.path(folder));
        let base = world.path(folder);
        let paths = if folder == "here" { "here" } else { "moved/twice" };
        let at = if folder == "here" { world.path("") } else { world.path("there") };
        let text = format!(
            "schema = 1\nname = \"w\"\n[source]\nkind = \"webdataset\"\npaths = [\"{paths}\"]\n\
             columns = [\"similarity\"]\n[image]\nimage_size = 64\nresize_mode = \"center_crop\"\n"
        );
        assert!(base.is_dir());
        std::fs::write(at.join("w.toml"), text).unwrap();
        world.good(&["build", "-c", at.join("w.toml").to_str().unwrap()]);
    }
    let here = world.path("runs/w/shards");
    assert!(content(&here) == content(&world.path("there/runs/w/shards")));
    let rows = table(&here.join("00000.parquet"));
    let urls = ["https://a.example/0.jpg", "https://a.example/1.jpg", "file:00000.tar#000000002"];
    assert_eq!(texts(&rows, "url"), some(&urls));
    assert_eq!(texts(&rows, "caption"), some(&["caption 0", "caption 1", "caption 2"]));
    assert_eq!(texts(&rows, "source_key"), some(&["000000000", "000000001", "000000002"]));
    let uids =
        ["000000000", "000000001", "000000002"].map(|key| clip_corpus::uid("00000.tar", key));
    assert_eq!(texts(&rows, "uid"), some(&uids.each_ref().map(|uid| &**uid)));
    let hashes = texts(&rows, "sha256");
    assert_eq!(hashes[..2], some(&[&format!("{:064x}", 1), &format!("{:064x}", 2)]));
    // What no JSON says is measured.
    let image = encode_jpeg(&smooth_image(2), 90).unwrap();
    assert_ne!(hashes[2], hashes[1]);
    assert_eq!(hashes[2].as_ref().map(String::len), Some(64));
    let header = clip_image::ImageHeader::read(&image).unwrap();
    let widths = rows.column_by_name("original_width").unwrap();
    let widths = widths.as_primitive::<arrow::datatypes::Int32Type>();
    assert_eq!((widths.value(0), widths.value(2)), (640, header.width as i32));
    assert_eq!(texts(&rows, "exif")[0], Some("{\"Image Make\": \"x\"}".into()));
    assert_eq!(texts(&rows, "similarity"), [Some("0.25".into()), Some("0.25".into()), None]);
    assert!(rows.column_by_name("location").is_none(), "where files are is no part of a corpus");
}

#[test]
fn a_moved_folder_of_images_gives_the_same_bytes() {
    let world = World::new();
    world.good(&["build"]);
    std::fs::create_dir(world.path("elsewhere")).unwrap();
    std::fs::rename(world.path("images"), world.path("elsewhere/renamed")).unwrap();
    world.good(&["build", "--set", "source.paths=['elsewhere/renamed']", "--set", "workdir=again"]);
    assert!(
        content(&world.path("runs/small/shards")) == content(&world.path("again/small/shards"))
    );
    let urls = texts(&table(&world.path("again/small/shards/00000.parquet")), "url");
    assert!(urls[0].as_ref().is_some_and(|url| url.starts_with("file:00/0")), "{urls:?}");
}
