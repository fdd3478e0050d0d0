//! `[[score]]` and `clip-data score`: one model process, what happens when it dies, what it says.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Float32Type;
use clip_corpus::{Sample, ShardWriter, read_parquet};

use crate::world::{TINY_PRESET, World, content, executable};

/// A world with a small model in `model`, and a head that fits it in `head.safetensors`.
pub fn world() -> World {
    let world = World::new();
    std::fs::write(world.path("tiny.json"), TINY_PRESET).unwrap();
    let data = ["train", "--dataset-type", "synthetic", "--train-num-samples", "32"];
    let run = ["--batch-size", "16", "--preset", "tiny.json", "--device", "cpu", "--name", "m"];
    world.good(&data.iter().chain(&run).copied().collect::<Vec<_>>());
    world.good(&["convert", "--model", "logs/m", "--to", "open-clip", "--out", "model"]);
    write_head(&world.path("head.safetensors"), 16);
    world
}

/// A linear head whose weights are all a sixteenth, and its bias 5.
fn write_head(path: &Path, width: usize) {
    let header = format!(
        r#"{{"weight":{{"dtype":"F32","shape":[1,{width}],"data_offsets":[0,{0}]}},"bias":{{"dtype":"F32","shape":[1],"data_offsets":[{0},{1}]}}}}"#,
        4 * width,
        4 * width + 4
    );
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(std::iter::repeat_n(0.0625f32.to_le_bytes(), width).flatten());
    bytes.extend(5f32.to_le_bytes());
    std::fs::write(path, bytes).unwrap();
}

const SCORE: &str = r#"
[[score]]
model = "model"
[score.heads.aesthetic]
file = "head.safetensors"
[score.classes]
boat = ["a boat", "an image of a boat"]
other = ["a thing"]
"#;

/// Adds sections to the pipeline.
pub fn add(world: &World, section: &str) {
    let mut text = std::fs::read_to_string(world.path("pipeline.toml")).unwrap();
    text.push_str(section);
    std::fs::write(world.path("pipeline.toml"), text).unwrap();
}

/// The rows of all tables in a folder.
fn rows(folder: &Path) -> Vec<RecordBatch> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "parquet"));
    files.sort();
    files.iter().flat_map(|file| read_parquet(file).unwrap()).collect()
}

fn numbers(rows: &[RecordBatch], name: &str) -> Vec<f32> {
    let column = |batch: &RecordBatch| -> Vec<f32> {
        let column = batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
        column.as_primitive::<Float32Type>().values().to_vec()
    };
    rows.iter().flat_map(column).collect()
}

#[test]
fn scores_of_a_build_are_those_of_its_shards_and_a_filter_reads_them() {
    let world = world();
    add(&world, SCORE);
    let funnel = world.good(&["build"]);
    assert!(funnel.contains("\nscore "), "{funnel}");
    let built = rows(&world.path("runs/small/shards"));
    let similarity = numbers(&built, "clip_similarity");
    let total = similarity.len();
    assert!(total > 100 && similarity.iter().all(|s| s.abs() <= 1.0), "{total}");
    let (boat, other) = (numbers(&built, "boat"), numbers(&built, "other"));
    assert!(boat.iter().zip(&other).all(|(a, b)| (a + b - 1.0).abs() < 1e-5));
    assert!(numbers(&built, "aesthetic").iter().all(|a| (a - 5.0).abs() < 0.5));
    // Of a row with several captions, each has a similarity, and the first is the row's own.
    let mut several = 0;
    for batch in &built {
        let own = batch.column_by_name("clip_similarity").unwrap().as_primitive::<Float32Type>();
        let best = batch.column_by_name("clip_similarity_best").unwrap();
        let best = best.as_primitive::<Float32Type>();
        let each = batch.column_by_name("clip_similarities").unwrap().as_list::<i32>();
        let captions = batch.column_by_name("captions").unwrap().as_list::<i32>();
        for row in 0..batch.num_rows() {
            let values = each.value(row).as_primitive::<Float32Type>().values().to_vec();
            let count = if captions.is_valid(row) { captions.value(row).len() } else { 1 };
            assert_eq!((values.len(), values[0]), (count, own.value(row)));
            assert_eq!(best.value(row), values.iter().copied().fold(-1.0, f32::max));
            several += usize::from(count > 1);
        }
    }
    assert!(several > 0);
    let uid = built[0].column_by_name("uid").unwrap().as_string::<i32>().value(0).to_owned();
    let printed = world.good(&["explain", &uid]);
    assert!(printed.contains("clip_similarity") && printed.contains("aesthetic"), "{printed}");
    let plan = world.good(&["plan"]);
    let again = |line: &str| line.contains(" score ") && line.contains(" reuse ");
    assert!(plan.lines().any(again), "{plan}");
    world.good(&["report", "--out", "page.html"]);
    let page = std::fs::read_to_string(world.path("page.html")).unwrap();
    assert!(page.contains("Scores by clip") && page.contains("<h3>aesthetic</h3>"));

    // What `[select]` could ask for is known before there are rows.
    let printed = world.fails(&["plan", "--set", r#"select.where=["widht > 3"]"#], 2);
    let hint = printed.lines().find_map(|line| line.strip_prefix("hint: there are ")).unwrap();
    let mut known: Vec<&str> = hint.split(", ").collect();
    let mut folders = std::fs::read_dir(world.path("runs/small")).unwrap();
    let last = folders.find_map(|entry| {
        let path = entry.unwrap().path();
        path.to_string_lossy().contains("-score-").then_some(path)
    });
    let schema = read_parquet(&last.unwrap().join("part-00000.parquet")).unwrap()[0].schema();
    let mut columns: Vec<&str> =
        schema.fields().iter().map(|field| field.name().as_str()).collect();
    known.sort_unstable();
    columns.sort_unstable();
    assert_eq!(known, columns);

    // The same scores for the shards alone, and once more for free.
    let score = ["score", "runs/small/shards", "--model", "model", "--device", "cpu"];
    let heads = ["--head", "aesthetic=head.safetensors", "--out", "scores"];
    let args: Vec<&str> = score.iter().chain(&heads).copied().collect();
    let printed = world.good(&args);
    assert!(printed.starts_with(&format!("{total} pairs")), "{printed}");
    let scored = rows(&world.path("scores"));
    for name in ["clip_similarity", "clip_similarity_best", "aesthetic"] {
        let (a, b) = (numbers(&built, name), numbers(&scored, name));
        assert_eq!(a.len(), b.len());
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5), "{name}");
    }
    let again = world.run(&args);
    assert!(String::from_utf8_lossy(&again.stderr).contains("parts were done before"));
    let printed = world.fails(&[&args[..], &["--name", "l14"]].concat(), 2);
    assert!(printed.contains("other scores") && printed.contains("hint: "), "{printed}");
    // A third of them, as the filter counts.
    let printed = world.good(&["filter", "scores", "--top", "clip_similarity=0.3", "-o", "s.npy"]);
    let kept = format!("{}", total * 3 / 10);
    let line = printed.lines().find(|line| line.starts_with("kept")).unwrap();
    assert_eq!(line.split_whitespace().last(), Some(kept.as_str()), "{printed}");
}

#[test]
fn a_pair_that_has_no_score_is_counted_and_named() {
    let world = world();
    let mut shard = ShardWriter::create(&world.path("00000.tar")).unwrap();
    let good = std::fs::read(world.path("images/00/000.jpg")).unwrap();
    for (key, image) in [("0", good.as_slice()), ("1", b"no image")] {
        let mut fields = vec![("jpg".to_owned(), image.to_vec())];
        fields.push(("txt".into(), b"a boat".to_vec()));
        fields.push(("json".into(), br#"{"url": "https://e.org/1.jpg"}"#.to_vec()));
        shard.write(&Sample { key: key.into(), fields }).unwrap();
    }
    shard.finish().unwrap();
    let args = ["score", "00000.tar", "--model", "model", "--device", "cpu", "--out", "scores"];
    let output = world.run(&args);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && printed.contains("rejected: 1 pair: "), "{printed}");
    assert!(printed.contains("warning: without a uid in their shards: 1 pair; "), "{printed}");
    let rejects =
        std::fs::read_to_string(world.path("scores/rejects/rejects_00000.jsonl")).unwrap();
    assert!(rejects.contains(r#""image_path":"1""#), "{rejects}");
    assert_eq!(numbers(&rows(&world.path("scores")), "clip_similarity").len(), 1);
}

#[test]
fn a_shard_that_changed_is_embedded_and_scored_again() {
    let world = world();
    std::fs::create_dir(world.path("set")).unwrap();
    let image = std::fs::read(world.path("images/00/000.jpg")).unwrap();
    let write = |name: &str, images: &[&[u8]]| {
        let mut shard = ShardWriter::create(&world.path(name)).unwrap();
        for (key, image) in images.iter().enumerate() {
            let fields = vec![("jpg".into(), image.to_vec()), ("txt".into(), b"a boat".to_vec())];
            shard.write(&Sample { key: key.to_string(), fields }).unwrap();
        }
        shard.finish().unwrap();
    };
    write("set/0.tar", &[&image, &image]);
    write("set/1.tar", &[&image, b"no image"]);
    let model = ["--model", "model", "--device", "cpu", "--out"];
    let score = [&["score", "set"], &model[..], &["scores"]].concat();
    let embed = [&["embed", "--input", "set"], &model[..], &["embeddings"]].concat();
    for args in [&score, &embed] {
        assert!(world.good(args).starts_with("3 "), "{args:?}");
    }
    write("set/1.tar", &[&image, &image, &image]);
    for args in [&score, &embed] {
        let output = world.run(args);
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(printed.contains("1 of 2 parts were done before"), "{args:?}: {printed}");
        assert!(printed.contains("1 of 2 parts were made again"), "{args:?}: {printed}");
        assert!(!printed.contains("rejected"), "{args:?}: {printed}");
        assert!(String::from_utf8_lossy(&output.stdout).starts_with("5 "), "{args:?}");
        let printed = world.run(args).stderr;
        assert!(String::from_utf8_lossy(&printed).contains("2 of 2 parts were done before"));
    }
    assert_eq!(numbers(&rows(&world.path("scores")), "clip_similarity").len(), 5);
    for rejects in ["scores/rejects/rejects_00001.jsonl", "embeddings/rejects/rejects_0001.jsonl"] {
        assert!(!world.path(rejects).exists(), "{rejects}");
    }
    // A table that was removed is made again.
    std::fs::remove_file(world.path("scores/00000.parquet")).unwrap();
    assert!(world.good(&score).starts_with("5 "));
    assert_eq!(numbers(&rows(&world.path("scores")), "clip_similarity").len(), 5);
    // Other weights of the same length are another model.
    let weights = world.path("model/open_clip_model.safetensors");
    let before = std::fs::read(&weights).unwrap();
    let mut other = before.clone();
    *other.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, other).unwrap();
    assert!(world.fails(&score, 2).contains("other scores"));
    assert!(world.fails(&embed, 2).contains("other embeddings"));
    std::fs::write(&weights, before).unwrap();
    // The table of a shard that is gone would be in the pool all the same.
    std::fs::remove_file(world.path("set/1.tar")).unwrap();
    assert!(world.fails(&score, 2).contains("00001.parquet: it was written of more shards"));
    assert!(world.fails(&embed, 2).contains("other embeddings"));
}

#[test]
fn what_cannot_score_is_refused_before_anything_is_fetched() {
    let world = world();
    let nothing_ran = || !world.path("runs").exists();
    // A head of another model.
    write_head(&world.path("head.safetensors"), 24);
    add(&world, SCORE);
    let printed = world.fails(&["build"], 2);
    for part in ["head.safetensors", "24", "16", "hint: "] {
        assert!(printed.contains(part), "{printed}");
    }
    assert!(nothing_ran());
    std::fs::write(
        world.path("head.safetensors"),
        b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.",
    )
    .unwrap();
    let printed = world.fails(&["build"], 5);
    assert!(printed.contains("head.safetensors") && nothing_ran(), "{printed}");
    // No libtorch.
    let mut bare = Command::new(executable("clip-data"));
    bare.arg("build").current_dir(world.path("")).env_clear().env("HOME", "/nonexistent");
    let output = bare.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{printed}");
    assert!(
        printed.contains("libtorch 2.11") && printed.contains("hint: ") && nothing_ran(),
        "{printed}"
    );
    // A build that ends before the scores needs no model.
    world.good(&["build", "--until", "captions"]);
    for (section, part) in [
        ("[[score]]\nmodel = 'logs/m'\nname = 'run'", "name one of those"),
        ("[[score]]\nmodel = 'model'\nname = 'b'\nclasses = {a = ['x']}", "one class"),
        ("[[score]]\nmodel = 'nowhere'\nname = 'b'", "score.b.model: nowhere"),
        ("[[score]]\nmodel = 'model'", "two columns"),
        ("[[score]]\nmodel = 'model'\nname = 'b'\nheads = {phash = {file = 'x'}}", "\"phash\""),
    ] {
        let text = std::fs::read_to_string(world.path("pipeline.toml")).unwrap();
        add(&world, &format!("\n{section}\n"));
        let printed = world.fails(&["plan"], 2);
        assert!(printed.contains(part), "{section}: {printed}");
        std::fs::write(world.path("pipeline.toml"), text).unwrap();
    }
}

/// `clip-data` beside a `clip-data-torch` that counts its starts in the file `starts`, and ends
/// after the greeting of those that the file `dies` names.
fn fragile(world: &World, dies: &str) -> Command {
    let bin = world.path("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::copy(executable("clip-data"), bin.join("clip-data")).unwrap();
    let torch = executable("clip-data-torch");
    let script = format!(
        "#!/bin/sh\nn=$(( $(cat starts) + 1 )); echo $n > starts\ncase \" $(cat dies) \" in *\" $n \"*) \
         \"{0}\" \"$@\" | head -c 12; exit 1;; esac\nexec \"{0}\" \"$@\"\n",
        torch.display()
    );
    std::fs::write(bin.join("clip-data-torch"), script).unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bin.join("clip-data-torch"), mode).unwrap();
    std::fs::write(world.path("starts"), "0").unwrap();
    std::fs::write(world.path("dies"), dies).unwrap();
    let mut command = Command::new(bin.join("clip-data"));
    command.arg("build").current_dir(world.path(""));
    command.env("CLIP_DATA_CACHE", world.path("cache"));
    command
}

#[test]
fn a_model_process_that_dies_costs_one_part_a_try_and_changes_nothing() {
    let world = world();
    add(&world, SCORE);
    world.good(&["build", "--set", "name=calm", "--set", "engine.workers=1"]);
    // The first start is the check before the build; the second scores, and dies.
    let output = fragile(&world, "2").output().unwrap();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("the model's process ended"), "{printed}");
    let starts = std::fs::read_to_string(world.path("starts")).unwrap();
    // One process for all parts, and one after its death.
    assert_eq!(starts.trim(), "3", "{printed}");
    let shards = |name: &str| content(&world.path(&format!("runs/{name}/shards")));
    assert!(shards("small") == shards("calm"), "the shards differ");

    // One that always dies leaves the parts undone, names them, and the next build resumes.
    let all: Vec<String> = (2..200).map(|n| n.to_string()).collect();
    let mut dying = fragile(&world, &all.join(" "));
    let output = dying.args(["--set", "name=dies"]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{printed}");
    assert!(printed.contains("score") && printed.contains("part"), "{printed}");
    let output = fragile(&world, "").args(["--set", "name=dies"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(shards("dies") == shards("calm"), "the shards differ");
}

#[test]
fn a_model_process_of_another_version_or_without_an_answer_is_refused_at_once() {
    let world = world();
    add(&world, SCORE);
    let mut build = fragile(&world, "");
    // Each waits for questions as long as the build lives.
    for (greeting, part) in [
        ("\\1\\0\\0\\0\\3\\0\\0\\0", "protocol 1 where 2 is spoken\nhint: "),
        ("\\2\\0\\0\\0\\7\\0\\0\\0\\0\\0\\0\\0", "7 columns"),
        ("\\2\\0\\0", "its process ended with exit status: 5"),
    ] {
        let script = format!(
            "#!/bin/sh\nprintf '{greeting}'\nexec >&-\nwhile read -r pair; do :; done\nexit 5\n"
        );
        std::fs::write(world.path("bin/clip-data-torch"), script).unwrap();
        let output = build.output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{message}");
        assert!(message.contains(part), "{part}: {message}");
        assert!(!world.path("runs").exists());
    }
}
